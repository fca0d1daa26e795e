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

use super::classes::{LEAD, LETTER, LOWER, NEWLINE, SPACE, SYMBOL, UPPER};
use super::cursor::Cursor;
use super::{END_OF_TEXT, Pattern};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
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
    kind: Kind,
    /// Everything before belongs to the run.
    scanned: usize,
    /// Where the first piece ends as things stand, if there may be a second one.
    split: Option<usize>,
    /// Where the last character begins.
    last_start: usize,
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
    /// Begin with the first character, or two, of `text`, which must not be digits.
    pub(crate) fn begin(pattern: Pattern, text: &[u8]) -> Self {
        let mut cursor = Cursor::new(text);
        let first = cursor.look(0);
        let second = cursor.look(first.len);
        let run = |kind, scanned, split| Self { pattern, kind, scanned, split, last_start: 0 };
        let (letters, word) = match pattern {
            Pattern::O200k => (Kind::Capitals, UPPER | LOWER),
            Pattern::Cl100k => (Kind::Letters, LETTER),
        };
        if first.is(LETTER) {
            run(letters, 0, None)
        } else if first.is(LEAD) && second.is(word) {
            // A mark as the lead is a piece of its own where only capitals follow.
            let mark = pattern == Pattern::O200k && first.is(LOWER);
            run(letters, first.len, mark.then_some(first.len))
        } else if first.is(SYMBOL) || (text.first() == Some(&b' ') && second.is(SYMBOL)) {
            run(Kind::Symbols, first.len, None)
        } else {
            run(Kind::Space, 0, None)
        }
    }

    /// Go on to the end of `text`, of which everything that was there before is what it was.
    pub(crate) fn advance(&mut self, text: &[u8]) -> Pieces {
        let mut cursor = Cursor::new(text);
        loop {
            let glyph = cursor.look(self.scanned);
            if glyph.is_end() {
                return self.pieces(None);
            }
            let after = self.scanned + glyph.len;
            let stays = match self.kind {
                Kind::Capitals if glyph.is(UPPER) => {
                    if glyph.is(LOWER) {
                        self.split = Some(after);
                    }
                    true
                }
                Kind::Capitals if glyph.is(LOWER) => {
                    (self.kind, self.split) = (Kind::Small, None);
                    true
                }
                Kind::Capitals => false,
                Kind::Small => glyph.is(LOWER),
                Kind::Letters => glyph.is(LETTER),
                Kind::Space => {
                    if glyph.is(NEWLINE) {
                        self.split = Some(after);
                    }
                    glyph.is(SPACE)
                }
                Kind::Symbols if glyph.is(SYMBOL) => true,
                Kind::Symbols | Kind::SymbolsTail => {
                    self.kind = Kind::SymbolsTail;
                    glyph.is(NEWLINE) || (self.pattern == Pattern::O200k && text.get(self.scanned) == Some(&b'/'))
                }
            };
            if !stays {
                return self.close(&mut cursor);
            }
            (self.last_start, self.scanned) = (self.scanned, after);
        }
    }

    fn pieces(&self, settled: Option<usize>) -> Pieces {
        // At the end of the text `\s++$` takes all.
        let whole = self.pattern == Pattern::Cl100k && settled.is_none();
        let first = if whole { self.scanned } else { self.split.unwrap_or(self.scanned) };
        Pieces { first, second: self.scanned, settled }
    }

    /// Another character was looked at: the run has its pieces, unless a contraction is possible.
    fn close(&mut self, cursor: &mut Cursor<'_>) -> Pieces {
        match self.kind {
            Kind::Capitals | Kind::Small => {
                let contraction = cursor.contraction(self.scanned);
                let reach = cursor.piece(self.scanned).reach;
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
                let reach = cursor.piece(self.scanned).reach;
                let mut pieces = self.pieces(Some(reach));
                // The last blank belongs to what follows.
                if self.split != Some(self.scanned) {
                    pieces.second = self.last_start;
                    pieces.first = self.split.unwrap_or(self.last_start);
                }
                pieces
            }
            Kind::Letters | Kind::Symbols | Kind::SymbolsTail => self.pieces(Some(cursor.piece(self.scanned).reach)),
        }
    }
}
