//! The tokens of the open end of a text.
//!
//! A short end is counted anew at every append. A long run (see `split::Run`) keeps its tokens, so that an append costs
//! what it adds. More text can change only where in the run its last piece begins: so the tokens of two rows are kept,
//! of the whole run as one piece, and of what is after that border. The first leaves a trail, and so needs no more than
//! its last tokens at hand.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "offsets in a text and sums of its tokens, both bounded by its length, which is at most isize::MAX"
)]

use super::kept::Kept;
use super::trails::{STRETCH_BYTES_MIN, Trail, Trails};
use crate::merge::{Chain, Placed};
use crate::ranked::{Desk, Ranked};
use crate::settle::LONG_BYTES;
use crate::split::{Pieces, Run};

/// From here on a run keeps its tokens. Below, counting anew costs no more than keeping them does.
pub(super) const RUN_BYTES_MIN: usize = 48;
/// A trail begins, and grows, where so many bytes of tokens are at hand.
const AT_HAND_BYTES_MAX: usize = 3 * STRETCH_BYTES_MIN;
/// How much of a long text is merged before its trail grows.
const MERGED_BYTES: usize = 4096;
/// A stretch that repeats itself after so many bytes, or fewer, ends where it does.
const PERIOD_BYTES_MAX: usize = 64;

/// A long run and its tokens.
#[derive(Clone)]
pub(super) struct Open {
    run: Run,
    /// How many bytes of the run are not at hand, and its tokens there: a snapshot left them out.
    left_out: usize,
    left_out_tokens: usize,
    whole: Chain,
    /// The end of the first piece and its tokens, while there is a second one.
    border: Option<(usize, usize)>,
    second: Chain,
}

/// What came of going on.
pub(super) enum Outcome {
    /// The run is still open: the tokens of everything from its start.
    Open { tokens: usize },
    /// The run has ended at an offset from its start, with so many tokens before; the decision looked so far.
    Settled { end: usize, tokens: usize, reach: usize },
}

/// The run's text, from where it is at hand, and where that is; what is known of the text before; what to work with.
pub(super) struct Place<'a> {
    pub(super) ranked: Ranked,
    pub(super) text: &'a str,
    pub(super) start: usize,
    pub(super) trails: &'a mut Trails,
    pub(super) desk: &'a mut Desk,
}

impl Place<'_> {
    fn chain(&mut self, start: usize, end: usize) -> Chain {
        let piece = self.text.as_bytes().get(start..end).unwrap_or_default();
        self.trails.chain(self.ranked.vocabulary, piece, self.start + start, &mut self.desk.bench)
    }

    fn fit(&mut self, chain: &mut Chain, start: usize, end: usize) -> bool {
        let text = self.text.as_bytes().get(start..).unwrap_or_default();
        chain.fit(self.ranked.vocabulary, text, end - start, &mut self.desk.bench)
    }
}

impl Open {
    /// Begin with the run that a text begins with.
    pub(super) fn begin(ranked: Ranked, text: &str) -> Option<Self> {
        Run::begin(ranked.pattern, text.as_bytes()).map(Self::holding)
    }

    fn holding(run: Run) -> Self {
        Self { run, left_out: 0, left_out_tokens: 0, whole: Chain::default(), border: None, second: Chain::default() }
    }

    /// Go on with a run whose beginning is not at hand.
    pub(super) fn resume(ranked: Ranked, kept: Kept) -> Self {
        let Kept { state, left_out, left_out_tokens, first_tokens } = kept;
        let border = state.split.zip(first_tokens);
        Self { left_out, left_out_tokens, border, ..Self::holding(Run::resume(ranked.pattern, state)) }
    }

    pub(super) const fn run(&self) -> &Run {
        &self.run
    }

    pub(super) const fn whole(&self) -> &Chain {
        &self.whole
    }

    /// Return how many bytes of the run are not at hand.
    pub(super) const fn left_out(&self) -> usize {
        self.left_out
    }

    /// Return the tokens of what is not at hand.
    pub(super) const fn left_out_tokens(&self) -> usize {
        self.left_out_tokens
    }

    /// Return the tokens of the first piece, if it ends at `split` and they are known.
    pub(super) fn first_tokens(&self, split: usize) -> Option<usize> {
        self.border.filter(|(border, _)| *border == split).map(|(_, tokens)| tokens)
    }

    /// Go on to the end of the text.
    pub(super) fn advance(&mut self, place: &mut Place<'_>) -> Outcome {
        let Pieces { first, second, settled } = place.trails.advance(&mut self.run, place.text.as_bytes(), place.start);
        let tokens = if first < second {
            let before = match self.first_tokens(first) {
                Some(tokens) => tokens,
                None => self.move_border(place, first),
            };
            // Leaves a trail, which the second piece can follow.
            self.fit_whole(place, second);
            self.fit_second(place, first, second);
            before + self.second.len()
        } else {
            self.fit_whole(place, first);
            self.left_out_tokens + self.whole.len()
        };
        if let (Some(trail), Some(run)) = (place.trails.last_from(place.start), place.text.as_bytes().get(..second)) {
            trail.leaps.extend(run);
        }
        if let Some(reach) = settled {
            return Outcome::Settled { end: self.left_out + second, tokens, reach: self.left_out + reach };
        }
        let rest = place.text.get(second..).unwrap_or_default();
        Outcome::Open { tokens: tokens + place.ranked.count_at(rest, place.desk) }
    }

    /// Note that the first piece ends at `first`; return its tokens.
    fn move_border(&mut self, place: &mut Place<'_>, first: usize) -> usize {
        let tokens = if first < self.whole.end() {
            place.chain(0, first).len()
        } else {
            self.fit_whole(place, first);
            self.whole.len()
        };
        self.border = Some((first, self.left_out_tokens + tokens));
        self.second = Chain::default();
        self.left_out_tokens + tokens
    }

    fn fit_second(&mut self, place: &mut Place<'_>, first: usize, second: usize) {
        let behind = second.saturating_sub(first + self.second.end()) > LONG_BYTES;
        if behind || !place.fit(&mut self.second, first, second) {
            self.second = place.chain(first, second);
        }
        let enough = self.second.placed().partition_point(|placed| placed.end + AT_HAND_BYTES_MAX < self.second.end());
        if enough > AT_HAND_BYTES_MAX {
            self.second.forget(enough);
        }
    }

    /// Become the tokens of the first `end` bytes as one piece, and leave a trail.
    fn fit_whole(&mut self, place: &mut Place<'_>, end: usize) {
        let known = place.trails.last_from(place.start).map_or(0, |trail| trail.end() - place.start);
        if known > self.whole.end() || (end < self.whole.end() && !place.fit(&mut self.whole, 0, end)) {
            self.whole = place.chain(0, end);
        }
        while self.whole.end() < end {
            let to = end.min(self.whole.end() + MERGED_BYTES);
            if !place.fit(&mut self.whole, 0, to) {
                self.whole = place.chain(0, to);
            }
            self.leave_trail(place);
        }
    }

    fn leave_trail(&mut self, place: &mut Place<'_>) {
        while self.whole.end() - self.whole.floor() > AT_HAND_BYTES_MAX {
            if place.trails.last_from(place.start).is_none() {
                place.trails.push(Trail::new(place.start));
            }
            let (placed, floor) = (self.whole.placed(), self.whole.floor());
            let Some(trail) = place.trails.last_from(place.start) else { return };
            let Some((before, after)) = place.text.as_bytes().split_at_checked(floor) else { return };
            trail.cut(place.start + floor);
            let before = trail.last_len().and_then(|len| before.get(before.len().checked_sub(len)?..));
            let (Some(first), Some((count, len))) = (placed.first(), stretch(placed, floor, after, before)) else {
                return;
            };
            let again = before.is_some_and(|before| before.len() == len && after.starts_with(before));
            trail.push(len, count, first.token, again);
            self.whole.forget(count);
        }
    }
}

/// Return how many of the tokens, which begin at `floor` with `bytes`, make the next stretch, and how long it is: that of
/// the stretch before, if it comes again; a multiple of the period of the bytes, if they have one; or just long enough.
fn stretch(placed: &[Placed], floor: usize, bytes: &[u8], before: Option<&[u8]>) -> Option<(usize, usize)> {
    let ends_at = |end: usize| placed.binary_search_by_key(&end, |placed| placed.end).ok().map(|last| last + 1);
    if let Some(before) = before.filter(|before| bytes.starts_with(before))
        && let Some(count) = ends_at(floor + before.len())
    {
        return Some((count, before.len()));
    }
    let head = bytes.get(..2 * STRETCH_BYTES_MIN)?;
    let repeats = |period: &usize| head.get(*period..).is_some_and(|rest| head.starts_with(rest));
    let period = (1..=PERIOD_BYTES_MAX).find(repeats).unwrap_or(1);
    let first = placed.partition_point(|placed| placed.end < floor + STRETCH_BYTES_MIN);
    let ends = placed.get(first..)?.iter().map(|placed| placed.end - floor);
    let mut ends = ends.take_while(|len| *len <= 2 * STRETCH_BYTES_MIN);
    let len = ends.find(|len| len.is_multiple_of(period)).or_else(|| placed.get(first).map(|one| one.end - floor))?;
    ends_at(floor + len).map(|count| (count, len))
}
