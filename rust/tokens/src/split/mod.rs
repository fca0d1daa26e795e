//! Splits text into the pieces that a vocabulary merges one by one.
//!
//! Hand-written equals of the regular expressions of tiktoken 0.14, each with the expression it stands for beside it.
//!
//! Rules:
//! - Matching is left to right and never looks behind: the pieces from an offset on depend only on the text from there.
//! - Every piece says how far its decision looked (`reach`). This is what makes counting incremental: a piece that did
//!   not look at the end of the text is final, whatever is appended, and a piece whose reach lies within a shorter text
//!   is a piece of that text too.
//! - Every run is walked at most a constant number of times, so splitting is linear in any text.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "offsets in a string, which is shorter than isize::MAX, plus the length of a character"
)]

mod cl100k;
mod classes;
mod cursor;
mod leaps;
mod masks;
mod o200k;
mod run;
mod simd;
mod windows;

pub(crate) use leaps::Leaps;
pub(crate) use masks::{Masks, WINDOW};
pub(crate) use run::{Kind, Pieces, Run, State};
pub(crate) use simd::{Level, Work};
pub(crate) use windows::{Boundaries, VIEW, Visit, block, each_piece, last_pieces, settled_ends, view_pieces};

/// Marks a decision that looked at the end of the text: more text may change it.
pub const END_OF_TEXT: usize = usize::MAX;

/// One piece of a text: `[start, end)`, where start is where the search was asked to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The offset after the piece, in bytes; always greater than its start.
    pub end: usize,
    /// The offset after the last byte that the decision looked at, never below `end`, or [`END_OF_TEXT`].
    pub reach: usize,
}

/// The rule that splits a text into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Of `o200k_base` and `o200k_harmony`.
    O200k,
    /// Of `cl100k_base`.
    Cl100k,
}

impl Pattern {
    /// Return the piece that starts at `start`, or `None` at the end of the text.
    ///
    /// `start` is the end of the piece before, or 0. Any other offset gives some piece and never a panic.
    #[must_use]
    pub fn piece(self, text: &str, start: usize) -> Option<Piece> {
        match self {
            Self::O200k => o200k::piece(text.as_bytes(), start),
            Self::Cl100k => cl100k::piece(text.as_bytes(), start),
        }
    }
}
