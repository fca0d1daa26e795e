//! A long run of ASCII at the open end of a text, tiled as far as it goes.
//!
//! Inside a run there is no anchor. So that an append to a long one costs what it adds, the tilings go on where they were:
//! of a word, one for each way in which its capitals may come to be written; of blanks, one of all of them and one of the
//! line breaks at the end, which the frame goes on with.
#![allow(clippy::arithmetic_side_effects, reason = "numbers of bytes and of tokens, a few for each byte of a text")]

use super::characters::{Kind, kind_of_byte};
use super::marking::CAPITALS_MIN;
use super::pieces::{CAPITAL, CAPITALS, Pieces, WORD_END, WORD_START};
use super::runs::Walk;
use super::tiling::Tiling;
use super::{Before, Claude, normal};

/// Shorter runs are counted anew.
const RUN_BYTES_MIN: usize = 128;
const DIGITS_A_PIECE: usize = 3;

/// A long run, and the tokens of the text before it since the last anchor.
pub(crate) struct OpenRun {
    pieces: &'static Pieces,
    kind: Kind,
    before_tokens: usize,
    length: usize,
    form: Form,
}

enum Form {
    Word(Box<Word>),
    Blanks(Box<Blanks>),
    Symbols(Box<Tiling>),
    Digits,
}

struct Word {
    marks_capitals: bool,
    starts_upper: bool,
    uppers: usize,
    as_it_is: Tiling,
    capital: Tiling,
    capitals: Tiling,
}

struct Blanks {
    all: Tiling,
    /// The tokens up to the last one that is no line break.
    solid_tokens: u32,
    breaks: usize,
    at_end: Tiling,
}

impl OpenRun {
    /// Begin with the run that `text` ends with, if it is long, of ASCII, and follows ASCII or begins the text.
    pub(crate) fn at_end_of(claude: Claude, text: &str, before: Before) -> Option<Self> {
        let bytes = text.as_bytes();
        let kind = kind_of_byte(*bytes.last()?)?;
        let length = bytes.iter().rev().take_while(|byte| kind_of_byte(**byte) == Some(kind)).count();
        let start = bytes.len() - length;
        let follows = start.checked_sub(1).and_then(|before| bytes.get(before));
        if length < RUN_BYTES_MIN || follows.is_some_and(|byte| kind_of_byte(*byte).is_none()) {
            return None;
        }
        let read = normal::normalised(text, claude.folds_quotes());
        let frame = claude.has_frame(before);
        let content = Claude::content(text, &read, frame);
        // None if the run was longer by a blank, which the frame took in.
        let last = content.len().checked_sub(length)?;
        let walk = |desk: &mut _| Walk::new(claude, desk, content, frame).before_last(last, kind);
        let (before_tokens, starts) = claude.with_desk(walk);
        let form = Form::new(claude, kind, starts)?;
        let mut run = Self { pieces: claude.pieces, kind, before_tokens, length: 0, form };
        run.goes_on(bytes.get(start..)?).then_some(run)
    }

    /// Go on by `more`, if it is of the same kind; if not, this run cannot tell any more.
    pub(crate) fn goes_on(&mut self, more: &[u8]) -> bool {
        if !more.iter().all(|byte| kind_of_byte(*byte) == Some(self.kind)) {
            return false;
        }
        let (pieces, first) = (self.pieces, self.length == 0);
        if let Form::Word(word) = &mut self.form {
            word.starts_upper |= first && more.first().is_some_and(u8::is_ascii_uppercase);
        }
        for byte in more {
            match &mut self.form {
                Form::Word(word) => word.push(pieces, *byte),
                Form::Blanks(blanks) => blanks.push(pieces, *byte),
                Form::Symbols(tiling) => tiling.character(pieces, char::from(*byte)),
                Form::Digits => break,
            }
        }
        self.length += more.len();
        true
    }

    /// Return the tokens of the text since the last anchor, if it ends here.
    pub(crate) fn tokens(&self) -> usize {
        let run = match &self.form {
            Form::Word(word) => word.tokens(self.pieces, self.length),
            Form::Blanks(blanks) => blanks.tokens(self.pieces),
            Form::Symbols(tiling) => tiling.tokens() as usize,
            Form::Digits => self.length.div_ceil(DIGITS_A_PIECE),
        };
        self.before_tokens + run
    }
}

impl Form {
    fn new(claude: Claude, kind: Kind, starts: bool) -> Option<Self> {
        let pieces = claude.pieces;
        let begun = |marks: &[u16]| {
            let mut tiling = Tiling::new();
            for mark in marks {
                tiling.mark(pieces, *mark);
            }
            tiling
        };
        match kind {
            Kind::Letter => Some(Self::Word(Box::new(Word {
                marks_capitals: claude.marks_capitals(),
                starts_upper: false,
                uppers: 0,
                as_it_is: begun(&[WORD_START]),
                capital: begun(&[CAPITAL, WORD_START]),
                capitals: begun(&[CAPITALS, WORD_START]),
            }))),
            Kind::Blank => {
                Some(Self::Blanks(Box::new(Blanks { all: begun(&[]), solid_tokens: 0, breaks: 0, at_end: begun(&[]) })))
            }
            Kind::Symbol => Some(Self::Symbols(Box::new(begun(if starts { &[WORD_START] } else { &[] })))),
            Kind::Digit => Some(Self::Digits),
            _ => None,
        }
    }
}

impl Word {
    fn push(&mut self, pieces: &Pieces, byte: u8) {
        self.uppers += usize::from(byte.is_ascii_uppercase());
        let lower = char::from(byte.to_ascii_lowercase());
        self.as_it_is.character(pieces, char::from(byte));
        self.capital.character(pieces, lower);
        self.capitals.character(pieces, lower);
    }

    fn tokens(&self, pieces: &Pieces, length: usize) -> usize {
        let all = self.marks_capitals && self.uppers == length && length >= CAPITALS_MIN;
        let tiling = match self.uppers {
            _ if all => &self.capitals,
            1 if self.starts_upper => &self.capital,
            _ => &self.as_it_is,
        };
        let mut ended = tiling.clone();
        ended.mark(pieces, WORD_END);
        ended.tokens() as usize
    }
}

impl Blanks {
    fn push(&mut self, pieces: &Pieces, byte: u8) {
        let character = char::from(byte);
        self.all.character(pieces, character);
        if byte == b'\n' {
            self.breaks += 1;
            self.at_end.character(pieces, character);
        } else {
            self.breaks = 0;
            self.at_end.clear();
            self.solid_tokens = self.all.tokens();
        }
    }

    fn tokens(&self, pieces: &Pieces) -> usize {
        let mut tokens = self.solid_tokens as usize;
        if self.breaks > 0 {
            let mut ended = self.at_end.clone();
            ended.character(pieces, '\n');
            ended.character(pieces, '\n');
            tokens += ended.tokens() as usize - 1;
        }
        tokens
    }
}
