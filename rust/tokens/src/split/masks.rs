//! The classes of 64 bytes at once, one bit each.
//!
//! The first twin of `simd`, for every machine; a test holds the two against each other.

/// How many bytes are looked at together.
pub(crate) const WINDOW: usize = 64;

/// One bit for each byte of a window, the first byte lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Masks {
    pub(crate) letter: u64,
    /// Small letters; capitals too where nobody asks.
    pub(crate) lower: u64,
    pub(crate) digit: u64,
    /// U+0020
    pub(crate) blank: u64,
    /// Whitespace, line breaks and blanks included.
    pub(crate) space: u64,
    pub(crate) newline: u64,
    pub(crate) apostrophe: u64,
    pub(crate) slash: u64,
    /// Bytes of characters beyond ASCII; in no other class.
    pub(crate) high: u64,
}

pub(crate) const LETTER_A_TO_O: u8 = 1;
pub(crate) const LETTER_P_TO_Z: u8 = 1 << 1;
pub(crate) const DIGIT: u8 = 1 << 2;
pub(crate) const BLANK: u8 = 1 << 3;
pub(crate) const TAB: u8 = 1 << 4;
pub(crate) const NEWLINE: u8 = 1 << 5;
pub(crate) const APOSTROPHE: u8 = 1 << 6;
pub(crate) const SLASH: u8 = 1 << 7;

/// The class of an ASCII byte is `LOW[byte & 15] & HIGH[byte >> 4]`: each class is a rectangle of rows and columns.
pub(crate) const LOW: [u8; 16] = columns();
pub(crate) const HIGH: [u8; 16] = [
    TAB | NEWLINE,
    0,
    BLANK | APOSTROPHE | SLASH,
    DIGIT,
    LETTER_A_TO_O,
    LETTER_P_TO_Z,
    LETTER_A_TO_O,
    LETTER_P_TO_Z,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
];

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated by the compiler")]
const fn columns() -> [u8; 16] {
    let mut columns = [0; 16];
    let mut low = 0;
    while low < 16_u8 {
        let mut class = 0;
        if low >= 1 {
            class |= LETTER_A_TO_O;
        }
        if low <= 10 {
            class |= LETTER_P_TO_Z;
        }
        if low <= 9 {
            class |= DIGIT;
        }
        class |= match low {
            0 => BLANK,
            7 => APOSTROPHE,
            9 | 11 | 12 => TAB,
            10 | 13 => NEWLINE,
            15 => SLASH,
            _ => 0,
        };
        columns[low as usize] = class;
        low += 1;
    }
    columns
}

/// Classify byte by byte.
#[inline]
pub(crate) fn classify(window: &[u8; WINDOW]) -> Masks {
    let mut masks = Masks::default();
    for (word, bytes) in window.as_chunks::<8>().0.iter().enumerate() {
        let raw = u64::from_le_bytes(*bytes);
        let classes = u64::from_le_bytes(bytes.map(class));
        let shift = word.wrapping_mul(8);
        let bits = |classes: u64, bit: u32| gathered(classes >> bit) << shift;
        let letter = bits(classes, 0) | bits(classes, 1);
        let (blank, newline) = (bits(classes, 3), bits(classes, 5));
        masks.letter |= letter;
        masks.lower |= letter & bits(raw, 5);
        masks.digit |= bits(classes, 2);
        masks.blank |= blank;
        masks.space |= blank | bits(classes, 4) | newline;
        masks.newline |= newline;
        masks.apostrophe |= bits(classes, 6);
        masks.slash |= bits(classes, 7);
        masks.high |= bits(raw, 7);
    }
    masks
}

/// Collect the lowest bit of each of eight bytes.
#[inline]
const fn gathered(bytes: u64) -> u64 {
    (bytes & 0x0101_0101_0101_0101).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[inline]
fn class(byte: u8) -> u8 {
    let low = LOW.get(usize::from(byte & 15)).copied().unwrap_or(0);
    low & HIGH.get(usize::from(byte >> 4)).copied().unwrap_or(0)
}
