//! The tokens of the open end of a text.
//!
//! A short end is counted anew at every append. A long run (see `split::Run`) keeps its tokens, so that an append costs
//! what it adds: the tokens of either of its two pieces grow at the end, and where the border between them moves, what
//! moved is added to the first.

use crate::merge::Chain;
use crate::ranked::{Desk, Ranked};
use crate::split::{Pieces, Run};

/// From here on a run keeps its tokens. Below, counting anew costs no more than keeping them does.
pub(super) const RUN_BYTES_MIN: usize = 48;

/// A long run and the tokens of its pieces.
pub(super) struct Open {
    run: Run,
    first: Chain,
    first_end: usize,
    second: Chain,
}

/// What came of going on.
pub(super) enum Outcome {
    /// The run is still open: the tokens of everything from its start.
    Open { tokens: usize },
    /// The run has ended at an offset from its start, with so many tokens before; the decision looked so far.
    Settled { end: usize, tokens: usize, reach: usize },
}

impl Open {
    /// Begin with the run that `text` begins with.
    pub(super) fn begin(ranked: Ranked, text: &str) -> Self {
        let run = Run::begin(ranked.pattern, text.as_bytes());
        Self { run, first: Chain::default(), first_end: 0, second: Chain::default() }
    }

    /// Go on to the end of `text`, which begins where the run does.
    pub(super) fn advance(&mut self, ranked: Ranked, text: &str, desk: &mut Desk) -> Outcome {
        let bytes = text.as_bytes();
        let Pieces { first, second, settled } = self.run.advance(bytes);
        self.first.fit(ranked.vocabulary, bytes, first, &mut desk.bench);
        if first != self.first_end {
            self.second.clear();
            self.first_end = first;
        }
        let after = bytes.get(first..).unwrap_or_default();
        self.second.fit(ranked.vocabulary, after, second.saturating_sub(first), &mut desk.bench);
        let tokens = self.first.len().saturating_add(self.second.len());
        if let Some(reach) = settled {
            return Outcome::Settled { end: second, tokens, reach };
        }
        let rest = text.get(second..).unwrap_or_default();
        Outcome::Open { tokens: tokens.saturating_add(ranked.count_at(rest, desk)) }
    }
}
