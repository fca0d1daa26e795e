//! The tokens of a vocabulary as the merges that make them.
//!
//! Every token but the single bytes is two other tokens, merged last. These pairs are the whole vocabulary: merging asks
//! only which token two neighbours make, and the bytes of a token follow from its parts. The pairs stay where the binary
//! holds them; a hash table from a pair to its token is built at the first use.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "positions in tables whose sizes were checked when the vocabulary was read; hashes are cut on purpose"
)]

use std::sync::OnceLock;

use crate::error::Error;
use crate::units::Characters;

/// The token of what is no token; greater than any rank, so that "no merge" never wins.
pub(crate) const NO_TOKEN: u32 = u32::MAX;

const MAGIC: &[u8] = b"RTV2";
const SINGLE_BYTES: u32 = 256;
const BYTE_PAIRS: usize = 1 << 16;
/// Bits of a rank: no vocabulary has more tokens than this can number.
const RANK_BITS: u32 = 18;

/// A set of tokens, numbered by rank from 0 without gaps.
pub(crate) struct Vocabulary {
    /// The ranks of the left and of the right part, three bytes each, of every token from rank 256 on.
    parts: &'static [[u8; 6]],
    single: &'static [u8; 256],
    /// The tokens that hold a part of one character together with bytes of another.
    straddling: &'static [[u8; 4]],
    /// The rank of every single byte.
    byte_ranks: [u32; 256],
    /// The length of every token in bytes.
    lengths: Vec<u8>,
    /// The token of every two bytes: the first thing that every merge asks.
    byte_pairs: Vec<u32>,
    /// Left rank, right rank and token in one number; 0 is a free slot. At most half full.
    slots: Vec<u64>,
    shift: u32,
    /// For every left token, a bit for each right one that it makes a token with, several to a bit: most pairs that are
    /// asked about make none, and end here. The tokens of text have low ranks, so that theirs lie close together.
    partners: Vec<u64>,
    characters: OnceLock<Characters>,
}

impl Vocabulary {
    /// Read the form that `vocab/rebuild.py` writes.
    pub(crate) fn read(data: &'static [u8]) -> Result<Self, Error> {
        Self::parsed(data).ok_or(Error::VocabularyDamaged)
    }

    fn parsed(data: &'static [u8]) -> Option<Self> {
        let (count, rest) = data.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        let (straddling, rest) = rest.split_first_chunk::<4>()?;
        let (single, rest) = rest.split_first_chunk::<256>()?;
        let size = u32::from_le_bytes(*count);
        let (parts, rest) = rest.split_at_checked(size.checked_sub(SINGLE_BYTES)? as usize * 6)?;
        let ((parts, []), (rest, [])) = (parts.as_chunks::<6>(), rest.as_chunks::<4>()) else { return None };
        if rest.len() != u32::from_le_bytes(*straddling) as usize || size >= 1 << RANK_BITS {
            return None;
        }
        let slot_count = (parts.len() * 5 / 4).next_power_of_two();
        let mut vocabulary = Self {
            parts,
            single,
            straddling: rest,
            byte_ranks: [NO_TOKEN; 256],
            lengths: vec![1; SINGLE_BYTES as usize],
            byte_pairs: vec![NO_TOKEN; BYTE_PAIRS],
            slots: vec![0; slot_count],
            shift: u64::BITS - slot_count.trailing_zeros(),
            partners: vec![0; size as usize],
            characters: OnceLock::new(),
        };
        for (rank, byte) in (0..).zip(single) {
            *vocabulary.byte_ranks.get_mut(usize::from(*byte))? = rank;
        }
        for (rank, pair) in (SINGLE_BYTES..).zip(parts) {
            let (left, right) = ranks_of(*pair);
            let length =
                vocabulary.lengths.get(left as usize)?.checked_add(*vocabulary.lengths.get(right as usize)?)?;
            vocabulary.lengths.push(length);
            vocabulary.insert(left, right, rank);
        }
        Some(vocabulary)
    }

    fn insert(&mut self, left: u32, right: u32, rank: u32) {
        if let (Some(first), Some(second)) = (self.single_byte(left), self.single_byte(right))
            && let Some(pair) = self.byte_pairs.get_mut(byte_pair(first, second))
        {
            *pair = rank;
        }
        let key = key_of(left, right);
        let hash = hash_of(key);
        if let Some(partners) = self.partners.get_mut(left as usize) {
            *partners |= 1 << partner_place(right);
        }
        let mut position = self.home(hash);
        while self.slots.get(position).is_some_and(|slot| *slot != 0) {
            position = (position + 1) & (self.slots.len() - 1);
        }
        if let Some(slot) = self.slots.get_mut(position) {
            *slot = key << RANK_BITS | u64::from(rank);
        }
    }

    /// Return how many tokens there are, special tokens not counted.
    pub(crate) const fn size(&self) -> usize {
        SINGLE_BYTES as usize + self.parts.len()
    }

    /// Return what is known of every character; worked out when it is first asked for.
    #[inline]
    pub(crate) fn characters(&self) -> &Characters {
        self.characters.get_or_init(|| Characters::of(self))
    }

    /// Return the tokens that hold a part of one character together with bytes of another.
    pub(crate) fn straddling(&self) -> impl Iterator<Item = u32> + '_ {
        self.straddling.iter().map(|token| u32::from_le_bytes(*token))
    }

    /// Return the two tokens that `token` is merged of last, or `None` for a single byte.
    #[inline]
    pub(crate) fn parts(&self, token: u32) -> Option<(u32, u32)> {
        self.parts.get(token.checked_sub(SINGLE_BYTES)? as usize).copied().map(ranks_of)
    }

    /// Return the length of a token in bytes.
    pub(crate) fn len_of(&self, token: u32) -> usize {
        self.lengths.get(token as usize).copied().map_or(0, usize::from)
    }

    /// Return the rank of a single byte.
    #[inline]
    pub(crate) fn byte_rank(&self, byte: u8) -> u32 {
        self.byte_ranks.get(usize::from(byte)).copied().unwrap_or(NO_TOKEN)
    }

    /// Return the token of these two bytes, or [`NO_TOKEN`].
    #[inline]
    pub(crate) fn byte_pair(&self, first: u8, second: u8) -> u32 {
        self.byte_pairs.get(byte_pair(first, second)).copied().unwrap_or(NO_TOKEN)
    }

    /// Return the bits of what `left` makes a token with, folded to half a word: see [`Vocabulary::partner_bit`].
    pub(crate) fn partners(&self, left: u32) -> u32 {
        let partners = self.partners.get(left as usize).copied().unwrap_or(0);
        partners as u32 | (partners >> 32) as u32
    }

    /// Return the bit that stands for `right` among the partners of a token.
    #[inline]
    pub(crate) const fn partner_bit(right: u32) -> u32 {
        1 << (partner_place(right) & 31)
    }

    /// Return the token that two neighbouring tokens merge to, or [`NO_TOKEN`].
    #[inline]
    pub(crate) fn merged(&self, left: u32, right: u32) -> u32 {
        if self.partners.get(left as usize).is_none_or(|partners| partners & 1 << partner_place(right) == 0) {
            return NO_TOKEN;
        }
        let key = key_of(left, right);
        let hash = hash_of(key);
        let mut position = self.home(hash);
        while let Some(slot) = self.slots.get(position) {
            if slot >> RANK_BITS == key {
                return (slot & ((1 << RANK_BITS) - 1)) as u32;
            }
            if *slot == 0 {
                break;
            }
            position = (position + 1) & (self.slots.len() - 1);
        }
        NO_TOKEN
    }

    /// Append the bytes of `token`; return whether it is one.
    pub(crate) fn push_bytes(&self, token: u32, bytes: &mut Vec<u8>) -> bool {
        if token as usize >= self.size() {
            return false;
        }
        let mut waiting = vec![token];
        while let Some(token) = waiting.pop() {
            match self.parts(token) {
                Some((left, right)) => waiting.extend([right, left]),
                None => bytes.extend(self.single_byte(token)),
            }
        }
        true
    }

    /// Return the byte of a token that is one.
    pub(crate) fn single_byte(&self, token: u32) -> Option<u8> {
        self.single.get(token as usize).copied()
    }

    #[inline]
    const fn home(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }
}

#[inline]
fn ranks_of(pair: [u8; 6]) -> (u32, u32) {
    let [l0, l1, l2, r0, r1, r2] = pair;
    (u32::from_le_bytes([l0, l1, l2, 0]), u32::from_le_bytes([r0, r1, r2, 0]))
}

#[inline]
fn byte_pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

#[inline]
fn key_of(left: u32, right: u32) -> u64 {
    u64::from(left) << RANK_BITS | u64::from(right)
}

#[inline]
const fn partner_place(right: u32) -> u32 {
    right.wrapping_mul(0x9e37_79b9) >> 26
}

#[inline]
const fn hash_of(key: u64) -> u64 {
    // Two rounds: the filter and the table read different bits, and neither may follow from the other alone.
    let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}
