//! The promises of a reconstruction that need no other tokenizer to check. Equality with ctok is tested from Python.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
#![allow(clippy::arithmetic_side_effects, reason = "small numbers")]

mod reference;

use proptest::prelude::*;
use proptest::sample::Index;
use reference::{config, hard_text, run_text};
use retold_tokens::{Encoding, Error, Reconstruction};

fn reconstructions() -> impl Strategy<Value = Reconstruction> {
    prop::sample::select(Reconstruction::ALL.to_vec())
}

/// Texts as in prose and code: most of their places are anchors.
fn settled_text(parts: usize) -> impl Strategy<Value = String> {
    let part = prop_oneof![hard_text(3), "[a-zA-Z]{1,9} ", "[a-z(){}=.,;:]{1,9}\n {0,8}", "[а-яА-Я]{1,9} "];
    prop::collection::vec(part, 0..parts).prop_map(|parts| parts.concat())
}

fn places(text: &str) -> Vec<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).collect()
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn appends_in_any_parts_total_a_recount(
        text in settled_text(40), sizes in prop::collection::vec(1..9_usize, 8), which in reconstructions(),
    ) {
        let encoding = Encoding::reconstruction(which).unwrap();
        let mut counter = encoding.counter();
        let mut sizes = sizes.iter().cycle();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let size = rest.char_indices().nth(*sizes.next().unwrap()).map_or(rest.len(), |(at, _)| at);
            let (part, after) = rest.split_at(size);
            let total = counter.append(part).unwrap();
            prop_assert_eq!(total, encoding.count(&text[..text.len() - after.len()]).unwrap());
            rest = after;
        }
    }

    #[test]
    fn a_long_run_in_any_parts_totals_a_recount(
        before in hard_text(3), text in run_text(200), step in 1..40_usize, which in reconstructions(),
    ) {
        let encoding = Encoding::reconstruction(which).unwrap();
        let mut counter = encoding.counter();
        let text = before + &text;
        let ends: Vec<usize> = places(&text).into_iter().skip(1).step_by(step).chain([text.len()]).collect();
        let mut start = 0;
        for end in ends {
            let total = counter.append(&text[start..end]).unwrap();
            prop_assert_eq!(total, encoding.count(&text[..end]).unwrap());
            start = end;
        }
    }

    #[test]
    fn spans_cuts_and_snapshots_are_recounts(
        text in settled_text(300), cuts in prop::collection::vec(any::<Index>(), 3), which in reconstructions(),
    ) {
        let encoding = Encoding::reconstruction(which).unwrap();
        let mut counter = encoding.counter();
        counter.append(&text).unwrap();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.get(&places(&text))).collect();
        cuts.sort_unstable();
        let expected = encoding.count(&text[cuts[0]..cuts[2]]).unwrap();
        prop_assert_eq!(counter.span(cuts[0], cuts[2]).unwrap(), expected);
        let mut restored = encoding.restore(&counter.snapshot()).unwrap();
        let more = format!("{text}It's");
        prop_assert_eq!(restored.append("It's").unwrap(), encoding.count(&more).unwrap());
        prop_assert_eq!(counter.truncate(cuts[1]).unwrap(), encoding.count(&text[..cuts[1]]).unwrap());
        let more = format!("{}s \n", &text[..cuts[1]]);
        prop_assert_eq!(counter.append("s \n").unwrap(), encoding.count(&more).unwrap());
    }

    #[test]
    fn counting_stops_only_above_the_limit(text in settled_text(900), which in reconstructions()) {
        let encoding = Encoding::reconstruction(which).unwrap();
        let total = encoding.count(&text).unwrap();
        prop_assert_eq!(encoding.count_until(&text, total).unwrap(), Some(total));
        if let Some(limit) = total.checked_sub(1) {
            prop_assert_eq!(encoding.count_until(&text, limit).unwrap(), None);
        }
    }
}

#[test]
fn every_embedded_table_is_the_one_that_was_built() {
    for which in Reconstruction::ALL {
        let check = which.check().unwrap();
        assert_eq!(check.sha256_actual, check.sha256_expected, "{}", check.name);
    }
}

#[test]
fn a_reconstruction_says_that_it_is_one_and_has_no_ids() {
    let encoding = Encoding::reconstruction(Reconstruction::named("claude-4.8").unwrap()).unwrap();
    assert!(encoding.is_reconstruction());
    assert_eq!(encoding.encode("a"), Err(Error::NoIds { name: "claude-4.8".to_owned() }));
    assert_eq!(encoding.decode(&[1]), Err(Error::NoIds { name: "claude-4.8".to_owned() }));
}
