//! A text in every disguise that it may wear, and what is found in it.
//!
//! Rules: values to values, no I/O. A text is looked at in *views*: folded to one spelling, read in other directions, and
//! decoded. What is looked for is orders, by the rules that the caller gives (`Rules`), passages of texts that are not to
//! be told (`Protected`), and the texts that lines come from (`origins`). Work is linear in the text: a view is as long as what
//! it is made of, and there are at most so many.

#![forbid(unsafe_code)]

mod decode;
mod fold;
mod hashes;
mod origins;
mod protected;
mod rules;
mod views;

pub use fold::fold;
pub use origins::{Origin, Trust, origins};
pub use protected::Protected;
pub use rules::{Rule, RuleError, Rules};
pub use views::{View, is_encoded, views};
