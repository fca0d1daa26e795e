//! One interface over the built-in vocabularies and those read from a file.

use std::sync::Arc;

use crate::builtin::{Builtin, hex};
use crate::claude::{Claude, Reconstruction};
use crate::counter::Counter;
use crate::error::Error;
use crate::file::FileTokenizer;
use crate::ranked::Ranked;

/// A vocabulary with its rules. A clone shares everything and costs nothing.
///
/// Special tokens in a text are ordinary text to the built-in vocabularies, as in tiktoken's `encode_ordinary`: a user
/// who writes `<|endoftext|>` has written thirteen characters. A `tokenizer.json` says itself which strings are tokens.
#[derive(Clone)]
pub struct Encoding(Arc<Inner>);

struct Inner {
    name: String,
    fingerprint: [u8; 32],
    kind: Kind,
}

pub(crate) enum Kind {
    Ranked(Ranked, Builtin),
    Claude(Claude),
    File(Box<FileTokenizer>),
}

impl Encoding {
    /// Return a built-in encoding. The first call for a vocabulary builds its table (a few milliseconds).
    ///
    /// # Errors
    /// [`Error::VocabularyDamaged`] if the embedded data is not what was built in.
    pub fn builtin(builtin: Builtin) -> Result<Self, Error> {
        let kind = Kind::Ranked(builtin.ranked()?, builtin);
        Ok(Self(Arc::new(Inner { name: builtin.name().to_owned(), fingerprint: builtin.fingerprint(), kind })))
    }

    /// Return a reconstructed encoding. The first call for a vocabulary builds its table (a few milliseconds).
    ///
    /// # Errors
    /// [`Error::VocabularyDamaged`] if the embedded data is not what was built in.
    pub fn reconstruction(which: Reconstruction) -> Result<Self, Error> {
        let kind = Kind::Claude(which.open()?);
        Ok(Self(Arc::new(Inner { name: which.name().to_owned(), fingerprint: which.fingerprint(), kind })))
    }

    /// Return an encoding from the content of a Hugging Face `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the `tokenizers` library does not understand it.
    pub fn from_file(name: &str, json: &[u8]) -> Result<Self, Error> {
        let kind = Kind::File(Box::new(FileTokenizer::read(json)?));
        Ok(Self(Arc::new(Inner { name: name.to_owned(), fingerprint: FileTokenizer::fingerprint(json), kind })))
    }

    /// Return the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Tell whether counts are those of a reconstruction; all others are exact.
    #[must_use]
    pub fn is_reconstruction(&self) -> bool {
        matches!(self.0.kind, Kind::Claude(_))
    }

    /// Return 64 hexadecimal digits that identify the vocabulary, the same in every process and on every machine.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex(&self.0.fingerprint)
    }

    /// Return the number of tokens of `text`. O(n).
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if a `tokenizer.json` cannot count the text; built-in vocabularies count every text.
    pub fn count(&self, text: &str) -> Result<usize, Error> {
        match &self.0.kind {
            Kind::Ranked(ranked, _) => Ok(ranked.count(text)),
            Kind::Claude(claude) => Ok(claude.count(text)),
            Kind::File(file) => file.count(text),
        }
    }

    /// Return the number of tokens of `text`, or `None` if there are more than `limit`.
    ///
    /// Stops at the first piece that passes the limit; a `tokenizer.json` has to count everything first.
    ///
    /// # Errors
    /// As [`Encoding::count`].
    pub fn count_until(&self, text: &str, limit: usize) -> Result<Option<usize>, Error> {
        match &self.0.kind {
            Kind::Ranked(ranked, _) => Ok(ranked.count_until(text, limit)),
            Kind::Claude(claude) => Ok(claude.count_until(text, limit)),
            Kind::File(file) => file.count(text).map(|total| (total <= limit).then_some(total)),
        }
    }

    /// Return the token ids of `text`.
    ///
    /// # Errors
    /// As [`Encoding::count`]; [`Error::NoIds`] if this is a reconstruction.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        match &self.0.kind {
            Kind::Ranked(ranked, _) => {
                let mut ids = Vec::new();
                ranked.encode(text, &mut ids);
                Ok(ids)
            }
            Kind::Claude(_) => Err(self.no_ids()),
            Kind::File(file) => file.encode(text),
        }
    }

    /// Return the bytes of the tokens, special tokens as their text. They need not be UTF-8: a token may end inside a
    /// character. A `tokenizer.json` gives what its own decoder makes of the ids, which is text.
    ///
    /// # Errors
    /// [`Error::UnknownToken`] for an id that is in no vocabulary, [`Error::NoIds`] if this is a reconstruction.
    pub fn decode(&self, ids: &[u32]) -> Result<Vec<u8>, Error> {
        let (ranked, builtin) = match &self.0.kind {
            Kind::Ranked(ranked, builtin) => (ranked, builtin),
            Kind::Claude(_) => return Err(self.no_ids()),
            Kind::File(file) => return file.decode(ids),
        };
        let mut bytes = Vec::new();
        for id in ids {
            if !ranked.vocabulary.push_bytes(*id, &mut bytes) {
                let special = builtin.special_token(*id).ok_or(Error::UnknownToken { id: *id })?;
                bytes.extend_from_slice(special.as_bytes());
            }
        }
        Ok(bytes)
    }

    /// Check that `id` is a token's. So a list of them is refused where it is first wrong, before it is held whole.
    ///
    /// # Errors
    /// As [`Encoding::decode`].
    pub fn check_id(&self, id: u32) -> Result<(), Error> {
        let known = match &self.0.kind {
            Kind::Ranked(ranked, builtin) => {
                (id as usize) < ranked.vocabulary.size() || builtin.special_token(id).is_some()
            }
            Kind::Claude(_) => return Err(self.no_ids()),
            Kind::File(file) => file.has(id),
        };
        if known { Ok(()) } else { Err(Error::UnknownToken { id }) }
    }

    /// Return an empty counter.
    #[must_use]
    pub fn counter(&self) -> Counter {
        Counter::new(self)
    }

    /// Return the counter that a snapshot was taken of; it goes on where that one was.
    ///
    /// # Errors
    /// [`Error::SnapshotDamaged`], [`Error::SnapshotVersion`] or [`Error::SnapshotVocabulary`].
    pub fn restore(&self, snapshot: &[u8]) -> Result<Counter, Error> {
        Counter::restore(self, snapshot)
    }

    fn no_ids(&self) -> Error {
        Error::NoIds { name: self.0.name.clone() }
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0.kind
    }

    pub(crate) fn identity(&self) -> &[u8; 32] {
        &self.0.fingerprint
    }
}
