//! How many tokens a word has: a bounded table from short pieces to their counts, one for each thread.
//!
//! Text repeats its words. A piece of up to fifteen bytes is a number, its length and count fit beside it in sixteen
//! bytes, and looking it up is one load and one comparison: no hash is trusted, no pointer followed. The table never
//! grows: of the two places that a word can be in, the older one makes room. Once it is clear that a thread counts more
//! than a little, the table takes in the words of the vocabulary itself, the most frequent ones first.
#![allow(
    clippy::needless_bitwise_bool,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "fields of a number that were checked to fit; hashes are cut, and comparisons made together, on purpose"
)]

use crate::vocabulary::Vocabulary;

/// The longest piece that the table holds, in bytes.
pub(crate) const WORD_BYTES_MAX: usize = 15;

/// Two places each: two megabytes, of which a text in one language touches a fraction.
const SETS: usize = 1 << 16;
const LINE_BYTES: usize = 64;
const LINE: usize = LINE_BYTES / size_of::<u64>();
/// A thread that had to learn so many words counts more than a little.
const SEEDED_AFTER: usize = 2_000;
/// How many tokens of the vocabulary the table takes in, at most.
const SEEDS: usize = 100_000;
const LENGTH_SHIFT: u32 = 56;
const COUNT_SHIFT: u32 = 60;
/// The greatest count that fits beside a word.
pub(crate) const COUNT_MAX: usize = 15;

/// The bits of a piece of each length.
static KEPT: [[u64; 2]; 16] = kept();

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, where an index out of range is an error")]
const fn kept() -> [[u64; 2]; 16] {
    let mut kept = [[0; 2]; 16];
    let mut len = 0;
    while len < 16_usize {
        let bits = (1_u128 << (8 * len as u32)) - 1;
        kept[len] = [bits as u64, (bits >> 64) as u64];
        len += 1;
    }
    kept
}

/// The bytes of a short piece as a number, its length after them, and the four highest bits free.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) low: u64,
    pub(crate) high: u64,
}

impl Word {
    /// Read the piece of `len` bytes, at most [`WORD_BYTES_MAX`], at the start of `block`.
    #[inline]
    pub(crate) fn of(block: u128, len: usize) -> Self {
        let [low, high] = KEPT.get(len).copied().unwrap_or_default();
        Self { low: block as u64 & low, high: (block >> 64) as u64 & high | (len as u64) << LENGTH_SHIFT }
    }

    #[inline]
    fn set(self) -> usize {
        let low = self.low.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let high = self.high.wrapping_mul(0xd6e8_feb8_6659_fd93);
        ((low ^ high.rotate_left(17)) >> (64 - SETS.trailing_zeros())) as usize
    }
}

/// A word with its count.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) low: u64,
    /// The rest of the word, with its count in the bits that a word leaves free. 0 is no word.
    pub(crate) high: u64,
}

impl Slot {
    /// Return `word` with its count, at most [`COUNT_MAX`].
    pub(crate) const fn of(word: Word, count: usize) -> Self {
        Self { low: word.low, high: word.high | (count as u64) << COUNT_SHIFT }
    }

    /// Return the count of `word` if it is this one, or 0.
    #[inline]
    pub(crate) const fn count_of(self, word: Word) -> u64 {
        let rest = self.high ^ word.high;
        if (self.low ^ word.low) | rest << (u64::BITS - COUNT_SHIFT) == 0 { rest >> COUNT_SHIFT } else { 0 }
    }
}

/// The table.
pub(crate) struct Words {
    /// Two slots each, four numbers. (Plain numbers, for which the system has zeroed memory at hand.)
    room: Vec<u64>,
    /// Where the first set is: at the start of a cache line, so that none lies in two.
    first: usize,
    /// How many words are to be learnt before the vocabulary's own are.
    until_seeded: usize,
}

impl Words {
    pub(crate) fn new() -> Self {
        let room = vec![0; 4 * SETS + LINE];
        let first = room.as_ptr().align_offset(LINE_BYTES).min(LINE);
        Self { room, first, until_seeded: SEEDED_AFTER }
    }

    /// Take in the words of the vocabulary, those of the lowest ranks last, so that they stay.
    fn seed(&mut self, vocabulary: &Vocabulary) {
        let mut seeds: Vec<(u128, usize)> = Vec::with_capacity(SEEDS);
        for token in 0..SEEDS.min(vocabulary.size()) as u32 {
            let seed = match vocabulary.parts(token).map(|(l, r)| (seeds.get(l as usize), seeds.get(r as usize))) {
                Some((Some((left, left_len)), Some((right, right_len)))) if left_len + right_len <= WORD_BYTES_MAX => {
                    (left | right << (8 * *left_len as u32), left_len + right_len)
                }
                Some(_) => (0, WORD_BYTES_MAX + 1),
                None => (u128::from(vocabulary.single_byte(token).unwrap_or(0)), 1),
            };
            seeds.push(seed);
        }
        for (bytes, len) in seeds.into_iter().rev().filter(|(_, len)| *len <= WORD_BYTES_MAX) {
            self.put(Word::of(bytes, len), 1);
        }
    }

    /// Return the number of tokens of `word`, or 0 if it is not known.
    #[inline]
    pub(crate) fn count(&self, word: Word) -> u64 {
        let at = self.first + 4 * word.set();
        let set = self.room.get(at..).and_then(<[u64]>::first_chunk);
        let Some([newer_low, newer_high, older_low, older_high]) = set else { return 0 };
        let newer = Slot { low: *newer_low, high: *newer_high };
        let older = Slot { low: *older_low, high: *older_high };
        newer.count_of(word) | older.count_of(word)
    }

    /// Remember that `word` has `count` tokens, at most one for each byte.
    pub(crate) fn learn(&mut self, word: Word, count: usize, vocabulary: &Vocabulary) {
        self.put(word, count);
        if self.until_seeded > 0 {
            self.until_seeded -= 1;
            if self.until_seeded == 0 {
                self.seed(vocabulary);
            }
        }
    }

    fn put(&mut self, word: Word, count: usize) {
        let at = self.first + 4 * word.set();
        if let Some([newer_low, newer_high, older_low, older_high]) = self.room.get_mut(at..at + 4) {
            (*older_low, *older_high) = (*newer_low, *newer_high);
            Slot { low: *newer_low, high: *newer_high } = Slot::of(word, count);
        }
    }
}
