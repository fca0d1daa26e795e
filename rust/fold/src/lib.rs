//! Folding what is plain: items that were appended to a session one after the other, as the entries that they become.
//!
//! Rules: bytes in, bytes out, no I/O. What an item costs is said in `retold/fold/counting.py`; here it is done for items
//! that are written exactly as the codec writes them, without blocks or fields of a provider. Whatever is not such an
//! item goes to Python, whose fold decides what is right; a law holds the two together.

#![forbid(unsafe_code)]

mod item;
mod run;
mod runs;
mod text;
mod time;

pub use run::Run;
pub use runs::{Runs, Taken};
