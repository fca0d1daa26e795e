//! The laws: what is laid out is put together again, whatever came before; what is known is stored once.

use std::collections::HashMap;
use std::io::Read;

use flate2::read::ZlibDecoder;
use proptest::prelude::*;

use crate::{Holder, Laid, Layout, items_hash};

/// The segments of each message, as rows, by position.
type Stored = HashMap<u64, Vec<Vec<Vec<u8>>>>;

fn lines(rows: &[Vec<u8>]) -> Vec<u8> {
    rows.iter().flat_map(|row| row.iter().copied().chain(*b"\n")).collect()
}

fn store(stored: &mut Stored, position: u64, laid: &Laid) {
    let opened = |segment: &Vec<u8>| {
        let mut text = Vec::new();
        ZlibDecoder::new(segment.as_slice()).read_to_end(&mut text).expect("it was deflated here");
        text.split(|byte| *byte == b',').map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let segments: Vec<_> = laid.segments.iter().map(opened).collect();
    let counts: Vec<_> = segments.iter().map(|rows| u32::try_from(rows.len()).expect("they are few")).collect();
    assert_eq!(counts, laid.rows);
    stored.insert(position, segments);
}

fn restored(stored: &Stored, position: u64, laid: &Laid) -> Vec<Vec<u8>> {
    let holder = |source: u32| match source {
        0 => position,
        _ => laid.sources[usize::try_from(source - 1).expect("it is small")].position,
    };
    let at = |number: u32| usize::try_from(number).expect("it is small");
    let rows = laid.runs.iter().flat_map(|run| {
        let segment = &stored[&holder(run.source)][at(run.segment)];
        segment[at(run.first)..at(run.first + run.count)].to_vec()
    });
    rows.collect()
}

proptest! {
    #[test]
    fn states_are_put_together_again(
        states in prop::collection::vec(prop::collection::vec("[a-f]{1,3}", 0..40), 1..12),
    ) {
        let (mut layout, mut stored) = (Layout::default(), Stored::new());
        for (position, state) in (10_u64..).step_by(3).zip(&states) {
            let rows: Vec<_> = state.iter().map(|row| row.clone().into_bytes()).collect();
            let laid = layout.keep(&lines(&rows));
            store(&mut stored, position, &laid);
            prop_assert_eq!(&restored(&stored, position, &laid), &rows);
            let after = laid.layout(position, position);
            // As it is after a restart: read from the runs that were stored.
            let own = Holder { position, number: position, stored_bytes: laid.stored_bytes };
            let holders = [own].into_iter().chain(laid.sources.iter().copied()).collect();
            let read = Layout::of(&lines(&rows), &laid.runs, holders);
            prop_assert_eq!(read.len(), after.len());
            prop_assert_eq!(read.keep(&lines(&rows)).runs, after.keep(&lines(&rows)).runs);
            layout = after;
        }
    }

    #[test]
    fn runs_that_say_something_else_are_no_panic(
        rows in prop::collection::vec("[a-c]{0,2}", 0..9),
        runs in prop::collection::vec((0_u32..4, 0_u32..3, any::<u32>(), any::<u32>()), 0..5),
    ) {
        let runs: Vec<_> = runs
            .into_iter()
            .map(|(source, segment, first, count)| crate::Run { source, segment, first, count })
            .collect();
        let rows: Vec<_> = rows.into_iter().map(String::into_bytes).collect();
        let laid = Layout::of(&lines(&rows), &runs, vec![]).keep(&lines(&rows));
        let mut stored = Stored::new();
        store(&mut stored, 1, &laid);
        prop_assert!(laid.sources.is_empty());
    }
}

#[test]
fn what_is_known_is_stored_once_and_little_of_a_message_is_not_worth_naming() {
    let first: Vec<_> = (0..100).map(|row| format!("row {row}").into_bytes()).collect();
    let layout = Layout::default().keep(&lines(&first)).layout(7, 1);
    let more: Vec<_> = first.iter().cloned().chain([b"new".to_vec()]).collect();
    let laid = layout.keep(&lines(&more));
    assert_eq!((laid.stored_bytes, laid.rows.as_slice(), laid.runs.len()), (4, [1].as_slice(), 2));
    assert_eq!(laid.sources, [Holder { position: 7, number: 1, stored_bytes: layout.holders[0].stored_bytes }]);
    let laid = layout.keep(&lines(&first[..30]));
    assert!(laid.sources.is_empty());
    assert_eq!(laid.rows, [30]);
}

#[test]
fn a_segment_ends_before_64_kib_and_a_longer_row_has_one_of_its_own() {
    let rows = [vec![b'a'; 40_000], vec![b'b'; 40_000], vec![b'c'; 90_000], b"d".to_vec()];
    assert_eq!(Layout::default().keep(&lines(&rows)).rows, [1, 1, 1, 1]);
    let rows = [vec![b'a'; 30_000], vec![b'b'; 30_000], b"c".to_vec()];
    assert_eq!(Layout::default().keep(&lines(&rows)).rows, [3]);
}

#[test]
fn items_are_hashed_up_to_their_tokens() {
    // sha256 of `{"text":",\"tokens\":"}` and a line feed; the quotes of a text are escaped.
    let row = br#"{"item":{"text":",\"tokens\":"},"tokens":{"exact":1},"seq":3}"#;
    let known = items_hash(&lines(&[row.to_vec()])).expect("it is an entry");
    let other = items_hash(&lines(&[br#"{"item":{"text":",\"tokens\":"},"tokens":{"exact":2},"seq":9}"#.to_vec()]));
    assert_eq!(Some(known), other);
    assert!(items_hash(b"{\"item\":1}\n").is_none());
    assert!(items_hash(b"{\"seq\":1,\"tokens\":2}\n").is_none());
}
