//! How many tokens a longer piece has: a small table beside that of words, for pieces of 16 to 31 bytes.
//!
//! They are few, but merging one takes as long as counting fifty words, and most are the same over and over: a line
//! break with its indentation, a rule of dashes, a name.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::needless_bitwise_bool,
    reason = "a number is cut into halves, a hash is cut, and comparisons are made together, on purpose"
)]

use crate::words::{COUNT_MAX, Slot, WORD_BYTES_MAX, Word};

/// How many bytes a phrase has before its last word.
pub(crate) const HEAD_BYTES: usize = 16;
/// The longest piece that the table holds, in bytes.
pub(crate) const PHRASE_BYTES_MAX: usize = HEAD_BYTES + WORD_BYTES_MAX;

/// Two places each: 128 kilobytes.
const SETS: usize = 1 << 11;

/// A piece of sixteen bytes and up to fifteen more.
#[derive(Clone, Copy)]
pub(crate) struct Phrase {
    low: u64,
    high: u64,
    /// What comes after the first sixteen bytes; may be empty.
    rest: Word,
}

impl Phrase {
    /// Make a phrase of its first sixteen bytes and the word after them.
    pub(crate) const fn of(head: u128, rest: Word) -> Self {
        Self { low: head as u64, high: (head >> 64) as u64, rest }
    }

    fn set(self) -> usize {
        let mixed = self.low.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ self.high.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(17)
            ^ self.rest.low.wrapping_mul(0xa076_1d64_78bd_642f).rotate_left(31)
            ^ self.rest.high.wrapping_mul(0xe703_7ed1_a0b4_28db).rotate_left(43);
        (mixed >> (u64::BITS - SETS.trailing_zeros())) as usize
    }

    const fn count_in(self, [low, high, rest_low, rest_high]: [u64; 4]) -> u64 {
        let same = (low == self.low) & (high == self.high);
        if same { Slot { low: rest_low, high: rest_high }.count_of(self.rest) } else { 0 }
    }
}

/// The table. Of the two places that a phrase can be in, the older one makes room.
pub(crate) struct Phrases {
    sets: Vec<[u64; 8]>,
}

impl Phrases {
    pub(crate) fn new() -> Self {
        Self { sets: vec![[0; 8]; SETS] }
    }

    /// Return the number of tokens of `phrase`, or 0 if it is not known.
    pub(crate) fn count(&self, phrase: Phrase) -> u64 {
        self.sets
            .get(phrase.set())
            .map_or(0, |[a, b, c, d, e, f, g, h]| phrase.count_in([*a, *b, *c, *d]) | phrase.count_in([*e, *f, *g, *h]))
    }

    /// Remember that `phrase` has `count` tokens, if the number is small enough.
    pub(crate) fn learn(&mut self, phrase: Phrase, count: usize) {
        if count > COUNT_MAX {
            return;
        }
        if let Some(set) = self.sets.get_mut(phrase.set()) {
            let [a, b, c, d, ..] = *set;
            let rest = Slot::of(phrase.rest, count);
            *set = [phrase.low, phrase.high, rest.low, rest.high, a, b, c, d];
        }
    }
}
