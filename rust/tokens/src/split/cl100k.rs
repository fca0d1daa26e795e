//! The pattern of `cl100k_base`:
//!
//! ```text
//! '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s
//! ```

use super::Piece;
use super::classes::{LEAD, LETTER, NEWLINE, NUMBER, SYMBOL};
use super::cursor::{Cursor, Glyph};

pub(super) fn piece(text: &[u8], start: usize) -> Option<Piece> {
    let mut cursor = Cursor::new(text);
    let first = cursor.look(start);
    if first.is_end() {
        return None;
    }
    let end = match cursor.contraction(start) {
        Some(end) => end,
        None => without_contraction(&mut cursor, start, first),
    };
    Some(cursor.piece(end))
}

fn without_contraction(cursor: &mut Cursor<'_>, start: usize, first: Glyph) -> usize {
    let after = start + first.len;
    if first.is(LETTER) {
        return cursor.run(after, LETTER);
    }
    if first.is(NUMBER) {
        return cursor.number(after);
    }
    // `?+` never gives the lead back, and no lead is a letter: there is nothing else to try.
    if first.is(LEAD) && cursor.look(after).is(LETTER) {
        return cursor.run(after, LETTER);
    }
    symbols(cursor, start, first).unwrap_or_else(|| blanks(cursor, start))
}

/// Match ` ?[^\s\p{L}\p{N}]++[\r\n]*+`.
fn symbols(cursor: &mut Cursor<'_>, start: usize, first: Glyph) -> Option<usize> {
    let from = if first.is(SYMBOL) { start } else { cursor.past_blank(start)? };
    let end = cursor.run(from, SYMBOL);
    (end > from).then(|| cursor.run(end, NEWLINE))
}

fn blanks(cursor: &mut Cursor<'_>, start: usize) -> usize {
    let run = cursor.whitespace(start);
    run.closing().or(run.through_newline()).unwrap_or_else(|| run.before_last())
}
