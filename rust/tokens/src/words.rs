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
/// A thread that had to learn so many words counts more than a little.
const SEEDED_AFTER: usize = 2_000;
/// How many tokens of the vocabulary the table takes in, at most.
const SEEDS: usize = 100_000;
const COUNT_SHIFT: u32 = 56;
const LENGTH_SHIFT: u32 = 60;
const COUNT_MASK: u64 = 0xf << COUNT_SHIFT;

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

/// The bytes of a short piece as a number, its length in the four highest bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word {
    low: u64,
    high: u64,
}

impl Word {
    /// Read the piece of `len` bytes, at most [`WORD_BYTES_MAX`], at the start of `block`.
    #[inline]
    pub(crate) fn of(block: u128, len: usize) -> Self {
        let [low, high] = KEPT.get(len).copied().unwrap_or_default();
        Self { low: block as u64 & low, high: (block >> 64) as u64 & high | (len as u64) << LENGTH_SHIFT }
    }

    /// Read the piece of `len` bytes, at most [`WORD_BYTES_MAX`], at `start` of `bytes`.
    #[inline]
    pub(crate) fn at(bytes: &[u8], start: usize, len: usize) -> Self {
        let block = bytes.get(start..).and_then(<[u8]>::first_chunk::<16>);
        Self::of(block.map_or_else(|| last_block(bytes, start), |block| u128::from_le_bytes(*block)), len)
    }

    /// Put another byte behind a piece of less than [`WORD_BYTES_MAX`].
    #[inline]
    pub(crate) fn followed_by(self, byte: u8) -> Self {
        let len = (self.high >> LENGTH_SHIFT) as usize;
        let block = u128::from(self.high) << 64 | u128::from(self.low);
        let [low, high] = KEPT.get(len).copied().unwrap_or_default();
        let kept = block & (u128::from(high) << 64 | u128::from(low));
        Self::of(kept | u128::from(byte) << (8 * len), len + 1)
    }

    #[inline]
    fn set(self) -> usize {
        let low = self.low.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let high = self.high.wrapping_mul(0xd6e8_feb8_6659_fd93);
        ((low ^ high.rotate_left(17)) >> (64 - SETS.trailing_zeros())) as usize
    }
}

#[derive(Clone, Copy)]
struct Slot {
    low: u64,
    /// The rest of the word, with its count in the bits that a word leaves free. 0 is no word.
    high: u64,
}

impl Slot {
    /// Return the count of `word` if it is this one, or 0.
    #[inline]
    const fn count_of(self, word: Word) -> u64 {
        let same = (self.low == word.low) & (self.high & !COUNT_MASK == word.high);
        if same { (self.high & COUNT_MASK) >> COUNT_SHIFT } else { 0 }
    }
}

/// The table.
pub(crate) struct Words {
    /// Two slots each. (Plain numbers, for which the system has zeroed memory at hand.)
    sets: Vec<[u64; 4]>,
    /// How many words are to be learnt before the vocabulary's own are.
    until_seeded: usize,
}

impl Words {
    pub(crate) fn new() -> Self {
        Self { sets: vec![[0; 4]; SETS], until_seeded: SEEDED_AFTER }
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
        self.sets.get(word.set()).map_or(0, |[newer_low, newer_high, older_low, older_high]| {
            let newer = Slot { low: *newer_low, high: *newer_high };
            let older = Slot { low: *older_low, high: *older_high };
            newer.count_of(word) | older.count_of(word)
        })
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

    /// Remember the count of `word`, at most fifteen.
    pub(crate) fn put(&mut self, word: Word, count: usize) {
        if let Some(set) = self.sets.get_mut(word.set()) {
            let [low, high, ..] = *set;
            *set = [word.low, word.high | (count as u64) << COUNT_SHIFT & COUNT_MASK, low, high];
        }
    }
}

/// Return the up to sixteen bytes from `start` on, where the text ends before a seventeenth.
fn last_block(bytes: &[u8], start: usize) -> u128 {
    // The sixteen bytes that end the text, without those before the start; where there are not so many, copied.
    if let (Some(block), Some(rest)) = (bytes.last_chunk::<16>(), bytes.len().checked_sub(start)) {
        let before = u32::try_from(16_usize.saturating_sub(rest)).unwrap_or(0);
        return u128::from_le_bytes(*block).checked_shr(8_u32.saturating_mul(before)).unwrap_or(0);
    }
    let rest = bytes.get(start..).unwrap_or_default();
    let mut block = [0; 16];
    if let Some(to) = block.get_mut(..rest.len()) {
        to.copy_from_slice(rest);
    }
    u128::from_le_bytes(block)
}
