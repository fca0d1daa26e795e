//! What kind of character a code point is to Claude's tokenizer, after ctok 1.3.0, which measured it.
//!
//! The table is ctok's own answer for every code point (`vocab/rebuild_claude.py`), with the Unicode 15.1 tables of the
//! Python that it was asked on. No class of Unicode gives it: `（` is a symbol and `）` is not.

use crate::pages::{byte_of, size_bytes};

static TABLES: &[u8] = include_bytes!("../../vocab/claude.classes");

/// The kinds of the bytes that are ASCII; of the others, nothing can be said without the rest of the character.
static BYTES: [Option<Kind>; 256] = bytes();

/// What runs are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Blanks, tabs and line breaks.
    Blank,
    /// Letters that make words, and the marks within them.
    Letter,
    /// Symbols that make runs: all of ASCII's, and some others.
    Symbol,
    /// Digits of ASCII, and the Arabic ones.
    Digit,
    /// What stands alone, whatever is beside it: ideographs, Hangul, everything beyond the basic plane.
    Single,
    /// Other symbols and punctuation, and marks that end a word.
    Sign,
    /// Other digits and numbers.
    Number,
    /// Variation selectors, which go with what is before them.
    Selector,
}

/// A kind, and how the character bears on the marks of what it is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Class(u8);

impl Class {
    /// Return the class of the character that `text` begins with.
    #[inline]
    pub(super) fn first(text: &str) -> Option<Self> {
        text.chars().next().map(Self::of)
    }

    #[inline]
    pub(super) fn of(character: char) -> Self {
        Self(byte_of(TABLES, character as usize))
    }

    #[inline]
    pub(super) const fn kind(self) -> Kind {
        match self.0 & 7 {
            0 => Kind::Blank,
            1 => Kind::Letter,
            2 => Kind::Symbol,
            3 => Kind::Digit,
            4 => Kind::Single,
            5 => Kind::Sign,
            6 => Kind::Number,
            _ => Kind::Selector,
        }
    }

    /// Tell whether normalising may change the character, or what is beside it.
    pub(super) const fn is_unsettled(self) -> bool {
        self.0 & 1 << 3 != 0
    }

    /// Of a letter: it is a capital, which has a small letter.
    pub(super) const fn is_upper(self) -> bool {
        self.0 >> 4 & 3 == 1
    }

    /// Of a letter: it is a small one, or has no case. (Some signs that make words are no letters, and are neither.)
    pub(super) const fn is_no_capital(self) -> bool {
        self.0 >> 4 & 3 >= 2
    }

    /// Of a letter: it is a mark, and opens a word of its own where no letter is before it.
    pub(super) const fn is_mark(self) -> bool {
        self.0 & 1 << 6 != 0
    }

    /// Of a letter: it keeps an apostrophe that follows from being one with what is behind.
    pub(super) const fn is_bordered(self) -> bool {
        self.0 & 1 << 7 != 0
    }

    /// Of a number: it is none of decimal digits, but a fraction, a superscript, a circled one.
    pub(super) const fn is_other_number(self) -> bool {
        self.0 & 1 << 4 != 0
    }
}

/// Return the kind of a byte that is a character of ASCII; control characters have none.
#[inline]
pub(super) fn kind_of_byte(byte: u8) -> Option<Kind> {
    BYTES.get(usize::from(byte)).copied().flatten()
}

/// Return how many bytes at the start of `text` are of characters of this kind.
#[inline]
pub(super) fn run_length(text: &str, kind: Kind) -> usize {
    let bytes = text.as_bytes();
    let mut end = 0_usize;
    loop {
        let same = |byte: &u8| kind_of_byte(*byte) == Some(kind);
        let ascii = bytes.get(end..).unwrap_or_default();
        end = end.saturating_add(ascii.iter().position(|byte| !same(byte)).unwrap_or(ascii.len()));
        let next = text.get(end..).and_then(|rest| rest.chars().next());
        match next.filter(|next| !next.is_ascii() && Class::of(*next).kind() == kind) {
            Some(character) => end = end.saturating_add(character.len_utf8()),
            None => return end,
        }
    }
}

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated by the compiler, where an index out of range and an overflow are errors"
)]
const fn bytes() -> [Option<Kind>; 256] {
    let mut kinds = [None; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        kinds[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => Some(Kind::Letter),
            b'0'..=b'9' => Some(Kind::Digit),
            b'\t' | b'\n' | b' ' => Some(Kind::Blank),
            b'!'..=b'~' => Some(Kind::Symbol),
            _ => None,
        };
        byte += 1;
    }
    kinds
}

/// Return the small letter of a capital; any other character as it is.
#[inline]
pub(super) fn lowered(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    let Ok(wanted) = u16::try_from(u32::from(character)) else { return character };
    let (pairs, _) = TABLES.get(size_bytes(TABLES)..).unwrap_or_default().as_chunks::<4>();
    let found = pairs.binary_search_by_key(&wanted, |[low, high, ..]| u16::from_le_bytes([*low, *high]));
    let pair = found.ok().and_then(|at| pairs.get(at));
    pair.and_then(|[.., low, high]| char::from_u32(u32::from(u16::from_le_bytes([*low, *high])))).unwrap_or(character)
}
