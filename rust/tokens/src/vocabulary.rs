//! The tokens of a vocabulary and their ranks, in both directions.
//!
//! The bytes stay where the binary holds them. An open-addressing table of 8-byte slots (a hash tag and a rank) finds
//! the rank of a byte string; a matching tag is confirmed against the bytes, so that a count never rests on a hash.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "positions in tables whose sizes were checked when the vocabulary was read"
)]

use crate::error::Error;

/// The rank of what is no token; greater than any rank, so that "no merge" never wins.
pub(crate) const NO_RANK: u32 = u32::MAX;

const MAGIC: &[u8] = b"RTV1";
const PAIRS: usize = 1 << 16;

#[derive(Clone, Copy)]
struct Slot {
    tag: u32,
    rank: u32,
}

/// A set of tokens, numbered by rank from 0 without gaps.
pub(crate) struct Vocabulary {
    bytes: &'static [u8],
    /// `offsets[rank]..offsets[rank + 1]` are the bytes of a token.
    offsets: Vec<u32>,
    slots: Vec<Slot>,
    /// The rank of every two-byte string: the first thing every merge asks.
    pairs: Vec<u32>,
    /// The length of the longest token; longer strings are not looked up.
    longest: usize,
}

impl Vocabulary {
    /// Read the form that `vocab/rebuild.py` writes. Every single byte must be a token, or some text had no encoding.
    pub(crate) fn read(data: &'static [u8]) -> Result<Self, Error> {
        let rest = data.strip_prefix(MAGIC).ok_or(Error::VocabularyDamaged)?;
        let (count, rest) = rest.split_first_chunk::<4>().ok_or(Error::VocabularyDamaged)?;
        let count = u32::from_le_bytes(*count);
        let (lengths, bytes) = rest.split_at_checked(count as usize).ok_or(Error::VocabularyDamaged)?;
        let mut vocabulary = Self::empty(bytes, lengths.len());
        let mut end = 0_u32;
        for (rank, length) in (0..count).zip(lengths) {
            let start = end;
            end = end.checked_add(u32::from(*length)).ok_or(Error::VocabularyDamaged)?;
            let token = bytes.get(start as usize..end as usize).ok_or(Error::VocabularyDamaged)?;
            vocabulary.offsets.push(end);
            vocabulary.insert(token, rank);
        }
        let single_bytes = (0..=u8::MAX).all(|byte| vocabulary.rank(&[byte]) != NO_RANK);
        if single_bytes && end as usize == bytes.len() { Ok(vocabulary) } else { Err(Error::VocabularyDamaged) }
    }

    fn empty(bytes: &'static [u8], count: usize) -> Self {
        let mut offsets = Vec::with_capacity(count + 1);
        offsets.push(0);
        // At most half full: a search that fails, the common case while merging, ends after one or two slots.
        let size = (count * 2).next_power_of_two();
        let slots = vec![Slot { tag: 0, rank: NO_RANK }; size];
        Self { bytes, offsets, slots, pairs: vec![NO_RANK; PAIRS], longest: 0 }
    }

    /// Return how many tokens there are, special tokens not counted.
    pub(crate) fn size(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Return the bytes of the token of `rank`.
    pub(crate) fn token(&self, rank: u32) -> Option<&'static [u8]> {
        let start = *self.offsets.get(rank as usize)?;
        let end = *self.offsets.get(rank as usize + 1)?;
        self.bytes.get(start as usize..end as usize)
    }

    /// Return the rank of `token`, or [`NO_RANK`].
    #[inline]
    pub(crate) fn rank(&self, token: &[u8]) -> u32 {
        match token {
            [first, second] => self.pair_rank(*first, *second),
            _ if token.len() > self.longest => NO_RANK,
            _ => self.search(token),
        }
    }

    /// Return the rank of the token of these two bytes, or [`NO_RANK`].
    #[inline]
    pub(crate) fn pair_rank(&self, first: u8, second: u8) -> u32 {
        self.pairs.get(pair_index(first, second)).copied().unwrap_or(NO_RANK)
    }

    fn search(&self, token: &[u8]) -> u32 {
        let hash = hash_of(token);
        let mut position = self.home(hash);
        while let Some(slot) = self.slots.get(position) {
            if slot.rank == NO_RANK || (slot.tag == tag_of(hash) && self.token(slot.rank) == Some(token)) {
                return slot.rank;
            }
            position = (position + 1) & (self.slots.len() - 1);
        }
        NO_RANK
    }

    fn insert(&mut self, token: &[u8], rank: u32) {
        self.longest = self.longest.max(token.len());
        if let [first, second] = token {
            if let Some(pair) = self.pairs.get_mut(pair_index(*first, *second)) {
                *pair = rank;
            }
        }
        let hash = hash_of(token);
        let mut position = self.home(hash);
        while self.slots.get(position).is_some_and(|slot| slot.rank != NO_RANK) {
            position = (position + 1) & (self.slots.len() - 1);
        }
        if let Some(slot) = self.slots.get_mut(position) {
            *slot = Slot { tag: tag_of(hash), rank };
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "the mask keeps fewer bits than are cut off")]
    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.slots.len() - 1)
    }
}

fn pair_index(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

#[allow(clippy::cast_possible_truncation, reason = "the upper half is the tag, the lower half is the position")]
const fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Hash a short byte string: two overlapping reads cover up to 16 bytes, one wide multiplication mixes them.
///
/// The vocabularies are fixed and every hit is confirmed, so this needs to be fast and even, not keyed.
#[inline]
fn hash_of(token: &[u8]) -> u64 {
    const SEEDS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03];
    let mut state = token.len() as u64;
    let mut rest = token;
    while let Some((chunk, after)) = rest.split_first_chunk::<16>() {
        state = fold(u128::from_le_bytes(*chunk), state, SEEDS);
        rest = after;
    }
    fold(short(rest), state, SEEDS)
}

/// Read up to 15 bytes as a number; the length is mixed in elsewhere.
#[inline]
fn short(bytes: &[u8]) -> u128 {
    if let (Some(head), Some(tail)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        return u128::from(u64::from_le_bytes(*head)) << 64 | u128::from(u64::from_le_bytes(*tail));
    }
    if let (Some(head), Some(tail)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return u128::from(u32::from_le_bytes(*head)) << 64 | u128::from(u32::from_le_bytes(*tail));
    }
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the halves of a wide number are taken apart on purpose")]
const fn fold(value: u128, state: u64, seeds: [u64; 2]) -> u64 {
    let [first, second] = seeds;
    let product = ((value >> 64) as u64 ^ first ^ state) as u128 * (value as u64 ^ second) as u128;
    (product >> 64) as u64 ^ product as u64
}
