//! Merging against its definition: join the leftmost pair of lowest rank until none is left.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may fail loudly"
)]

use std::collections::HashMap;

use proptest::prelude::*;

use super::{Bench, Chain, Row, fits};
use crate::builtin::Builtin;
use crate::vocabulary::Vocabulary;

type Ranks = HashMap<Vec<u8>, u32>;

fn ranks(vocabulary: &Vocabulary) -> Ranks {
    (0..u32::try_from(vocabulary.size()).unwrap()).map(|token| (bytes_of(vocabulary, token), token)).collect()
}

fn bytes_of(vocabulary: &Vocabulary, token: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    assert!(vocabulary.push_bytes(token, &mut bytes));
    bytes
}

fn by_definition(ranks: &Ranks, piece: &[u8]) -> Vec<u32> {
    let mut parts: Vec<Vec<u8>> = piece.iter().map(|byte| vec![*byte]).collect();
    loop {
        let joined = parts.windows(2).map(<[Vec<u8>]>::concat).map(|joined| ranks.get(&joined));
        let lowest = joined.enumerate().filter_map(|(index, rank)| rank.map(|rank| (rank, index))).min();
        let Some((_, index)) = lowest else { break };
        let right = parts.remove(index + 1);
        parts[index].extend(right);
    }
    parts.iter().map(|part| ranks[part]).collect()
}

fn hard_piece() -> impl Strategy<Value = Vec<u8>> {
    let piece =
        prop_oneof!["[a-e]{1,200}", "[ \\n=a]{1,200}", "\\PC{1,60}", "[a-zA-Z]{1,150}", "[\u{4e00}-\u{4fff}]{1,50}"];
    piece.prop_map(String::into_bytes)
}

fn chained(vocabulary: &Vocabulary, piece: &[u8]) -> Chain {
    Chain::of(vocabulary, piece, &mut Bench::new())
}

#[test]
fn pieces_merge_as_defined() {
    for builtin in [Builtin::O200kBase, Builtin::Cl100kBase] {
        let vocabulary = builtin.ranked().unwrap().vocabulary;
        let ranks = ranks(vocabulary);
        let config =
            ProptestConfig { rng_seed: prop::test_runner::RngSeed::Fixed(7), ..ProptestConfig::with_cases(400) };
        proptest!(config, |(piece in hard_piece(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..5))| {
            let expected = by_definition(&ranks, &piece);
            if piece.len() <= super::STRETCH {
                let mut row = Row::new();
                row.merge_bytes(vocabulary, &piece);
                prop_assert_eq!(row.tokens(), &expected[..]);
            }
            prop_assert_eq!(super::merge_any(vocabulary, &piece), expected.clone());
            let mut chain = Chain::default();
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(piece.len() + 1)).collect();
            ends.sort_unstable();
            for end in ends.into_iter().chain([piece.len()]) {
                prop_assert!(chain.fit(vocabulary, &piece, end, &mut Bench::new()));
                prop_assert_eq!(chain.tokens().collect::<Vec<_>>(), by_definition(&ranks, &piece[..end]));
            }
            let cut = cuts[0].index(piece.len() + 1);
            prop_assert!(chain.fit(vocabulary, &piece, cut, &mut Bench::new()));
            prop_assert_eq!(chain.tokens().collect::<Vec<_>>(), by_definition(&ranks, &piece[..cut]));
        });
    }
}

#[test]
fn tokens_that_repeat_themselves_are_multiplied() {
    let words =
        ["a", "=", " ", "ab", "the ", "lo", "hello", "=-", "\u{4e9a}", "\u{1f468}\u{200d}", "aabab", "  \n", "abcdefg"];
    let vocabulary = Builtin::O200kBase.ranked().unwrap().vocabulary;
    let bench = &mut Bench::new();
    for word in words.map(str::as_bytes) {
        let (text, period) = (word.repeat(4_000 / word.len()), 256_usize.next_multiple_of(word.len()));
        let mut multiplied = 0;
        for (since, len) in [(0, 700), (1, 701), (5, 1_000), (131, 1_013), (1_000, 1_200)] {
            for until in [len, len + 1, 2_500, 3_001, text.len()] {
                let text = &text[1..until];
                let mut chain = Chain::default();
                assert!(chain.fit(vocabulary, text, len - 1, bench));
                multiplied += usize::from(chain.repeat(vocabulary, since, text.len(), period));
                assert!(chain.end() <= text.len());
                assert!(chain.fit(vocabulary, text, text.len(), bench));
                assert_eq!(chain.len(), Chain::of(vocabulary, text, bench).len());
            }
        }
        assert!(multiplied > 0, "{word:?}");
    }
}

#[test]
fn two_tokens_fit_where_merging_their_bytes_gives_them() {
    let vocabulary = Builtin::O200kBase.ranked().unwrap().vocabulary;
    let size = u32::try_from(vocabulary.size()).unwrap();
    let mut row = Row::new();
    for left in (0..size).step_by(397) {
        for right in (left % 1_009..size).step_by(1_009) {
            let piece = [bytes_of(vocabulary, left), bytes_of(vocabulary, right)].concat();
            row.merge_bytes(vocabulary, &piece);
            assert_eq!(fits(vocabulary, left, right), row.tokens() == [left, right], "{left} {right}");
        }
    }
}

#[test]
fn merging_gives_every_token_for_its_own_bytes() {
    for builtin in [Builtin::O200kBase, Builtin::Cl100kBase] {
        let vocabulary = builtin.ranked().unwrap().vocabulary;
        let mut row = Row::new();
        for token in 0..u32::try_from(vocabulary.size()).unwrap() {
            let bytes = bytes_of(vocabulary, token);
            row.merge_bytes(vocabulary, &bytes);
            assert_eq!(row.tokens(), [token]);
            assert!(vocabulary.parts(token).is_none_or(|(left, right)| left.max(right) < token));
        }
    }
}

#[test]
fn a_long_piece_costs_a_constant_for_each_byte() {
    let chance = |seed: u64| seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let mut seed = 1;
    let mut random = |alphabet: &[u8]| -> Vec<u8> {
        let next = std::iter::repeat_with(|| {
            seed = chance(seed);
            alphabet[usize::try_from(seed >> 33).unwrap() % alphabet.len()]
        });
        next.take(200_000).collect()
    };
    let runs: Vec<Vec<u8>> =
        ["a", "=", " ", "\n", "-", "*", "ab", "abc", "\u{4e9a}", "\u{1f468}\u{200d}", "\u{301}", "lo", " \n"]
            .map(|run| run.as_bytes().repeat(200_000 / run.len()))
            .into_iter()
            .chain([b"abcdefghijklmnopqrstuvwxyz".as_slice(), b"ab", b"=-", b" \n\t", b"aA"].map(&mut random))
            .collect();
    for builtin in [Builtin::O200kBase, Builtin::Cl100kBase] {
        let vocabulary = builtin.ranked().unwrap().vocabulary;
        for run in &runs {
            let work = crate::work::of(|| chained(vocabulary, run));
            assert!(work <= 3 * run.len(), "{work} bytes merged for {} of {:?}...", run.len(), &run[..4]);
        }
    }
}

#[test]
fn an_empty_piece_has_no_tokens() {
    let vocabulary = Builtin::Cl100kBase.ranked().unwrap().vocabulary;
    assert_eq!(chained(vocabulary, b"").len(), 0);
    assert_eq!(Row::new().merge_bytes(vocabulary, b""), 0);
}
