//! A growing text of which everything but the open end is settled.
//!
//! A piece whose decision did not look at the end of the text is final whatever follows, and so is everything before
//! it (see `split`). Its tokens are added up once and never counted again; only the pieces after the last final one are
//! counted at every append, and of these a long run keeps what it has (see `open`). Marks remember the sum every few
//! hundred bytes, for spans and truncation.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "offsets in a text and sums of its tokens, both bounded by its length, which is at most isize::MAX"
)]

use super::held::Held;
use super::open::{Open, Outcome, RUN_BYTES_MIN};
use crate::error::Error;
use crate::ranked::{Ranked, Settled};

/// How far marks are apart at least, in bytes. Below it lies what a span lexes at either end; 24 bytes of mark for 256
/// of text is a tenth of the memory.
pub(super) const MARK_DISTANCE_BYTES: usize = 256;

/// A boundary between two final pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Where the boundary is, in bytes.
    pub(super) offset: usize,
    /// The tokens of the text before it.
    pub(super) tokens: usize,
    /// The furthest byte that any decision before it looked at: a text cut there or later has this boundary too.
    pub(super) reach: usize,
}

pub(super) struct Settling {
    ranked: Ranked,
    held: Held,
    /// Ascending in offset and in reach. The first is where the held text begins.
    marks: Vec<Mark>,
    settled: Mark,
    /// A long run after what is settled.
    open: Option<Box<Open>>,
    /// The tokens of everything after what is settled.
    open_tokens: usize,
}

impl Settling {
    pub(super) fn new(ranked: Ranked) -> Self {
        Self::resume(ranked, Mark::default(), "")
    }

    /// Go on from a boundary and the text after it.
    pub(super) fn resume(ranked: Ranked, settled: Mark, open: &str) -> Self {
        let held = Held::resume(settled.offset, open);
        let mut state = Self { ranked, held, marks: vec![settled], settled, open: None, open_tokens: 0 };
        state.settle();
        state
    }

    pub(super) const fn held(&self) -> &Held {
        &self.held
    }

    pub(super) const fn settled(&self) -> Mark {
        self.settled
    }

    pub(super) const fn total(&self) -> usize {
        self.settled.tokens + self.open_tokens
    }

    pub(super) fn append(&mut self, text: &str) {
        self.held.push(text);
        self.settle();
    }

    pub(super) fn truncate(&mut self, len: usize) -> Result<(), Error> {
        let place = self.held.place(len)?;
        let kept = self.marks.partition_point(|mark| mark.reach <= len);
        let Some(settled) = kept.checked_sub(1).and_then(|last| self.marks.get(last)) else {
            let held_from = self.marks.first().map_or(0, |mark| mark.reach);
            return Err(Error::NotHeld { offset: len, held_from });
        };
        self.settled = *settled;
        self.open = None;
        self.marks.truncate(kept);
        self.held.cut(place);
        self.settle();
        Ok(())
    }

    /// Count `[start, end)` on its own: piece by piece to the first mark that is a boundary of this span too, then by
    /// subtraction to the last mark that the end of the span could not have changed, then piece by piece to the end.
    pub(super) fn span(&self, start: usize, end: usize) -> Result<usize, Error> {
        self.held.between(start, end)?;
        let base = self.held.base();
        let text = self.held.between(base, end)?;
        let mut at = start;
        let mut tokens = 0;
        let mut next = self.marks.partition_point(|mark| mark.offset < start);
        let unchanged = self.marks.partition_point(|mark| mark.reach <= end);
        let mut jump = unchanged.checked_sub(1).and_then(|last| self.marks.get(last));
        while let Some(piece) = self.ranked.pattern.piece(text, at - base) {
            while self.marks.get(next).is_some_and(|mark| mark.offset < at) {
                next += 1;
            }
            let met = self.marks.get(next).filter(|mark| mark.offset == at);
            if let (Some(from), Some(to)) = (met, jump.filter(|to| to.offset > at)) {
                tokens += to.tokens - from.tokens;
                at = to.offset;
                jump = None;
                continue;
            }
            tokens += self.ranked.with_desk(|d| self.ranked.count_piece(text, at - base, piece.end, d));
            at = base + piece.end;
        }
        Ok(tokens)
    }

    fn settle(&mut self) {
        let Self { ranked, held, marks, settled, open, open_tokens } = self;
        let ranked = *ranked;
        ranked.with_desk(|desk| {
            loop {
                let text = held.from(settled.offset);
                if let Some(run) = open {
                    match run.advance(ranked, text, desk) {
                        Outcome::Open { tokens } => {
                            *open_tokens = tokens;
                            return;
                        }
                        Outcome::Settled { end, tokens, reach } => {
                            settled.add(end, tokens, settled.offset + reach);
                            *open = None;
                            mark(marks, *settled);
                            continue;
                        }
                    }
                }
                let from = settled.offset;
                let mut each = |piece: Settled| {
                    settled.add(from + piece.end - settled.offset, piece.tokens, from + piece.reach);
                    mark(marks, *settled);
                };
                let (end, tokens) = ranked.settle(text, desk, &mut each);
                *open_tokens = tokens;
                let rest = text.get(end..).unwrap_or_default();
                if rest.len() < RUN_BYTES_MIN {
                    return;
                }
                *open = Some(Box::new(Open::begin(ranked, rest)));
            }
        });
    }
}

impl Mark {
    fn add(&mut self, len: usize, tokens: usize, reach: usize) {
        self.offset += len;
        self.tokens += tokens;
        self.reach = self.reach.max(reach);
    }
}

/// Remember a boundary, if the last one that was remembered is far enough before it.
fn mark(marks: &mut Vec<Mark>, settled: Mark) {
    let last = marks.last().map_or(0, |last| last.offset);
    if settled.offset - last >= MARK_DISTANCE_BYTES {
        marks.push(settled);
    }
}
