//! Merges the bytes of one piece into tokens, lowest rank first, leftmost first among equals.
//!
//! Two ways with the same result: pieces of ordinary words scan a short list for the lowest rank, long pieces use a
//! heap, so that no piece costs more than O(n log n). A test holds both against the definition.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "positions in a piece, which is a part of a string and so shorter than isize::MAX"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::vocabulary::{NO_RANK, Vocabulary};

/// Up to this many bytes a scan beats the heap: 128 elements are two kilobytes that never leave the first cache.
const SCAN_BYTES_MAX: usize = 128;

/// A token in the making: where it starts, and the rank it would have together with its right neighbour.
#[derive(Clone, Copy)]
struct Part {
    start: usize,
    rank: u32,
}

/// A part in a linked list over the bytes of the piece; its index is its start.
#[derive(Clone, Copy)]
struct Link {
    previous: usize,
    next: usize,
    rank: u32,
}

/// The working memory of merging, kept between pieces so that a piece allocates nothing.
#[derive(Default)]
pub(crate) struct Merger {
    parts: Vec<Part>,
    links: Vec<Link>,
    starts: Vec<usize>,
}

impl Merger {
    /// Return where the tokens of `piece` start, ascending. The first is 0; an empty piece has none.
    pub(crate) fn token_starts(&mut self, ranks: &Vocabulary, piece: &[u8]) -> &[usize] {
        self.starts.clear();
        if piece.len() <= SCAN_BYTES_MAX {
            self.scan(ranks, piece);
        } else {
            self.heap(ranks, piece);
        }
        &self.starts
    }

    fn scan(&mut self, ranks: &Vocabulary, piece: &[u8]) {
        self.parts.clear();
        self.parts.extend((0..piece.len()).map(|start| Part { start, rank: first_rank(ranks, piece, start) }));
        while let Some(lowest) = self.lowest() {
            self.parts.remove(lowest + 1);
            self.update(ranks, piece, lowest);
            if let Some(before) = lowest.checked_sub(1) {
                self.update(ranks, piece, before);
            }
        }
        self.starts.extend(self.parts.iter().map(|part| part.start));
    }

    /// Return the index of the leftmost part with the lowest rank, or `None` if nothing merges any more.
    fn lowest(&self) -> Option<usize> {
        let mut lowest = None;
        let mut lowest_rank = NO_RANK;
        for (index, part) in self.parts.iter().enumerate() {
            if part.rank < lowest_rank {
                lowest_rank = part.rank;
                lowest = Some(index);
            }
        }
        lowest
    }

    fn update(&mut self, ranks: &Vocabulary, piece: &[u8], index: usize) {
        let end = match self.parts.get(index + 1) {
            None => None,
            Some(_) => Some(self.parts.get(index + 2).map_or(piece.len(), |part| part.start)),
        };
        if let Some(part) = self.parts.get_mut(index) {
            part.rank = end.and_then(|end| piece.get(part.start..end)).map_or(NO_RANK, |joined| ranks.rank(joined));
        }
    }

    fn heap(&mut self, ranks: &Vocabulary, piece: &[u8]) {
        self.links.clear();
        self.links.extend((0..piece.len()).map(|start| Link {
            previous: start.wrapping_sub(1),
            next: start + 1,
            rank: first_rank(ranks, piece, start),
        }));
        // An entry is stale once its part has merged: its rank is then no longer the one in the list.
        let mut heap: BinaryHeap<_> = self.mergeable().collect();
        while let Some(Reverse((rank, start))) = heap.pop() {
            if self.links.get(start).is_none_or(|link| link.rank != rank) {
                continue;
            }
            let previous = self.join(start);
            for changed in [Some(start), previous].into_iter().flatten() {
                let rank = self.relink(ranks, piece, changed);
                if rank != NO_RANK {
                    heap.push(Reverse((rank, changed)));
                }
            }
        }
        let mut start = 0;
        while let Some(link) = self.links.get(start) {
            self.starts.push(start);
            start = link.next;
        }
    }

    fn mergeable(&self) -> impl Iterator<Item = Reverse<(u32, usize)>> + '_ {
        let entries = self.links.iter().enumerate().map(|(start, link)| Reverse((link.rank, start)));
        entries.filter(|Reverse((rank, _))| *rank != NO_RANK)
    }

    /// Take the part after `start` into it; return the part before, if there is one.
    fn join(&mut self, start: usize) -> Option<usize> {
        let joined = self.links.get(start)?.next;
        let after = self.links.get(joined)?.next;
        if let Some(link) = self.links.get_mut(joined) {
            link.rank = NO_RANK;
        }
        if let Some(link) = self.links.get_mut(after) {
            link.previous = start;
        }
        let link = self.links.get_mut(start)?;
        link.next = after;
        let previous = link.previous;
        (previous != usize::MAX).then_some(previous)
    }

    /// Work out the rank of the part at `start` together with the one after it, and keep it.
    fn relink(&mut self, ranks: &Vocabulary, piece: &[u8], start: usize) -> u32 {
        let Some(link) = self.links.get(start) else { return NO_RANK };
        let end = self.links.get(link.next).map(|link| link.next);
        let joined = end.and_then(|end| piece.get(start..end));
        let rank = joined.map_or(NO_RANK, |joined| ranks.rank(joined));
        if let Some(link) = self.links.get_mut(start) {
            link.rank = rank;
        }
        rank
    }
}

fn first_rank(ranks: &Vocabulary, piece: &[u8], start: usize) -> u32 {
    match piece.get(start..) {
        Some([first, second, ..]) => ranks.pair_rank(*first, *second),
        _ => NO_RANK,
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
