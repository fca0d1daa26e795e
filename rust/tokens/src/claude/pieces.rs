//! The pieces of a reconstructed vocabulary, as an automaton that finds those that end at each character of a text.
//!
//! A node stands for the beginning of a piece. Reading a text, the automaton is at the longest beginning that the text
//! read so far ends with (Aho and Corasick); from there `ending` leads through the pieces that end here, longest first.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "numbers of nodes and of symbols, which are bounded by the size of an embedded file; hashes are cut on purpose"
)]

use crate::error::Error;

/// The marks of the marked text, as symbols: the start and the end of a word, a capital, all capitals.
pub(super) const WORD_START: u16 = 1;
pub(super) const WORD_END: u16 = 2;
pub(super) const CAPITAL: u16 = 3;
pub(super) const CAPITALS: u16 = 4;
const MARKS: u16 = 4;
/// In the file, the marks are bytes from here on, which UTF-8 never has.
const FIRST_MARK: u8 = 0xf8;

const MAGIC: &[u8] = b"RTP1";
const ROOT: u32 = 0;
const BASIC_PLANE: usize = 0x1_0000;
/// Characters whose UTF-8 differs in the last byte only: a prefix covers all of them.
const NEIGHBOURS_BITS: u32 = 6;

/// The pieces of a vocabulary.
pub(super) struct Pieces {
    size: usize,
    /// The symbol of each character of the basic plane that is in a piece; 0 for the others.
    symbols: Vec<u16>,
    /// A hash table with linear probing: node, symbol and the node that they lead to, 24, 16 and 24 bits; or 0.
    edges: Vec<u64>,
    nodes: Vec<Node>,
    /// What a character that is no piece costs, by `code point >> 6`.
    costs: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
struct Node {
    /// The longest proper end of this beginning that is a beginning, too.
    shorter: u32,
    /// The longest piece that this beginning ends with, itself included, or the root.
    ending: u32,
    /// The longest piece that ends what is `shorter`, or the root.
    next: u32,
    depth: u8,
}

impl Pieces {
    pub(super) fn read(file: &[u8]) -> Result<Self, Error> {
        let mut bytes = file.strip_prefix(MAGIC).ok_or(Error::VocabularyDamaged)?;
        let (size, prefixes) = (number(&mut bytes)?, number(&mut bytes)?);
        let mut read = Self {
            size,
            symbols: vec![0; BASIC_PLANE],
            edges: vec![0; (size * 4).next_power_of_two()],
            nodes: vec![Node::default()],
            costs: (0..0x11_0000_u32 >> NEIGHBOURS_BITS).map(bytes_of_neighbours).collect(),
        };
        let mut last = MARKS;
        words(&mut bytes, size, |piece| read.insert(piece, &mut last))?;
        words(&mut bytes, prefixes, |prefix| read.take_prefix(prefix))?;
        read.link();
        if bytes.is_empty() { Ok(read) } else { Err(Error::VocabularyDamaged) }
    }

    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Return the symbol of a character; 0 if it is in no piece.
    #[inline]
    pub(super) fn symbol(&self, character: char) -> u16 {
        self.symbols.get(character as usize).copied().unwrap_or(0)
    }

    /// Return how many tokens a character is where nothing beside it joins it.
    #[inline]
    pub(super) fn alone(&self, character: char, symbol: u16) -> u32 {
        let piece = symbol != 0 && self.edge(ROOT, symbol).is_some_and(|node| self.node(node).ending == node);
        if piece { 1 } else { self.costs.get(character as usize >> NEIGHBOURS_BITS).copied().unwrap_or(4).into() }
    }

    /// Return the node after one more symbol.
    #[inline]
    pub(super) fn after(&self, mut node: u32, symbol: u16) -> u32 {
        if symbol == 0 {
            return ROOT;
        }
        loop {
            if let Some(next) = self.edge(node, symbol) {
                return next;
            }
            if node == ROOT {
                return ROOT;
            }
            node = self.node(node).shorter;
        }
    }

    /// Give the length in symbols of every piece that ends at `node`.
    #[inline]
    pub(super) fn each_ending(&self, node: u32, mut each: impl FnMut(u8)) {
        let mut piece = self.node(self.node(node).ending);
        while piece.depth > 0 {
            each(piece.depth);
            piece = self.node(piece.next);
        }
    }

    #[inline]
    fn node(&self, node: u32) -> Node {
        self.nodes.get(node as usize).copied().unwrap_or_default()
    }

    #[inline]
    fn edge(&self, node: u32, symbol: u16) -> Option<u32> {
        let key = u64::from(node) << 16 | u64::from(symbol);
        let mut place = hash_of(key) & (self.edges.len() - 1);
        loop {
            match self.edges.get(place).copied() {
                Some(edge) if edge >> 24 == key && edge != 0 => return Some((edge & 0xff_ffff) as u32),
                None | Some(0) => return None,
                Some(_) => place = (place + 1) & (self.edges.len() - 1),
            }
        }
    }

    fn insert(&mut self, piece: &[u8], last: &mut u16) -> Result<(), Error> {
        let marks = piece.iter().take_while(|byte| **byte >= FIRST_MARK).count();
        let (before, rest) = piece.split_at_checked(marks).ok_or(Error::VocabularyDamaged)?;
        let ends = rest.iter().rev().take_while(|byte| **byte >= FIRST_MARK).count();
        let (text, after) = rest.split_at_checked(rest.len() - ends).ok_or(Error::VocabularyDamaged)?;
        let text = str::from_utf8(text).map_err(|_| Error::VocabularyDamaged)?;
        let mut node = ROOT;
        for mark in before {
            node = self.grow(node, u16::from(*mark - FIRST_MARK) + WORD_START)?;
        }
        for character in text.chars() {
            let symbol = self.symbols.get_mut(character as usize).ok_or(Error::VocabularyDamaged)?;
            if *symbol == 0 {
                *last += 1;
                *symbol = *last;
            }
            let symbol = *symbol;
            node = self.grow(node, symbol)?;
        }
        for mark in after {
            node = self.grow(node, u16::from(*mark - FIRST_MARK) + WORD_START)?;
        }
        let end = self.nodes.get_mut(node as usize).ok_or(Error::VocabularyDamaged)?;
        end.ending = node;
        Ok(())
    }

    /// Return the node that `symbol` leads to, new if it is.
    fn grow(&mut self, node: u32, symbol: u16) -> Result<u32, Error> {
        if let Some(next) = self.edge(node, symbol) {
            return Ok(next);
        }
        let next = self.nodes.len() as u32;
        let depth = self.node(node).depth.checked_add(1).ok_or(Error::VocabularyDamaged)?;
        if self.nodes.len() * 2 > self.edges.len() || next > 0xff_ffff {
            return Err(Error::VocabularyDamaged);
        }
        self.nodes.push(Node { depth, ..Node::default() });
        let key = u64::from(node) << 16 | u64::from(symbol);
        let mut place = hash_of(key) & (self.edges.len() - 1);
        while self.edges.get(place).is_some_and(|edge| *edge != 0) {
            place = (place + 1) & (self.edges.len() - 1);
        }
        if let Some(edge) = self.edges.get_mut(place) {
            *edge = key << 24 | u64::from(next);
        }
        Ok(next)
    }

    /// From `prefix` on, the characters that begin with it are one token for it and one for each byte after it.
    fn take_prefix(&mut self, prefix: &[u8]) -> Result<(), Error> {
        let (first, len) = match *prefix {
            [a @ 0xe0..=0xef, b] => (u32::from(a & 15) << 6 | u32::from(b & 63), 1),
            [a @ 0xf0..=0xf4, b] => ((u32::from(a & 7) << 6 | u32::from(b & 63)) << 6, 1 << 6),
            [a @ 0xf0..=0xf4, b, c] => ((u32::from(a & 7) << 6 | u32::from(b & 63)) << 6 | u32::from(c & 63), 1),
            _ => return Err(Error::VocabularyDamaged),
        };
        let neighbours = self.costs.get_mut(first as usize..(first + len) as usize).ok_or(Error::VocabularyDamaged)?;
        let joined = u8::try_from(prefix.len() - 1).map_err(|_| Error::VocabularyDamaged)?;
        for (cost, number) in neighbours.iter_mut().zip(first..) {
            *cost = (*cost).min(bytes_of_neighbours(number) - joined);
        }
        Ok(())
    }

    /// Find for every node the longest beginning and the longest pieces that it ends with: shorter nodes first.
    fn link(&mut self) {
        let mut levels: Vec<Vec<u64>> = vec![Vec::new(); usize::from(u8::MAX) + 1];
        for edge in self.edges.iter().filter(|edge| **edge != 0) {
            let depth = self.node((edge & 0xff_ffff) as u32).depth;
            levels.get_mut(usize::from(depth)).into_iter().for_each(|level| level.push(*edge));
        }
        for edge in levels.into_iter().flatten() {
            let (parent, symbol, child) = ((edge >> 40) as u32, (edge >> 24) as u16, (edge & 0xff_ffff) as u32);
            let shorter = if parent == ROOT { ROOT } else { self.after(self.node(parent).shorter, symbol) };
            let next = self.node(shorter).ending;
            if let Some(node) = self.nodes.get_mut(child as usize) {
                node.shorter = shorter;
                node.next = next;
                node.ending = if node.ending == child { child } else { next };
            }
        }
    }
}

/// Mix the bits of a node and a symbol.
#[inline]
const fn hash_of(key: u64) -> usize {
    let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32) as usize
}

/// Return how many bytes each of the characters from `number << 6` on has.
const fn bytes_of_neighbours(number: u32) -> u8 {
    match number << NEIGHBOURS_BITS {
        0..0x80 => 1,
        0x80..0x800 => 2,
        0x800..0x1_0000 => 3,
        _ => 4,
    }
}

fn number(bytes: &mut &[u8]) -> Result<usize, Error> {
    let (number, rest) = bytes.split_first_chunk::<4>().ok_or(Error::VocabularyDamaged)?;
    *bytes = rest;
    usize::try_from(u32::from_le_bytes(*number)).map_err(|_| Error::VocabularyDamaged)
}

/// Read so many words, each as what it does not share with the one before.
fn words(bytes: &mut &[u8], count: usize, mut each: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let mut word: Vec<u8> = Vec::new();
    for _ in 0..count {
        let (shared, added) = (leb128(bytes)?, leb128(bytes)?);
        let (rest, after) = bytes.split_at_checked(added).ok_or(Error::VocabularyDamaged)?;
        word.truncate(shared);
        word.extend_from_slice(rest);
        *bytes = after;
        each(&word)?;
    }
    Ok(())
}

fn leb128(bytes: &mut &[u8]) -> Result<usize, Error> {
    let mut number = 0;
    for shift in [0, 7, 14] {
        let (byte, rest) = bytes.split_first().ok_or(Error::VocabularyDamaged)?;
        *bytes = rest;
        number |= usize::from(byte & 127) << shift;
        if *byte < 128 {
            return Ok(number);
        }
    }
    Err(Error::VocabularyDamaged)
}
