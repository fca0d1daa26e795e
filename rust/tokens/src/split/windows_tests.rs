//! Windows against piece by piece, and the two ways of classifying against each other.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::inline_always, reason = "a test may fail loudly")]

use proptest::prelude::*;

use super::super::masks::{self, Masks, WINDOW};
use super::super::simd::{Level, Work};
use super::super::{END_OF_TEXT, Pattern};
use super::{Visit, each_piece, settled_ends};

fn one_by_one(pattern: Pattern, text: &str) -> Vec<usize> {
    let mut ends: Vec<usize> = Vec::new();
    while let Some(piece) = pattern.piece(text, ends.last().copied().unwrap_or(0)) {
        ends.push(piece.end);
    }
    ends
}

fn by_windows(pattern: Pattern, text: &str, level: Level) -> Vec<usize> {
    level.run(Split { pattern, settled: false, text })
}

struct Split<'a> {
    pattern: Pattern,
    settled: bool,
    text: &'a str,
}

impl Work for Split<'_> {
    type Output = Vec<usize>;

    #[inline(always)]
    fn run(self, classify: impl Fn(&[u8; WINDOW]) -> Masks) -> Vec<usize> {
        if !self.settled {
            let mut seen = Seen { text: self.text.as_bytes(), ends: Vec::new() };
            each_piece(self.pattern, self.text, &classify, &mut seen);
            return seen.ends;
        }
        let (mut all, mut ends) = (Vec::new(), Vec::new());
        loop {
            settled_ends(self.pattern, self.text, all.last().copied().unwrap_or(0), &mut ends, &classify);
            if ends.is_empty() {
                return all;
            }
            all.extend_from_slice(&ends);
        }
    }
}

/// Where pieces ended, after a look at what was said of each.
struct Seen<'a> {
    text: &'a [u8],
    ends: Vec<usize>,
}

impl Visit for Seen<'_> {
    fn piece(&mut self, start: usize, end: usize, block: u128) {
        assert_eq!(start, self.ends.last().copied().unwrap_or(0));
        let known = end.min(start + 16);
        assert_eq!(&block.to_le_bytes()[..known - start], &self.text[start..known]);
        self.ends.push(end);
    }

    fn is_enough(&self) -> bool {
        false
    }
}

fn mostly_ascii() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        40 => prop::sample::select(vec![
            "a", "b", "Z", "AB", "the", " ", "  ", "\t", "\n", "\r\n", "\n\n", "\r", "/", "//", "'", "''", "'s", "'S", "'ll", "'l",
            "'r", "'re", "'Ve", "'D", "=", "!!", "-", "_", "1", "23", "456", "7890", "1234567", "\u{0}", "\u{7f}", "\u{1c}",
            "\u{b}", "\u{c}", "    ", "        ", " '", "Foo", "fooBar", "don't", "it's", "{\n", "):\n    ", "\n/", "longerword",
        ]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["\u{e9}", "\u{4e9a}", "\u{3000}", "\u{a0}", "\u{301}", "\u{2028}", "\u{17f}"]).prop_map(str::to_owned),
        2 => "[ -~\\n\\t]{1,3}",
    ];
    prop::collection::vec(part, 0..90).prop_map(|parts| parts.concat())
}

struct Classify<'a>(&'a [u8; WINDOW]);

impl Work for Classify<'_> {
    type Output = Masks;

    fn run(self, classify: impl Fn(&[u8; WINDOW]) -> Masks) -> Masks {
        classify(self.0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6_000, rng_seed: prop::test_runner::RngSeed::Fixed(11), ..ProptestConfig::default() })]

    #[test]
    fn windows_find_the_pieces_that_are_found_one_by_one(text in mostly_ascii()) {
        for pattern in [Pattern::O200k, Pattern::Cl100k] {
            let expected = one_by_one(pattern, &text);
            for level in [Level::of_this_machine(), Level::Scalar] {
                prop_assert_eq!(&by_windows(pattern, &text, level), &expected, "{:?} {:?} {:?}", pattern, level, text);
            }
        }
    }

    #[test]
    fn settled_pieces_are_those_that_did_not_look_at_the_end(text in mostly_ascii()) {
        for pattern in [Pattern::O200k, Pattern::Cl100k] {
            let settled = Level::of_this_machine().run(Split { pattern, settled: true, text: &text });
            let all = one_by_one(pattern, &text);
            prop_assert_eq!(&settled[..], &all[..settled.len()]);
            let mut start = 0;
            for end in &all {
                let piece = pattern.piece(&text, start).unwrap();
                if piece.reach == END_OF_TEXT {
                    break;
                }
                start = *end;
            }
            prop_assert_eq!(settled.last().copied().unwrap_or(0), start);
        }
    }

    #[test]
    fn every_level_classifies_alike(bytes in prop::collection::vec(any::<u8>(), WINDOW)) {
        let window: &[u8; WINDOW] = bytes.first_chunk().unwrap();
        prop_assert_eq!(Level::of_this_machine().run(Classify(window)), masks::classify(window));
    }
}

#[test]
fn every_short_text_of_a_small_alphabet_is_split_alike() {
    let alphabet = ["a", "A", "1", " ", "\t", "\n", "/", "'", "s", "!", "\u{e9}"];
    let around = [
        ("", ""),
        ("", " and then some more words follow, so that the window is not the last one of the text"),
        ("word=", "x"),
    ];
    for number in 0..alphabet.len().pow(5) {
        let middle: String =
            (0..5).map(|place| alphabet[number / alphabet.len().pow(place) % alphabet.len()]).collect();
        for (before, after) in around {
            let text = format!("{before}{middle}{after}");
            for pattern in [Pattern::O200k, Pattern::Cl100k] {
                let found = by_windows(pattern, &text, Level::of_this_machine());
                assert_eq!(found, one_by_one(pattern, &text), "{pattern:?} {text:?}");
            }
        }
    }
}
