//! Goes over long runs by what is known of whole blocks of them, instead of character by character.
//!
//! Of each block it is kept which classes all of its characters are in, and which some are; of sixteen blocks again, and
//! so on. A block has the characters that begin in it.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "offsets in a text, which is shorter than isize::MAX; shifts by a few levels of four bits"
)]

use super::classes::{NEWLINE, NUMBER};
use super::cursor::Cursor;

/// How many bytes a block has.
pub(crate) const BLOCK_BYTES: usize = 256;
/// Sixteen blocks of one level are a block of the next.
const LEVEL_BITS: usize = 4;
/// The longest character, in bytes: a block's last one may reach so far behind it.
const CHARACTER_BYTES_MAX: usize = 4;

/// `[\r\n/]`, in the place of the class that no run has.
pub(super) const TAIL: u8 = NUMBER;

/// What is known of the characters of a block.
#[derive(Clone, Copy)]
pub(super) struct Summary {
    /// The classes that all are in.
    pub(super) all: u8,
    /// The classes that some are in.
    pub(super) any: u8,
}

impl Summary {
    const EMPTY: Self = Self { all: u8::MAX, any: 0 };

    const fn and(self, other: Self) -> Self {
        Self { all: self.all & other.all, any: self.any | other.any }
    }
}

/// One or more blocks.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    level: usize,
    index: usize,
    pub(super) summary: Summary,
}

impl Blocks {
    /// Return where they end, in bytes.
    pub(super) const fn end(self) -> usize {
        ((self.index + 1) << (LEVEL_BITS * self.level)) * BLOCK_BYTES
    }
}

/// The blocks of a run, from where it begins.
#[derive(Clone, Default)]
pub(crate) struct Leaps {
    levels: Vec<Vec<Summary>>,
}

impl Leaps {
    /// Take in the blocks that `text`, which begins where the run does, has all of.
    pub(crate) fn extend(&mut self, text: &[u8]) {
        while text.len() >= self.end() + BLOCK_BYTES + CHARACTER_BYTES_MAX {
            self.push(summary(text, self.end()));
        }
    }

    /// Keep the blocks within the first `len` bytes.
    pub(crate) fn cut(&mut self, len: usize) {
        for (number, level) in self.levels.iter_mut().enumerate() {
            level.truncate((len.saturating_sub(CHARACTER_BYTES_MAX) / BLOCK_BYTES) >> (LEVEL_BITS * number));
        }
    }

    /// Return how many bytes are known.
    pub(crate) fn end(&self) -> usize {
        self.levels.first().map_or(0, Vec::len) * BLOCK_BYTES
    }

    fn push(&mut self, summary: Summary) {
        let mut summary = summary;
        for number in 0.. {
            if self.levels.len() == number {
                self.levels.push(Vec::new());
            }
            let Some(level) = self.levels.get_mut(number) else { return };
            level.push(summary);
            let (groups, rest) = level.as_chunks::<{ 1 << LEVEL_BITS }>();
            let Some(group) = groups.last().filter(|_| rest.is_empty()) else { return };
            summary = group.iter().copied().fold(Summary::EMPTY, Summary::and);
        }
    }

    /// Return the most blocks that begin at `at`, end within `len`, and satisfy `wanted`.
    pub(super) fn most(&self, at: usize, len: usize, wanted: impl Fn(Summary) -> bool) -> Option<Blocks> {
        let block = at / BLOCK_BYTES;
        let levels = self.levels.iter().enumerate().rev();
        let mut found = levels.filter_map(|(level, summaries)| {
            let index = block >> (LEVEL_BITS * level);
            let summary = *summaries.get(index).filter(|_| index << (LEVEL_BITS * level) == block)?;
            Some(Blocks { level, index, summary })
        });
        found.find(|blocks| blocks.end() <= len && wanted(blocks.summary))
    }

    /// Return where the last of these blocks that has a character of a class begins.
    pub(super) fn last_with(&self, blocks: Blocks, class: u8) -> Option<usize> {
        let mut index = blocks.index;
        for level in self.levels.get(..blocks.level)?.iter().rev() {
            let first = index << LEVEL_BITS;
            let group = level.get(first..first + (1 << LEVEL_BITS))?;
            index = first + group.iter().rposition(|summary| summary.any & class != 0)?;
        }
        Some(index * BLOCK_BYTES)
    }
}

/// Return where the first character that begins at `at` or later does.
pub(super) fn character_from(text: &[u8], at: usize) -> usize {
    let inner = text.get(at..).unwrap_or_default().iter().take_while(|byte| **byte & 0xc0 == 0x80);
    at + inner.count()
}

fn summary(text: &[u8], start: usize) -> Summary {
    let mut cursor = Cursor::new(text);
    let mut at = character_from(text, start);
    let mut summary = Summary::EMPTY;
    while at < start + BLOCK_BYTES {
        let glyph = cursor.look(at);
        let tail = glyph.is(NEWLINE) || text.get(at) == Some(&b'/');
        let class = glyph.class & !TAIL | if tail { TAIL } else { 0 };
        summary = summary.and(Summary { all: class, any: class });
        at += glyph.len.max(1);
    }
    summary
}
