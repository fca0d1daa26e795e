//! The promises of an encoding that need no other tokenizer to check. Equality with tiktoken is tested from Python.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(clippy::arithmetic_side_effects, reason = "small numbers")]

mod reference;

use proptest::prelude::*;
use reference::{builtins, config, hard_text};
use retold_tokens::{Builtin, Encoding, Error};

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn decoding_an_encoded_text_gives_the_text(text in hard_text(40), builtin in builtins()) {
        let encoding = Encoding::builtin(builtin).unwrap();
        let ids = encoding.encode(&text).unwrap();
        prop_assert_eq!(encoding.count(&text).unwrap(), ids.len());
        prop_assert_eq!(encoding.decode(&ids).unwrap(), text.into_bytes());
    }

    #[test]
    fn counting_stops_only_above_the_limit(text in hard_text(20), builtin in builtins()) {
        let encoding = Encoding::builtin(builtin).unwrap();
        let total = encoding.count(&text).unwrap();
        for limit in 0..total + 2 {
            let expected = (total <= limit).then_some(total);
            prop_assert_eq!(encoding.count_until(&text, limit).unwrap(), expected);
        }
    }
}

#[test]
fn every_embedded_vocabulary_is_the_published_one() {
    for builtin in Builtin::ALL {
        let check = builtin.check().unwrap();
        assert_eq!(check.sha256_actual, check.sha256_expected, "{}", check.name);
    }
}

fn assert_round_trip(run: &str, size_bytes: usize) {
    let text = run.repeat(size_bytes / run.len());
    for builtin in [Builtin::O200kBase, Builtin::Cl100kBase] {
        let encoding = Encoding::builtin(builtin).unwrap();
        let ids = encoding.encode(&text).unwrap();
        assert_eq!(encoding.decode(&ids).unwrap(), text.as_bytes());
        assert_eq!(encoding.count(&text).unwrap(), ids.len());
    }
}

#[test]
fn two_megabytes_of_one_character_neither_overflow_nor_take_for_ever() {
    for run in ["a", "=", " ", "\n"] {
        assert_round_trip(run, 2_000_000);
    }
}

#[test]
fn runs_of_every_kind_of_character_neither_overflow_nor_take_for_ever() {
    for run in ["A", "\u{4e9a}", "\u{301}", "'", "\u{1f468}\u{200d}", "ab", "x\u{301}A", "\u{301}A", " \n", "1"] {
        assert_round_trip(run, 200_000);
    }
}

#[test]
fn special_tokens_are_ordinary_text_to_encode_and_known_to_decode() {
    let encoding = Encoding::builtin(Builtin::O200kBase).unwrap();
    assert!(encoding.count("<|endoftext|>").unwrap() > 1);
    assert_eq!(encoding.decode(&[199_999]).unwrap(), b"<|endoftext|>");
}

#[test]
fn an_id_of_no_token_is_named() {
    let encoding = Encoding::builtin(Builtin::O200kBase).unwrap();
    assert_eq!(encoding.decode(&[0, 199_998]).err(), Some(Error::UnknownToken { id: 199_998 }));
}

#[test]
fn a_file_that_is_no_tokenizer_is_refused() {
    for json in ["", "{}", "[]", "\u{0}", r#"{"model": {"type": "BPE"}}"#] {
        assert!(matches!(Encoding::from_file("file", json.as_bytes()), Err(Error::Tokenizer { .. })));
    }
}

#[test]
fn a_file_counts_with_its_own_words() {
    let json = r#"{"version": "1.0", "truncation": {"max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
        "decoder": null, "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "?": 2}, "unk_token": "?"}}"#;
    let encoding = Encoding::from_file("words", json.as_bytes()).unwrap();
    assert_eq!(encoding.encode("a b zz").unwrap(), [0, 1, 2]);
    let mut counter = encoding.counter();
    assert_eq!(counter.append("a b").unwrap(), 2);
    assert_eq!(counter.append(" a").unwrap(), 3);
    assert_eq!(counter.span(1, 5).unwrap(), 2);
    assert_eq!(encoding.restore(&counter.snapshot()).unwrap().truncate(1).unwrap(), 1);
    assert_eq!(encoding.count_until("a b a", 2).unwrap(), None);
}
