//! The two ways of merging against the definition: join the leftmost pair of lowest rank until none is left.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use proptest::prelude::*;

use super::Merger;
use crate::builtin::Builtin;
use crate::vocabulary::{NO_RANK, Vocabulary};

fn by_definition(ranks: &Vocabulary, piece: &[u8]) -> Vec<usize> {
    let mut parts: Vec<Vec<u8>> = piece.iter().map(|byte| vec![*byte]).collect();
    loop {
        let joined = parts.windows(2).map(<[Vec<u8>]>::concat).map(|joined| ranks.rank(&joined));
        let lowest =
            joined.enumerate().filter(|(_, rank)| *rank != NO_RANK).min_by_key(|(index, rank)| (*rank, *index));
        let Some((index, _)) = lowest else { break };
        let right = parts.remove(index + 1);
        parts[index].extend(right);
    }
    let lengths = parts.iter().map(Vec::len);
    lengths.scan(0, |end, length| Some(std::mem::replace(end, *end + length))).collect()
}

fn ways(ranks: &Vocabulary, piece: &[u8]) -> [Vec<usize>; 2] {
    let (mut scan, mut heap) = (Merger::default(), Merger::default());
    scan.scan(ranks, piece);
    heap.heap(ranks, piece);
    [scan.starts, heap.starts]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: prop::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn scan_and_heap_merge_as_defined(
        piece in prop_oneof!["[a-e]{1,200}", "[ \\n=a]{1,200}", "\\PC{1,60}"].prop_map(String::into_bytes),
        builtin in prop::sample::select(Builtin::ALL.to_vec()),
    ) {
        let ranks = builtin.ranked().unwrap().ranks;
        let expected = by_definition(ranks, &piece);
        prop_assert_eq!(ways(ranks, &piece), [expected.clone(), expected]);
    }
}

#[test]
fn an_empty_piece_has_no_tokens() {
    let ranks = Builtin::Cl100kBase.ranked().unwrap().ranks;
    assert_eq!(ways(ranks, b""), [Vec::<usize>::new(), Vec::new()]);
}
