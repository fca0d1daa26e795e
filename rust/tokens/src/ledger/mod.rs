//! The sizes of a session's items, in order, and their sums.
//!
//! Items lie in blocks, each with its sum, so that a sum over any part reads whole blocks but for the two at its ends.
//!
//! Rules:
//! - A block holds 1 to `BLOCK_ITEMS` items, and two neighbours hold more than that together: n items lie in at most
//!   n / 32 + 1 blocks, however often parts were replaced. (Blocks of a fixed place would all be summed anew behind a
//!   replacement that is longer or shorter than what it replaces.)
//! - Items change only in `Ledger::append`, `Ledger::put` and `Ledger::replace`.

mod size;
mod snapshot;

use std::ops::Range;

pub use size::{Size, Sum};

use crate::error::Error;
pub(crate) use snapshot::VERSION;

/// A sum over 4,096 items reads as many sums of blocks as items, at most.
const BLOCK_ITEMS: usize = 64;

#[derive(Clone, Debug)]
struct Block {
    items: Vec<Size>,
    sum: Sum,
}

impl Block {
    fn of(items: &[Size]) -> Self {
        Self { items: items.to_vec(), sum: Sum::of(items) }
    }
}

/// The sizes of a session's items, in order. A place is a number of items: `0` before the first, `len` behind the last.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    blocks: Vec<Block>,
    len: usize,
    sum: Sum,
}

impl Ledger {
    /// Return the ledger of `items`. O(n).
    #[must_use]
    pub fn new(items: &[Size]) -> Self {
        let mut ledger = Self { blocks: items.chunks(BLOCK_ITEMS).map(Block::of).collect(), ..Self::default() };
        ledger.sum_up();
        ledger
    }

    /// Return how many items there are. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Return whether there is no item. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Return the sum of all sizes. O(1).
    #[must_use]
    pub fn total(&self) -> Sum {
        self.sum
    }

    /// Add an item behind the last. O(1) amortised.
    pub fn append(&mut self, size: Size) {
        match self.blocks.last_mut() {
            Some(block) if block.items.len() < BLOCK_ITEMS => {
                block.items.push(size);
                block.sum = block.sum.plus(size.into());
            }
            _ => self.blocks.push(Block::of(&[size])),
        }
        self.len = self.len.saturating_add(1);
        self.sum = self.sum.plus(size.into());
    }

    /// Put `size` where the item behind `place` was: what a streamed item grows by. O(n / 64), and no allocation.
    ///
    /// # Errors
    /// If there is no item; nothing was changed then.
    pub fn put(&mut self, place: usize, size: Size) -> Result<(), Error> {
        let (at, offset) = self.find(place.saturating_add(1)); // the end of an item is in its block
        let block = self.blocks.get_mut(at);
        let item = block.and_then(|block| Some((block.items.get_mut(offset.checked_sub(1)?)?, &mut block.sum)));
        let (item, sum) = item.ok_or(Error::NoItem { place, len: self.len })?;
        for sum in [sum, &mut self.sum] {
            *sum = sum.minus((*item).into()).plus(size.into());
        }
        *item = size;
        Ok(())
    }

    /// Put `sizes`, of any number, where the items `[start, end)` were. O(k + n / 64) for k that leave or come.
    ///
    /// # Errors
    /// If the range is backwards or reaches behind the end; nothing was changed then.
    pub fn replace(&mut self, range: Range<usize>, sizes: &[Size]) -> Result<(), Error> {
        self.check(&range)?;
        let (first, from) = self.find(range.start);
        let (last, to) = self.find(range.end);
        let mut items = self.items_of(first).get(..from).unwrap_or_default().to_vec();
        items.extend_from_slice(sizes);
        items.extend_from_slice(self.items_of(last).get(to..).unwrap_or_default());
        let end = last.saturating_add(1).min(self.blocks.len());
        self.blocks.splice(first..end, items.chunks(BLOCK_ITEMS).map(Block::of));
        let new = items.len().div_ceil(BLOCK_ITEMS);
        if let Some(newest) = first.saturating_add(new).checked_sub(1) {
            self.join(newest);
        }
        if let Some(before) = first.checked_sub(1) {
            self.join(before);
        }
        self.sum_up();
        Ok(())
    }

    /// Return the sum of the items before `place`. O(n / 64).
    ///
    /// # Errors
    /// If `place` lies behind the end.
    pub fn prefix(&self, place: usize) -> Result<Sum, Error> {
        self.check(&(0..place))?;
        let (at, offset) = self.find(place);
        let whole = self.blocks.iter().take(at).fold(Sum::default(), |sum, block| sum.plus(block.sum));
        Ok(whole.plus(Sum::of(self.items_of(at).get(..offset).unwrap_or_default())))
    }

    /// Return the sum of the items `[start, end)`. O(n / 64).
    ///
    /// # Errors
    /// If the range is backwards or reaches behind the end.
    pub fn span(&self, range: Range<usize>) -> Result<Sum, Error> {
        self.check(&range)?;
        Ok(self.prefix(range.end)?.minus(self.prefix(range.start)?))
    }

    /// Return how many items, from the first on, have a sum whose upper bound is at most `budget`. O(n / 64).
    #[must_use]
    pub fn fit_from_start(&self, budget: u64) -> usize {
        fit(self.blocks.iter(), budget, |block| block.items.iter())
    }

    /// Return how many items, from the last back, have a sum whose upper bound is at most `budget`. O(n / 64).
    #[must_use]
    pub fn fit_from_end(&self, budget: u64) -> usize {
        fit(self.blocks.iter().rev(), budget, |block| block.items.iter().rev())
    }

    /// Return bytes from which [`Ledger::restore`] makes this ledger again: 20 and 12 an item.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::write(self.len, self.items())
    }

    /// Return the ledger that `snapshot` was taken of.
    ///
    /// # Errors
    /// If the bytes are damaged, foreign, or of another version.
    pub fn restore(snapshot: &[u8]) -> Result<Self, Error> {
        Ok(Self::new(&snapshot::read(snapshot)?))
    }

    fn check(&self, range: &Range<usize>) -> Result<(), Error> {
        if range.start > range.end {
            return Err(Error::Backwards { start: range.start, end: range.end });
        }
        if range.end > self.len { Err(Error::NoPlace { place: range.end, len: self.len }) } else { Ok(()) }
    }

    /// Return the block that `place` is in and how far; a place between two blocks is at the end of the first.
    fn find(&self, place: usize) -> (usize, usize) {
        let mut left = place;
        for (at, block) in self.blocks.iter().enumerate() {
            if left <= block.items.len() {
                return (at, left);
            }
            left = left.saturating_sub(block.items.len());
        }
        (self.blocks.len(), 0)
    }

    fn items(&self) -> impl Iterator<Item = Size> {
        self.blocks.iter().flat_map(|block| block.items.iter().copied())
    }

    fn items_of(&self, at: usize) -> &[Size] {
        self.blocks.get(at).map_or(&[], |block| &block.items)
    }

    /// Put the block behind `at` into the one at `at` if one can hold both.
    fn join(&mut self, at: usize) {
        let next = at.saturating_add(1);
        let both = self.items_of(at).len().saturating_add(self.items_of(next).len());
        if next >= self.blocks.len() || both > BLOCK_ITEMS {
            return;
        }
        let second = self.blocks.remove(next);
        if let Some(block) = self.blocks.get_mut(at) {
            block.items.extend_from_slice(&second.items);
            block.sum = block.sum.plus(second.sum);
        }
    }

    fn sum_up(&mut self) {
        self.len = self.blocks.iter().fold(0, |len, block| len.saturating_add(block.items.len()));
        self.sum = self.blocks.iter().fold(Sum::default(), |sum, block| sum.plus(block.sum));
    }
}

impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        self.items().eq(other.items())
    }
}

impl Eq for Ledger {}

fn fit<'b, I: Iterator<Item = &'b Size>>(
    blocks: impl Iterator<Item = &'b Block>,
    budget: u64,
    items: impl Fn(&'b Block) -> I,
) -> usize {
    let (mut sum, mut count) = (Sum::default(), 0_usize);
    for block in blocks {
        let more = sum.plus(block.sum);
        if more.upper() > budget {
            let fits = |size: &&Size| {
                sum = sum.plus((**size).into());
                sum.upper() <= budget
            };
            return count.saturating_add(items(block).take_while(fits).count());
        }
        sum = more;
        count = count.saturating_add(block.items.len());
    }
    count
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
