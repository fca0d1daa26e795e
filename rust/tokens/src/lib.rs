//! Exact token counts that grow with the text.
//!
//! A pure crate: text in, numbers out. No Python, no files, no network, no clock; the vocabularies are embedded.
//!
//! Rules:
//! - A count is what tiktoken 0.14 (built-in vocabularies, `encode_ordinary`) or Hugging Face tokenizers
//!   (`tokenizer.json`, without added special tokens) gives for the same text. There are no estimates here.
//! - No input panics and none overflows a stack. The worst case of a text of n bytes is O(n log n).
//! - The layers are separate on purpose, each replaceable by a faster one: [`split`] finds the pieces, `merge` counts
//!   one piece, [`Counter`] keeps what is settled, [`Encoding`] puts them together.

#![forbid(unsafe_code)]

mod builtin;
mod counter;
mod encoding;
mod error;
mod file;
mod merge;
mod ranked;
pub mod split;
mod vocabulary;

pub use builtin::{Builtin, VocabularyCheck};
pub use counter::Counter;
pub use encoding::Encoding;
pub use error::Error;
