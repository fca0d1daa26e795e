//! Goes on inside a piece that has no end yet.
//!
//! A run of letters, whitespace or symbols stays open until another character comes, however long it is. What more
//! text can change about it is little: where the run ends, and, in two cases, where in it the last piece begins. Both
//! follow from a few words of state, so that a run that grows is never read twice.
//!
//! - Capitals after a caseless letter are a piece of their own (`亚洲` and `AV`) unless a small or a caseless letter
//!   comes after them, which makes all of it one piece.
//! - Blanks after a line break are a piece of their own unless another line break comes after them.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "offsets in a text, which is shorter than isize::MAX, plus the length of a character"
)]

use super::classes::{LEAD, LETTER, LOWER, NEWLINE, NUMBER, SPACE, SYMBOL, UPPER};
use super::cursor::Cursor;
use super::leaps::{BLOCK_BYTES, Leaps, TAIL, character_from};
use super::{END_OF_TEXT, Pattern};

/// What a run is made of, as far as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `[Upper]*` so far, of `o200k`.
    Capitals,
    /// `[Lower]+`, of `o200k`.
    Small,
    /// `\p{L}+`, of `cl100k`.
    Letters,
    Space,
    Symbols,
    /// The line breaks, and slashes, after symbols.
    SymbolsTail,
}

/// A run at the end of a text that begins with it. Offsets are in bytes from there.
#[derive(Clone)]
pub(crate) struct Run {
    pattern: Pattern,
    state: State,
}

/// What is to be known of a run to go on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) kind: Kind,
    /// Everything before belongs to the run.
    pub(crate) scanned: usize,
    /// Where the first piece ends as things stand, if there may be a second one.
    pub(crate) split: Option<usize>,
    /// Where the last character begins.
    pub(crate) last_start: usize,
}

/// The pieces of a run: `[0, first)` and, unless it is empty, `[first, second)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pieces {
    pub(crate) first: usize,
    pub(crate) second: usize,
    /// How far the decision looked, if nothing can change it any more.
    pub(crate) settled: Option<usize>,
}

impl Run {
    /// Begin with the first character, or two, of `text`. A digit begins no run, nor what is always a piece of its own.
    pub(crate) fn begin(pattern: Pattern, text: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(text);
        let first = cursor.look(0);
        let second = cursor.look(first.len);
        let run = |kind, scanned, split| Self { pattern, state: State { kind, scanned, split, last_start: 0 } };
        let (letters, word) = match pattern {
            Pattern::O200k => (Kind::Capitals, UPPER | LOWER),
            Pattern::Cl100k => (Kind::Letters, LETTER),
        };
        // A mark is a letter here, but as the lead of a word: there it is a piece of its own where only capitals follow.
        let mark = pattern == Pattern::O200k && first.is(LOWER);
        let contraction = pattern == Pattern::Cl100k && cursor.contraction(0).is_some();
        let run = if first.is(NUMBER) || contraction {
            return None;
        } else if first.is(LETTER) || (mark && !second.is(word)) {
            run(letters, 0, None)
        } else if first.is(LEAD) && second.is(word) {
            run(letters, first.len, mark.then_some(first.len))
        } else if first.is(SYMBOL) || (text.first() == Some(&b' ') && second.is(SYMBOL)) {
            run(Kind::Symbols, first.len, None)
        } else {
            run(Kind::Space, 0, None)
        };
        Some(run)
    }

    /// Go on where another one was.
    pub(crate) const fn resume(pattern: Pattern, state: State) -> Self {
        Self { pattern, state }
    }

    pub(crate) const fn state(&self) -> State {
        self.state
    }

    /// Go on to the first character from `stop` on, in a text of which everything that was there before is what it was;
    /// return the pieces if the run or the text ends before.
    pub(crate) fn advance_to(&mut self, text: &[u8], stop: usize) -> Option<Pieces> {
        let mut cursor = Cursor::new(text);
        while self.state.scanned < stop {
            let glyph = cursor.look(self.state.scanned);
            if glyph.is_end() {
                return Some(self.pieces(None));
            }
            #[cfg(test)]
            crate::work::done(glyph.len);
            let State { kind, scanned, .. } = self.state;
            let after = scanned + glyph.len;
            let stays = match kind {
                Kind::Capitals if glyph.is(UPPER) => {
                    if glyph.is(LOWER) {
                        self.state.split = Some(after);
                    }
                    true
                }
                Kind::Capitals if glyph.is(LOWER) => {
                    (self.state.kind, self.state.split) = (Kind::Small, None);
                    true
                }
                Kind::Capitals => false,
                Kind::Small => glyph.is(LOWER),
                Kind::Letters => glyph.is(LETTER),
                Kind::Space => {
                    if glyph.is(NEWLINE) {
                        self.state.split = Some(after);
                    }
                    glyph.is(SPACE)
                }
                Kind::Symbols if glyph.is(SYMBOL) => true,
                Kind::Symbols | Kind::SymbolsTail => {
                    self.state.kind = Kind::SymbolsTail;
                    glyph.is(NEWLINE) || (self.pattern == Pattern::O200k && text.get(scanned) == Some(&b'/'))
                }
            };
            if !stays {
                return Some(self.close(&mut cursor));
            }
            (self.state.last_start, self.state.scanned) = (scanned, after);
        }
        None
    }

    /// Go over the blocks that keep the run as it is. `leaps` is of a run that begins at `origin`, from where this one
    /// does, perhaps before it; `text` is this one's. Return where to try again.
    pub(crate) fn leap(&mut self, text: &[u8], leaps: &Leaps, origin: isize) -> usize {
        // The classes that keep the run, and the one whose last character splits it.
        let (stay, split) = match (self.state.kind, self.pattern) {
            (Kind::Capitals, _) => (UPPER, LOWER),
            (Kind::Small, _) => (LOWER, 0),
            (Kind::Letters, _) => (LETTER, 0),
            (Kind::Space, _) => (SPACE, NEWLINE),
            (Kind::Symbols, _) => (SYMBOL, 0),
            (Kind::SymbolsTail, Pattern::O200k) => (TAIL, 0),
            (Kind::SymbolsTail, Pattern::Cl100k) => (NEWLINE, 0),
        };
        let here = |place: usize| usize::try_from(origin.saturating_add_unsigned(place)).unwrap_or(0);
        let known = |offset: usize| isize::try_from(offset).ok().and_then(|at| usize::try_from(at - origin).ok());
        let Some(mut at) = known(self.state.scanned) else { return self.state.scanned + BLOCK_BYTES };
        let (from, inside) = (self.state.scanned, at % BLOCK_BYTES);
        let next = at.next_multiple_of(BLOCK_BYTES);
        if inside != 0 && from.checked_sub(inside).is_none_or(|block| character_from(text, block) != from) {
            return here(next);
        }
        let mut splitting = None;
        while let Some(blocks) = leaps.most(at, known(text.len()).unwrap_or(0), |summary| summary.all & stay != 0) {
            #[cfg(test)]
            crate::work::done(1);
            if blocks.summary.any & split != 0 {
                splitting = Some(blocks);
            }
            at = blocks.end();
        }
        if here(at) <= from {
            return here(next.max(at + 1));
        }
        self.state.scanned = character_from(text, here(at));
        let begins = |place: &usize| text.get(*place).is_some_and(|byte| byte & 0xc0 != 0x80);
        self.state.last_start = (from..self.state.scanned).rfind(begins).unwrap_or(from);
        if let Some(block) = splitting.and_then(|blocks| leaps.last_with(blocks, split)) {
            self.state.split = Some(last_end(text, here(block).max(from), split));
        }
        here(at + BLOCK_BYTES)
    }

    fn pieces(&self, settled: Option<usize>) -> Pieces {
        // At the end of the text `\s++$` takes all.
        let whole = self.pattern == Pattern::Cl100k && settled.is_none();
        let first = if whole { self.state.scanned } else { self.state.split.unwrap_or(self.state.scanned) };
        Pieces { first, second: self.state.scanned, settled }
    }

    /// Another character was looked at: the run has its pieces, unless a contraction is possible.
    fn close(&mut self, cursor: &mut Cursor<'_>) -> Pieces {
        match self.state.kind {
            Kind::Capitals | Kind::Small => {
                let contraction = cursor.contraction(self.state.scanned);
                let reach = cursor.piece(self.state.scanned).reach;
                if reach == END_OF_TEXT {
                    return self.pieces(None);
                }
                let mut pieces = self.pieces(Some(reach));
                if let Some(end) = contraction {
                    if pieces.first == pieces.second {
                        pieces.first = end;
                    }
                    pieces.second = end;
                }
                pieces
            }
            Kind::Space => {
                let reach = cursor.piece(self.state.scanned).reach;
                let mut pieces = self.pieces(Some(reach));
                // The last blank belongs to what follows, unless it is the only one.
                if self.state.split != Some(self.state.scanned) && self.state.last_start > 0 {
                    pieces.second = self.state.last_start;
                    pieces.first = self.state.split.unwrap_or(self.state.last_start);
                }
                pieces
            }
            Kind::Letters | Kind::Symbols | Kind::SymbolsTail => {
                self.pieces(Some(cursor.piece(self.state.scanned).reach))
            }
        }
    }
}

/// Return where the last character of a class ends, of those that begin in the block at `start`.
fn last_end(text: &[u8], start: usize, class: u8) -> usize {
    let mut cursor = Cursor::new(text);
    let mut at = character_from(text, start);
    let mut last = at;
    while at < start + BLOCK_BYTES {
        let glyph = cursor.look(at);
        if glyph.is_end() {
            break;
        }
        #[cfg(test)]
        crate::work::done(glyph.len);
        at += glyph.len;
        if glyph.is(class) {
            last = at;
        }
    }
    last
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
