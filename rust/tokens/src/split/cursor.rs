//! Reads characters of a text and remembers how far it looked.

use super::classes::{LETTER, LOWER, NEWLINE, NUMBER, SPACE, UPPER, class_of};
use super::{END_OF_TEXT, Piece};

/// A character seen by a pattern: its class flags and its length in bytes, both 0 at the end of the text.
#[derive(Clone, Copy)]
pub(super) struct Glyph {
    pub(super) class: u8,
    pub(super) len: usize,
}

/// What a byte in the middle of a character is to a caller with a wrong offset: a letter, so that there is progress.
const NO_CHARACTER: Glyph = Glyph { class: UPPER | LOWER | LETTER, len: 1 };

impl Glyph {
    pub(super) const fn is(self, members: u8) -> bool {
        self.class & members != 0
    }

    pub(super) const fn is_end(self) -> bool {
        self.len == 0
    }
}

/// A reader of valid UTF-8 that records the furthest byte that any look depended on.
pub(super) struct Cursor<'t> {
    text: &'t [u8],
    reach: usize,
}

impl<'t> Cursor<'t> {
    pub(super) const fn new(text: &'t [u8]) -> Self {
        Self { text, reach: 0 }
    }

    /// Return the piece that ends at `end`, with everything looked at so far as its reach.
    pub(super) const fn piece(&self, end: usize) -> Piece {
        Piece { end, reach: self.reach }
    }

    /// Look at the character at `at`.
    #[inline]
    pub(super) fn look(&mut self, at: usize) -> Glyph {
        let glyph = read(self.text, at);
        self.looked(at, glyph);
        glyph
    }

    /// Look at the byte at `at`, where only ASCII matters; the rest of a longer character is not looked at.
    #[inline]
    pub(super) fn look_byte(&mut self, at: usize) -> Option<u8> {
        let byte = self.text.get(at).copied();
        self.looked(at, Glyph { class: 0, len: usize::from(byte.is_some()) });
        byte
    }

    /// Return where the run of characters in `members` that starts at `at` ends; the character after it was looked at.
    #[inline]
    pub(super) fn run(&mut self, at: usize, members: u8) -> usize {
        let mut end = at;
        loop {
            let glyph = read(self.text, end);
            if !glyph.is(members) {
                self.looked(end, glyph);
                return end;
            }
            end += glyph.len;
        }
    }

    /// Return the end of `\p{N}{1,3}` whose first digit ends at `second`; a third digit closes it without a look beyond.
    pub(super) fn number(&mut self, second: usize) -> usize {
        let glyph = self.look(second);
        if !glyph.is(NUMBER) {
            return second;
        }
        let third = second + glyph.len;
        let glyph = self.look(third);
        if glyph.is(NUMBER) { third + glyph.len } else { third }
    }

    /// Return the offset after the blank (U+0020) at `at`, or `None` if another character is there.
    pub(super) fn past_blank(&mut self, at: usize) -> Option<usize> {
        (self.look_byte(at) == Some(b' ')).then_some(at + 1)
    }

    /// Return where an English contraction (`'s 't 're 've 'm 'll 'd`, any case) at `at` ends, or `None`.
    #[inline]
    pub(super) fn contraction(&mut self, at: usize) -> Option<usize> {
        if self.look_byte(at) != Some(b'\'') {
            return None;
        }
        let second = match self.look_byte(at + 1)?.to_ascii_lowercase() {
            b's' | b't' | b'm' | b'd' => return Some(at + 2),
            b'r' | b'v' => b'e',
            b'l' => b'l',
            // U+017F, the long s, is an s to a pattern that ignores case. Its two bytes are C5 BF.
            0xc5 => return (self.look_byte(at + 2) == Some(0xbf)).then_some(at + 3),
            _ => return None,
        };
        (self.look_byte(at + 2)?.to_ascii_lowercase() == second).then_some(at + 3)
    }

    /// Read the whitespace run at `at` up to the character after it.
    pub(super) fn whitespace(&mut self, at: usize) -> Whitespace {
        let mut run = Whitespace { start: at, end: at, last_start: at, after_newline: None, at_end_of_text: false };
        loop {
            let glyph = self.look(run.end);
            if !glyph.is(SPACE) {
                run.at_end_of_text = glyph.is_end();
                return run;
            }
            run.last_start = run.end;
            run.end += glyph.len;
            if glyph.is(NEWLINE) {
                run.after_newline = Some(run.end);
            }
        }
    }

    fn looked(&mut self, at: usize, glyph: Glyph) {
        let reach = if glyph.is_end() { END_OF_TEXT } else { at + glyph.len };
        self.reach = self.reach.max(reach);
    }
}

/// A run of whitespace, and what the patterns ask about it.
pub(super) struct Whitespace {
    start: usize,
    end: usize,
    last_start: usize,
    after_newline: Option<usize>,
    at_end_of_text: bool,
}

impl Whitespace {
    /// Return the end of the run if the text ends with it: `\s++$`.
    pub(super) fn closing(&self) -> Option<usize> {
        self.at_end_of_text.then_some(self.end)
    }

    /// Return the end of the run's last line break: `\s*[\r\n]`, and `\s*[\r\n]+` too, for `\s*` takes all but the last.
    pub(super) const fn through_newline(&self) -> Option<usize> {
        self.after_newline
    }

    /// Return where a run without a line break is cut: `\s+(?!\S)|\s+`.
    ///
    /// The last blank goes to what follows, unless nothing follows or there is only one.
    pub(super) const fn before_last(&self) -> usize {
        if self.at_end_of_text || self.last_start == self.start { self.end } else { self.last_start }
    }
}

#[inline]
fn read(text: &[u8], at: usize) -> Glyph {
    match text.get(at) {
        None => Glyph { class: 0, len: 0 },
        Some(&byte) if byte < 0x80 => Glyph { class: class_of(u32::from(byte)), len: 1 },
        Some(&byte) => read_long(text, at, byte),
    }
}

/// Decode a character of two to four bytes.
fn read_long(text: &[u8], at: usize, first: u8) -> Glyph {
    // U+5000 to U+8FFF, the middle of the Chinese characters, are all letters without case.
    if matches!(first, 0xe5..=0xe8) && text.len() > at + 2 {
        return Glyph { class: UPPER | LOWER | LETTER, len: 3 };
    }
    let (len, lead) = match first {
        0xc0..=0xdf => (2, first & 0x1f),
        0xe0..=0xef => (3, first & 0x0f),
        0xf0..=0xf7 => (4, first & 0x07),
        _ => return NO_CHARACTER,
    };
    let Some(rest) = text.get(at + 1..at + len) else {
        return NO_CHARACTER;
    };
    let code_point = rest.iter().fold(u32::from(lead), |high, byte| high << 6 | u32::from(byte & 0x3f));
    Glyph { class: class_of(code_point), len }
}
