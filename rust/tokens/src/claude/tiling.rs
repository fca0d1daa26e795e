//! The fewest pieces that a marked text can be tiled with, one symbol after the other.

use super::pieces::Pieces;

/// No piece is longer than a `u8` says.
const RING: usize = 256;

/// The tiling of the symbols so far. A symbol takes as long as there are pieces that end at it.
#[derive(Clone)]
pub(super) struct Tiling {
    node: u32,
    /// How many symbols there were, modulo the length of the ring.
    at: u8,
    /// The fewest tokens of the text up to each of the last symbols.
    fewest: [u32; RING],
}

impl Tiling {
    pub(super) const fn new() -> Self {
        Self { node: 0, at: 0, fewest: [0; RING] }
    }

    /// Begin again with no symbol.
    pub(super) fn clear(&mut self) {
        self.node = 0;
        self.at = 0;
        self.put(0);
    }

    /// Go on by a mark, which is a token where no piece takes it in.
    #[inline]
    pub(super) fn mark(&mut self, pieces: &Pieces, symbol: u16) {
        self.push(pieces, symbol, 1);
    }

    /// Go on by a character.
    #[inline]
    pub(super) fn character(&mut self, pieces: &Pieces, character: char) {
        let symbol = pieces.symbol(character);
        self.push(pieces, symbol, pieces.alone(character, symbol));
    }

    /// Return the fewest tokens of everything so far.
    #[inline]
    pub(super) fn tokens(&self) -> u32 {
        self.fewest_at(self.at)
    }

    #[inline]
    fn push(&mut self, pieces: &Pieces, symbol: u16, alone: u32) {
        self.node = pieces.after(self.node, symbol);
        let mut fewest = self.tokens().saturating_add(alone);
        self.at = self.at.wrapping_add(1);
        pieces.each_ending(self.node, |len| {
            fewest = fewest.min(self.fewest_at(self.at.wrapping_sub(len)).saturating_add(1));
        });
        self.put(fewest);
    }

    #[inline]
    fn fewest_at(&self, at: u8) -> u32 {
        self.fewest.get(usize::from(at)).copied().unwrap_or(0)
    }

    #[inline]
    fn put(&mut self, fewest: u32) {
        if let Some(place) = self.fewest.get_mut(usize::from(self.at)) {
            *place = fewest;
        }
    }
}
