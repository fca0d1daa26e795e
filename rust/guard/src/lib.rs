//! A text in every disguise that it may wear, and what is found in it.
//!
//! Rules: values to values, no I/O. A text is looked at in *views*: folded to one spelling, read in other directions, and
//! decoded. What is looked for is orders, by the rules that the caller gives (`Rules`), and passages of texts that are not to
//! be told (`Protected`). Work is linear in the text: a view is as long as what it is made of, and there are at most so many.

#![forbid(unsafe_code)]

mod decode;
mod fold;
mod protected;
mod rules;
mod views;

pub use fold::fold;
pub use protected::Protected;
pub use rules::{Rule, RuleError, Rules};
pub use views::{View, views};
