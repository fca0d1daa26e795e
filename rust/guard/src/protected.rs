//! Texts that are not to be told, and where passages of them stand in another text.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use crate::views::{View, views};

/// So many words in a row are a passage.
const WORDS: usize = 8;
/// So many letters and digits in a row are one, whatever stands between them.
const LETTERS: usize = 32;
/// Words may be told with others between them: every word, every second, every third.
const STRIDES: [usize; 3] = [1, 2, 3];
const BASE: u64 = 0x0100_0000_01b3;

/// The passages of some texts, by their hashes. No text is kept.
#[derive(Debug)]
pub struct Protected {
    words: HashSet<u64>,
    letters: HashSet<u64>,
}

impl Protected {
    /// Return the passages of `texts`; a text of fewer than eight words has none.
    #[must_use]
    pub fn new<T: AsRef<str>>(texts: &[T]) -> Self {
        let mut found = Self { words: HashSet::new(), letters: HashSet::new() };
        for text in texts {
            let plain = crate::fold::fold(text.as_ref());
            found.words.extend(passages(&word_hashes(&plain), 1));
            found.letters.extend(letter_hashes(&plain));
        }
        found
    }

    /// Return the names of the views of `text` that hold a passage, or one of `canaries`, each once; none where none does.
    #[must_use]
    pub fn found(&self, text: &str, canaries: &[&str]) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for view in views(text) {
            if !names.contains(&view.name) && self.is_in(&view, canaries) {
                names.push(view.name);
            }
        }
        names
    }

    fn is_in(&self, view: &View, canaries: &[&str]) -> bool {
        let squeezed: String = letters(&view.text).collect();
        canaries.iter().any(|canary| squeezed.contains(canary))
            || letter_hashes(&view.text).any(|hash| self.letters.contains(&hash))
            || self.has_words(&word_hashes(&view.text))
    }

    fn has_words(&self, words: &[u64]) -> bool {
        STRIDES.iter().any(|stride| passages(words, *stride).any(|hash| self.words.contains(&hash)))
    }
}

fn word_hashes(text: &str) -> Vec<u64> {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    text.split(|one: char| !one.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| hasher.hash_one(word))
        .collect()
}

/// Return a hash of each passage of `words`, of which every `stride`th counts.
fn passages(words: &[u64], stride: usize) -> impl Iterator<Item = u64> + '_ {
    let count = words.len().saturating_sub(stride.saturating_mul(WORDS.saturating_sub(1)));
    (0..count).map(move |at| {
        let passage = words.iter().skip(at).step_by(stride).take(WORDS);
        passage.fold(0, |hash: u64, word| hash.wrapping_mul(BASE).wrapping_add(*word))
    })
}

/// Return the letters and digits of `text`.
fn letters(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|one| one.is_alphanumeric())
}

fn letter_hashes(text: &str) -> impl Iterator<Item = u64> {
    let alike = |one: char| if matches!(one, 'l' | '1') { 'i' } else { one };
    let all: Vec<u64> =
        letters(text).map(|one| u64::from(u32::from(alike(one))).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let out = (0..LETTERS).fold(1_u64, |power, _| power.wrapping_mul(BASE));
    let mut hash = 0_u64;
    let mut hashes = Vec::with_capacity(all.len());
    for (at, one) in all.iter().enumerate() {
        hash = hash.wrapping_mul(BASE).wrapping_add(*one);
        if let Some(gone) = at.checked_sub(LETTERS).and_then(|before| all.get(before)) {
            hash = hash.wrapping_sub(gone.wrapping_mul(out));
        }
        if at.saturating_add(1) >= LETTERS {
            hashes.push(hash);
        }
    }
    hashes.into_iter()
}

#[cfg(test)]
mod tests {
    use super::Protected;

    const TEXT: &str = "You keep the record of a conversation between a user and an agent that works with tools.";

    #[test]
    fn a_passage_is_found_and_another_text_is_not() {
        let protected = Protected::new(&[TEXT]);
        let spaced: String = TEXT.chars().flat_map(|one| [one, ' ']).collect();
        let odd = TEXT.split(' ').collect::<Vec<_>>().join(" x ");
        for text in
            [TEXT.to_owned(), TEXT.to_uppercase(), TEXT.chars().rev().collect(), spaced, odd, format!("a b\n{TEXT} c")]
        {
            assert!(!protected.found(&text, &[]).is_empty(), "{text}");
        }
        assert!(protected.found("You keep the record of a meeting between two users and it works.", &[]).is_empty());
        assert!(protected.found("", &[]).is_empty());
        assert_eq!(protected.found("see 12ab-34cd", &["12ab34cd"]).first(), Some(&"plain"));
    }
}
