//! Merges a short piece, the common case: every unit has a lane, and one comparison of all lanes finds the next merge.
//!
//! A lane holds the token that its unit would make with the next one, and below it the lane's own number, so that the
//! smallest lane is the lowest rank, and the leftmost of these. Nothing moves: a merged unit keeps the lane it began in.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::inline_always,
    reason = "numbers of lanes, below N, which is at most 256; compiled anew for each level of instructions"
)]

use crate::vocabulary::{NO_TOKEN, Vocabulary};

/// A lane whose unit makes no token with the next one.
const IDLE: u32 = u32::MAX;
const LANE_BITS: u32 = 8;

/// Units next to each other, at most `N`.
pub(crate) struct Lanes<const N: usize> {
    joins: [u32; N],
    tokens: [u32; N],
    next: [u8; N],
    previous: [u8; N],
    units: usize,
}

impl<const N: usize> Lanes<N> {
    pub(crate) const fn new() -> Self {
        Self { joins: [IDLE; N], tokens: [NO_TOKEN; N], next: [0; N], previous: [0; N], units: 0 }
    }

    /// Return the number of tokens of `piece`, which has 2 to `N` bytes.
    #[inline(always)]
    pub(crate) fn count_bytes(&mut self, vocabulary: &Vocabulary, piece: &[u8]) -> usize {
        let piece = &piece[..piece.len().min(N)];
        self.joins = [IDLE; N];
        let mut before = 0;
        for (lane, byte) in piece.iter().enumerate() {
            self.tokens[lane] = vocabulary.byte_rank(*byte);
            if lane > 0 {
                self.joins[lane - 1] = join(vocabulary.byte_pair(before, *byte), lane - 1);
            }
            before = *byte;
        }
        self.units = piece.len();
        self.merge(vocabulary)
    }

    /// Begin a row of units that are tokens already.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.joins = [IDLE; N];
        self.units = 0;
    }

    /// Append a unit, and the token that the one before it makes with it; tell whether there was room.
    #[inline(always)]
    pub(crate) fn push(&mut self, token: u32, made: u32) -> bool {
        let Some(place) = self.tokens.get_mut(self.units) else { return false };
        *place = token;
        if let Some(before) = self.units.checked_sub(1) {
            self.joins[before] = join(made, before);
        }
        self.units += 1;
        true
    }

    /// Return the number of tokens of the units that were pushed.
    #[inline(always)]
    pub(crate) fn count(&mut self, vocabulary: &Vocabulary) -> usize {
        self.merge(vocabulary)
    }

    /// Return the tokens that were counted last, in order.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = u32> + '_ {
        let mut lane = 0;
        std::iter::from_fn(move || {
            let token = *self.tokens[..self.units].get(lane)?;
            lane = usize::from(self.next[lane]);
            Some(token)
        })
    }

    #[inline(always)]
    fn merge(&mut self, vocabulary: &Vocabulary) -> usize {
        let units = self.units;
        for lane in 0..N {
            self.next[lane] = (lane + 1) as u8;
            self.previous[lane] = lane.wrapping_sub(1) as u8;
        }
        let mut count = units;
        loop {
            let lowest = self.joins.iter().copied().fold(IDLE, u32::min);
            if lowest == IDLE {
                return count;
            }
            count -= 1;
            let lane = lowest as usize & ((1 << LANE_BITS) - 1);
            let token = lowest >> LANE_BITS;
            let joined = usize::from(self.next[lane]);
            let after = usize::from(self.next[joined]);
            self.tokens[lane] = token;
            self.joins[joined] = IDLE;
            self.next[lane] = after as u8;
            self.joins[lane] = IDLE;
            if after < units {
                self.previous[after] = lane as u8;
                self.joins[lane] = join(vocabulary.merged(token, self.tokens[after]), lane);
            }
            if lane > 0 {
                let before = usize::from(self.previous[lane]);
                self.joins[before] = join(vocabulary.merged(self.tokens[before], token), before);
            }
        }
    }
}

#[inline(always)]
fn join(token: u32, lane: usize) -> u32 {
    if token == NO_TOKEN { IDLE } else { token << LANE_BITS | lane as u32 }
}
