//! Identifiers: what a later step may need letter for letter, and no paraphrase can give back.
//!
//! Words with a digit, an underscore, a slash, an inner capital or an inner dot: paths, addresses, hashes, ids, versions,
//! names and numbers. Found by their form alone, so in every language; Chinese and Japanese letters end a word, for they
//! are written without blanks.
//!
//! Rules: texts in, texts out, no I/O. A character is what Python counts as one. The tests of the binding hold all of this
//! against the regular expressions that it was first written as (`tests/policy/slow_identifiers.py`).

#![forbid(unsafe_code)]

mod digits;
mod find;
mod tell;

pub use find::{count_identifiers, identifiers_in};
pub use tell::{tell_identifiers, tell_values};
