//! Where the rows of the newest state are stored.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::LazyLock;

use crate::laid::{Laid, Plan, Run};
use crate::rows;

/// A message that holds segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Where it lies in the stream.
    pub position: u64,
    /// The how many-th of its session it is.
    pub number: u64,
    /// How many bytes of rows it holds, needed or not.
    pub stored_bytes: u64,
}

/// Where one row is stored, and how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub(crate) holder: u32,
    pub(crate) segment: u32,
    pub(crate) row: u32,
    pub(crate) size: u32,
}

/// What is stored of the rows of the newest state; as it is made, nothing.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    pub(crate) spots: HashMap<u64, Spot, BuildHasherDefault<Known>>,
    pub(crate) holders: Vec<Holder>,
}

impl Layout {
    /// Return where the rows of `lines` are, in order, as `runs` say; a run's source is the place in `holders`.
    /// Of runs that name more rows, or fewer, as many as both have.
    #[must_use]
    pub fn of(lines: &[u8], runs: &[Run], holders: Vec<Holder>) -> Self {
        let places = runs
            .iter()
            .flat_map(|run| (run.first..run.first.saturating_add(run.count)).map(|row| (run.source, run.segment, row)));
        let spots = rows(lines)
            .zip(places)
            .map(|(text, (holder, segment, row))| (hash(text), Spot { holder, segment, row, size: size(text) }));
        Self { spots: spots.collect(), holders }
    }

    /// Return how many rows are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spots.len()
    }

    /// Return whether no row is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }

    /// Return what is to be stored of a state with the rows of `lines`. O(bytes), of which all are hashed and those
    /// that are new deflated.
    #[must_use]
    pub fn keep(&self, lines: &[u8]) -> Laid {
        let known: Vec<_> = rows(lines).map(hash).map(|hash| (hash, self.spots.get(&hash))).collect();
        let mut used = vec![0_u64; self.holders.len()];
        for spot in known.iter().filter_map(|(_, spot)| *spot) {
            if let Some(bytes) = used.get_mut(at(spot.holder)) {
                *bytes = bytes.saturating_add(u64::from(spot.size));
            }
        }
        let worth: Vec<bool> = used.iter().zip(&self.holders).map(|(used, holder)| is_worth(*used, holder)).collect();
        let mut plan = Plan::new(self, known.len());
        for (row, (hash, spot)) in rows(lines).zip(known) {
            match spot.filter(|spot| worth.get(at(spot.holder)).is_some_and(|is_worth| *is_worth)) {
                Some(spot) => plan.name(hash, *spot),
                None => plan.store(hash, row),
            }
        }
        plan.end()
    }
}

/// What is read is at most twice what is needed.
fn is_worth(used_bytes: u64, holder: &Holder) -> bool {
    used_bytes.saturating_mul(2) >= holder.stored_bytes
}

/// Return a place in a list; one that no machine has is in none.
pub(crate) fn at(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// Return the length of a row; no body is so long.
pub(crate) fn size(row: &[u8]) -> u32 {
    u32::try_from(row.len()).unwrap_or(u32::MAX)
}

pub(crate) fn hash(row: &[u8]) -> u64 {
    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    SEED.hash_one(row)
}

/// Takes a hash for what it is: one already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known(u64);

impl Hasher for Known {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |all, byte| all.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
