//! Places in a text at which it can be cut: the count of the whole is that of both sides.
//!
//! An anchor is a place before a character that is certain to begin a run, to have no mark there, and to show what is
//! before it all that the marks there depend on. It depends on the characters at its sides alone, neither of which
//! normalising changes or moves, so every text with these characters has the same anchor:
//!
//! - before an ideograph or a Hangul syllable;
//! - before a letter or a digit of ASCII that follows other ASCII, but for control characters and the apostrophe;
//! - before a symbol of ASCII that follows a letter, a digit, a tab or a line break;
//! - before a blank or a tab that follows a line break.

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
    let bytes = text.as_bytes();
    (from.max(1)..bytes.len()).find_map(|at| anchor_at(bytes, at))
}

/// Return the last anchor of `text`, but not at its start.
pub(crate) fn last_anchor(text: &str) -> Option<Anchor> {
    let bytes = text.as_bytes();
    (1..bytes.len()).rev().find_map(|at| anchor_at(bytes, at))
}

fn anchor_at(bytes: &[u8], at: usize) -> Option<Anchor> {
    let &[before, ref next @ ..] = bytes.get(at.checked_sub(1)?..)? else { return None };
    let len = match *next {
        // U+4E00 to U+9FFF, then U+AC00 to U+D7A3.
        [0xe4, 0xb8..=0xbf, _, ..] | [0xe5..=0xe9, _, _, ..] => 3,
        [0xea, 0xb0..=0xbf, _, ..] | [0xeb..=0xec, _, _, ..] | [0xed, 0x80..=0x9d, _, ..] => 3,
        [0xed, 0x9e, 0x80..=0xa3, ..] => 3,
        [byte, ..] if cuts(before, byte) => 1,
        _ => return None,
    };
    Some(Anchor { at, reach: at.saturating_add(len) })
}

fn cuts(before: u8, byte: u8) -> bool {
    let is_ascii = matches!(before, b' '..=b'~' | b'\t' | b'\n');
    match byte {
        b'0'..=b'9' => is_ascii && !before.is_ascii_digit(),
        b'a'..=b'z' | b'A'..=b'Z' => is_ascii && !before.is_ascii_alphabetic() && before != b'\'',
        b' ' | b'\t' => before == b'\n',
        b'!'..=b'~' => before.is_ascii_alphanumeric() || matches!(before, b'\t' | b'\n'),
        _ => false,
    }
}
