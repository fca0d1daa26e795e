//! The walk over a normalised text: its runs, the marks at their borders, and the tokens that they come to.
//!
//! A piece never reaches from one run into the next, but from a number or a sign into the symbols after it, and from the
//! apostrophe of a contraction into its letters (`vocab/rebuild_claude.py` sees to that). So runs are tiled one by one,
//! and short ones that come back are looked up. Only `open` runs stay in the tiling until the next one is known.
//!
//! The rules are ctok's. A word is marked at both ends, other runs only beside a blank; a single blank between the mark
//! at the end of one run and the mark at the start of the next costs nothing.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "offsets in a text and sums of its tokens, a few for each of its bytes"
)]

use super::characters::{Class, Kind, run_length};
use super::marking;
use super::pieces::{Pieces, WORD_END, WORD_START};
use super::{Claude, Desk};
use crate::ranked::block_at;
use crate::words::{COUNT_MAX, WORD_BYTES_MAX, Word};

/// The words that an apostrophe before them belongs to.
const CONTRACTED: [&str; 7] = ["s", "t", "d", "m", "ll", "re", "ve"];
const DIGITS_A_PIECE: usize = 3;
/// What the walk has to know of what is before a run.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; most of their combinations occur")]
pub(super) struct Walk<'d, 't> {
    pieces: &'static Pieces,
    desk: &'d mut Desk,
    text: &'t str,
    /// Words of capitals have a mark of their own.
    marks_capitals: bool,
    /// The frame before the text ends in the start of a word, and no run was read yet.
    frame: bool,
    /// A blank is directly before.
    blank: bool,
    /// The mark for the end of a word is directly before.
    marked: bool,
    /// The blank before is a single one after such a mark: free, if a mark for a start follows.
    pending: bool,
    /// The run before is one of those that are marked at their end beside a blank.
    bordered: bool,
    /// The tiling holds a run that the next one may go on.
    open: bool,
    tokens: usize,
}

impl<'d, 't> Walk<'d, 't> {
    /// Begin with a normalised text, without the line breaks at its end.
    pub(super) fn new(claude: Claude, desk: &'d mut Desk, text: &'t str, frame: bool) -> Self {
        Self {
            pieces: claude.pieces,
            desk,
            text,
            marks_capitals: claude.marks_capitals(),
            frame,
            blank: frame,
            marked: false,
            pending: false,
            bordered: false,
            open: false,
            tokens: 0,
        }
    }

    /// Read everything, and return the tokens.
    pub(super) fn run(mut self) -> usize {
        self.read_to(self.text.len());
        self.close();
        self.tokens + usize::from(self.pending)
    }

    /// Read up to the last run, which is one of ASCII and begins at `last`; return the tokens before it, what a blank
    /// there costs included, and whether it has a mark at its start.
    pub(super) fn before_last(mut self, last: usize, kind: Kind) -> (usize, bool) {
        self.read_to(last);
        let starts = kind == Kind::Letter || (kind == Kind::Symbol && self.blank);
        self.begin(starts || kind == Kind::Symbol || (kind == Kind::Blank && self.text.starts_with(' ')));
        self.close();
        self.take_blank(starts);
        (self.tokens, starts)
    }

    fn read_to(&mut self, end: usize) {
        let mut at = 0;
        while let Some(class) = self.class_at(at).filter(|_| at < end) {
            at = match class.kind() {
                Kind::Blank => self.blanks(at),
                Kind::Letter if class.is_mark() => self.mark(at),
                Kind::Letter => self.word(at),
                Kind::Symbol => self.symbols(at),
                Kind::Digit => self.digits(at),
                Kind::Single | Kind::Sign | Kind::Number | Kind::Selector => self.other(at),
            };
        }
    }

    fn blanks(&mut self, at: usize) -> usize {
        let end = self.end_of(at, Kind::Blank);
        let run = self.slice(at, end);
        self.begin(run.starts_with(' '));
        self.close();
        if run == " " && self.marked {
            self.pending = true;
        } else {
            self.tokens += self.tiled(at, end, false, false);
        }
        self.pass(run.ends_with(' '), false, false);
        end
    }

    fn word(&mut self, at: usize) -> usize {
        let end = self.end_of(at, Kind::Letter);
        self.begin(true);
        self.close();
        self.pending = false;
        let (run, capitals, pieces) = (self.slice(at, end), self.marks_capitals, self.pieces);
        self.tokens += self.known(at, end, None, |desk| marking::word(pieces, &mut desk.tiling, run, capitals));
        self.pass(false, true, is_bordered(run));
        end
    }

    /// Read marks that have no letter before them, with the word that they open, if there is one.
    fn mark(&mut self, at: usize) -> usize {
        let mut end = at;
        while self.class_at(end).is_some_and(|class| class.kind() == Kind::Letter && class.is_mark()) {
            end = self.next(end);
        }
        let end = self.end_of(end, Kind::Letter);
        self.begin(true);
        self.close();
        self.pending = false;
        let (run, pieces) = (self.slice(at, end), self.pieces);
        self.tokens += self.known(at, end, None, |desk| marking::marked_word(pieces, &mut desk.tiling, run));
        self.pass(false, true, is_bordered(run));
        end
    }

    fn symbols(&mut self, at: usize) -> usize {
        let end = self.end_of(at, Kind::Symbol);
        let run = self.slice(at, end);
        let before_word = self.class_at(end).filter(|class| class.kind() == Kind::Letter);
        if let (true, Some(class)) = (run == "'", before_word) {
            return self.apostrophe(at, end, class);
        }
        self.begin(true);
        let starts = self.blank;
        self.take_blank(starts);
        let ends = self.before_single_blank(end);
        if self.open {
            self.tile(run, false, ends);
        } else {
            self.tokens += self.tiled(at, end, starts, ends);
        }
        self.pass(false, ends, true);
        end
    }

    /// Read an apostrophe that opens a word: without marks, and as one with the word if it is a contraction.
    fn apostrophe(&mut self, at: usize, end: usize, word: Class) -> usize {
        // The frame's mark would be a blank before it.
        self.tokens += usize::from(std::mem::take(&mut self.frame));
        self.take_blank(false);
        let word_end = self.end_of(end, Kind::Letter);
        let (run, pieces) = (self.slice(at, word_end), self.pieces);
        let contracted =
            !self.bordered && !word.is_mark() && run.get(1..).is_some_and(|word| CONTRACTED.contains(&word));
        if !contracted {
            self.tile("'", false, false);
            self.pass(false, false, true);
            return end;
        }
        if self.open {
            self.tile(run, false, true);
            self.close();
        } else {
            self.tokens += self.known(at, word_end, None, |desk| {
                run.chars().for_each(|character| desk.tiling.character(pieces, character));
                desk.tiling.mark(pieces, WORD_END);
            });
        }
        self.pass(false, true, false);
        word_end
    }

    fn digits(&mut self, at: usize) -> usize {
        let end = self.end_of(at, Kind::Digit);
        let run = self.slice(at, end);
        let bordered = !run.ends_with(|last: char| last.is_ascii());
        let starts_bordered = !run.starts_with(|first: char| first.is_ascii());
        self.begin(starts_bordered);
        self.close();
        let (starts, ends) = (self.blank && starts_bordered, bordered && self.before_single_blank(end));
        self.take_blank(starts);
        if run.is_ascii() {
            self.tokens += run.len().div_ceil(DIGITS_A_PIECE);
        } else {
            self.tokens += self.tiled(at, end, starts, ends);
        }
        self.pass(false, ends, bordered);
        end
    }

    /// Read characters of one kind that stand alone, signs or numbers, with the variation selectors behind them.
    fn other(&mut self, at: usize) -> usize {
        let kind = self.class_at(at).map_or(Kind::Single, Class::kind);
        let (mut end, mut last, mut numeral) = (at, kind, kind == Kind::Number);
        let opens = self.class_at(at);
        // A selector without anything before it counts as a character that stands alone.
        let run_kind = if kind == Kind::Selector { Kind::Single } else { kind };
        while let Some(class) = self.class_at(end) {
            if class.kind() != run_kind && class.kind() != Kind::Selector {
                break;
            }
            last = class.kind();
            let uniform = opens.is_some_and(|first| first.is_other_number() == class.is_other_number());
            numeral &= uniform && last == Kind::Number;
            end = self.next(end);
        }
        let starts_bordered = kind == Kind::Selector || kind == Kind::Sign || numeral;
        let bordered = last == Kind::Selector || last == Kind::Sign || numeral;
        self.begin(starts_bordered);
        let (starts, ends) = (self.blank && starts_bordered, bordered && self.before_single_blank(end));
        self.take_blank(starts);
        let run = self.slice(at, end);
        if run_kind == Kind::Single && !starts && !ends {
            self.close();
            self.tokens +=
                run.chars().map(|one| self.pieces.alone(one, self.pieces.symbol(one)) as usize).sum::<usize>();
        } else {
            self.tile(run, starts, ends);
        }
        self.pass(false, ends, bordered);
        end
    }

    /// Before the first run: the mark that the frame ends in is a token, unless the run has one there itself.
    fn begin(&mut self, has_start: bool) {
        if std::mem::take(&mut self.frame) && !has_start {
            self.tile("", true, false);
        }
    }

    /// Pay for a single blank before a run that does not `start` with a mark.
    fn take_blank(&mut self, starts: bool) {
        if std::mem::take(&mut self.pending) && !starts {
            self.tokens += 1;
        }
    }

    fn pass(&mut self, blank: bool, marked: bool, bordered: bool) {
        self.blank = blank;
        self.marked = marked;
        self.bordered = bordered;
    }

    /// Tell whether exactly one blank follows, and then something else, or nothing.
    fn before_single_blank(&self, at: usize) -> bool {
        matches!(self.text.as_bytes().get(at..), Some([b' '] | [b' ', 0..=0x1f | b'!'.., ..]))
    }

    /// Return the tokens of the run `[at, end)` with these marks.
    fn tiled(&mut self, at: usize, end: usize, starts: bool, ends: bool) -> usize {
        let (pieces, run) = (self.pieces, self.slice(at, end));
        // What stands in the key of a run for its marks: bytes that UTF-8 never has.
        let mark = match (starts, ends) {
            (false, false) => None,
            (true, false) => Some(0xf8),
            (false, true) => Some(0xf9),
            (true, true) => Some(0xfa),
        };
        self.known(at, end, mark, |desk| tile(pieces, desk, run, starts, ends))
    }

    /// Go on with the tiling by a run, and leave it open.
    fn tile(&mut self, run: &str, starts: bool, ends: bool) {
        if !std::mem::replace(&mut self.open, true) {
            self.desk.tiling.clear();
        }
        tile(self.pieces, self.desk, run, starts, ends);
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            self.tokens += self.desk.tiling.tokens() as usize;
        }
    }

    /// Return the tokens of the run `[at, end)`: looked up by its bytes and `mark`, or by the tiling that `fill` makes.
    #[inline]
    fn known(&mut self, at: usize, end: usize, mark: Option<u8>, fill: impl FnOnce(&mut Desk)) -> usize {
        let len = end - at;
        let word = (len < WORD_BYTES_MAX).then(|| {
            let block = block_at(self.text.as_bytes(), at);
            let Some(mark) = mark else { return Word::of(block, len) };
            let bits = 8 * len;
            Word::of(block & !(u128::MAX << bits) | u128::from(mark) << bits, len + 1)
        });
        let known = word.map_or(0, |word| self.desk.words.count(word));
        if known != 0 {
            return usize::try_from(known).unwrap_or(0);
        }
        self.desk.tiling.clear();
        fill(self.desk);
        let tokens = self.desk.tiling.tokens() as usize;
        if let Some(word) = word.filter(|_| tokens <= COUNT_MAX) {
            self.desk.words.put(word, tokens);
        }
        tokens
    }

    #[inline]
    fn class_at(&self, at: usize) -> Option<Class> {
        self.text.get(at..).and_then(Class::first)
    }

    /// Return where the next character is.
    fn next(&self, at: usize) -> usize {
        at + self.text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
    }

    /// Return where the run of `kind` that goes on at `at` ends.
    #[inline]
    fn end_of(&self, at: usize, kind: Kind) -> usize {
        at + self.text.get(at..).map_or(0, |rest| run_length(rest, kind))
    }

    #[inline]
    fn slice(&self, start: usize, end: usize) -> &'t str {
        self.text.get(start..end).unwrap_or_default()
    }
}

fn tile(pieces: &Pieces, desk: &mut Desk, run: &str, starts: bool, ends: bool) {
    if starts {
        desk.tiling.mark(pieces, WORD_START);
    }
    run.chars().for_each(|character| desk.tiling.character(pieces, character));
    if ends {
        desk.tiling.mark(pieces, WORD_END);
    }
}

fn is_bordered(word: &str) -> bool {
    word.chars().next_back().is_some_and(|last| Class::of(last).is_bordered())
}
