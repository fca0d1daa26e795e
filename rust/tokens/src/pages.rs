//! One byte a code point, from two tables: the first names a block of 256 code points, the second holds the blocks.

const BLOCK_SIZE: usize = 256;
/// Where the blocks begin.
pub(crate) const BLOCKS_START: usize = 0x11_0000 / BLOCK_SIZE;

/// Return the byte of a code point; 0 for what is no code point.
#[inline]
pub(crate) fn byte_of(pages: &[u8], code_point: usize) -> u8 {
    let block = pages.get(..BLOCKS_START).and_then(|index| index.get(code_point / BLOCK_SIZE));
    let Some(block) = block else { return 0 };
    let offset = BLOCKS_START.saturating_add(usize::from(*block).saturating_mul(BLOCK_SIZE));
    pages.get(offset.saturating_add(code_point % BLOCK_SIZE)).copied().unwrap_or(0)
}

/// Return how many bytes the two tables take: a file may go on behind them.
pub(crate) fn size_bytes(pages: &[u8]) -> usize {
    let blocks = pages.get(..BLOCKS_START).and_then(|index| index.iter().max());
    blocks
        .map_or(0, |last| BLOCKS_START.saturating_add(usize::from(*last).saturating_add(1).saturating_mul(BLOCK_SIZE)))
}
