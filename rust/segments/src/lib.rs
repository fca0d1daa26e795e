//! Which rows of a kept state lie where: what earlier messages hold is named, the rest is cut into segments.
//!
//! A state is given as its rows, one a line. `Layout` says where the rows of the newest state are stored; `Laid` is
//! what is to be stored of the next one, and gives the layout after it.
//!
//! Rules: bytes in, bytes out, no I/O. Rows are told apart by a hash that is drawn anew in every process: two of one hash
//! would give other bytes than were kept, which whoever puts a state together sees by the hash of the whole.

#![forbid(unsafe_code)]

mod content;
mod laid;
mod layout;
#[cfg(test)]
#[expect(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a test may panic")]
mod tests;

pub use content::items_hash;
pub use laid::{Laid, Run};
pub use layout::{Holder, Layout};

/// The rows of `lines`: each ends with a line feed, which is no part of it.
fn rows(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0_usize;
    memchr::memchr_iter(b'\n', lines).filter_map(move |end| {
        let row = lines.get(start..end);
        start = end.saturating_add(1);
        row
    })
}
