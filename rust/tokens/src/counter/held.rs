//! The text that a counter holds, by offsets that go on counting after a restore.

use crate::error::Error;

/// A text whose first `base` bytes are gone: they were counted before a snapshot.
#[derive(Default)]
pub(super) struct Held {
    base: usize,
    text: String,
}

impl Held {
    pub(super) fn resume(base: usize, text: &str) -> Self {
        Self { base, text: text.to_owned() }
    }

    pub(super) const fn base(&self) -> usize {
        self.base
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn end(&self) -> usize {
        self.base.saturating_add(self.text.len())
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Return the text from `offset` on; empty if it is not a place between two characters of the held text.
    pub(super) fn from(&self, offset: usize) -> &str {
        offset.checked_sub(self.base).and_then(|at| self.text.get(at..)).unwrap_or_default()
    }

    /// Return the text of `[start, end)`, or say what is wrong with the offsets.
    pub(super) fn between(&self, start: usize, end: usize) -> Result<&str, Error> {
        if start > end {
            return Err(Error::Backwards { start, end });
        }
        let (first, last) = (self.place(start)?, self.place(end)?);
        self.text.get(first..last).ok_or(Error::Backwards { start, end })
    }

    /// Keep the text up to `end`; the place was checked.
    pub(super) fn cut(&mut self, place: usize) {
        if self.text.is_char_boundary(place) {
            self.text.truncate(place);
        }
    }

    /// Return where in the held text `offset` is, or say why it is no place between two characters.
    pub(super) fn place(&self, offset: usize) -> Result<usize, Error> {
        if offset > self.end() {
            return Err(Error::OutOfRange { offset, len: self.end() });
        }
        let Some(place) = offset.checked_sub(self.base) else {
            return Err(Error::NotHeld { offset, held_from: self.base });
        };
        if self.text.is_char_boundary(place) {
            return Ok(place);
        }
        let floor = (0..place).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        Err(Error::SplitCharacter { offset, floor: self.base.saturating_add(floor) })
    }
}
