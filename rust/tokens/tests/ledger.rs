//! A ledger is always what a list of its items says: however they came, were replaced, were asked about, or were saved.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
#![allow(clippy::arithmetic_side_effects, reason = "small numbers")]

mod reference;

use proptest::prelude::*;
use proptest::sample::Index;
use reference::config;
use retold_tokens::{Error, Ledger, Size, Sum};

/// Most items as they are, some at the limit of what an item can hold.
fn size() -> impl Strategy<Value = Size> {
    let number = || prop_oneof![4 => 0..2_000_u32, 2 => Just(0), 1 => any::<u32>(), 1 => Just(u32::MAX)];
    (number(), number(), number()).prop_map(|(exact, reconstructed, estimated)| Size {
        exact,
        reconstructed,
        estimated,
    })
}

fn sizes(most: usize) -> impl Strategy<Value = Vec<Size>> {
    prop::collection::vec(size(), 0..=most)
}

#[derive(Clone, Debug)]
enum Change {
    Append(Size),
    Put(Index, Size),
    Replace([Index; 2], Vec<Size>),
    Cut(Index),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        2 => size().prop_map(Change::Append),
        3 => (any::<[Index; 2]>(), sizes(150)).prop_map(|(ends, new)| Change::Replace(ends, new)),
        2 => (any::<Index>(), size()).prop_map(|(at, new)| Change::Replace([at, at], vec![new])),
        3 => (any::<Index>(), size()).prop_map(|(at, new)| Change::Put(at, new)),
        1 => any::<Index>().prop_map(Change::Cut),
    ];
    prop::collection::vec(change, 0..24)
}

/// Change a list and a ledger in the same way.
fn apply(change: Change, ledger: &mut Ledger, list: &mut Vec<Size>) {
    let place = |index: Index| index.index(list.len() + 1);
    match change {
        Change::Append(size) => {
            ledger.append(size);
            list.push(size);
        }
        Change::Put(at, size) => {
            let at = place(at);
            assert_eq!(ledger.put(at, size).is_ok(), at < list.len());
            if let Some(old) = list.get_mut(at) {
                *old = size;
            }
        }
        Change::Replace(ends, new) => {
            let (first, second) = (place(ends[0]), place(ends[1]));
            let range = first.min(second)..first.max(second);
            ledger.replace(range.clone(), &new).unwrap();
            list.splice(range, new);
        }
        Change::Cut(at) => {
            let at = place(at);
            ledger.replace(at..list.len(), &[]).unwrap();
            list.truncate(at);
        }
    }
}

fn sum_of(list: &[Size]) -> Sum {
    let add = |number: fn(&Size) -> u32| list.iter().map(|size| u64::from(number(size))).sum();
    Sum {
        exact: add(|size| size.exact),
        reconstructed: add(|size| size.reconstructed),
        estimated: add(|size| size.estimated),
    }
}

fn upper_of(list: &[Size]) -> u64 {
    let Sum { exact, reconstructed, estimated } = sum_of(list);
    exact + reconstructed + estimated + estimated / 4
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn a_changed_ledger_sums_what_a_list_sums(start in sizes(300), changes in changes()) {
        let (mut ledger, mut list) = (Ledger::new(&start), start);
        for change in changes {
            apply(change, &mut ledger, &mut list);
            prop_assert_eq!(ledger.len(), list.len());
            prop_assert_eq!(ledger.total(), sum_of(&list));
        }
        prop_assert_eq!(ledger.is_empty(), list.is_empty());
        for place in 0..=list.len() {
            prop_assert_eq!(ledger.prefix(place).unwrap(), sum_of(&list[..place]));
        }
        prop_assert_eq!(&ledger, &Ledger::new(&list));
    }

    #[test]
    fn a_span_is_the_sum_of_its_items(list in sizes(300), ends in any::<[Index; 2]>()) {
        let (first, second) = (ends[0].index(list.len() + 1), ends[1].index(list.len() + 1));
        let range = first.min(second)..first.max(second);
        prop_assert_eq!(Ledger::new(&list).span(range.clone()).unwrap(), sum_of(&list[range]));
    }

    // The budget is the very size of a part, or one below: a bound by the sum of the items' own bounds, which rounds
    // down at each, would let too many in.

    #[test]
    fn as_many_items_fit_as_the_sum_of_no_more_is_within_the_budget(
        start in sizes(200), changes in changes(), at in any::<Index>(), less in 0..2_u64,
    ) {
        let (mut ledger, mut list) = (Ledger::new(&start), start);
        for change in changes {
            apply(change, &mut ledger, &mut list);
        }
        let len = list.len();
        let place = at.index(len + 1);
        let budget = upper_of(&list[..place]).saturating_sub(less);
        let fitting = (0..=len).rev().find(|count| upper_of(&list[..*count]) <= budget);
        prop_assert_eq!(Some(ledger.fit_from_start(budget)), fitting);
        let budget = upper_of(&list[place..]).saturating_sub(less);
        let fitting = (0..=len).rev().find(|count| upper_of(&list[len - *count..]) <= budget);
        prop_assert_eq!(Some(ledger.fit_from_end(budget)), fitting);
    }

    #[test]
    fn a_restored_ledger_goes_on_where_the_other_was(start in sizes(200), changes in changes()) {
        let (mut ledger, mut list) = (Ledger::new(&start), start);
        let mut restored = Ledger::restore(&ledger.snapshot()).unwrap();
        for change in changes {
            apply(change.clone(), &mut ledger, &mut list.clone());
            apply(change, &mut restored, &mut list);
        }
        prop_assert_eq!(&restored, &ledger);
        prop_assert_eq!(restored.snapshot(), Ledger::new(&list).snapshot());
    }

    #[test]
    fn a_damaged_snapshot_is_refused(list in sizes(30), at in any::<Index>(), flip in 1..=255_u8) {
        let mut snapshot = Ledger::new(&list).snapshot();
        let at = at.index(snapshot.len());
        snapshot[at] ^= flip;
        prop_assert!(Ledger::restore(&snapshot).is_err());
        prop_assert!(Ledger::restore(&snapshot[..at]).is_err());
        snapshot[at] ^= flip;
        snapshot.push(0);
        prop_assert!(Ledger::restore(&snapshot).is_err());
    }
}

#[test]
fn a_refused_change_changes_nothing() {
    let list = vec![Size { exact: 7, reconstructed: 4, estimated: 1 }; 100];
    let mut ledger = Ledger::new(&list);
    assert_eq!(ledger.replace(60..101, &[]), Err(Error::NoPlace { place: 101, len: 100 }));
    let (start, end) = (3, 2);
    assert_eq!(ledger.replace(start..end, &[]), Err(Error::Backwards { start, end }));
    assert_eq!(ledger.span(start..end), Err(Error::Backwards { start, end }));
    assert_eq!(ledger.prefix(usize::MAX), Err(Error::NoPlace { place: usize::MAX, len: 100 }));
    assert_eq!(ledger.put(100, Size::default()), Err(Error::NoItem { place: 100, len: 100 }));
    assert_eq!(ledger, Ledger::new(&list));
}

#[test]
fn an_empty_ledger_has_nothing_and_everything_fits() {
    let mut ledger = Ledger::default();
    assert_eq!((ledger.len(), ledger.total(), ledger.prefix(0)), (0, Sum::default(), Ok(Sum::default())));
    assert_eq!((ledger.fit_from_start(0), ledger.fit_from_end(u64::MAX)), (0, 0));
    assert_eq!(ledger.replace(0..0, &[]), Ok(()));
    assert_eq!(Ledger::restore(&ledger.snapshot()), Ok(ledger));
}

#[test]
fn a_snapshot_of_another_version_is_named() {
    // Written by hand: the checksum must hold, or the damage would be met first.
    use sha2::{Digest as _, Sha256};
    let mut bytes = b"RTL\x02\0\0\0\0\0\0\0\0".to_vec();
    let sum: [u8; 32] = Sha256::digest(&bytes).into();
    bytes.extend_from_slice(&sum[..8]);
    assert_eq!(Ledger::restore(&bytes), Err(Error::LedgerVersion { version: 2 }));
}
