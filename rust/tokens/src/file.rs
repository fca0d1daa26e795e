//! Counts with a Hugging Face `tokenizer.json`, through the `tokenizers` library.
//!
//! The counts are those of `encode(text, add_special_tokens=False)`. Truncation and padding that a file asks for are
//! switched off: they shape batches for a model and would hide how long a text is. So is the dropout of merges, which is
//! chance: the same text would have another count each time.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use sha2::{Digest as _, Sha256};
use tokenizers::{ModelWrapper, Tokenizer};

use crate::error::Error;

/// A tokenizer read from the bytes of a `tokenizer.json`.
pub(crate) struct FileTokenizer {
    tokenizer: Tokenizer,
}

impl FileTokenizer {
    pub(crate) fn read(json: &[u8]) -> Result<Self, Error> {
        let mut tokenizer = guarded(|| Tokenizer::from_bytes(json))?;
        tokenizer.with_padding(None);
        guarded(|| tokenizer.with_truncation(None).map(|_| ()))?;
        if let ModelWrapper::BPE(model) = tokenizer.get_model()
            && model.dropout.is_some()
        {
            let mut model = model.clone();
            model.dropout = None;
            tokenizer.with_model(model);
        }
        Ok(Self { tokenizer })
    }

    /// Return what identifies the vocabulary: the content of the file.
    pub(crate) fn fingerprint(json: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(b"retold tokenizer.json 1\n").chain_update(json).finalize().into()
    }

    pub(crate) fn count(&self, text: &str) -> Result<usize, Error> {
        guarded(|| self.tokenizer.encode_fast(text, false).map(|encoding| encoding.len()))
    }

    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        guarded(|| self.tokenizer.encode_fast(text, false).map(|encoding| encoding.get_ids().to_vec()))
    }

    pub(crate) fn has(&self, id: u32) -> bool {
        self.tokenizer.id_to_token(id).is_some()
    }

    pub(crate) fn decode(&self, ids: &[u32]) -> Result<Vec<u8>, Error> {
        if let Some(id) = ids.iter().find(|id| !self.has(**id)) {
            return Err(Error::UnknownToken { id: *id });
        }
        guarded(|| self.tokenizer.decode(ids, false).map(String::into_bytes))
    }
}

thread_local! {
    /// Whether this thread is in the library.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Turn every failure of the library into an error, its panics on files that contradict themselves included.
///
/// Nothing is printed of these: the message of one may hold the text.
fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, Error> {
    static HUSHED: Once = Once::new();
    HUSHED.call_once(|| {
        let printed = take_hook();
        set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                printed(panic);
            }
        }));
    });
    GUARDED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(false);
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Error::Tokenizer { reason: error.to_string() }),
        Err(_) => Err(Error::Tokenizer { reason: "the tokenizers library failed on it".to_owned() }),
    }
}
