//! What kind of character a code point is, as the patterns see it.
//!
//! One byte of flags per code point, from two tables: the first names a block of 256 code points, the second holds the
//! blocks. They are generated from the Unicode tables of the regex-syntax release that tiktoken 0.14 is built with; a
//! test compares all 0x110000 code points with that crate.

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

/// Indexed by `code point / 256`: a block number; then the blocks, 256 classes each.
static TABLES: &[u8] = include_bytes!("../../vocab/classes.bin");
const BLOCK_SIZE: usize = 256;
const BLOCKS_START: usize = 0x11_0000 / BLOCK_SIZE;

/// The classes of the ASCII characters, the common case without a table of tables.
static ASCII: [u8; 128] = ascii();

/// Return the class flags of a code point; 0 for what is no code point.
#[inline]
pub(super) fn class_of(code_point: u32) -> u8 {
    let code_point = code_point as usize;
    if let Some(class) = ASCII.get(code_point) {
        return *class;
    }
    let block = TABLES.get(..BLOCKS_START).and_then(|index| index.get(code_point / BLOCK_SIZE));
    let Some(block) = block else { return 0 };
    let offset = BLOCKS_START + usize::from(*block) * BLOCK_SIZE + code_point % BLOCK_SIZE;
    TABLES.get(offset).copied().unwrap_or(0)
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
