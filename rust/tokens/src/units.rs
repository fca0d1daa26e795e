//! Takes the characters of a piece as merged, where their bytes are certain to merge before anything else happens.
//!
//! A piece of Chinese is three bytes a character, and two thirds of its merges only make characters of bytes. They can
//! be skipped: merging goes by rank, so the bytes of a character that is a token merge among themselves unless a token
//! of lower rank joins a part of it to a neighbour. Few tokens straddle characters like this (`Vocabulary::straddling`),
//! and each names the neighbours that it needs. Where two neighbours could be joined by one, both are left as bytes; so
//! are characters that are no tokens.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "indices of tables by values that were masked or checked"
)]

use std::collections::HashMap;

use crate::lanes::Lanes;
use crate::vocabulary::{NO_TOKEN, Vocabulary};

/// Characters up to here are looked up; the few beyond are left as bytes.
const CHARACTERS: usize = 0x1_0000;
const TOKEN_MASK: u32 = (1 << 18) - 1;
/// A token of lower rank begins with a part of this character's end.
const END_TAKEN: u32 = 1 << 18;
/// A token of lower rank ends with a part of this character's beginning.
const START_TAKEN: u32 = 1 << 19;
/// Some straddling token goes on with this character, or the beginning of it, after its part of another.
const FOLLOWS: u32 = 1 << 20;
/// Some straddling token has this character, or the end of it, before its part of another.
const PRECEDES: u32 = 1 << 21;

const MEMO_SIZE: usize = 1 << 12;

/// Up to four bytes: a character, or a part of one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Part {
    /// The bytes, the first one lowest.
    number: u32,
    len: u32,
}

impl Part {
    /// Take the first bytes of `bytes`, four at most.
    fn first_of(bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(4)];
        let number = bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte));
        Self { number, len: bytes.len() as u32 }
    }

    /// Take the last bytes of `bytes`, four at most.
    fn last_of(bytes: &[u8]) -> Self {
        Self::first_of(&bytes[bytes.len().saturating_sub(4)..])
    }

    fn of(character: char) -> Self {
        Self::first_of(character.encode_utf8(&mut [0; 4]).as_bytes())
    }

    fn first_byte(self) -> u8 {
        self.number as u8
    }

    fn last_byte(self) -> u8 {
        (self.number >> (8 * (self.len.max(1) - 1))) as u8
    }

    /// Tell whether the shorter of the two is the beginning of the longer.
    const fn begins_as(self, other: Self) -> bool {
        let common = if self.len < other.len { self.len } else { other.len };
        common == 0 || (self.number ^ other.number) << (32 - 8 * common) == 0
    }

    /// Tell whether the shorter of the two is the end of the longer.
    const fn ends_as(self, other: Self) -> bool {
        let common = if self.len < other.len { self.len } else { other.len };
        common == 0 || self.number >> (8 * (self.len - common)) == other.number >> (8 * (other.len - common))
    }
}

/// A straddling token, cut where its broken character meets the rest.
#[derive(Clone, Copy)]
struct Straddling {
    broken: Part,
    /// What of the rest is next to the broken character.
    rest: Part,
    rank: u32,
}

impl Straddling {
    /// Tell whether the token can take the end of `left` from it when `right` follows.
    const fn takes_end(self, left: Part, left_rank: u32, right: Part) -> bool {
        self.rank < left_rank && self.broken.len < left.len && self.broken.ends_as(left) && self.rest.begins_as(right)
    }

    /// Tell whether the token can take the beginning of `right` from it when it follows `left`.
    const fn takes_start(self, left: Part, right: Part, right_rank: u32) -> bool {
        self.rank < right_rank && self.broken.len < right.len && self.broken.begins_as(right) && self.rest.ends_as(left)
    }
}

/// What is known of a character.
#[derive(Clone, Copy)]
struct Entry {
    /// Its token, or all bits of the mask; and the flags.
    flags: u32,
    /// The bits of the tokens that its token makes a token with.
    partners: u32,
}

impl Entry {
    const fn token(self) -> u32 {
        self.flags & TOKEN_MASK
    }

    const fn is(self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    const fn rank(self) -> u32 {
        if self.token() == TOKEN_MASK { NO_TOKEN } else { self.token() }
    }
}

/// What is known of every character of a vocabulary.
pub(crate) struct Characters {
    entries: Vec<Entry>,
    /// Those that begin with a part of a character, by its last byte.
    heads: [Vec<Straddling>; 64],
    /// Those that end with one, by its first byte.
    tails: [Vec<Straddling>; 64],
}

/// The neighbours that were looked at closely.
pub(crate) struct Units {
    memo: Vec<u64>,
}

impl Characters {
    pub(crate) fn of(vocabulary: &Vocabulary) -> Self {
        let mut characters = Self {
            entries: vec![Entry { flags: TOKEN_MASK, partners: 0 }; CHARACTERS],
            heads: std::array::from_fn(|_| Vec::new()),
            tails: std::array::from_fn(|_| Vec::new()),
        };
        for rank in vocabulary.straddling() {
            let bytes = bytes_of(vocabulary, rank);
            let start = bytes.iter().take_while(|byte| is_inner(**byte)).count();
            if (1..bytes.len()).contains(&start) {
                let (broken, rest) = (Part::first_of(&bytes[..start]), Part::first_of(&bytes[start..]));
                let token = Straddling { broken, rest, rank };
                characters.heads[place(bytes[start - 1])].push(token);
            }
            let last = bytes.iter().rposition(|byte| !is_inner(*byte)).unwrap_or(0);
            if last > 0 && bytes.len() - last < length_from(bytes[last]) {
                let (broken, rest) = (Part::first_of(&bytes[last..]), Part::last_of(&bytes[..last]));
                let token = Straddling { broken, rest, rank };
                characters.tails[place(bytes[last])].push(token);
            }
        }
        characters.number(vocabulary);
        characters.mark();
        characters
    }

    /// Enter the token of every character that is one.
    fn number(&mut self, vocabulary: &Vocabulary) {
        for token in 0..vocabulary.size() as u32 {
            if (1..=3).contains(&vocabulary.len_of(token)) {
                let bytes = bytes_of(vocabulary, token);
                let mut characters = std::str::from_utf8(&bytes).unwrap_or_default().chars();
                if let (Some(character), None) = (characters.next(), characters.next()) {
                    self.entries[character as usize] = Entry { flags: token, partners: vocabulary.partners(token) };
                }
            }
        }
    }

    /// Enter which characters a straddling token could concern at all.
    fn mark(&mut self) {
        let lowest = |straddling: &[Vec<Straddling>; 64]| {
            let mut ranks: HashMap<Part, u32> = HashMap::new();
            for token in straddling.iter().flatten() {
                let rank = ranks.entry(token.broken).or_insert(token.rank);
                *rank = token.rank.min(*rank);
            }
            ranks
        };
        let (heads, tails) = (lowest(&self.heads), lowest(&self.tails));
        let below = |ranks: &HashMap<Part, u32>, part: &[u8], rank: u32| {
            ranks.get(&Part::first_of(part)).is_some_and(|low| *low < rank)
        };
        let mut buffer = [0; 4];
        for character in '\u{0}'..='\u{ffff}' {
            let bytes = character.encode_utf8(&mut buffer).as_bytes();
            let entry = &mut self.entries[character as usize];
            let rank = entry.rank();
            let cuts = 1..bytes.len();
            if cuts.clone().any(|cut| below(&heads, &bytes[cut..], rank)) {
                entry.flags |= END_TAKEN;
            }
            if cuts.clone().any(|cut| below(&tails, &bytes[..cut], rank)) {
                entry.flags |= START_TAKEN;
            }
        }
        for (tokens, flag) in [(&self.heads, FOLLOWS), (&self.tails, PRECEDES)] {
            for token in tokens.iter().flatten() {
                for character in concerned(token.rest, flag == FOLLOWS) {
                    self.entries[character as usize].flags |= flag;
                }
            }
        }
    }

    /// Lay the units of `piece` out, tokens in order; tell whether there was room for them.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled anew for each level of instructions")]
    pub(crate) fn lay(&self, vocabulary: &Vocabulary, piece: &str, lanes: &mut Lanes<64>, memo: &mut Units) -> bool {
        lanes.clear();
        let mut characters = piece.chars();
        let Some(mut character) = characters.next() else { return true };
        let mut entry = self.entry(character);
        // The unit before, and the bits of its partners.
        let mut before = (NO_TOKEN, 0);
        let mut free = true;
        loop {
            let next = characters.next().map(|next| (next, self.entry(next)));
            let free_after = next.is_none_or(|(next, after)| {
                !may_straddle(entry, after) || !memo.straddled(self, (character, entry), (next, after))
            });
            if free && free_after && entry.token() != TOKEN_MASK {
                let token = entry.token();
                let possible = before.1 & Vocabulary::partner_bit(token) != 0;
                let made = if possible { vocabulary.merged(before.0, token) } else { NO_TOKEN };
                if !lanes.push(token, made) {
                    return false;
                }
                before = (token, entry.partners);
            } else {
                for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                    let token = vocabulary.byte_rank(byte);
                    if !lanes.push(token, vocabulary.merged(before.0, token)) {
                        return false;
                    }
                    before = (token, u32::MAX);
                }
            }
            let Some((next, after)) = next else { return true };
            (character, entry, free) = (next, after, free_after);
        }
    }

    #[inline]
    fn entry(&self, character: char) -> Entry {
        // Beyond the table nothing is known: no token, and everything may straddle.
        const ALL: u32 = TOKEN_MASK | END_TAKEN | START_TAKEN | FOLLOWS | PRECEDES;
        const UNKNOWN: Entry = Entry { flags: ALL, partners: 0 };
        self.entries.get(character as usize).copied().unwrap_or(UNKNOWN)
    }

    #[inline(never)]
    fn straddle(&self, left: (char, Entry), right: (char, Entry)) -> bool {
        let (left_rank, right_rank) = (left.1.rank(), right.1.rank());
        let (left, right) = (Part::of(left.0), Part::of(right.0));
        self.heads[place(left.last_byte())].iter().any(|token| token.takes_end(left, left_rank, right))
            || self.tails[place(right.first_byte())].iter().any(|token| token.takes_start(left, right, right_rank))
    }
}

impl Units {
    pub(crate) fn new() -> Self {
        Self { memo: vec![u64::MAX; MEMO_SIZE] }
    }

    /// Tell whether a token can straddle these two, which is worked out once for each two.
    fn straddled(&mut self, characters: &Characters, left: (char, Entry), right: (char, Entry)) -> bool {
        let key = u64::from(left.0) << 32 | u64::from(right.0) << 1;
        let place = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize & (MEMO_SIZE - 1);
        if self.memo[place] | 1 != key | 1 {
            self.memo[place] = key | u64::from(characters.straddle(left, right));
        }
        self.memo[place] & 1 == 1
    }
}

#[inline]
const fn may_straddle(left: Entry, right: Entry) -> bool {
    (left.is(END_TAKEN) && right.is(FOLLOWS)) || (left.is(PRECEDES) && right.is(START_TAKEN))
}

/// Return the characters that the rest of a straddling token can stand beside its broken one.
fn concerned(rest: Part, follows: bool) -> Vec<char> {
    let bytes = &rest.number.to_le_bytes()[..rest.len as usize];
    let whole = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next());
    let edge = |len: usize| if follows { bytes.get(..len) } else { bytes.get(bytes.len().wrapping_sub(len)..) };
    if let Some(character) = (1..=3).filter_map(edge).find_map(whole) {
        return vec![character];
    }
    // Only a part of a character: all that have it.
    let has = |character: Part| if follows { character.begins_as(rest) } else { character.ends_as(rest) };
    ('\u{0}'..='\u{ffff}')
        .filter(|character| rest.len <= Part::of(*character).len && has(Part::of(*character)))
        .collect()
}

fn bytes_of(vocabulary: &Vocabulary, token: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    vocabulary.push_bytes(token, &mut bytes);
    bytes
}

/// Return where in a table by byte the inner bytes are, or those that begin a character beyond ASCII.
const fn place(byte: u8) -> usize {
    byte as usize & 63
}

const fn is_inner(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Return how many bytes the character has that begins with `byte`.
const fn length_from(byte: u8) -> usize {
    match byte {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}
