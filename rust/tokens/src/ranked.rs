//! Counts and encodes with a ranked vocabulary: the pieces of a pattern, each merged by rank.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::inline_always,
    reason = "offsets in a text and sums of its tokens, both at most isize::MAX; compiled anew for each level of instructions"
)]

use std::cell::RefCell;
use std::sync::Mutex;

use crate::lanes::Lanes;
use crate::merge::{Bench, Chain, LANES, STRETCH};
use crate::phrases::{HEAD_BYTES, PHRASE_BYTES_MAX, Phrase, Phrases};
use crate::split::{Level, Masks, Pattern, Visit, WINDOW, Work, each_piece};
use crate::units::Units;
use crate::vocabulary::Vocabulary;
use crate::words::{WORD_BYTES_MAX, Word, Words};

/// A pattern and the vocabulary that it goes with.
#[derive(Clone, Copy)]
pub(crate) struct Ranked {
    pub(crate) pattern: Pattern,
    pub(crate) vocabulary: &'static Vocabulary,
}

/// Pieces of more bytes have more characters than there are lanes.
const LAID_BYTES_MAX: usize = 256;

thread_local! {
    static DESKS: RefCell<Desks> = const { RefCell::new([None, None]) };
}

/// Desks that threads left when they ended.
static LEFT: Mutex<Vec<Desks>> = Mutex::new(Vec::new());
/// So many are kept, of two megabytes and a bit for each vocabulary.
const LEFT_MAX: usize = 8;

type Desks = [Option<Box<Desk>>; 2];

/// Do something on a thread that ends with it, at desks that another such thread left: its words need not be learnt
/// again. Nobody waits for anybody here.
pub(crate) fn at_desks_left<T>(work: impl FnOnce() -> T) -> T {
    if let Some(desks) = LEFT.try_lock().ok().and_then(|mut left| left.pop()) {
        DESKS.set(desks);
    }
    let done = work();
    if let Some(mut left) = LEFT.try_lock().ok().filter(|left| left.len() < LEFT_MAX) {
        left.push(DESKS.take());
    }
    done
}

/// What counting works with: the words that this thread knows, and room for the pieces at hand.
pub(crate) struct Desk {
    pub(crate) level: Level,
    words: Words,
    phrases: Phrases,
    short: Lanes<16>,
    units: Units,
    pub(crate) bench: Bench,
    pub(crate) ends: Vec<usize>,
}

impl Desk {
    fn new() -> Self {
        Self {
            level: Level::of_this_machine(),
            words: Words::new(),
            phrases: Phrases::new(),
            short: Lanes::new(),
            units: Units::new(),
            bench: Bench::new(),
            ends: Vec::with_capacity(256),
        }
    }
}

impl Ranked {
    /// Do something with the desk of this thread.
    #[inline]
    pub(crate) fn with_desk<T>(self, work: impl FnOnce(&mut Desk) -> T) -> T {
        DESKS.with_borrow_mut(|desks| {
            let [o200k, cl100k] = desks;
            let desk = if self.pattern == Pattern::O200k { o200k } else { cl100k };
            work(desk.get_or_insert_with(|| Box::new(Desk::new())))
        })
    }

    /// Return the number of tokens of `text`.
    pub(crate) fn count(self, text: &str) -> usize {
        self.count_until(text, usize::MAX).unwrap_or(usize::MAX)
    }

    /// Return the number of tokens of `text`, or `None` as soon as it is certain that there are more than `limit`.
    pub(crate) fn count_until(self, text: &str, limit: usize) -> Option<usize> {
        self.with_desk(|desk| desk.level.run(Count { ranked: self, text, limit, desk }))
    }

    /// Return the number of tokens of `text`, at a desk that is at hand.
    pub(crate) fn count_at(self, text: &str, desk: &mut Desk) -> usize {
        if text.is_empty() {
            return 0;
        }
        desk.level.run(Count { ranked: self, text, limit: usize::MAX, desk }).unwrap_or(usize::MAX)
    }

    /// Return the number of tokens of the piece `[start, end)` of `text`.
    #[inline(always)]
    pub(crate) fn count_piece(self, text: &str, start: usize, end: usize, desk: &mut Desk) -> usize {
        self.count_block(text, start, end, block_at(text.as_bytes(), start), desk)
    }

    /// The same for a piece whose first sixteen bytes were read.
    #[inline(always)]
    pub(crate) fn count_block(self, text: &str, start: usize, end: usize, block: u128, desk: &mut Desk) -> usize {
        let len = end.saturating_sub(start);
        if len <= WORD_BYTES_MAX {
            let word = Word::of(block, len);
            let known = desk.words.count(word);
            if known != 0 {
                return usize::try_from(known).unwrap_or(0);
            }
        }
        let level = desk.level;
        level.run(Unknown { ranked: self, text, start, end, block, desk })
    }

    #[inline(always)]
    fn merge_piece(self, text: &str, desk: &mut Desk) -> usize {
        let piece = text.as_bytes();
        if let [0xe0..=0xff, _, _, _, ..] | [_, 0xe0..=0xff, _, _, ..] = piece
            && let Some(count) = self.merge_characters(text, desk)
        {
            return count;
        }
        match piece.len() {
            0..=1 => piece.len(),
            2..=16 => desk.short.count_bytes(self.vocabulary, piece),
            17..=LANES => desk.bench.lanes.count_bytes(self.vocabulary, piece),
            65..=STRETCH => desk.bench.row.merge_bytes(self.vocabulary, piece),
            _ => Chain::of(self.vocabulary, piece, &mut desk.bench).len(),
        }
    }

    /// Return the number of tokens of a piece of long characters, if it is no longer than there are lanes for.
    #[inline(always)]
    fn merge_characters(self, piece: &str, desk: &mut Desk) -> Option<usize> {
        if piece.len() > LAID_BYTES_MAX {
            return None;
        }
        let laid = self.vocabulary.characters().lay(self.vocabulary, piece, &mut desk.bench.lanes, &mut desk.units);
        laid.then(|| desk.bench.lanes.count(self.vocabulary))
    }

    /// Append the token ids of `text` to `ids`.
    pub(crate) fn encode(self, text: &str, ids: &mut Vec<u32>) {
        self.with_desk(|desk| desk.level.run(Encode { ranked: self, text, ids, desk }));
    }
}

struct Count<'a> {
    ranked: Ranked,
    text: &'a str,
    limit: usize,
    desk: &'a mut Desk,
}

impl Work for Count<'_> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run(self, classify: impl Fn(&[u8; WINDOW]) -> Masks) -> Option<usize> {
        let Self { ranked, text, limit, desk } = self;
        let mut sum = Sum { ranked, text, limit, total: 0, desk };
        each_piece(ranked.pattern, text, &classify, &mut sum);
        (sum.total <= limit).then_some(sum.total)
    }
}

struct Sum<'a> {
    ranked: Ranked,
    text: &'a str,
    limit: usize,
    total: usize,
    desk: &'a mut Desk,
}

impl Visit for Sum<'_> {
    #[inline(always)]
    fn piece(&mut self, start: usize, end: usize, block: u128) {
        self.total += self.ranked.count_block(self.text, start, end, block, self.desk);
    }

    #[inline(always)]
    fn is_enough(&self) -> bool {
        self.total > self.limit
    }
}

/// A piece that is not among the words.
struct Unknown<'a> {
    ranked: Ranked,
    text: &'a str,
    start: usize,
    end: usize,
    block: u128,
    desk: &'a mut Desk,
}

impl Work for Unknown<'_> {
    type Output = usize;

    #[inline(always)]
    fn run(self, _: impl Fn(&[u8; WINDOW]) -> Masks) -> usize {
        let Self { ranked, text, start, end, block, desk } = self;
        let piece = text.get(start..end).unwrap_or_default();
        match piece.len() {
            0..=WORD_BYTES_MAX => {
                let count = ranked.merge_piece(piece, desk);
                desk.words.learn(Word::of(block, piece.len()), count, ranked.vocabulary);
                count
            }
            // Those beyond ASCII are sentences, which nobody writes twice.
            HEAD_BYTES..=PHRASE_BYTES_MAX if piece.is_ascii() => {
                let rest = piece.as_bytes().get(HEAD_BYTES..).unwrap_or_default();
                let phrase = Phrase::of(block, Word::of(block_at(rest, 0), rest.len()));
                let known = desk.phrases.count(phrase);
                if known != 0 {
                    return usize::try_from(known).unwrap_or(0);
                }
                let count = ranked.merge_piece(piece, desk);
                desk.phrases.learn(phrase, count);
                count
            }
            _ => ranked.merge_piece(piece, desk),
        }
    }
}

struct Encode<'a> {
    ranked: Ranked,
    text: &'a str,
    ids: &'a mut Vec<u32>,
    desk: &'a mut Desk,
}

impl Work for Encode<'_> {
    type Output = ();

    #[inline(always)]
    fn run(mut self, classify: impl Fn(&[u8; WINDOW]) -> Masks) {
        let (pattern, text) = (self.ranked.pattern, self.text);
        each_piece(pattern, text, &classify, &mut self);
    }
}

impl Visit for Encode<'_> {
    #[inline(always)]
    fn piece(&mut self, start: usize, end: usize, _: u128) {
        let Self { ranked, text, ids, desk } = self;
        let piece = text.as_bytes().get(start..end).unwrap_or_default();
        if piece.len() <= STRETCH {
            desk.bench.row.merge_bytes(ranked.vocabulary, piece);
            ids.extend_from_slice(desk.bench.row.tokens());
        } else {
            ids.extend(Chain::of(ranked.vocabulary, piece, &mut desk.bench).tokens());
        }
    }

    #[inline(always)]
    fn is_enough(&self) -> bool {
        false
    }
}

/// Read the sixteen bytes at `start` as a number, zeros where the text has no more.
#[inline(always)]
pub(crate) fn block_at(bytes: &[u8], start: usize) -> u128 {
    let block = bytes.get(start..).and_then(<[u8]>::first_chunk::<16>);
    block.map_or_else(|| last_block(bytes, start), |block| u128::from_le_bytes(*block))
}

/// Read the last bytes of a text, fewer than sixteen of them, as a number.
fn last_block(bytes: &[u8], start: usize) -> u128 {
    // The sixteen bytes that end the text, without those before the start; where there are not so many, copied.
    if let (Some(block), Some(rest)) = (bytes.last_chunk::<16>(), bytes.len().checked_sub(start)) {
        let before = u32::try_from(16_usize.saturating_sub(rest)).unwrap_or(0);
        return u128::from_le_bytes(*block).checked_shr(8_u32.saturating_mul(before)).unwrap_or(0);
    }
    let rest = bytes.get(start..).unwrap_or_default();
    let mut block = [0; 16];
    if let Some(to) = block.get_mut(..rest.len()) {
        to.copy_from_slice(rest);
    }
    u128::from_le_bytes(block)
}
