//! A counter is always a recount: however its text came, was cut, was asked about, or was saved.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
#![allow(clippy::arithmetic_side_effects, reason = "small numbers")]

mod reference;

use proptest::prelude::*;
use proptest::sample::Index;
use reference::{builtins, config, giant_text, hard_text, run_text, times, unsettled_text};
use retold_tokens::{Builtin, Encoding, Error};

fn places(text: &str) -> Vec<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).collect()
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn appends_in_any_parts_total_a_recount(parts in prop::collection::vec(hard_text(5), 0..12), builtin in builtins()) {
        let encoding = Encoding::builtin(builtin).unwrap();
        let mut counter = encoding.counter();
        let mut text = String::new();
        for part in parts {
            text.push_str(&part);
            prop_assert_eq!(counter.append(&part).unwrap(), encoding.count(&text).unwrap());
        }
        prop_assert_eq!(counter.len(), text.len());
    }

    #[test]
    fn a_long_run_in_any_parts_totals_a_recount(
        text in run_text(90), sizes in prop::collection::vec(1..9_usize, 8), cut in any::<Index>(), builtin in builtins(),
    ) {
        let encoding = Encoding::builtin(builtin).unwrap();
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
        let place = *cut.get(&places(&text));
        prop_assert_eq!(counter.truncate(place).unwrap(), encoding.count(&text[..place]).unwrap());
        prop_assert_eq!(counter.append("xA \n").unwrap(), encoding.count(&format!("{}xA \n", &text[..place])).unwrap());
    }

    #[test]
    fn a_cut_text_totals_a_recount_and_grows_again(
        text in hard_text(300), cuts in prop::collection::vec(any::<Index>(), 1..4), more in hard_text(4), builtin in builtins(),
    ) {
        let encoding = Encoding::builtin(builtin).unwrap();
        let mut counter = encoding.counter();
        let mut text = text;
        counter.append(&text).unwrap();
        for cut in cuts {
            text.truncate(*cut.get(&places(&text)));
            prop_assert_eq!(counter.truncate(text.len()).unwrap(), encoding.count(&text).unwrap());
            text.push_str(&more);
            prop_assert_eq!(counter.append(&more).unwrap(), encoding.count(&text).unwrap());
        }
    }

    #[test]
    fn a_span_is_a_recount_of_its_text(
        text in hard_text(400), spans in prop::collection::vec(any::<[Index; 2]>(), 8), builtin in builtins(),
    ) {
        let encoding = Encoding::builtin(builtin).unwrap();
        let mut counter = encoding.counter();
        counter.append(&text).unwrap();
        let places = places(&text);
        for [first, second] in spans {
            let (first, second) = (*first.get(&places), *second.get(&places));
            let (start, end) = (first.min(second), first.max(second));
            prop_assert_eq!(counter.span(start, end).unwrap(), encoding.count(&text[start..end]).unwrap());
        }
    }

    #[test]
    fn a_restored_counter_goes_on_where_the_other_was(
        text in hard_text(200), more in hard_text(60), cut in any::<Index>(), builtin in builtins(),
    ) {
        let encoding = Encoding::builtin(builtin).unwrap();
        let mut counter = encoding.counter();
        counter.append(&text).unwrap();
        let mut restored = encoding.restore(&counter.snapshot()).unwrap();
        prop_assert_eq!(restored.append(&more).unwrap(), encoding.count(&format!("{text}{more}")).unwrap());
        prop_assert_eq!(restored.append("").unwrap(), counter.append(&more).unwrap());
        let whole = text + &more;
        let place = *cut.get(&places(&whole));
        match restored.truncate(place) {
            Ok(total) => prop_assert_eq!(total, encoding.count(&whole[..place]).unwrap()),
            Err(error) => {
                let not_held = matches!(error, Error::NotHeld { .. });
                prop_assert!(not_held);
            }
        }
    }

    #[test]
    fn a_damaged_snapshot_is_refused(text in hard_text(20), at in any::<Index>(), flip in 1..=255_u8, builtin in builtins()) {
        let encoding = Encoding::builtin(builtin).unwrap();
        let mut counter = encoding.counter();
        counter.append(&text).unwrap();
        let mut snapshot = counter.snapshot();
        let at = at.index(snapshot.len());
        snapshot[at] ^= flip;
        prop_assert!(encoding.restore(&snapshot).is_err());
        prop_assert!(encoding.restore(&snapshot[..at]).is_err());
    }
}

proptest! {
    #![proptest_config(config(12))]

    // Marks are hundreds of bytes apart, and a wrong one shows only where a cut falls right behind it: every place is
    // tried. (Cuts at random places did not notice marks that were kept by offset instead of by reach.)

    #[test]
    fn every_cut_of_an_unsettled_text_totals_a_recount(text in unsettled_text(500), builtin in builtins()) {
        let encoding = Encoding::builtin(builtin).unwrap();
        for place in places(&text) {
            let mut counter = encoding.counter();
            counter.append(&text).unwrap();
            prop_assert_eq!(counter.truncate(place).unwrap(), encoding.count(&text[..place]).unwrap());
        }
    }

    #[test]
    fn every_span_of_an_unsettled_text_is_a_recount(text in unsettled_text(500), builtin in builtins()) {
        let encoding = Encoding::builtin(builtin).unwrap();
        let mut counter = encoding.counter();
        counter.append(&text).unwrap();
        let places = places(&text);
        for start in places.iter().step_by(17) {
            for end in places.iter().filter(|end| *end >= start) {
                prop_assert_eq!(counter.span(*start, *end).unwrap(), encoding.count(&text[*start..*end]).unwrap());
            }
        }
    }

    #[test]
    fn every_character_appended_to_an_unsettled_text_totals_a_recount(text in unsettled_text(300), builtin in builtins()) {
        let encoding = Encoding::builtin(builtin).unwrap();
        let mut counter = encoding.counter();
        for (at, character) in text.char_indices() {
            let total = counter.append(character.encode_utf8(&mut [0; 4])).unwrap();
            prop_assert_eq!(total, encoding.count(&text[..at + character.len_utf8()]).unwrap());
        }
    }
}

proptest! {
    #![proptest_config(config(150 * times()))]

    #[test]
    fn a_span_of_giant_runs_is_a_recount(
        text in giant_text(), cuts in prop::collection::vec(any::<Index>(), 0..4),
        spans in prop::collection::vec(any::<[Index; 2]>(), 24), builtin in builtins(),
    ) {
        let encoding = Encoding::builtin(builtin).unwrap();
        let places = places(&text);
        let mut counter = encoding.counter();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.get(&places)).chain([0, text.len()]).collect();
        cuts.sort_unstable();
        for part in cuts.windows(2) {
            let total = counter.append(&text[part[0]..part[1]]).unwrap();
            prop_assert_eq!(total, encoding.count(&text[..part[1]]).unwrap());
        }
        for [first, second] in spans {
            let (first, second) = (*first.get(&places), *second.get(&places));
            let (start, end) = (first.min(second), first.max(second));
            prop_assert_eq!(counter.span(start, end).unwrap(), encoding.count(&text[start..end]).unwrap(), "{} {}", start, end);
        }
    }

    #[test]
    fn a_cut_giant_run_totals_a_recount_and_grows_again(
        text in giant_text(), steps in prop::collection::vec((any::<Index>(), any::<Index>()), 1..8), more in giant_text(),
        builtin in builtins(),
    ) {
        let encoding = Encoding::builtin(builtin).unwrap();
        let mut counter = encoding.counter();
        let mut text = text;
        counter.append(&text).unwrap();
        for (cut, size) in steps {
            text.truncate(*cut.get(&places(&text)));
            prop_assert_eq!(counter.truncate(text.len()).unwrap(), encoding.count(&text).unwrap());
            let more = &more[..*size.get(&places(&more))];
            text.push_str(more);
            prop_assert_eq!(counter.append(more).unwrap(), encoding.count(&text).unwrap());
            let middle = *size.get(&places(&text));
            prop_assert_eq!(counter.span(middle, text.len()).unwrap(), encoding.count(&text[middle..]).unwrap());
        }
    }
}

#[test]
fn a_snapshot_of_another_vocabulary_is_refused() {
    let snapshot = Encoding::builtin(Builtin::O200kBase).unwrap().counter().snapshot();
    let harmony = Encoding::builtin(Builtin::O200kHarmony).unwrap();
    assert_eq!(harmony.restore(&snapshot).err(), Some(Error::SnapshotVocabulary));
}

#[test]
fn a_snapshot_of_a_long_conversation_is_small() {
    let mut counter = Encoding::builtin(Builtin::O200kBase).unwrap().counter();
    counter.append(&"The quick brown fox. ".repeat(50_000)).unwrap();
    assert!(counter.snapshot().len() < 128);
}

#[test]
fn wrong_offsets_are_named() {
    let encoding = Encoding::builtin(Builtin::O200kBase).unwrap();
    let mut counter = encoding.counter();
    counter.append("a\u{4e9a}b").unwrap();
    assert_eq!(counter.span(2, 4).err(), Some(Error::SplitCharacter { offset: 2, floor: 1 }));
    assert_eq!(counter.span(0, 6).err(), Some(Error::OutOfRange { offset: 6, len: 5 }));
    assert_eq!(counter.span(4, 1).err(), Some(Error::Backwards { start: 4, end: 1 }));
    assert_eq!(counter.truncate(3).err(), Some(Error::SplitCharacter { offset: 3, floor: 1 }));
    assert_eq!(counter.truncate(usize::MAX).err(), Some(Error::OutOfRange { offset: usize::MAX, len: 5 }));
    assert_eq!(counter.total(), encoding.count("a\u{4e9a}b").unwrap());
}

#[test]
fn a_restored_counter_does_not_know_the_text_before() {
    let encoding = Encoding::builtin(Builtin::O200kBase).unwrap();
    let mut counter = encoding.counter();
    counter.append("one two three four").unwrap();
    let mut restored = encoding.restore(&counter.snapshot()).unwrap();
    assert!(matches!(restored.span(0, 3), Err(Error::NotHeld { offset: 0, held_from: 13 })));
    assert!(matches!(restored.truncate(0), Err(Error::NotHeld { offset: 0, .. })));
    assert_eq!(restored.total(), counter.total());
}
