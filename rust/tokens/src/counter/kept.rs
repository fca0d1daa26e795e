//! What a snapshot keeps of a long open run: its last tokens' text, and sums of what is before.
//!
//! A token is settled, whatever follows, if it is one of the row of every prefix of the text that ends less than the
//! longest token before the end: text that follows makes a row whose tokens up to there are the row of one of these.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "offsets in a text and sums of its tokens, both bounded by its length, which is at most isize::MAX"
)]

use super::open::Open;
use super::trails::Trails;
use crate::merge::{Bench, Chain};
use crate::ranked::{Desk, Ranked};
use crate::split::State;
use crate::vocabulary::Vocabulary;

/// The longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 128;
/// Of a shorter run all text is kept.
const RUN_BYTES_MIN: usize = 1024;

/// What is to be known of an open run to go on with it when the text before is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The run, by offsets from where its text is kept.
    pub(super) state: State,
    /// How many bytes of the run are before, and their tokens as one piece.
    pub(super) left_out: usize,
    pub(super) left_out_tokens: usize,
    /// The tokens up to the split, if there is anything after it.
    pub(super) first_tokens: Option<usize>,
}

/// A place between two settled tokens, and the tokens before it.
#[derive(Clone, Copy)]
struct Fixed {
    end: usize,
    tokens: usize,
}

impl Open {
    /// Return what to keep of a run that begins with `text`, at `start` in the whole; None to keep all text.
    pub(super) fn keep(
        &self,
        ranked: Ranked,
        text: &str,
        start: usize,
        trails: &Trails,
        desk: &mut Desk,
    ) -> Option<Kept> {
        let long = self.run().state().scanned >= RUN_BYTES_MIN;
        let short = if long { self.shortened(ranked, text, start, trails, &mut desk.bench) } else { None };
        short.or_else(|| (self.left_out() > 0).then(|| self.as_it_is()))
    }

    fn as_it_is(&self) -> Kept {
        let state = self.run().state();
        let first_tokens = state.split.and_then(|split| self.first_tokens(split));
        Kept { state, left_out: self.left_out(), left_out_tokens: self.left_out_tokens(), first_tokens }
    }

    fn shortened(&self, ranked: Ranked, text: &str, start: usize, trails: &Trails, bench: &mut Bench) -> Option<Kept> {
        let State { kind, scanned, split, last_start } = self.run().state();
        let (bytes, vocabulary) = (text.as_bytes(), ranked.vocabulary);
        let mut state = State { kind, scanned, split, last_start };
        let mut first_tokens = None;
        if let Some(split) = split.filter(|split| *split < scanned) {
            let first = self.first_tokens(split).unwrap_or_else(|| {
                let piece = bytes.get(..split).unwrap_or_default();
                self.left_out_tokens() + trails.chain(vocabulary, piece, start, bench).len()
            });
            let after = bytes.get(split..scanned)?;
            let second = trails.chain(vocabulary, after, start + split, bench);
            let ends = settled_ends(&second, vocabulary, after, bench)?;
            let last = ends.iter().rfind(|last| text.is_char_boundary(split + last.end))?;
            state.split = Some(split + last.end);
            first_tokens = Some(first + last.tokens);
        }
        let limit = first_tokens.and(state.split).unwrap_or(scanned);
        let ends = settled_ends(self.whole(), vocabulary, bytes, bench)?;
        let last = ends.iter().rfind(|last| last.end <= limit && text.is_char_boundary(last.end))?;
        Some(Kept {
            state: State {
                kind,
                scanned: scanned.checked_sub(last.end)?,
                split: state.split.map(|split| split.saturating_sub(last.end)),
                last_start: last_start.checked_sub(last.end)?,
            },
            left_out: self.left_out() + last.end,
            left_out_tokens: self.left_out_tokens() + last.tokens,
            first_tokens,
        })
    }
}

/// Return the places between settled tokens of those at hand, unless it takes others to know.
fn settled_ends(chain: &Chain, vocabulary: &Vocabulary, text: &[u8], bench: &mut Bench) -> Option<Vec<Fixed>> {
    let placed = chain.placed();
    let mut settled = placed.len();
    let mut prefix = chain.clone();
    for len in (chain.end().saturating_sub(TOKEN_BYTES_MAX)..chain.end()).rev() {
        if !prefix.fit(vocabulary, text, len, bench) {
            return None;
        }
        // Rows with a place in common are the same up to there.
        let same = placed.iter().zip(prefix.placed()).take(settled).take_while(|(one, other)| one == other);
        settled = same.count();
    }
    let before = chain.len() - placed.len();
    let ends = placed.iter().take(settled).zip(before + 1..).map(|(one, tokens)| Fixed { end: one.end, tokens });
    Some(std::iter::once(Fixed { end: chain.floor(), tokens: before }).chain(ends).collect())
}

#[cfg(test)]
mod tests {
    use super::TOKEN_BYTES_MAX;
    use crate::builtin::Builtin;

    #[test]
    fn no_token_is_longer_than_the_longest() {
        for builtin in Builtin::ALL {
            let vocabulary = builtin.ranked().map(|ranked| ranked.vocabulary);
            let longest = vocabulary.map(|one| (0..).take(one.size()).map(|token| one.len_of(token)).max());
            assert_eq!(longest, Ok(Some(TOKEN_BYTES_MAX)));
        }
    }
}
