//! Keeps the exact token count of a text that grows, shrinks at its end, and is asked about its parts.

mod anchored;
mod held;
mod kept;
mod open;
mod settling;
mod snapshot;
mod tail;
mod trails;
mod walk;
mod whole;
#[cfg(test)]
mod work_tests;

use crate::encoding::{Encoding, Kind};
use crate::error::Error;
use anchored::Anchored;
use held::Held;
use settling::Settling;
use snapshot::{Saved, split_unfinished};
use whole::Whole;

pub(crate) use snapshot::VERSION as SNAPSHOT_VERSION;

/// A text and its exact token count.
///
/// With a built-in vocabulary an append costs in proportion to what is appended plus a few bytes before it that more text
/// may still change, even inside an unbroken run of letters, blanks or symbols. With a reconstruction the same holds but
/// for unbroken runs beyond ASCII, which are counted again. With a `tokenizer.json` an append counts the whole text again.
///
/// Offsets are bytes of the UTF-8 text since the counter was new, and must lie between two characters.
pub struct Counter {
    encoding: Encoding,
    state: State,
    /// The first bytes of a character whose others did not come yet, three at most.
    unfinished: Vec<u8>,
}

#[allow(clippy::large_enum_variant, reason = "the large one is the common one, and a box would cost each append")]
enum State {
    Settling(Settling),
    Anchored(Anchored),
    Whole(Whole),
}

impl Counter {
    pub(crate) fn new(encoding: &Encoding) -> Self {
        let state = match encoding.kind() {
            Kind::Ranked(ranked, _) => State::Settling(Settling::new(*ranked)),
            Kind::Claude(claude) => State::Anchored(Anchored::new(*claude)),
            Kind::File(_) => State::Whole(Whole::default()),
        };
        Self { encoding: encoding.clone(), state, unfinished: Vec::new() }
    }

    /// Append `text` and return the total: the token count of everything appended so far, as one text.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if a `tokenizer.json` cannot count the text, [`Error::Unfinished`] if the bytes before ended
    /// inside a character; nothing is appended then.
    pub fn append(&mut self, text: &str) -> Result<usize, Error> {
        if self.unfinished.is_empty() || text.is_empty() {
            self.push(text)
        } else {
            Err(Error::Unfinished { bytes: self.unfinished.len() })
        }
    }

    /// Append bytes of UTF-8, which may end inside a character: its bytes are held, and counted when the others come.
    ///
    /// # Errors
    /// [`Error::NotUtf8`] if they, after the bytes that are held, are no UTF-8; as [`Counter::append`] otherwise. Nothing
    /// is appended then, and what was held still is.
    pub fn append_bytes(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let joined = if self.unfinished.is_empty() { Vec::new() } else { [&self.unfinished, bytes].concat() };
        let held = self.unfinished.len();
        let all = if held == 0 { bytes } else { &joined };
        let (text, unfinished) = split_unfinished(all)
            .map_err(|at| Error::NotUtf8 { at: at.saturating_sub(held), held: if at < held { held } else { 0 } })?;
        let total = self.push(text)?;
        self.unfinished = unfinished.to_vec();
        Ok(total)
    }

    fn push(&mut self, text: &str) -> Result<usize, Error> {
        match (&mut self.state, self.encoding.kind()) {
            (State::Settling(state), _) => state.append(text),
            (State::Anchored(state), _) => state.append(text),
            (State::Whole(state), Kind::File(file)) => state.append(file, text)?,
            (State::Whole(_), Kind::Ranked(..) | Kind::Claude(_)) => return Err(Error::VocabularyDamaged),
        }
        Ok(self.total())
    }

    /// Return how many bytes are held of a character whose others did not come yet: 0 to 3. They are not counted.
    #[must_use]
    pub const fn unfinished(&self) -> usize {
        self.unfinished.len()
    }

    /// Return the token count of the whole text. O(1).
    #[must_use]
    pub fn total(&self) -> usize {
        match &self.state {
            State::Settling(state) => state.total(),
            State::Anchored(state) => state.total(),
            State::Whole(state) => state.total(),
        }
    }

    /// Return the length of the whole text in bytes, without a character that is not complete. O(1).
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
    /// With a built-in vocabulary the text between is not read again, only a few hundred bytes at either end, also inside
    /// an unbroken run (but one of digits beyond ASCII). O(log n).
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::Backwards`], [`Error::SplitCharacter`], [`Error::NotHeld`].
    pub fn span(&self, start: usize, end: usize) -> Result<usize, Error> {
        match (&self.state, self.encoding.kind()) {
            (State::Settling(state), _) => state.span(start, end),
            (State::Anchored(state), _) => state.span(start, end),
            (State::Whole(state), Kind::File(file)) => file.count(state.held().between(start, end)?),
            (State::Whole(_), Kind::Ranked(..) | Kind::Claude(_)) => Err(Error::VocabularyDamaged),
        }
    }

    /// Keep the first `len` bytes and forget the rest; return the total. With a built-in vocabulary, O(log n).
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::SplitCharacter`], [`Error::NotHeld`]; nothing is forgotten then.
    pub fn truncate(&mut self, len: usize) -> Result<usize, Error> {
        match (&mut self.state, self.encoding.kind()) {
            (State::Settling(state), _) => state.truncate(len)?,
            (State::Anchored(state), _) => state.truncate(len)?,
            (State::Whole(state), Kind::File(file)) => state.truncate(file, len)?,
            (State::Whole(_), Kind::Ranked(..) | Kind::Claude(_)) => return Err(Error::VocabularyDamaged),
        }
        self.unfinished.clear();
        Ok(self.total())
    }

    /// Return bytes from which [`Encoding::restore`] makes this counter again.
    ///
    /// With a built-in vocabulary they hold the counts and the open end of the text only, of a long unbroken run its last
    /// tokens: about a hundred bytes, at most some hundreds, however long the text. A restored counter appends and totals
    /// as this one; about the text before it answers [`Error::NotHeld`]. With a reconstruction they hold all of the open
    /// end, with a `tokenizer.json` the whole text.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let (settled, kept, open) = match &self.state {
            State::Settling(state) => state.keep(),
            State::Anchored(state) => (state.settled(), None, state.held().from(state.settled().offset)),
            State::Whole(state) => (settling::Mark::default(), None, state.held().text()),
        };
        let saved = Saved { settled, kept, open, unfinished: &self.unfinished, total: self.total() };
        saved.write(self.encoding.identity())
    }

    pub(crate) fn restore(encoding: &Encoding, bytes: &[u8]) -> Result<Self, Error> {
        let saved = Saved::read(bytes, encoding.identity())?;
        let state = match encoding.kind() {
            Kind::Ranked(ranked, _) => {
                State::Settling(Settling::resume(*ranked, saved.settled, saved.kept, saved.open))
            }
            Kind::Claude(claude) => State::Anchored(Anchored::resume(*claude, saved.settled, saved.open)),
            Kind::File(file) => {
                let mut state = Whole::default();
                state.append(file, saved.open)?;
                State::Whole(state)
            }
        };
        let counter = Self { encoding: encoding.clone(), state, unfinished: saved.unfinished.to_vec() };
        // The checksum says that the bytes are what was written; the recount says that they mean what they did.
        if counter.total() == saved.total { Ok(counter) } else { Err(Error::SnapshotDamaged) }
    }

    fn held(&self) -> &Held {
        match &self.state {
            State::Settling(state) => state.held(),
            State::Anchored(state) => state.held(),
            State::Whole(state) => state.held(),
        }
    }
}
