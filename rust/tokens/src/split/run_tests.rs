//! A run against the splitter that finds its pieces one by one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may fail loudly"
)]

use proptest::prelude::*;

use super::super::leaps::{BLOCK_BYTES, Leaps};
use super::{Pattern, Pieces, Run};

const PATTERNS: [Pattern; 2] = [Pattern::O200k, Pattern::Cl100k];

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { rng_seed: prop::test_runner::RngSeed::Fixed(11), ..ProptestConfig::with_cases(cases) }
}

fn characters() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "A",
        "\u{4e9a}",
        "\u{2b0}",
        "\u{301}",
        "1",
        " ",
        "\t",
        "\n",
        "/",
        "'",
        "s",
        "r",
        "e",
        "!",
        "\u{200d}",
        "\u{2028}",
        "\u{17f}",
        "\u{1d7d8}",
        "\u{16e40}",
    ])
}

/// Runs of a few kinds of characters, longer than a block, one after the other.
fn long_text() -> impl Strategy<Value = String> {
    let run = (prop::collection::vec(characters(), 1..4), 1..2_000_usize, prop::collection::vec(any::<u8>(), 1..40));
    let run = run.prop_map(|(alphabet, count, picks)| -> String {
        (0..count).map(|at| alphabet[usize::from(picks[at % picks.len()]) % alphabet.len()]).collect()
    });
    prop::collection::vec(run, 1..4).prop_map(|runs| runs.concat())
}

/// Assert that the pieces which a run begins with are those that are found one by one.
fn assert_pieces(pattern: Pattern, text: &str, start: usize, found: Pieces) {
    let one = |at: usize| pattern.piece(text, at).unwrap();
    let Pieces { first, second, settled } = found;
    assert_eq!(one(start).end, start + first, "{pattern:?} {start} {text:?}");
    if second > first {
        assert_eq!(one(start + first).end, start + second, "{pattern:?} {start} {text:?}");
    }
    assert!(settled.is_none_or(|reach| start + reach <= text.len()));
}

proptest! {
    #![proptest_config(config(20_000))]

    #[test]
    fn a_run_has_the_pieces_that_are_found_one_by_one(parts in prop::collection::vec(characters(), 1..12)) {
        let text = parts.concat();
        for pattern in PATTERNS {
            if let Some(mut run) = Run::begin(pattern, text.as_bytes()) {
                assert_pieces(pattern, &text, 0, run.advance_to(text.as_bytes(), usize::MAX).unwrap());
            }
        }
    }
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn a_run_that_leaps_has_them_too(text in long_text(), known in any::<[prop::sample::Index; 2]>(), starts in any::<[prop::sample::Index; 4]>()) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let [from, to] = known.map(|index| *index.get(&places));
        let (from, to) = (from.min(to), from.max(to));
        let mut leaps = Leaps::default();
        leaps.extend(&text.as_bytes()[from..]);
        leaps.cut(to - from);
        leaps.extend(&text.as_bytes()[from..to]);
        for start in starts.map(|index| *index.get(&places)) {
            let rest = &text.as_bytes()[start..];
            let origin = isize::try_from(from).unwrap() - isize::try_from(start).unwrap();
            for pattern in PATTERNS {
                let Some(mut run) = Run::begin(pattern, rest) else { continue };
                let pieces = loop {
                    let at = start + run.state().scanned;
                    let known = (from..from + leaps.end()).contains(&at);
                    let stop = if known { run.leap(rest, &leaps, origin) } else { at - start + BLOCK_BYTES };
                    if let Some(pieces) = run.advance_to(rest, stop) {
                        break pieces;
                    }
                };
                assert_pieces(pattern, &text, start, pieces);
            }
        }
    }
}

#[test]
fn a_long_run_is_not_read_character_by_character() {
    for character in ["a", "A", "\u{4e9a}", " ", "\n", "=", "\u{1f468}"] {
        let text = character.repeat(2_000_000 / character.len());
        let mut leaps = Leaps::default();
        leaps.extend(text.as_bytes());
        for pattern in PATTERNS {
            let mut run = Run::begin(pattern, text.as_bytes()).unwrap();
            let mut pieces = None;
            let work = crate::work::of(|| {
                while pieces.is_none() {
                    let stop = run.leap(text.as_bytes(), &leaps, 0);
                    pieces = run.advance_to(text.as_bytes(), stop);
                }
            });
            assert_eq!(pieces.unwrap().second, text.len());
            assert!(work < 2_000, "{work} bytes read of {character:?}");
        }
    }
}
