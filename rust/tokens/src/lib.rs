//! Exact token counts that grow with the text.
//!
//! A pure crate: text in, numbers out. No Python, no files, no network, no clock; the vocabularies are embedded.
//!
//! Rules:
//! - A count is what tiktoken 0.14 (built-in vocabularies, `encode_ordinary`) or Hugging Face tokenizers
//!   (`tokenizer.json`, without added special tokens) gives for the same text. There are no estimates here. Only a
//!   [`Reconstruction`] is not exact: it says so, and its counts are those of ctok 1.3.0 (see `claude`).
//! - No input panics and none overflows a stack. A text of n bytes takes O(n), whatever it is made of.
//! - One module, `split::simd`, may use `unsafe`; what it does exists a second time without.
//!
//! From the text to its count: [`split`] finds the pieces, 64 bytes at a time where the text is ASCII; `words` and `phrases` know
//! the short ones; `lanes` merges those it does not know, `units` beginning with characters where that is certain to be the
//! same; `merge` joins the tokens of long ones. [`Counter`] keeps what no more text can change, [`Encoding`] puts all of
//! it behind one interface. [`Ledger`] knows nothing of texts: it keeps the sizes of a session's items, and their sums.

#![deny(unsafe_code)]

mod batch;
mod builtin;
mod checksum;
mod claude;
mod counter;
mod encoding;
mod error;
mod file;
mod lanes;
mod ledger;
mod merge;
mod pages;
mod phrases;
mod ranked;
mod settle;
pub mod split;
mod units;
mod vocabulary;
mod words;
#[cfg(test)]
mod work;

pub use builtin::{Builtin, VocabularyCheck};
pub use claude::Reconstruction;
pub use counter::Counter;
pub use encoding::Encoding;
pub use error::Error;
pub use ledger::{Ledger, Size, Sum};
