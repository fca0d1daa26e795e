//! Words as numbers, and sets of numbers that say at once that most are not in them.

use std::collections::HashMap;

/// What a polynomial of words or letters is one in.
pub(crate) const BASE: u64 = 0x0100_0000_01b3;
/// Spreads what is alike.
pub(crate) const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
/// The filter has so many bits for each number that is held, and at least `BITS_MIN`: one in sixteen that are not there passes it.
const BITS_EACH: usize = 16;
const BITS_MIN: usize = 1 << 12;

/// Return the number of `word`.
pub(crate) fn word_hash(word: &str) -> u64 {
    let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(BASE));
    (hash ^ hash >> 29).wrapping_mul(MIX)
}

/// Return the number of words in a row.
pub(crate) fn row_hash(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0, |hash: u64, word| hash.wrapping_mul(BASE).wrapping_add(word))
}

/// Values by their numbers.
#[derive(Debug)]
pub(crate) struct Hashes<T> {
    held: HashMap<u64, T>,
    filter: Vec<u64>,
    shift: u32,
}

impl<T> Hashes<T> {
    /// Return the values of `held`.
    pub(crate) fn new(held: HashMap<u64, T>) -> Self {
        let bits = held.len().saturating_mul(BITS_EACH).max(BITS_MIN).next_power_of_two();
        let shift = u64::BITS.saturating_sub(bits.trailing_zeros());
        let mut filter = vec![0_u64; bits.div_ceil(64)];
        for hash in held.keys() {
            let (at, bit) = place(*hash, shift);
            if let Some(word) = filter.get_mut(at) {
                *word |= bit;
            }
        }
        Self { held, filter, shift }
    }

    /// Return the value of `hash`, if it has one.
    pub(crate) fn find(&self, hash: u64) -> Option<&T> {
        let (at, bit) = place(hash, self.shift);
        let may_be = self.filter.get(at).is_some_and(|word| word & bit != 0);
        if may_be { self.held.get(&hash) } else { None }
    }
}

/// Return the word of the filter that `hash` is marked in, and the bit of it.
fn place(hash: u64, shift: u32) -> (usize, u64) {
    let mixed = hash.wrapping_mul(MIX) >> shift;
    (usize::try_from(mixed >> 6).unwrap_or_default(), 1 << (mixed & 63))
}

#[cfg(test)]
mod tests {
    use super::{Hashes, row_hash, word_hash};

    #[test]
    fn what_is_held_is_found_and_nothing_else() {
        let held = Hashes::new((0..5_000_u64).map(|one| (row_hash([one, 7].into_iter()), one)).collect());
        assert!((0..5_000).all(|one| held.find(row_hash([one, 7].into_iter())) == Some(&one)));
        assert!((5_000..50_000).all(|one| held.find(row_hash([one, 7].into_iter())).is_none()));
        assert_ne!(word_hash("ignore"), word_hash("erongi"));
    }
}
