//! Keeps the exact token count of a text that grows, shrinks at its end, and is asked about its parts.

mod held;
mod open;
mod settling;
mod snapshot;
mod trails;
mod walk;
mod whole;

use crate::encoding::{Encoding, Kind};
use crate::error::Error;
use held::Held;
use settling::Settling;
use snapshot::Saved;
use whole::Whole;

pub(crate) use snapshot::VERSION as SNAPSHOT_VERSION;

/// A text and its exact token count.
///
/// With a built-in vocabulary an append costs in proportion to what is appended plus a few bytes before it that more text
/// may still change, even inside an unbroken run of letters, blanks or symbols. With a `tokenizer.json` an append counts
/// the whole text again.
///
/// Offsets are bytes of the UTF-8 text since the counter was new, and must lie between two characters.
pub struct Counter {
    encoding: Encoding,
    state: State,
}

enum State {
    Settling(Settling),
    Whole(Whole),
}

impl Counter {
    pub(crate) fn new(encoding: &Encoding) -> Self {
        let state = match encoding.kind() {
            Kind::Ranked(ranked, _) => State::Settling(Settling::new(*ranked)),
            Kind::File(_) => State::Whole(Whole::default()),
        };
        Self { encoding: encoding.clone(), state }
    }

    /// Append `text` and return the total: the token count of everything appended so far, as one text.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if a `tokenizer.json` cannot count the text; nothing is appended then.
    pub fn append(&mut self, text: &str) -> Result<usize, Error> {
        match (&mut self.state, self.encoding.kind()) {
            (State::Settling(state), _) => state.append(text),
            (State::Whole(state), Kind::File(file)) => state.append(file, text)?,
            (State::Whole(_), Kind::Ranked(..)) => return Err(Error::VocabularyDamaged),
        }
        Ok(self.total())
    }

    /// Return the token count of the whole text. O(1).
    #[must_use]
    pub fn total(&self) -> usize {
        match &self.state {
            State::Settling(state) => state.total(),
            State::Whole(state) => state.total(),
        }
    }

    /// Return the length of the whole text in bytes. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.held().end()
    }

    /// Tell whether nothing was appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Return the token count of the bytes `[start, end)`, counted on their own.
    ///
    /// With a built-in vocabulary the text between is not read again, only a few hundred bytes at either end.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::Backwards`], [`Error::SplitCharacter`], [`Error::NotHeld`].
    pub fn span(&self, start: usize, end: usize) -> Result<usize, Error> {
        match (&self.state, self.encoding.kind()) {
            (State::Settling(state), _) => state.span(start, end),
            (State::Whole(state), Kind::File(file)) => file.count(state.held().between(start, end)?),
            (State::Whole(_), Kind::Ranked(..)) => Err(Error::VocabularyDamaged),
        }
    }

    /// Keep the first `len` bytes and forget the rest; return the total.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::SplitCharacter`], [`Error::NotHeld`]; nothing is forgotten then.
    pub fn truncate(&mut self, len: usize) -> Result<usize, Error> {
        match (&mut self.state, self.encoding.kind()) {
            (State::Settling(state), _) => state.truncate(len)?,
            (State::Whole(state), Kind::File(file)) => state.truncate(file, len)?,
            (State::Whole(_), Kind::Ranked(..)) => return Err(Error::VocabularyDamaged),
        }
        Ok(self.total())
    }

    /// Return bytes from which [`Encoding::restore`] makes this counter again.
    ///
    /// With a built-in vocabulary they hold the counts and the open end of the text only: a hundred bytes and a bit,
    /// unless the text ends in a long unbroken run. A restored counter appends and totals as this one; about the text
    /// before the open end it answers [`Error::NotHeld`]. With a `tokenizer.json` they hold the whole text.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let settled = match &self.state {
            State::Settling(state) => state.settled(),
            State::Whole(_) => settling::Mark::default(),
        };
        let open = self.held().from(settled.offset);
        Saved { settled, open, total: self.total() }.write(self.encoding.identity())
    }

    pub(crate) fn restore(encoding: &Encoding, bytes: &[u8]) -> Result<Self, Error> {
        let saved = Saved::read(bytes, encoding.identity())?;
        let state = match encoding.kind() {
            Kind::Ranked(ranked, _) => State::Settling(Settling::resume(*ranked, saved.settled, saved.open)),
            Kind::File(file) => {
                let mut state = Whole::default();
                state.append(file, saved.open)?;
                State::Whole(state)
            }
        };
        let counter = Self { encoding: encoding.clone(), state };
        // The checksum says that the bytes are what was written; the recount says that they mean what they did.
        if counter.total() == saved.total { Ok(counter) } else { Err(Error::SnapshotDamaged) }
    }

    fn held(&self) -> &Held {
        match &self.state {
            State::Settling(state) => state.held(),
            State::Whole(state) => state.held(),
        }
    }
}
