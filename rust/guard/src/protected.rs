//! Texts that are not to be told, and where passages of them stand in another text.

use std::collections::HashMap;

use crate::fold::fold;
use crate::hashes::{BASE, Hashes, MIX, row_hash, word_hash};
use crate::views::{Disguise, leet, views};

/// So many words in a row are a passage.
const WORDS: usize = 8;
/// So many letters and digits in a row are one, whatever stands between them.
const LETTERS: usize = 32;
/// Words may be told with others between them: every word, every second, every third.
const STRIDES: [usize; 3] = [1, 2, 3];

/// The passages of some texts in every disguise, by their hashes. No text is kept.
///
/// The few protected texts are disguised once, so that a text that is looked at need not be undressed in every way.
#[derive(Debug)]
pub struct Protected {
    words: Hashes<&'static str>,
    letters: Hashes<&'static str>,
}

impl Protected {
    /// Return the passages of `texts`; a text of fewer than eight words has none.
    #[must_use]
    pub fn new<T: AsRef<str>>(texts: &[T]) -> Self {
        let (mut held_words, mut held_letters) = (HashMap::new(), HashMap::new());
        for text in texts {
            let plain = fold(text.as_ref());
            for disguise in Disguise::ALL {
                for hash in letter_hashes(&disguise.put_on(&plain)) {
                    held_letters.entry(hash).or_insert(disguise.name(""));
                }
            }
            let mut words = word_hashes(&plain);
            for name in ["", "reversed order"] {
                for hash in passages(&words, 1) {
                    held_words.entry(hash).or_insert(name);
                }
                words.reverse();
            }
        }
        Self { words: Hashes::new(held_words), letters: Hashes::new(held_letters) }
    }

    /// Return how passages of the protected texts, or one of `canaries`, stand in `text`, each way once; empty if none does.
    #[must_use]
    pub fn found(&self, text: &str, canaries: &[&str]) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for view in views(text) {
            let mut add = |name: &'static str| {
                let name = if name.is_empty() { view.name } else { name };
                if !names.contains(&name) {
                    names.push(name);
                }
            };
            letter_hashes(&view.text).filter_map(|hash| self.letters.find(hash).copied()).for_each(&mut add);
            let words = word_hashes(&view.text);
            for stride in STRIDES {
                passages(&words, stride).filter_map(|hash| self.words.find(hash).copied()).for_each(&mut add);
            }
            if !canaries.is_empty() {
                canary_in(&view.text, canaries).into_iter().for_each(&mut add);
            }
        }
        names
    }
}

fn canary_in(text: &str, canaries: &[&str]) -> Option<&'static str> {
    let squeezed: String = letters(text).collect();
    let stands = |disguise: &Disguise| canaries.iter().any(|canary| squeezed.contains(&disguise.put_on(canary)));
    Disguise::ALL.iter().find(|disguise| stands(disguise)).map(|disguise| disguise.name(""))
}

fn word_hashes(text: &str) -> Vec<u64> {
    text.split(|one: char| !one.is_alphanumeric()).filter(|word| !word.is_empty()).map(word_hash).collect()
}

/// Return a hash of each passage of `words`, of which every `stride`th counts.
fn passages(words: &[u64], stride: usize) -> impl Iterator<Item = u64> + '_ {
    let count = words.len().saturating_sub(stride.saturating_mul(WORDS.saturating_sub(1)));
    (0..count).map(move |at| {
        let passage = words.get(at..).unwrap_or_default().iter().step_by(stride).take(WORDS);
        row_hash(passage.copied())
    })
}

/// Return the letters and digits of `text`.
fn letters(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|one| one.is_alphanumeric() || matches!(one, '@' | '$'))
}

/// Return a hash of each passage of letters; letters that are written alike, as in leet, count as one.
fn letter_hashes(text: &str) -> impl Iterator<Item = u64> {
    let alike = |one: char| if one == 'l' { 'i' } else { leet(one) };
    let all: Vec<u64> = letters(text).map(|one| u64::from(u32::from(alike(one))).wrapping_mul(MIX)).collect();
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
