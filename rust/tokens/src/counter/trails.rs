//! What merging long pieces gave: places between their tokens, every few hundred bytes.
//!
//! The tokens between two such places follow from merging the bytes between them: a part of a right row of tokens is
//! right. So a few numbers for each stretch are enough to take up a merge anywhere, and none is ever done twice. A
//! stretch that repeats itself, as in a run of one character, is kept once with how often it comes.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "offsets in a text and sums of its tokens, both bounded by its length, which is at most isize::MAX"
)]

use crate::split::Leaps;

/// How long a stretch is at least, in bytes. 48 bytes for each are a fifth of the text, and only of long pieces.
pub(super) const STRETCH_BYTES_MIN: usize = 256;

/// Bytes whose tokens were counted, and that come `repeats` times in a row.
#[derive(Clone, Debug)]
struct Stretch {
    start: usize,
    len: usize,
    repeats: usize,
    /// The tokens of the trail before it.
    before: usize,
    tokens: usize,
    /// The first of its tokens.
    first: u32,
}

impl Stretch {
    const fn end(&self) -> usize {
        self.start + self.len * self.repeats
    }
}

/// A place between two tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seam {
    pub(super) offset: usize,
    /// The tokens of the trail before it.
    pub(super) tokens: usize,
    /// The token after it, but at the end.
    pub(super) next: Option<u32>,
    /// The seam before it, but at the start: its offset and tokens.
    pub(super) previous: Option<(usize, usize)>,
    /// What repeats itself around it: since where, until where, and after how many bytes.
    pub(super) repeating: Option<(usize, usize, usize)>,
}

/// The seams of a part of a text, merged as one piece.
pub(super) struct Trail {
    start: usize,
    stretches: Vec<Stretch>,
    pub(super) leaps: Leaps,
}

impl Trail {
    pub(super) fn new(start: usize) -> Self {
        Self { start, stretches: Vec::new(), leaps: Leaps::default() }
    }

    pub(super) const fn start(&self) -> usize {
        self.start
    }

    /// Return where the last seam is.
    pub(super) fn end(&self) -> usize {
        self.stretches.last().map_or(self.start, Stretch::end)
    }

    /// Return how long the stretch is that would repeat if it came once more.
    pub(super) fn last_len(&self) -> Option<usize> {
        self.stretches.last().map(|last| last.len)
    }

    /// Add the stretch of `len` bytes after the last; `again` says that they are those of the one before.
    pub(super) fn push(&mut self, len: usize, tokens: usize, first: u32, again: bool) {
        let (start, before) = match self.stretches.last_mut() {
            Some(last) if again && last.len == len => {
                last.repeats += 1;
                return;
            }
            Some(last) => (last.end(), last.before + last.tokens * last.repeats),
            None => (self.start, 0),
        };
        self.stretches.push(Stretch { start, len, repeats: 1, before, tokens, first });
    }

    /// Keep the seams up to `end`.
    pub(super) fn cut(&mut self, end: usize) {
        self.stretches.truncate(self.stretches.partition_point(|stretch| stretch.start + stretch.len <= end));
        if let Some(last) = self.stretches.last_mut() {
            last.repeats = last.repeats.min((end - last.start) / last.len);
        }
    }

    /// Return the last seam up to `offset`, which is not before the start.
    pub(super) fn seam_up_to(&self, offset: usize) -> Option<Seam> {
        let after = self.stretches.partition_point(|stretch| stretch.start <= offset);
        let place = after.checked_sub(1)?;
        let stretch = self.stretches.get(place)?;
        let times = ((offset - stretch.start) / stretch.len).min(stretch.repeats);
        let here = (stretch.start + times * stretch.len, stretch.before + times * stretch.tokens);
        let earlier = place.checked_sub(1).and_then(|earlier| self.stretches.get(earlier));
        let before_here = match times.checked_sub(1) {
            Some(times) => Some((stretch.start + times * stretch.len, stretch.before + times * stretch.tokens)),
            None => earlier.map(|earlier| (earlier.end() - earlier.len, stretch.before - earlier.tokens)),
        };
        let next = if times < stretch.repeats { Some(stretch) } else { self.stretches.get(after) };
        let repeating = (stretch.repeats > 1).then(|| (stretch.start, stretch.end(), stretch.len));
        Some(Seam {
            offset: here.0,
            tokens: here.1,
            next: next.map(|next| next.first),
            previous: before_here,
            repeating,
        })
    }

    /// Return the first seam from `offset` on.
    pub(super) fn seam_from(&self, offset: usize) -> Option<Seam> {
        let before = self.seam_up_to(offset.max(self.start))?;
        if before.offset >= offset {
            return Some(before);
        }
        let after = self.stretches.partition_point(|stretch| stretch.start <= before.offset);
        let len = |place: Option<usize>| place.and_then(|place| self.stretches.get(place)).map(|stretch| stretch.len);
        let inside = self.stretches.get(after.checked_sub(1)?).is_some_and(|stretch| before.offset < stretch.end());
        let len = len(if inside { after.checked_sub(1) } else { Some(after) })?;
        self.seam_up_to(before.offset + len).filter(|seam| seam.offset > before.offset)
    }
}

/// The trails of a text, in order.
#[derive(Default)]
pub(super) struct Trails(Vec<Trail>);

impl Trails {
    /// Return the trails that have something of `[start, end)`.
    pub(super) fn between(&self, start: usize, end: usize) -> impl Iterator<Item = &Trail> {
        let first = self.0.partition_point(|trail| trail.end() <= start);
        self.0.get(first..).unwrap_or_default().iter().take_while(move |trail| trail.start < end)
    }

    /// Return the trail that `offset` is in, or the next one.
    pub(super) fn from(&self, offset: usize) -> Option<&Trail> {
        self.between(offset, usize::MAX).next()
    }

    /// Return the trail that begins at `start`, the last one, if it does.
    pub(super) fn last_from(&mut self, start: usize) -> Option<&mut Trail> {
        self.0.last_mut().filter(|trail| trail.start == start)
    }

    pub(super) fn push(&mut self, trail: Trail) {
        self.0.push(trail);
    }

    /// Forget the trails that begin after `settled`, and what is known of text after `end`.
    pub(super) fn cut(&mut self, settled: usize, end: usize) {
        self.0.truncate(self.0.partition_point(|trail| trail.start <= settled));
        if let Some(last) = self.0.last_mut() {
            last.cut(end);
            last.leaps.cut(end.saturating_sub(last.start));
        }
    }
}
