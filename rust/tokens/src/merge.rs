//! Merges the bytes of one piece into tokens, lowest rank first, leftmost first among equals.
//!
//! Two facts about a vocabulary whose every token is merged of two tokens of lower rank make this fast and linear:
//!
//! - A merge never makes a merge of the same or of a lower rank possible, so that all occurrences of the lowest rank can
//!   be joined in one pass from the left.
//! - A row of tokens is what merging gives if and only if every two neighbours are: if merging the bytes of the two gives
//!   the two. (Hendrik van Antwerpen and Alexander Neubeck, "So many tokens, so little time", 2024.) A long piece is
//!   therefore merged in short stretches that are joined where the neighbours at the seam fit; where they do not, a few
//!   tokens before the seam are merged again together with the stretch.
//!
//! How far before the seam has a bound that does not depend on the text: what comes later changes an earlier merge only
//! through a neighbour that merges at a strictly lower rank, for at the same rank the left one goes first; so the ranks
//! along the chain of changes grow to the left, and no chain is longer than the vocabulary has ranks. In practice it is
//! a token or two; a test measures it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::inline_always,
    reason = "positions in arrays of STRETCH units, of which `merge` gets no more"
)]

use crate::lanes::Lanes;
use crate::split::{Level, Masks, WINDOW, Work};
use crate::vocabulary::{NO_TOKEN, Vocabulary};

/// How many units are merged at a time: the arrays are two kilobytes that never leave the first cache.
pub(crate) const STRETCH: usize = 256;
/// How many bytes of a long piece are added at a time, at least.
const STEP_BYTES: usize = 32;
/// How many tokens from the end on are tried as the end of a cycle of tokens.
const CYCLES_TRIED: usize = 64;
/// How many periods long a cycle of tokens may be.
const PERIODS_TRIED: usize = 8;
/// How many there are lanes for.
pub(crate) const LANES: usize = 64;

/// What merging works with, kept between pieces so that a piece allocates nothing.
pub(crate) struct Bench {
    level: Level,
    pub(crate) lanes: Lanes<LANES>,
    pub(crate) row: Row,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { level: Level::of_this_machine(), lanes: Lanes::new(), row: Row::new() }
    }
}

/// A token and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) token: u32,
    pub(crate) end: usize,
}

/// Units next to each other, and the token that each would make with the one after it.
pub(crate) struct Row {
    len: usize,
    tokens: [u32; STRETCH],
    joins: [u32; STRETCH],
}

impl Row {
    pub(crate) const fn new() -> Self {
        Self { len: 0, tokens: [NO_TOKEN; STRETCH], joins: [NO_TOKEN; STRETCH] }
    }

    /// Return the tokens after [`Row::merge`].
    pub(crate) fn tokens(&self) -> &[u32] {
        &self.tokens[..self.len]
    }

    /// Merge the bytes of `piece`, which has at most [`STRETCH`] of them; return the number of tokens.
    #[inline]
    pub(crate) fn merge_bytes(&mut self, vocabulary: &Vocabulary, piece: &[u8]) -> usize {
        let piece = &piece[..piece.len().min(STRETCH)];
        self.len = piece.len();
        let mut previous = None;
        for (at, byte) in piece.iter().enumerate() {
            self.tokens[at] = vocabulary.byte_rank(*byte);
            if let Some(previous) = previous {
                self.joins[at - 1] = vocabulary.byte_pair(previous, *byte);
            }
            previous = Some(*byte);
        }
        self.merge(vocabulary)
    }

    fn merge(&mut self, vocabulary: &Vocabulary) -> usize {
        if self.len == 0 {
            return 0;
        }
        loop {
            self.joins[self.len - 1] = NO_TOKEN;
            let Some((lowest, first)) = self.lowest() else { return self.len };
            self.join_all(vocabulary, lowest, first);
        }
    }

    /// Return the lowest token that two neighbours make, and where it is first.
    #[inline]
    fn lowest(&self) -> Option<(u32, usize)> {
        let joins = &self.joins[..self.len];
        let lowest = joins.iter().copied().fold(NO_TOKEN, u32::min);
        if lowest == NO_TOKEN {
            return None;
        }
        joins.iter().position(|join| *join == lowest).map(|first| (lowest, first))
    }

    /// Join every two neighbours that make `token`, from the left; none is before `first`.
    #[inline]
    fn join_all(&mut self, vocabulary: &Vocabulary, token: u32, first: usize) {
        let (mut read, mut write) = (first, first);
        let mut joined_before = false;
        while read < self.len {
            let joined = self.joins[read] == token;
            self.tokens[write] = if joined { token } else { self.tokens[read] };
            self.joins[write] = self.joins[read];
            read += 1 + usize::from(joined);
            if write > 0 && (joined || joined_before) {
                self.joins[write - 1] = vocabulary.merged(self.tokens[write - 1], self.tokens[write]);
            }
            joined_before = joined;
            write += 1;
        }
        self.len = write;
    }
}

/// The tokens of a text that grows at its end, and can be cut there.
///
/// Tokens at its beginning may be forgotten, but for how many they are.
#[derive(Clone, Default)]
pub(crate) struct Chain {
    /// How many tokens were forgotten.
    forgotten: usize,
    /// Where they end.
    floor: usize,
    placed: Vec<Placed>,
}

impl Chain {
    /// Return the tokens of `text`.
    pub(crate) fn of(vocabulary: &Vocabulary, text: &[u8], bench: &mut Bench) -> Self {
        let mut chain = Self::default();
        let _nothing_forgotten = chain.fit(vocabulary, text, text.len(), bench);
        chain
    }

    /// Return the number of tokens.
    pub(crate) const fn len(&self) -> usize {
        self.forgotten + self.placed.len()
    }

    /// Return where the tokens end.
    pub(crate) fn end(&self) -> usize {
        self.placed.last().map_or(self.floor, |last| last.end)
    }

    /// Return where the tokens that were forgotten end.
    pub(crate) const fn floor(&self) -> usize {
        self.floor
    }

    /// Return the tokens that were not forgotten.
    pub(crate) fn placed(&self) -> &[Placed] {
        &self.placed
    }

    pub(crate) fn tokens(&self) -> impl Iterator<Item = u32> + '_ {
        self.placed.iter().map(|placed| placed.token)
    }

    /// Forget the first `count` tokens of those that were not.
    pub(crate) fn forget(&mut self, count: usize) {
        if let Some(last) = count.checked_sub(1).and_then(|last| self.placed.get(last)) {
            self.floor = last.end;
            self.forgotten += count;
            self.placed.drain(..count);
        }
    }

    /// Become the tokens that follow `forgotten` others which end at `floor`: those of `tail`, which begins there.
    pub(crate) fn resume(&mut self, forgotten: usize, floor: usize, tail: Self) {
        let moved = tail.placed.into_iter().map(|Placed { token, end }| Placed { token, end: end + floor });
        *self = Self { forgotten, floor, placed: moved.collect() };
    }

    /// Go on to `until` or less than `2 * period` before it, where all text from `since` to `until` repeats itself every
    /// `period` bytes, as far as the tokens do; tell whether they do.
    ///
    /// Between two places that are a multiple of the period apart stand tokens that could follow themselves: then they
    /// do so any number of times, for a row is right if every two neighbours are.
    pub(crate) fn repeat(&mut self, vocabulary: &Vocabulary, since: usize, until: usize, period: usize) -> bool {
        let Some(cycle) = self.cycle(vocabulary, since, period) else { return false };
        let len = self.placed[cycle.end].end - self.placed[cycle.start].end;
        let times = until.saturating_sub(self.end()) / len;
        self.forget(cycle.start + 1);
        self.forgotten += times * cycle.len();
        self.floor += times * len;
        for placed in &mut self.placed {
            placed.end += times * len;
        }
        times > 0
    }

    /// Return the places of two tokens, of which those after the first one up to the second could follow the second.
    fn cycle(&self, vocabulary: &Vocabulary, since: usize, period: usize) -> Option<std::ops::Range<usize>> {
        let first = self.placed.partition_point(|placed| placed.end < since);
        (first..self.placed.len()).rev().take(CYCLES_TRIED).find_map(|last| {
            let Placed { token, end } = self.placed[last];
            let starts = (1..=PERIODS_TRIED)
                .map_while(|times| end.checked_sub(times * period))
                .take_while(|start| *start >= since);
            let mut starts =
                starts.filter_map(|start| self.placed.binary_search_by_key(&start, |placed| placed.end).ok());
            starts.find(|start| fits(vocabulary, token, self.placed[start + 1].token)).map(|start| start..last)
        })
    }

    /// Become the tokens of the first `len` bytes of `text`, of which everything that was taken in is what it was.
    ///
    /// Return false if that takes tokens which were forgotten; what is left then is to be replaced.
    #[must_use]
    pub(crate) fn fit(&mut self, vocabulary: &Vocabulary, text: &[u8], len: usize, bench: &mut Bench) -> bool {
        if len < self.floor {
            return false;
        }
        if self.end() > len {
            let kept = self.placed.partition_point(|placed| placed.end <= len);
            self.placed.truncate(kept);
        }
        let text = &text[..len.min(text.len())];
        self.end() >= text.len()
            || bench.level.run(Grow { chain: self, vocabulary, text, lanes: &mut bench.lanes, row: &mut bench.row })
    }

    /// Take the text up to `end` in: merge it with as many tokens before it as it takes for the seam to fit. Return false
    /// if these were forgotten.
    #[inline(always)]
    fn step(
        &mut self,
        vocabulary: &Vocabulary,
        text: &[u8],
        end: usize,
        lanes: &mut Lanes<LANES>,
        row: &mut Row,
    ) -> bool {
        let mut again = 1;
        loop {
            let Some((kept, start)) = self.before(again) else { return false };
            let stretch = &text[start..end];
            if stretch.len() > STRETCH {
                return self.long_step(vocabulary, text, end);
            }
            #[cfg(test)]
            crate::work::done(stretch.len());
            // Passes join all equal neighbours at once, which is what there is in a run of the same few bytes.
            let short = stretch.len() <= LANES && !repeats(stretch);
            let first = if short {
                lanes.count_bytes(vocabulary, stretch);
                lanes.tokens().next()
            } else {
                row.merge_bytes(vocabulary, stretch);
                row.tokens().first().copied()
            };
            let before = kept.checked_sub(1).map(|last| self.placed[last].token);
            if before.zip(first).is_none_or(|(before, first)| fits(vocabulary, before, first)) {
                self.placed.truncate(kept);
                if short {
                    place(vocabulary, lanes.tokens(), start, &mut self.placed);
                } else {
                    place(vocabulary, row.tokens().iter().copied(), start, &mut self.placed);
                }
                return true;
            }
            again *= 2;
        }
    }

    /// The same where more than a stretch has to be merged again: doubled from there, by a list of any length.
    fn long_step(&mut self, vocabulary: &Vocabulary, text: &[u8], end: usize) -> bool {
        let mut again = 2;
        loop {
            let Some((kept, start)) = self.before(again) else { return false };
            #[cfg(test)]
            crate::work::done(end - start);
            let tokens = merge_any(vocabulary, &text[start..end]);
            let first = tokens.first().copied().unwrap_or(NO_TOKEN);
            if kept.checked_sub(1).is_none_or(|last| fits(vocabulary, self.placed[last].token, first)) {
                self.placed.truncate(kept);
                place(vocabulary, tokens.into_iter(), start, &mut self.placed);
                return true;
            }
            again *= 2;
        }
    }

    /// Return how many tokens are left without the last `again`, and where they end, unless others were forgotten.
    #[inline(always)]
    fn before(&self, again: usize) -> Option<(usize, usize)> {
        let kept = self.placed.len().saturating_sub(again);
        let start = kept.checked_sub(1).map_or(self.floor, |last| self.placed[last].end);
        (kept > 0 || self.floor == 0).then_some((kept, start))
    }
}

/// Tell whether one to three bytes follow each other all along.
fn repeats(stretch: &[u8]) -> bool {
    (1..=3).any(|period| stretch.len() > 4 * period && stretch[period..] == stretch[..stretch.len() - period])
}

struct Grow<'a> {
    chain: &'a mut Chain,
    vocabulary: &'a Vocabulary,
    text: &'a [u8],
    lanes: &'a mut Lanes<LANES>,
    row: &'a mut Row,
}

impl Work for Grow<'_> {
    type Output = bool;

    #[inline(always)]
    fn run(self, _classify: impl Fn(&[u8; WINDOW]) -> Masks) -> bool {
        let Self { chain, vocabulary, text, lanes, row } = self;
        while chain.end() < text.len() {
            // As much as is merged again with it, at least: a step after a long token is a long one.
            let step = chain.placed.last().map_or(STEP_BYTES, |last| vocabulary.len_of(last.token).max(STEP_BYTES));
            if !chain.step(vocabulary, text, text.len().min(chain.end() + step), lanes, row) {
                return false;
            }
        }
        true
    }
}

fn place(vocabulary: &Vocabulary, tokens: impl Iterator<Item = u32>, start: usize, placed: &mut Vec<Placed>) {
    let mut end = start;
    placed.extend(tokens.map(|token| {
        end += vocabulary.len_of(token);
        Placed { token, end }
    }));
}

/// Tell whether merging the bytes of two tokens gives the two.
///
/// The merges that made them are undone, highest rank first: what stands at the seam then is what stood there when that
/// merge was done, and must not itself have merged before.
pub(crate) fn fits(vocabulary: &Vocabulary, left: u32, right: u32) -> bool {
    let (mut left, mut right) = (left, right);
    let mut limit = NO_TOKEN;
    loop {
        if vocabulary.merged(left, right) < limit {
            return false;
        }
        // Of the two the one that was made later is undone; at the same rank the left one was made first.
        let undo_left = left > right;
        let (later, earlier) = if undo_left { (left, right) } else { (right, left) };
        let part = |token: u32, is_left: bool| vocabulary.parts(token).map(|(l, r)| if is_left { r } else { l });
        if let Some(part) = part(later, undo_left) {
            limit = if undo_left { later } else { later + 1 };
            if undo_left { left = part } else { right = part }
        } else if let Some(part) = part(earlier, !undo_left) {
            limit = if undo_left { earlier + 1 } else { earlier };
            if undo_left { right = part } else { left = part }
        } else {
            return true;
        }
    }
}

/// Merge a stretch of any length: the same passes, over vectors.
fn merge_any(vocabulary: &Vocabulary, bytes: &[u8]) -> Vec<u32> {
    let mut tokens: Vec<u32> = bytes.iter().map(|byte| vocabulary.byte_rank(*byte)).collect();
    loop {
        let joins = tokens.windows(2).map(|pair| vocabulary.merged(pair[0], pair[1]));
        let Some(lowest) = joins.min().filter(|join| *join != NO_TOKEN) else { return tokens };
        let mut merged = Vec::with_capacity(tokens.len());
        let mut rest = tokens.as_slice();
        while let [first, after @ ..] = rest {
            let joined = after.first().is_some_and(|second| vocabulary.merged(*first, *second) == lowest);
            merged.push(if joined { lowest } else { *first });
            rest = if joined { &after[1..] } else { after };
        }
        tokens = merged;
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
