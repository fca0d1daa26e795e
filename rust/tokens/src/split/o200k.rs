//! The pattern of `o200k_base` and `o200k_harmony`, one alternative a line:
//!
//! ```text
//! [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//! [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//! \p{N}{1,3}
//!  ?[^\s\p{L}\p{N}]+[\r\n/]*
//! \s*[\r\n]+
//! \s+(?!\S)
//! \s+
//! ```

use super::Piece;
use super::classes::{LEAD, LETTER, LOWER, NUMBER, SYMBOL, UPPER};
use super::cursor::{Cursor, Glyph};

pub(super) fn piece(text: &[u8], start: usize) -> Option<Piece> {
    let mut cursor = Cursor::new(text);
    let first = cursor.look(start);
    if first.is_end() {
        return None;
    }
    let end = if first.is(NUMBER) {
        cursor.number(start + first.len)
    } else if let Some(end) = word(&mut cursor, start, first) {
        cursor.contraction(end).unwrap_or(end)
    } else if let Some(end) = symbols(&mut cursor, start, first) {
        end
    } else {
        blanks(&mut cursor, start)
    };
    Some(cursor.piece(end))
}

/// Match the first two alternatives without their contraction, with the lead and, where that fails, without it.
fn word(cursor: &mut Cursor<'_>, start: usize, first: Glyph) -> Option<usize> {
    if first.is(LETTER) {
        return cased(cursor, start).ending_lower_or_upper(start);
    }
    if !first.is(LEAD) {
        return None;
    }
    let after = start + first.len;
    let run = cased(cursor, after);
    // A mark is a lead and a member of both sets. As a lead it needs a lower-case end after it; where there is none,
    // the first alternative matches the mark alone ("\u{301}AB" is "\u{301}" and "AB") before the second is tried.
    let mark_alone = first.is(LOWER).then_some(after);
    run.lower_end.or(mark_alone).or_else(|| run.ending_lower_or_upper(after))
}

/// How the two case sets match from one offset.
struct Cased {
    /// The end of `[Upper]*[Lower]+`, if it matches.
    lower_end: Option<usize>,
    /// The end of `[Upper]*`.
    upper_end: usize,
}

impl Cased {
    fn ending_lower_or_upper(&self, start: usize) -> Option<usize> {
        self.lower_end.or_else(|| (self.upper_end > start).then_some(self.upper_end))
    }
}

/// Match `[Upper]*[Lower]+` and `[Upper]+[Lower]*` at `start` at once.
///
/// Caseless letters are in both sets. If a lower-case letter follows the upper run, the word takes its whole lower run.
/// If none does, the expression backtracks to the last caseless letter, which serves as `[Lower]+` (`亚洲AV` is `亚洲`
/// and `AV`). Only a run of pure upper case is left to the second alternative, and nothing of `[Lower]*` can follow it.
fn cased(cursor: &mut Cursor<'_>, start: usize) -> Cased {
    let mut end = start;
    let mut last_caseless = None;
    loop {
        let glyph = cursor.look(end);
        if !glyph.is(UPPER) {
            let lower_end = if glyph.is(LOWER) { Some(cursor.run(end + glyph.len, LOWER)) } else { last_caseless };
            return Cased { lower_end, upper_end: end };
        }
        end += glyph.len;
        if glyph.is(LOWER) {
            last_caseless = Some(end);
        }
    }
}

/// Match ` ?[^\s\p{L}\p{N}]+[\r\n/]*`.
fn symbols(cursor: &mut Cursor<'_>, start: usize, first: Glyph) -> Option<usize> {
    let from = if first.is(SYMBOL) { start } else { cursor.past_blank(start)? };
    let mut end = cursor.run(from, SYMBOL);
    if end == from {
        return None;
    }
    while matches!(cursor.look_byte(end), Some(b'\r' | b'\n' | b'/')) {
        end += 1;
    }
    Some(end)
}

fn blanks(cursor: &mut Cursor<'_>, start: usize) -> usize {
    let run = cursor.whitespace(start);
    run.through_newline().unwrap_or_else(|| run.before_last())
}
