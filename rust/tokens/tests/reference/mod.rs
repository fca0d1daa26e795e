//! The slow references: tiktoken's own expressions in tiktoken's own engine, and texts made to be hard for a splitter.
#![allow(dead_code, unreachable_pub, reason = "every test file takes what it needs of this one")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
#![allow(clippy::arithmetic_side_effects, reason = "small numbers")]

use std::collections::HashMap;

use fancy_regex::Regex;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use retold_tokens::split::Pattern;
use retold_tokens::{Builtin, Encoding};

/// Copied from `tiktoken_ext/openai_public.py` of tiktoken 0.14.0.
const O200K: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const CL100K: &str = concat!(
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|",
    r"\s++$|\s*[\r\n]|\s+(?!\S)|\s",
);

pub fn expression(pattern: Pattern) -> Regex {
    let text = match pattern {
        Pattern::O200k => O200K,
        Pattern::Cl100k => CL100K,
    };
    Regex::new(text).unwrap()
}

pub fn pieces_by_expression(expression: &Regex, text: &str) -> Vec<usize> {
    expression.find_iter(text).map(|found| found.unwrap().end()).collect()
}

/// Byte pair encoding as tiktoken defines it and as slowly as it can be done: the published expression, and the leftmost
/// pair of the lowest published rank, searched anew for every merge.
pub struct SlowReference {
    expression: Regex,
    ranks: HashMap<Vec<u8>, u32>,
}

impl SlowReference {
    /// The ranks are those of the published file: `Builtin::check` compares its hash with what decoding gives.
    pub fn of(builtin: Builtin) -> Self {
        let pattern = if builtin == Builtin::Cl100kBase { Pattern::Cl100k } else { Pattern::O200k };
        let encoding = Encoding::builtin(builtin).unwrap();
        let size = u32::try_from(builtin.check().unwrap().tokens).unwrap();
        let ranks = (0..size).map(|rank| (encoding.decode(&[rank]).unwrap(), rank)).collect();
        Self { expression: expression(pattern), ranks }
    }

    pub fn encode(&self, text: &str) -> Vec<u32> {
        let pieces = self.expression.find_iter(text).map(|found| found.unwrap().as_str());
        pieces.flat_map(|piece| self.merge(piece.as_bytes())).collect()
    }

    fn merge(&self, piece: &[u8]) -> Vec<u32> {
        let mut ends: Vec<usize> = (0..=piece.len()).collect();
        loop {
            let rank = |pair: &[usize]| self.ranks.get(&piece[pair[0]..pair[2]]);
            let ranked = ends.windows(3).enumerate().filter_map(|(at, pair)| rank(pair).map(|rank| (rank, at)));
            let Some((_, at)) = ranked.min() else { break };
            ends.remove(at + 1);
        }
        ends.windows(2).map(|token| self.ranks[&piece[token[0]..token[1]]]).collect()
    }
}

/// How many times as many cases are taken, then others in every run: 1 in the suite, more in `make fuzz`.
pub fn times() -> u32 {
    std::env::var("RETOLD_LAW_EXAMPLES").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// The same cases in every run of the suite.
pub fn config(cases: u32) -> ProptestConfig {
    let rng_seed = if times() == 1 { RngSeed::Fixed(20_261) } else { RngSeed::Random };
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

pub fn patterns() -> impl Strategy<Value = Pattern> {
    prop::sample::select(vec![Pattern::O200k, Pattern::Cl100k])
}

pub fn builtins() -> impl Strategy<Value = Builtin> {
    prop::sample::select(Builtin::ALL.to_vec())
}

/// Texts in which every class meets every other: cases, caseless letters, marks, digits, blanks, breaks, contractions.
pub fn hard_text(parts: usize) -> impl Strategy<Value = String> {
    let part = prop_oneof![
        8 => prop::sample::select(vec![
            "a", "b", "Z", "AB", "the", " ", "  ", "\t", "\n", "\r\n", "\r", "/", "'", "'s", "'S", "'ll", "'l", "'r", "'re",
            "'V", "'\u{17f}", "=", "!!", "-", "1", "23", "4567", "\u{e9}", "\u{c9}", "\u{1c5}", "\u{2b0}", "\u{4e9a}\u{6d32}",
            "\u{301}", "\u{903}", "\u{20dd}", "\u{661}", "\u{2167}", "\u{bd}", "\u{a0}", "\u{3000}", "\u{2028}", "\u{85}",
            "\u{180e}", "\u{200b}", "\u{200d}", "\u{1f468}", "\u{fe0f}", "\u{feff}", "\u{0}", "\u{10ffff}", "\u{e000}", "\u{5d0}",
            "\u{1d7d8}", "\u{16e40}", "<|endoftext|>",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "[a-z]{1,12} ?",
    ];
    prop::collection::vec(part, 0..parts).prop_map(|parts| parts.concat())
}

/// Texts whose boundaries hang on what follows: the last of several blanks goes to the next word, a line break takes the
/// blanks before it, a caseless letter gives up the capitals after it unless a small letter follows.
pub fn unsettled_text(parts: usize) -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a", "  ", "   ", "\n", "\n\n ", "\u{4e9a}", "AB", "A", "x", "'", "'r", "12", "!", "/",
    ]);
    prop::collection::vec(part, 0..parts).prop_map(|parts| parts.concat())
}

/// Texts that are long runs of few characters: letters of either case and of none, whitespace, symbols, with what may end
/// a run, or move the border within it, strewn in.
pub fn run_text(parts: usize) -> impl Strategy<Value = String> {
    let alphabets = prop::sample::select(vec![
        vec!["A", "A", "A", "B", "\u{4e9a}"],
        vec!["A", "\u{4e9a}", "\u{4e9a}\u{6d32}", "\u{301}"],
        vec!["a", "b", "ab", "lo", "the"],
        vec!["\u{301}", "\u{301}", "A", "\u{20dd}"],
        vec![" ", " ", "  ", "    ", "\t"],
        vec![" ", " ", "  ", "\n"],
        vec!["=", "=", "==", "-", "!"],
        vec!["=", "\n", "/", "\r"],
        vec!["\u{1f468}", "\u{200d}", "\u{fe0f}", "\u{1f469}"],
        vec!["\u{e9}", "\u{c9}", "e", "\u{2b0}"],
    ]);
    let run = (alphabets, prop::collection::vec(any::<prop::sample::Index>(), 1..parts));
    let run = run.prop_map(|(alphabet, picks)| picks.iter().map(|pick| *pick.get(&alphabet)).collect::<String>());
    let between =
        prop::sample::select(vec!["", "", "a", "x", "A", " ", "\n", "'", "'s", "'r", "'re", "1", "!", "\u{4e9a}", "."]);
    prop::collection::vec((run, between), 1..4)
        .prop_map(|runs| runs.into_iter().map(|(run, between)| run + between).collect())
}

/// Texts of a few unbroken runs, thousands of bytes each: of one character, of a few that repeat, of a few by chance.
pub fn giant_text() -> impl Strategy<Value = String> {
    let alphabets = vec![
        vec!["a"],
        vec!["="],
        vec![" "],
        vec!["\n"],
        vec!["\u{4e9a}"],
        vec!["7"],
        vec!["a", "b", "c", "lo", "the"],
        vec!["A", "B", "A", "XY"],
        vec!["A", "\u{4e9a}", "\u{4e9a}\u{6d32}"],
        vec!["a", "\u{4e9a}", "\u{2b0}"],
        vec![" ", "  ", "\t", "\u{3000}"],
        vec![" ", " ", " ", " ", "\n"],
        vec!["=", "-", "/", "!"],
        vec!["\n", "\n", "/", "\r"],
        vec!["\u{1f468}", "\u{200d}", "\u{fe0f}"],
        vec!["1", "23", "\u{661}"],
        vec!["\u{301}", "\u{20dd}", "e"],
    ];
    let word = prop::sample::select(alphabets).prop_flat_map(|alphabet| {
        prop::collection::vec(prop::sample::select(alphabet), 1..12).prop_map(|picks| picks.concat())
    });
    let run = prop_oneof![
        2 => (word.clone(), 1..4_000_usize).prop_map(|(word, size)| word.repeat(size / word.len() + 1)),
        2 => (prop::collection::vec(word, 1..6), prop::collection::vec(any::<prop::sample::Index>(), 1..400))
            .prop_map(|(words, picks)| picks.iter().map(|pick| pick.get(&words).as_str()).collect::<String>()),
    ];
    let between =
        prop::sample::select(vec!["", "", "", "a", "x.", "A", " ", "\n", "'", "'s", "'r", "1", "!", "\u{4e9a}"]);
    prop::collection::vec((run, between), 1..4)
        .prop_map(|runs| runs.into_iter().map(|(run, between)| run + between).collect())
}
