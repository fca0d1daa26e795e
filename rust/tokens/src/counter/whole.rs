//! A growing text counted as a whole each time: what a `tokenizer.json` allows without knowing its rules.
//!
//! Its normaliser, splitter and model may look at any part of the text, so nothing is ever settled. Correct first: an
//! append costs a count of everything so far.

use super::held::Held;
use crate::error::Error;
use crate::file::FileTokenizer;

#[derive(Default)]
pub(super) struct Whole {
    held: Held,
    total: usize,
}

impl Whole {
    pub(super) const fn held(&self) -> &Held {
        &self.held
    }

    pub(super) const fn total(&self) -> usize {
        self.total
    }

    pub(super) fn append(&mut self, file: &FileTokenizer, text: &str) -> Result<(), Error> {
        let before = self.held.text().len();
        self.held.push(text);
        match file.count(self.held.text()) {
            Ok(total) => {
                self.total = total;
                Ok(())
            }
            Err(error) => {
                self.held.cut(before);
                Err(error)
            }
        }
    }

    pub(super) fn truncate(&mut self, file: &FileTokenizer, len: usize) -> Result<(), Error> {
        let place = self.held.place(len)?;
        self.total = file.count(self.held.between(self.held.base(), len)?)?;
        self.held.cut(place);
        Ok(())
    }
}
