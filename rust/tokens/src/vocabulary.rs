//! The tokens of a vocabulary as the merges that make them.
//!
//! Every token but the single bytes is two other tokens, merged last. These pairs are the whole vocabulary: merging asks
//! only which token two neighbours make, and the bytes of a token follow from its parts. The tables that merging asks lie
//! in the binary as `vocab/rebuild.py` wrote them, so that a program that starts has nothing to build; what fewer ask is
//! worked out when it is first needed.
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

const MAGIC: &[u8] = b"RTV3";
const SINGLE_BYTES: u32 = 256;
const BYTE_PAIRS: usize = 1 << 16;
/// Bits of a rank: no vocabulary has more tokens than this can number.
const RANK_BITS: u32 = 18;
const RANK_MASK: u64 = (1 << RANK_BITS) - 1;

/// A set of tokens, numbered by rank from 0 without gaps.
pub(crate) struct Vocabulary {
    single: &'static [u8; 256],
    /// The rank of every single byte.
    byte_ranks: [u32; 256],
    /// The token of every two bytes: the first thing that every merge asks.
    byte_pairs: &'static [[u8; 4]],
    /// For every left token, a bit for each right one that it makes a token with, several to a bit: most pairs that are
    /// asked about make none, and end here. The tokens of text have low ranks, so that theirs lie close together.
    partners: &'static [[u8; 8]],
    /// Left rank, right rank and token in one number; 0 is a free slot.
    slots: &'static [[u8; 8]],
    shift: u32,
    /// The tokens that hold a part of one character together with bytes of another.
    straddling: &'static [[u8; 4]],
    origins: OnceLock<Vec<Origin>>,
    characters: OnceLock<Characters>,
}

/// Where a token comes from: the two that are merged last, and how many bytes it has. A single byte has no parts.
#[derive(Clone, Copy)]
struct Origin {
    left: u32,
    right: u32,
    len: u32,
}

impl Vocabulary {
    /// Read the form that `vocab/rebuild.py` writes.
    pub(crate) fn read(data: &'static [u8]) -> Result<Self, Error> {
        Self::parsed(data).ok_or(Error::VocabularyDamaged)
    }

    fn parsed(data: &'static [u8]) -> Option<Self> {
        let (sizes, rest) = data.strip_prefix(MAGIC)?.split_first_chunk::<12>()?;
        let [size, slots, straddling] = [0, 4, 8].map(|at| sizes.get(at..at + 4).map_or(0, little_endian));
        let (single, rest) = rest.split_first_chunk::<256>()?;
        let (byte_pairs, rest) = rest.split_at_checked(BYTE_PAIRS * 4)?;
        let (partners, rest) = rest.split_at_checked(size.checked_mul(8)?)?;
        let (slots, rest) = rest.split_at_checked(slots.checked_mul(8)?)?;
        let (slots, rest) = (slots.as_chunks::<8>().0, rest.as_chunks::<4>().0);
        if !slots.len().is_power_of_two() || rest.len() != straddling || size as u64 > RANK_MASK {
            return None;
        }
        let mut byte_ranks = [NO_TOKEN; 256];
        for (rank, byte) in (0..).zip(single) {
            *byte_ranks.get_mut(usize::from(*byte))? = rank;
        }
        Some(Self {
            single,
            byte_ranks,
            byte_pairs: byte_pairs.as_chunks::<4>().0,
            partners: partners.as_chunks::<8>().0,
            slots,
            shift: u64::BITS - slots.len().trailing_zeros(),
            straddling: rest,
            origins: OnceLock::new(),
            characters: OnceLock::new(),
        })
    }

    /// Return how many tokens there are, special tokens not counted.
    pub(crate) const fn size(&self) -> usize {
        self.partners.len()
    }

    /// Return the tokens that hold a part of one character together with bytes of another.
    pub(crate) fn straddling(&self) -> impl Iterator<Item = u32> + '_ {
        self.straddling.iter().map(|token| u32::from_le_bytes(*token))
    }

    /// Return what is known of every character; worked out when it is first asked for.
    #[inline]
    pub(crate) fn characters(&self) -> &Characters {
        self.characters.get_or_init(|| Characters::of(self))
    }

    /// Return the two tokens that `token` is merged of last, or `None` for a single byte.
    #[inline]
    pub(crate) fn parts(&self, token: u32) -> Option<(u32, u32)> {
        let origin = self.origins().get(token as usize)?;
        (origin.len > 1).then_some((origin.left, origin.right))
    }

    /// Return the length of a token in bytes.
    pub(crate) fn len_of(&self, token: u32) -> usize {
        self.origins().get(token as usize).map_or(0, |origin| origin.len as usize)
    }

    /// Return the byte of a token that is one.
    pub(crate) fn single_byte(&self, token: u32) -> Option<u8> {
        self.single.get(token as usize).copied()
    }

    /// Return the rank of a single byte.
    #[inline]
    pub(crate) fn byte_rank(&self, byte: u8) -> u32 {
        self.byte_ranks.get(usize::from(byte)).copied().unwrap_or(NO_TOKEN)
    }

    /// Return the token of these two bytes, or [`NO_TOKEN`].
    #[inline]
    pub(crate) fn byte_pair(&self, first: u8, second: u8) -> u32 {
        let pair = self.byte_pairs.get(usize::from(first) << 8 | usize::from(second));
        pair.map_or(NO_TOKEN, |token| u32::from_le_bytes(*token))
    }

    /// Return the bits of what `left` makes a token with, folded to half a word: see [`Vocabulary::partner_bit`].
    pub(crate) fn partners(&self, left: u32) -> u32 {
        let partners = self.partners.get(left as usize).map_or(0, |bits| u64::from_le_bytes(*bits));
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
        let partners = self.partners.get(left as usize).map_or(0, |bits| u64::from_le_bytes(*bits));
        if partners & 1 << partner_place(right) == 0 {
            return NO_TOKEN;
        }
        let key = u64::from(left) << RANK_BITS | u64::from(right);
        let mut position = (hash_of(key) >> self.shift) as usize;
        while let Some(slot) = self.slots.get(position).map(|slot| u64::from_le_bytes(*slot)) {
            if slot >> RANK_BITS == key {
                return (slot & RANK_MASK) as u32;
            }
            if slot == 0 {
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

    fn origins(&self) -> &[Origin] {
        self.origins.get_or_init(|| {
            let mut origins = vec![Origin { left: 0, right: 0, len: 1 }; self.size()];
            for slot in self.slots.iter().map(|slot| u64::from_le_bytes(*slot)).filter(|slot| *slot != 0) {
                if let Some(origin) = origins.get_mut((slot & RANK_MASK) as usize) {
                    let (left, right) = (slot >> (2 * RANK_BITS), slot >> RANK_BITS & RANK_MASK);
                    *origin = Origin { left: left as u32, right: right as u32, len: 0 };
                }
            }
            // The parts of a token have lower ranks, and so their lengths before it does.
            for token in SINGLE_BYTES as usize..origins.len() {
                let Some(origin) = origins.get(token).copied() else { break };
                let len = |part: u32| origins.get(part as usize).map_or(0, |part| part.len);
                let len = len(origin.left) + len(origin.right);
                if let Some(origin) = origins.get_mut(token) {
                    origin.len = len;
                }
            }
            origins
        })
    }
}

fn little_endian(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Return the bit that stands for a right token; the same as in `vocab/rebuild.py`.
#[inline]
const fn partner_place(right: u32) -> u32 {
    right.wrapping_mul(0x9e37_79b9) >> 26
}

/// Mix the bits of two ranks; the same as in `vocab/rebuild.py`.
#[inline]
const fn hash_of(key: u64) -> u64 {
    let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}
