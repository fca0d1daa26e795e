//! Counts, ids and counters against byte pair encoding done by its definition. `make fuzz` takes 200 times as many texts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
#![allow(clippy::arithmetic_side_effects, reason = "small numbers")]

mod reference;

use std::sync::LazyLock;

use proptest::prelude::*;
use reference::{SlowReference, config, hard_text, run_text, times, unsettled_text};
use retold_tokens::{Builtin, Encoding};

/// Both vocabularies. (That of `o200k_harmony` is `o200k_base`'s.)
static BOTH: LazyLock<[(Encoding, SlowReference); 2]> = LazyLock::new(|| {
    [Builtin::O200kBase, Builtin::Cl100kBase]
        .map(|builtin| (Encoding::builtin(builtin).unwrap(), SlowReference::of(builtin)))
});

/// Bytes by chance, made text: what is no UTF-8 becomes U+FFFD.
fn chance_text() -> impl Strategy<Value = String> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(prop_oneof![0xc0..=0xff_u8, 0x80..=0xbf_u8, 0x20..=0x7f_u8], 0..200),
    ];
    bytes.prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Characters of every plane and of the edges of the classes.
fn plane_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        any::<char>(),
        prop::sample::select(vec![
            '\u{0}',
            '\u{1c}',
            '\u{7f}',
            '\u{80}',
            '\u{85}',
            '\u{a0}',
            '\u{ad}',
            '\u{130}',
            '\u{17f}',
            '\u{1c5}',
            '\u{2b0}',
            '\u{300}',
            '\u{345}',
            '\u{36f}',
            '\u{600}',
            '\u{7ff}',
            '\u{800}',
            '\u{180e}',
            '\u{2000}',
            '\u{200b}',
            '\u{2029}',
            '\u{202f}',
            '\u{2160}',
            '\u{212a}',
            '\u{24b6}',
            '\u{3000}',
            '\u{3007}',
            '\u{4e00}',
            '\u{9fff}',
            '\u{ac00}',
            '\u{d7ff}',
            '\u{e000}',
            '\u{fb01}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{fffd}',
            '\u{ffff}',
            '\u{10000}',
            '\u{1f1e6}',
            '\u{1f3fb}',
            '\u{20000}',
            '\u{e0100}',
            '\u{10ffff}',
            'a',
            'A',
            ' ',
            '\'',
            's',
            '1',
            '\n',
        ]),
    ];
    prop::collection::vec(character, 0..60).prop_map(String::from_iter)
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        hard_text(40),
        chance_text(),
        plane_text(),
        run_text(60),
        unsettled_text(80),
        "[a-z]{1,150}",
        "[a-zA-Z0-9+/]{1,150}"
    ]
}

proptest! {
    #![proptest_config(config(400 * times()))]

    #[test]
    fn texts_encode_and_count_as_defined(text in any_text()) {
        for (encoding, reference) in BOTH.iter() {
            let ids = reference.encode(&text);
            prop_assert_eq!(encoding.count(&text).unwrap(), ids.len());
            prop_assert_eq!(encoding.encode(&text).unwrap(), ids);
        }
    }
}

proptest! {
    #![proptest_config(config(40 * times()))]

    #[test]
    fn a_counter_totals_what_is_defined_after_every_part_of_bytes(
        text in any_text(), sizes in prop::collection::vec(1..12_usize, 1..9), ends in any::<[prop::sample::Index; 2]>(),
    ) {
        for (encoding, reference) in BOTH.iter() {
            let mut counter = encoding.counter();
            let mut end = 0;
            for size in sizes.iter().cycle() {
                if end == text.len() {
                    break;
                }
                let start = end;
                end = text.len().min(start + size);
                let total = counter.append_bytes(&text.as_bytes()[start..end]).unwrap();
                prop_assert_eq!(total, reference.encode(&text[..text.floor_char_boundary(end)]).len());
            }
            let [first, second] = ends.map(|index| text.floor_char_boundary(index.index(text.len() + 1)));
            let (start, end) = (first.min(second), first.max(second));
            prop_assert_eq!(counter.span(start, end).unwrap(), reference.encode(&text[start..end]).len());
            prop_assert_eq!(counter.truncate(end).unwrap(), reference.encode(&text[..end]).len());
        }
    }
}
