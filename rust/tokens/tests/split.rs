//! The hand-written splitter against tiktoken's expressions, and its promise about what more text can change.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
#![allow(clippy::arithmetic_side_effects, reason = "small numbers")]

mod reference;

use proptest::prelude::*;
use reference::{config, expression, hard_text, patterns, pieces_by_expression};
use retold_tokens::split::{END_OF_TEXT, Pattern, Piece};

fn pieces(pattern: Pattern, text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    while let Some(piece) = pattern.piece(text, pieces.last().map_or(0, |last| last.end)) {
        pieces.push(piece);
    }
    pieces
}

fn ends(pieces: &[Piece]) -> Vec<usize> {
    pieces.iter().map(|piece| piece.end).collect()
}

/// The pieces before the first whose reach does not lie within `len` bytes.
fn settled(pieces: &[Piece], len: usize) -> &[Piece] {
    let first_open = pieces.iter().position(|piece| piece.reach > len).unwrap_or(pieces.len());
    &pieces[..first_open]
}

proptest! {
    #![proptest_config(config(6_000))]

    #[test]
    fn splits_as_tiktokens_expression(text in hard_text(24)) {
        for pattern in [Pattern::O200k, Pattern::Cl100k] {
            let expected = pieces_by_expression(&expression_once(pattern), &text);
            prop_assert_eq!(ends(&pieces(pattern, &text)), expected, "{:?} {:?}", pattern, text);
        }
    }

    #[test]
    fn more_text_never_changes_a_settled_piece(text in hard_text(16), more in hard_text(8), pattern in patterns()) {
        let before = pieces(pattern, &text);
        let after = pieces(pattern, &format!("{text}{more}"));
        let settled = settled(&before, text.len());
        prop_assert_eq!(settled, &after[..settled.len()]);
    }

    #[test]
    fn less_text_never_changes_a_piece_that_did_not_look_beyond(
        text in hard_text(16), cut in any::<prop::sample::Index>(), pattern in patterns(),
    ) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let cut = *cut.get(&places);
        let whole = pieces(pattern, &text);
        let kept = settled(&whole, cut);
        prop_assert_eq!(kept, &pieces(pattern, &text[..cut])[..kept.len()]);
    }

    #[test]
    fn only_the_end_of_the_text_stays_open(text in hard_text(16), pattern in patterns()) {
        let pieces = pieces(pattern, &format!("{text} end. next"));
        let open = pieces.iter().filter(|piece| piece.reach == END_OF_TEXT).count();
        prop_assert_eq!(open, 1);
    }

    #[test]
    fn a_wrong_offset_gives_some_piece(text in hard_text(6), pattern in patterns()) {
        for start in 0..text.len() + 3 {
            let piece = pattern.piece(&text, start);
            prop_assert!(piece.is_none_or(|piece| piece.end > start && piece.reach >= piece.end));
        }
    }
}

fn expression_once(pattern: Pattern) -> fancy_regex::Regex {
    use std::sync::OnceLock;
    static O200K: OnceLock<fancy_regex::Regex> = OnceLock::new();
    static CL100K: OnceLock<fancy_regex::Regex> = OnceLock::new();
    let once = match pattern {
        Pattern::O200k => &O200K,
        Pattern::Cl100k => &CL100K,
    };
    once.get_or_init(|| expression(pattern)).clone()
}

#[test]
fn every_pair_and_triple_of_a_small_alphabet_is_split_as_tiktoken_does() {
    let alphabet = ["a", "A", "\u{4e9a}", "\u{301}", "1", " ", "\t", "\n", "/", "'", "s", "!", "\u{2028}"];
    for pattern in [Pattern::O200k, Pattern::Cl100k] {
        let expression = expression(pattern);
        for number in 0..alphabet.len().pow(4) {
            let digits = [1, 13, 169, 2197].map(|place| alphabet[number / place % alphabet.len()]);
            let text = digits.concat();
            assert_eq!(ends(&pieces(pattern, &text)), pieces_by_expression(&expression, &text), "{pattern:?} {text:?}");
        }
    }
}
