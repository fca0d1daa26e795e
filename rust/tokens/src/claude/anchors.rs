//! Places in a text at which it can be cut: the count of the whole is that of both sides.
//!
//! An anchor is a place before a character that is certain to begin a run, to have no mark there, and to show what is
//! before it all that the marks there depend on. It depends on the characters at its sides alone, neither of which
//! normalising changes or moves, so every text with these characters has the same anchor:
//!
//! - before a character that stands alone: an ideograph, a Hangul syllable, an emoji;
//! - before a letter or a digit that follows ASCII, but for letters (digits), control characters and the apostrophe;
//! - before a symbol of ASCII that follows a letter, a digit, a tab or a line break of ASCII;
//! - before a blank or a tab that follows a line break.

use super::characters::{Class, Kind};
use super::normal::is_plain;

/// A place at which a text can be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// Where the text after it begins, in bytes.
    pub(crate) at: usize,
    /// The end of the character there, which has to be seen.
    pub(crate) reach: usize,
}

/// Return the first anchor of `text` at `from` or later, but not at its start.
pub(crate) fn anchor_after(text: &str, from: usize) -> Option<Anchor> {
    (from.max(1)..text.len()).find_map(|at| anchor_at(text, at))
}

/// Return the last anchor of `text`, but not at its start.
pub(crate) fn last_anchor(text: &str) -> Option<Anchor> {
    (1..text.len()).rev().find_map(|at| anchor_at(text, at))
}

fn anchor_at(text: &str, at: usize) -> Option<Anchor> {
    let before = *text.as_bytes().get(at.checked_sub(1)?)?;
    let next = text.get(at..)?.chars().next()?;
    let cuts = u8::try_from(next)
        .ok()
        .filter(u8::is_ascii)
        .map_or_else(|| cuts(before, next), |byte| cuts_ascii(before, byte));
    cuts.then(|| Anchor { at, reach: at.saturating_add(next.len_utf8()) })
}

fn cuts(before: u8, next: char) -> bool {
    let class = Class::of(next);
    // The first part of a Hangul syllable is a letter, and stands alone with what follows.
    let part = matches!(next, '\u{1100}'..='\u{115f}' | '\u{a960}'..='\u{a97c}');
    match class.kind() {
        _ if class.is_unsettled() => false,
        Kind::Single => true,
        Kind::Letter => opens_word(before) && !class.is_mark() && !part,
        _ => false,
    }
}

fn cuts_ascii(before: u8, byte: u8) -> bool {
    match byte {
        b'0'..=b'9' => is_plain(before) && !before.is_ascii_digit(),
        b'a'..=b'z' | b'A'..=b'Z' => opens_word(before),
        b' ' | b'\t' => before == b'\n',
        b'!'..=b'~' => before.is_ascii_alphanumeric() || matches!(before, b'\t' | b'\n'),
        _ => false,
    }
}

/// Tell whether a letter after `before` begins a word, and one that is written by itself.
fn opens_word(before: u8) -> bool {
    is_plain(before) && !before.is_ascii_alphabetic() && before != b'\''
}
