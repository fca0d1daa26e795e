//! Splits and merges any part of a text along the trails of its long pieces.
//!
//! Merging that starts anywhere in a long piece comes, mostly within a few tokens, to a place where the trail has one
//! too, and its last token fits the trail's next: from there on the tokens are the trail's, and a subtraction goes on to
//! its last place. In a run that repeats itself the two may never meet (runs of `=` have tokens of 64); there the tokens
//! come to repeat themselves as well, and are multiplied.
//!
//! Whatever the text is made of, the tokens are right; where neither happens, they are merged one by one.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "offsets in a text and sums of its tokens, both bounded by its length, which is at most isize::MAX"
)]

use super::trails::{Seam, Trail, Trails};
use crate::merge::{Bench, Chain, fits};
use crate::split::{Pattern, Pieces, Run};
use crate::vocabulary::Vocabulary;

impl Trails {
    /// Return the pieces of the run that `text` begins with, at `start` in the whole: they end where the run or the text
    /// does. A text that begins with a digit begins with no run.
    pub(super) fn pieces(&self, pattern: Pattern, text: &[u8], start: usize) -> Option<Pieces> {
        Run::begin(pattern, text).map(|mut run| self.advance(&mut run, text, start))
    }

    /// Go on with a run to the end of `text`.
    pub(super) fn advance(&self, run: &mut Run, text: &[u8], start: usize) -> Pieces {
        loop {
            let stop = self.from(start + run.state().scanned).map_or(usize::MAX, |trail| {
                let origin = isize::try_from(trail.start()).unwrap_or(0) - isize::try_from(start).unwrap_or(0);
                run.leap(text, &trail.leaps, origin)
            });
            if let Some(pieces) = run.advance_to(text, stop) {
                return pieces;
            }
        }
    }

    /// Return the tokens of `piece`, which begins at `start` in the whole.
    pub(super) fn chain(&self, vocabulary: &Vocabulary, piece: &[u8], start: usize, bench: &mut Bench) -> Chain {
        // Where more would have to be merged again than is at hand, all of it is.
        self.followed(vocabulary, piece, start, bench).unwrap_or_else(|| Chain::of(vocabulary, piece, bench))
    }

    fn followed(&self, vocabulary: &Vocabulary, piece: &[u8], start: usize, bench: &mut Bench) -> Option<Chain> {
        let mut chain = Chain::default();
        for trail in self.between(start, start + piece.len()) {
            Walk { vocabulary, piece, start, trail }.follow(&mut chain, bench)?;
        }
        chain.fit(vocabulary, piece, piece.len(), bench).then_some(chain)
    }
}

/// A piece beside a trail.
struct Walk<'a> {
    vocabulary: &'a Vocabulary,
    piece: &'a [u8],
    start: usize,
    trail: &'a Trail,
}

impl Walk<'_> {
    /// Go on until the trail can be followed, and to its last seam in the piece; return None if tokens are lacking.
    fn follow(&self, chain: &mut Chain, bench: &mut Bench) -> Option<()> {
        let end = self.start + self.piece.len();
        let Some(last) = self.trail.seam_up_to(end) else { return Some(()) };
        let mut from = self.start + chain.end();
        while let Some((seam, next)) = self.trail.seam_from(from).and_then(|seam| Some((seam, seam.next?))) {
            if seam.offset >= last.offset {
                break;
            }
            if !chain.fit(self.vocabulary, self.piece, seam.offset - self.start, bench) {
                return None;
            }
            let meets =
                chain.placed().last().map_or(chain.end() == 0, |token| fits(self.vocabulary, token.token, next));
            if meets {
                self.jump(chain, seam, last, bench);
                break;
            }
            if let Some((since, until, period)) = seam.repeating {
                let since = since.saturating_sub(self.start);
                chain.repeat(self.vocabulary, since, until.min(end) - self.start, period);
            }
            from = (self.start + chain.end()).max(seam.offset + 1);
        }
        Some(())
    }

    /// Go on from one seam to another, with the tokens of the stretch before it.
    fn jump(&self, chain: &mut Chain, from: Seam, to: Seam, bench: &mut Bench) {
        let Some((offset, tokens)) = to.previous else { return };
        let floor = offset - self.start;
        let stretch = self.piece.get(floor..to.offset - self.start).unwrap_or_default();
        chain.resume(chain.len() + tokens - from.tokens, floor, Chain::of(self.vocabulary, stretch, bench));
    }
}
