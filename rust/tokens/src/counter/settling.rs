//! A growing text of which everything but the open end is settled.
//!
//! A piece whose decision did not look at the end of the text is final whatever follows, and so is everything before
//! it (see `split`). Its tokens are added up once and never counted again; only the pieces after the last final one are
//! counted at every append, and of these a long run keeps what it has (see `open`). Marks remember the sum every few
//! hundred bytes, and trails what is within long pieces, for spans and truncation.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "offsets in a text and sums of its tokens, both bounded by its length, which is at most isize::MAX"
)]

use super::held::Held;
use super::kept::Kept;
use super::open::{Open, Outcome, Place, RUN_BYTES_MIN};
use super::tail::Tail;
use super::trails::Trails;
use crate::error::Error;
use crate::ranked::{Desk, Ranked};
use crate::settle::{LONG_BYTES, Settled};
use crate::split::Pieces;

/// How far marks are apart at least, in bytes. Below it lies what a span lexes at either end; 32 bytes of mark for 256
/// of text are an eighth of the memory.
pub(super) const MARK_DISTANCE_BYTES: usize = 256;
/// A part of a text begins a long piece only if one of the whole text does within so many bytes: one that begins inside a
/// piece has at most three of them.
const NEAR_BYTES: usize = 4 * LONG_BYTES;
/// How many digits make a piece, and, in ASCII, a token.
const NUMBER_DIGITS: usize = 3;

/// A boundary between two final pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Where the boundary is, in bytes.
    pub(super) offset: usize,
    /// The tokens of the text before it.
    pub(super) tokens: usize,
    /// The furthest byte that any decision before it looked at: a text cut there or later has this boundary too.
    pub(super) reach: usize,
    /// Where the ASCII digits begin that end here, or here.
    digits: usize,
}

pub(super) struct Settling {
    ranked: Ranked,
    held: Held,
    /// Ascending in offset and in reach. The first is where the held text begins.
    marks: Vec<Mark>,
    settled: Mark,
    trails: Trails,
    /// The run that the counter was restored in, and as it was then.
    resumed: Option<Box<Open>>,
    /// A long run after what is settled.
    open: Option<Box<Open>>,
    /// The tokens of everything after what is settled.
    open_tokens: usize,
    /// What is after what is settled, as long as it is short and plain.
    tail: Tail,
}

impl Settling {
    pub(super) fn new(ranked: Ranked) -> Self {
        Self::resume(ranked, Mark::default(), None, "")
    }

    /// Go on from a boundary and the text after it, of which the beginning may be left out.
    pub(super) fn resume(ranked: Ranked, settled: Mark, kept: Option<Kept>, open: &str) -> Self {
        let held = Held::resume(settled.offset + kept.map_or(0, |kept| kept.left_out), open);
        let resumed = kept.map(|kept| Box::new(Open::resume(ranked, kept)));
        // A cut before the end would need the run as it was there.
        let first = if kept.is_some() { Mark { reach: held.end(), ..settled } } else { settled };
        let open = resumed.clone();
        let trails = Trails::default();
        let (marks, tail) = (vec![first], Tail::new());
        let mut state = Self { ranked, held, marks, settled, trails, resumed, open, open_tokens: 0, tail };
        state.settle();
        state
    }

    /// Return what to keep to go on from here: what is settled, and a long run's last tokens' text or all text after it.
    pub(super) fn keep(&self) -> (Mark, Option<Kept>, &str) {
        let kept = self.open.as_ref().and_then(|open| {
            let start = self.settled.offset + open.left_out();
            let text = self.held.from(start);
            self.ranked.with_desk(|desk| open.keep(self.ranked, text, start, &self.trails, desk))
        });
        (self.settled, kept, self.held.from(self.settled.offset + kept.map_or(0, |kept| kept.left_out)))
    }

    pub(super) const fn held(&self) -> &Held {
        &self.held
    }

    pub(super) const fn total(&self) -> usize {
        self.settled.tokens + self.open_tokens
    }

    pub(super) fn append(&mut self, text: &str) {
        self.held.push(text);
        if !self.tail.push(text) || !self.settle_tail() {
            self.settle();
        }
    }

    pub(super) fn truncate(&mut self, len: usize) -> Result<(), Error> {
        let place = self.held.place(len)?;
        let (kept, settled) = kept_at(&self.marks, len)?;
        self.settled = settled;
        self.open = if kept == 1 { self.resumed.clone() } else { None };
        self.marks.truncate(kept);
        self.held.cut(place);
        self.trails.cut(self.settled.offset + self.open.as_ref().map_or(0, |open| open.left_out()), len);
        self.settle();
        Ok(())
    }

    /// Count `[start, end)` on its own: piece by piece to the first mark that is a boundary of this span too, then by
    /// subtraction to the last mark that the end of the span could not have changed, then piece by piece to the end.
    pub(super) fn span(&self, start: usize, end: usize) -> Result<usize, Error> {
        self.held.between(start, end)?;
        let text = self.held.between(self.held.base(), end)?;
        Ok(self.ranked.with_desk(|desk| self.count_span(text, start, desk)))
    }

    fn count_span(&self, text: &str, start: usize, desk: &mut Desk) -> usize {
        let base = self.held.base();
        let end = base + text.len();
        let (mut at, mut tokens) = (start, 0);
        let mut next = self.marks.partition_point(|mark| mark.offset < start);
        let unchanged = self.marks.partition_point(|mark| mark.reach <= end);
        let mut jump = unchanged.checked_sub(1).and_then(|last| self.marks.get(last));
        while at < end {
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
            let digit = text.as_bytes().get(at - base).is_some_and(u8::is_ascii_digit);
            let numbers = if digit { self.numbers_from(at, end) } else { 0 };
            if numbers > 0 {
                tokens += numbers;
                at += numbers * NUMBER_DIGITS;
                continue;
            }
            for piece_end in self.pieces_from(text, at) {
                tokens += self.count_piece(text, at - base, piece_end - base, desk);
                at = piece_end;
            }
        }
        tokens
    }

    /// Return how many pieces of three ASCII digits there are for certain from `at` on.
    fn numbers_from(&self, at: usize, end: usize) -> usize {
        let marks = self.marks.partition_point(|mark| mark.digits <= at && mark.offset <= end);
        let last = marks.checked_sub(1).and_then(|last| self.marks.get(last));
        last.map_or(0, |last| last.offset.saturating_sub(at) / NUMBER_DIGITS)
    }

    /// Return where the next pieces from `at` on end, one or two.
    fn pieces_from(&self, text: &str, at: usize) -> impl Iterator<Item = usize> {
        let base = self.held.base();
        let rest = text.as_bytes().get(at - base..).unwrap_or_default();
        let near = self.trails.between(at, at + NEAR_BYTES).next();
        let run = near.and_then(|_| self.trails.pieces(self.ranked.pattern, rest, at));
        let (first, second) = match run {
            Some(Pieces { first, second, .. }) => (at + first, at + second),
            None => self.ranked.pattern.piece(text, at - base).map_or((at + rest.len(), 0), |one| (base + one.end, 0)),
        };
        std::iter::once(first).chain((second > first).then_some(second))
    }

    fn count_piece(&self, text: &str, start: usize, end: usize, desk: &mut Desk) -> usize {
        #[cfg(test)]
        crate::work::done((end - start).min(LONG_BYTES));
        if end - start <= LONG_BYTES {
            return self.ranked.count_piece(text, start, end, desk);
        }
        let piece = text.as_bytes().get(start..end).unwrap_or_default();
        self.trails.chain(self.ranked.vocabulary, piece, self.held.base() + start, &mut desk.bench).len()
    }

    /// Settle what can be, reading the tail; return whether that was all there is to do.
    #[inline]
    fn settle_tail(&mut self) -> bool {
        let Self { ranked, held, marks, settled, open_tokens, tail, .. } = self;
        let from = settled.offset;
        let (text, Some(view)) = (held.from(from), tail.view()) else { return false };
        let mut each = |piece: Settled| {
            settled.add(from + piece.end - settled.offset, piece.tokens, from + piece.reach);
            mark(marks, *settled, held, MARK_DISTANCE_BYTES);
        };
        let Some((end, tokens)) = ranked.with_desk(|desk| ranked.settle_view(text, view, desk, &mut each)) else {
            return false;
        };
        *open_tokens = tokens;
        tail.settle(end);
        tail.len() < RUN_BYTES_MIN
    }

    fn settle(&mut self) {
        self.settle_all();
        let from = self.settled.offset;
        let is_short = self.open.is_none() && self.trails.last_from(from).is_none();
        self.tail.begin(is_short.then(|| self.held.from(from)));
    }

    fn settle_all(&mut self) {
        let Self { ranked, held, marks, settled, trails, open, open_tokens, .. } = self;
        let ranked = *ranked;
        ranked.with_desk(|desk| {
            loop {
                if open.is_none() && trails.last_from(settled.offset).is_some() {
                    *open = Open::begin(ranked, held.from(settled.offset)).map(Box::new);
                }
                if let Some(run) = open {
                    let start = settled.offset + run.left_out();
                    let outcome = run.advance(&mut Place { ranked, text: held.from(start), start, trails, desk });
                    if trails.last_from(start).is_some() {
                        // Cuts and spans come back to where the trail begins.
                        mark(marks, *settled, held, 1);
                    }
                    match outcome {
                        Outcome::Open { tokens } => {
                            *open_tokens = tokens;
                            return;
                        }
                        Outcome::Settled { end, tokens, reach } => {
                            settled.add(end, tokens, settled.offset + reach);
                            *open = None;
                            mark(marks, *settled, held, MARK_DISTANCE_BYTES);
                            continue;
                        }
                    }
                }
                let from = settled.offset;
                let text = held.from(from);
                let mut each = |piece: Settled| {
                    settled.add(from + piece.end - settled.offset, piece.tokens, from + piece.reach);
                    mark(marks, *settled, held, MARK_DISTANCE_BYTES);
                };
                let (end, tokens) = ranked.settle(text, desk, &mut each);
                *open_tokens = tokens;
                let rest = text.get(end..).unwrap_or_default();
                if rest.len() < RUN_BYTES_MIN {
                    return;
                }
                *open = Open::begin(ranked, rest).map(Box::new);
                if open.is_none() {
                    return;
                }
            }
        });
    }
}

impl Mark {
    pub(super) const fn at(offset: usize, tokens: usize, reach: usize) -> Self {
        Self { offset, tokens, reach, digits: offset }
    }

    fn add(&mut self, len: usize, tokens: usize, reach: usize) {
        self.offset += len;
        self.tokens += tokens;
        self.reach = self.reach.max(reach);
    }
}

/// Return how many marks a text that is cut at `len` keeps, and the last of these.
pub(super) fn kept_at(marks: &[Mark], len: usize) -> Result<(usize, Mark), Error> {
    let kept = marks.partition_point(|mark| mark.reach <= len);
    let last = kept.checked_sub(1).and_then(|last| marks.get(last));
    let held_from = marks.first().map_or(0, |mark| mark.reach);
    last.map(|last| (kept, *last)).ok_or(Error::NotHeld { offset: len, held_from })
}

/// Remember a boundary, if the last one that was remembered is far enough before it.
#[inline]
fn mark(marks: &mut Vec<Mark>, settled: Mark, held: &Held, distance: usize) {
    let last = marks.last().map_or(0, |last| last.offset);
    if settled.offset - last >= distance {
        remember(marks, settled, held);
    }
}

#[cold]
fn remember(marks: &mut Vec<Mark>, settled: Mark, held: &Held) {
    let (last, last_digits) = marks.last().map_or((0, 0), |last| (last.offset, last.digits));
    let between = held.between(last, settled.offset).unwrap_or_default();
    let digits = !between.is_empty() && between.bytes().all(|byte| byte.is_ascii_digit());
    marks.push(Mark { digits: if digits { last_digits } else { settled.offset }, ..settled });
}
