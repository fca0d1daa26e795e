//! Counts and encodes with a ranked vocabulary: the pieces of a pattern, each merged by rank.

use crate::merge::Merger;
use crate::split::Pattern;
use crate::vocabulary::{NO_RANK, Vocabulary};

/// A pattern and the ranks it goes with.
#[derive(Clone, Copy)]
pub(crate) struct Ranked {
    pub(crate) pattern: Pattern,
    pub(crate) ranks: &'static Vocabulary,
}

impl Ranked {
    /// Return the number of tokens of `text`.
    pub(crate) fn count(self, text: &str, merger: &mut Merger) -> usize {
        self.pieces(text).map(|piece| self.count_piece(piece, merger)).fold(0, usize::saturating_add)
    }

    /// Return the number of tokens of `text`, or `None` as soon as it is certain that there are more than `limit`.
    pub(crate) fn count_until(self, text: &str, limit: usize, merger: &mut Merger) -> Option<usize> {
        self.pieces(text).try_fold(0_usize, |total, piece| {
            let total = total.saturating_add(self.count_piece(piece, merger));
            (total <= limit).then_some(total)
        })
    }

    /// Append the token ids of `text` to `ids`.
    pub(crate) fn encode(self, text: &str, ids: &mut Vec<u32>) {
        let mut merger = Merger::default();
        for piece in self.pieces(text) {
            self.encode_piece(piece, &mut merger, ids);
        }
    }

    /// Return the number of tokens of one piece; a piece that is a token is one, whatever its merges would say.
    #[inline]
    pub(crate) fn count_piece(self, piece: &[u8], merger: &mut Merger) -> usize {
        if piece.len() == 1 || self.ranks.rank(piece) != NO_RANK {
            return 1;
        }
        merger.token_starts(self.ranks, piece).len()
    }

    fn encode_piece(self, piece: &[u8], merger: &mut Merger, ids: &mut Vec<u32>) {
        let whole = self.ranks.rank(piece);
        if whole != NO_RANK {
            ids.push(whole);
            return;
        }
        let starts = merger.token_starts(self.ranks, piece);
        let ends = starts.iter().copied().skip(1).chain(std::iter::once(piece.len()));
        let tokens = starts.iter().zip(ends).filter_map(|(start, end)| piece.get(*start..end));
        ids.extend(tokens.map(|token| self.ranks.rank(token)));
    }

    fn pieces(self, text: &str) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let piece = self.pattern.piece(text, start)?;
            let bytes = text.as_bytes().get(start..piece.end);
            start = piece.end;
            bytes
        })
    }
}
