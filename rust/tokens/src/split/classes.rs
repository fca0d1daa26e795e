//! What kind of character a code point is, as the patterns see it.
//!
//! One byte of flags per code point (see `pages`). They are generated from the Unicode tables of the regex-syntax release that tiktoken 0.14 is built with; a
//! test compares all 0x110000 code points with that crate.

use crate::pages::byte_of;

/// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
pub(super) const UPPER: u8 = 1;
/// `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
pub(super) const LOWER: u8 = 1 << 1;
/// `\p{L}`
pub(super) const LETTER: u8 = 1 << 2;
/// `\p{N}`
pub(super) const NUMBER: u8 = 1 << 3;
/// `\s`
pub(super) const SPACE: u8 = 1 << 4;
/// `[\r\n]`
pub(super) const NEWLINE: u8 = 1 << 5;
/// `[^\s\p{L}\p{N}]`
pub(super) const SYMBOL: u8 = 1 << 6;
/// `[^\r\n\p{L}\p{N}]`: what may stand before a word and belong to it
pub(super) const LEAD: u8 = 1 << 7;

static TABLES: &[u8] = include_bytes!("../../vocab/classes.bin");

/// The classes of the ASCII characters, the common case without a table of tables.
static ASCII: [u8; 128] = ascii();

/// Return the class flags of a code point; 0 for what is no code point.
#[inline]
pub(super) fn class_of(code_point: u32) -> u8 {
    let code_point = code_point as usize;
    if let Some(class) = ASCII.get(code_point) {
        return *class;
    }
    byte_of(TABLES, code_point)
}

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, where an index out of range is an error")]
const fn ascii() -> [u8; 128] {
    let mut classes = [0; 128];
    let mut byte = 0;
    while byte < 128_u8 {
        classes[byte as usize] = match byte {
            b'A'..=b'Z' => UPPER | LETTER,
            b'a'..=b'z' => LOWER | LETTER,
            b'0'..=b'9' => NUMBER,
            b'\n' | b'\r' => SPACE | NEWLINE,
            b'\t' | 0x0b | 0x0c | b' ' => SPACE | LEAD,
            _ => SYMBOL | LEAD,
        };
        byte += 1;
    }
    classes
}

#[cfg(test)]
#[path = "classes_tests.rs"]
mod tests;
