//! What a call costs inside an unbroken run, in bytes looked at: a bound that does not know how long the run is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
#![allow(clippy::arithmetic_side_effects, reason = "small numbers")]

use super::Counter;
use crate::builtin::Builtin;
use crate::encoding::Encoding;
use crate::work;

/// What a span may look at: a stretch and a few blocks at either end, and the period of its tokens.
const SPAN_BYTES_MAX: usize = 8_000;
const CUT_BYTES_MAX: usize = 8_000;
const APPEND_BYTES_MAX: usize = 4_000;
/// The rows of all prefixes of the last 128 bytes are merged, and a run's state is found.
const SNAPSHOT_BYTES_MAX: usize = 60_000;

fn by_chance(alphabet: &[&str], size_bytes: usize) -> String {
    let mut seed = 7_u64;
    let mut text = String::new();
    while text.len() < size_bytes {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(alphabet[usize::try_from(seed >> 33).unwrap() % alphabet.len()]);
    }
    text
}

fn runs(size_bytes: usize) -> Vec<(String, String)> {
    let repeated = [
        "a",
        "=",
        " ",
        "\n",
        "\u{4e9a}",
        "A",
        "ab",
        "hello",
        "abcdefg",
        "\u{1f468}\u{200d}",
        "7",
        "\u{301}",
        "=-",
        "A\u{4e9a}",
    ];
    let mut runs: Vec<(String, String)> =
        repeated.iter().map(|run| ((*run).to_owned(), run.repeat(size_bytes / run.len()))).collect();
    let letters: Vec<String> = (b'a'..=b'z').map(|letter| char::from(letter).to_string()).collect();
    let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
    let chances: [&[&str]; 6] = [
        &letters,
        &["a", "b"],
        &["=", "-", "!"],
        &[" ", "\t", "\n"],
        &["A", "\u{4e9a}", "B"],
        &["a", "\u{4e9a}", "\u{2b0}"],
    ];
    runs.extend(chances.map(|alphabet| (format!("some of {:?}", &alphabet[..2]), by_chance(alphabet, size_bytes))));
    runs.push(("blanks after a break".to_owned(), "\n".to_owned() + &" ".repeat(size_bytes)));
    runs.push(("breaks after a symbol".to_owned(), "=".to_owned() + &"\n".repeat(size_bytes)));
    runs.push(("capitals after a caseless letter".to_owned(), "\u{4e9a}".to_owned() + &"A".repeat(size_bytes)));
    runs
}

fn counters(size_bytes: usize) -> impl Iterator<Item = (String, String, Counter)> {
    let encodings = [Builtin::O200kBase, Builtin::Cl100kBase].map(|builtin| Encoding::builtin(builtin).unwrap());
    runs(size_bytes).into_iter().flat_map(move |(name, run)| {
        // In the middle of other text, and at its end.
        let texts = [format!("Look: x{run}. That was it."), format!("Look: {run}")];
        let pairs = encodings.clone().into_iter().flat_map(move |one| texts.clone().map(|text| (one.clone(), text)));
        pairs.map(move |(encoding, text)| {
            let mut counter = encoding.counter();
            counter.append(&text).unwrap();
            (format!("{} {name}", encoding.name()), text, counter)
        })
    })
}

fn place(text: &str, tenths: usize) -> usize {
    text.floor_char_boundary(text.len() / 10 * tenths + 1)
}

#[test]
fn a_span_costs_the_same_in_a_short_run_and_in_a_long_one() {
    for size_bytes in [20_000, 1_000_000] {
        for (name, text, counter) in counters(size_bytes) {
            for (from, to) in [(0, 5), (2, 7), (4, 4), (7, 10), (3, 9)] {
                let (start, end) = (place(&text, from), if to == 10 { text.len() } else { place(&text, to) });
                let cost = work::of(|| counter.span(start, end));
                assert!(cost < SPAN_BYTES_MAX, "{cost} bytes looked at for [{start}, {end}) of {size_bytes}: {name}");
            }
        }
    }
}

#[test]
fn a_cut_costs_the_same_in_a_short_run_and_in_a_long_one() {
    for size_bytes in [20_000, 1_000_000] {
        for (name, text, mut counter) in counters(size_bytes) {
            for tenths in [9, 6, 3, 1] {
                let end = place(&text, tenths);
                let cost = work::of(|| counter.truncate(end));
                assert!(cost < CUT_BYTES_MAX, "{cost} bytes looked at to cut {size_bytes} at {end}: {name}");
                for more in ["", text.get(end..text.ceil_char_boundary(end + 8)).unwrap(), ".", "x"] {
                    let cost = work::of(|| counter.append(more));
                    assert!(cost < APPEND_BYTES_MAX, "{cost} bytes looked at to append {more:?}: {name}");
                }
            }
        }
    }
}

#[test]
fn a_snapshot_costs_the_same_in_a_short_run_and_in_a_long_one() {
    for size_bytes in [20_000, 1_000_000] {
        for (name, _, counter) in counters(size_bytes) {
            let mut len = 0;
            let cost = work::of(|| len = counter.snapshot().len());
            assert!(len < 1_000, "{len} bytes: {name}");
            assert!(cost < SNAPSHOT_BYTES_MAX, "{cost} bytes looked at for a snapshot of {size_bytes}: {name}");
        }
    }
}
