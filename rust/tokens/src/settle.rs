//! Counts the end of a growing text: what no more text can change piece by piece, and the rest as it stands.

#![allow(clippy::inline_always, reason = "compiled anew for each level of instructions")]

use crate::ranked::{Desk, Ranked, block_at};
use crate::split::{Boundaries, END_OF_TEXT, Masks, VIEW, WINDOW, Work, block, last_pieces, settled_ends, view_pieces};

/// Up to here, pieces are found one by one: there are too few for a window to pay.
const FEW_BYTES: usize = 16;

/// Pieces that are longer, or whose decision looked further, are not settled here: a counter keeps the tokens of such
/// runs (see `counter::open`).
pub(crate) const LONG_BYTES: usize = 512;

/// A piece that no more text can change.
pub(crate) struct Settled {
    /// Where it ends, in bytes.
    pub(crate) end: usize,
    pub(crate) tokens: usize,
    /// The offset after the last byte that this or an earlier decision looked at.
    pub(crate) reach: usize,
}

struct Settle<'a, F> {
    ranked: Ranked,
    text: &'a str,
    desk: &'a mut Desk,
    each: &'a mut F,
}

impl<F: FnMut(Settled)> Work for Settle<'_, F> {
    type Output = (usize, usize);

    #[inline(always)]
    fn run(self, classify: impl Fn(&[u8; WINDOW]) -> Masks) -> (usize, usize) {
        let Self { ranked, text, desk, each } = self;
        let mut ends = std::mem::take(&mut desk.ends);
        let mut start = 0;
        loop {
            let rest = text.as_bytes().get(start..).unwrap_or_default();
            if let Some(last) = last_pieces(ranked.pattern, rest, &classify) {
                desk.ends = ends;
                let block = |at: usize| block_at(text.as_bytes(), at);
                return ranked.settle_last(text, start, last, block, desk, each);
            }
            let reach = settled_ends(ranked.pattern, text, start, &mut ends, &classify);
            if reach.saturating_sub(start) > LONG_BYTES {
                desk.ends = ends;
                return (start, 0);
            }
            for end in &ends {
                let tokens = ranked.count_piece(text, start, *end, desk);
                each(Settled { end: *end, tokens, reach });
                start = *end;
            }
            if ends.is_empty() {
                desk.ends = ends;
                let long = text.len().saturating_sub(start) > LONG_BYTES;
                return (start, if long { 0 } else { ranked.count_open(text, start, desk) });
            }
        }
    }
}

struct SettleView<'a, F> {
    ranked: Ranked,
    text: &'a str,
    view: &'a [u8; VIEW],
    desk: &'a mut Desk,
    each: &'a mut F,
}

impl<F: FnMut(Settled)> Work for SettleView<'_, F> {
    type Output = Option<(usize, usize)>;

    #[inline(always)]
    fn run(self, classify: impl Fn(&[u8; WINDOW]) -> Masks) -> Option<(usize, usize)> {
        let Self { ranked, text, view, desk, each } = self;
        let last = view_pieces(ranked.pattern, view, text.len(), &classify)?;
        Some(ranked.settle_last(text, 0, last, |at| block(view, at), desk, each))
    }
}

impl Ranked {
    /// The same as [`Ranked::settle`] for a text that `view` holds all of, zeros after it; `None` where it is not plain enough.
    #[inline]
    pub(crate) fn settle_view(
        self,
        text: &str,
        view: &[u8; VIEW],
        desk: &mut Desk,
        each: &mut impl FnMut(Settled),
    ) -> Option<(usize, usize)> {
        if text.is_empty() {
            return Some((0, 0));
        }
        desk.level.run(SettleView { ranked: self, text, view, desk, each })
    }

    /// Find the pieces of `text` that no more text can change, up to a long run (see [`LONG_BYTES`]), and give each with
    /// its count and with how far decisions up to it have looked; return where the last one ends, and the tokens of what
    /// is after it, or 0 if that begins with a long run.
    #[inline]
    pub(crate) fn settle(self, text: &str, desk: &mut Desk, each: &mut impl FnMut(Settled)) -> (usize, usize) {
        if text.len() <= FEW_BYTES {
            return self.settle_few(text, desk, each);
        }
        desk.level.run(Settle { ranked: self, text, desk, each })
    }

    /// Count the pieces of a text that a window found all of.
    #[inline(always)]
    fn settle_last(
        self,
        text: &str,
        start: usize,
        last: Boundaries,
        block: impl Fn(usize) -> u128,
        desk: &mut Desk,
        each: &mut impl FnMut(Settled),
    ) -> (usize, usize) {
        let (mut at, mut settled, mut open) = (start, start, 0_usize);
        let mut starts = last.starts;
        while starts != 0 {
            let bit = starts.trailing_zeros();
            starts &= starts.wrapping_sub(1);
            let end = start.saturating_add(bit as usize);
            let tokens = self.count_block(text, at, end, block(at), desk);
            if last.settled >> bit & 1 == 1 {
                each(Settled { end, tokens, reach: text.len() });
                settled = end;
            } else {
                open = open.saturating_add(tokens);
            }
            at = end;
        }
        (settled, open.saturating_add(self.count_block(text, at, text.len(), block(at), desk)))
    }

    /// The same for a text of a few bytes, piece by piece.
    fn settle_few(self, text: &str, desk: &mut Desk, each: &mut impl FnMut(Settled)) -> (usize, usize) {
        let (mut at, mut settled, mut open) = (0, 0, 0_usize);
        while let Some(piece) = self.pattern.piece(text, at) {
            let tokens = self.count_piece(text, at, piece.end, desk);
            if at == settled && piece.reach != END_OF_TEXT {
                settled = piece.end;
                each(Settled { end: settled, tokens, reach: piece.reach });
            } else {
                open = open.saturating_add(tokens);
            }
            at = piece.end;
        }
        (settled, open)
    }

    /// Count the pieces from `start` on one by one.
    #[inline(always)]
    fn count_open(self, text: &str, start: usize, desk: &mut Desk) -> usize {
        let (mut at, mut open) = (start, 0_usize);
        while let Some(piece) = self.pattern.piece(text, at) {
            open = open.saturating_add(self.count_piece(text, at, piece.end, desk));
            at = piece.end;
        }
        open
    }
}
