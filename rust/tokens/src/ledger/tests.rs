//! What cannot be seen from outside: in how many blocks the items lie.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test may fail loudly")]

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::{BLOCK_ITEMS, Ledger, Size};

fn is_packed(ledger: &Ledger) -> bool {
    let sizes: Vec<usize> = ledger.blocks.iter().map(|block| block.items.len()).collect();
    sizes.iter().all(|size| (1..=BLOCK_ITEMS).contains(size))
        && sizes.windows(2).all(|pair| pair.iter().sum::<usize>() > BLOCK_ITEMS)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500, rng_seed: RngSeed::Fixed(20_262), failure_persistence: None, ..ProptestConfig::default()
    })]

    // Without a bound on the number of blocks every sum would slow down with the number of replacements.

    #[test]
    fn neighbours_are_never_so_small_that_one_block_could_hold_both(
        start in 0..600_usize, changes in prop::collection::vec((any::<(u16, u8)>(), 0..90_usize), 0..40),
    ) {
        let mut ledger = Ledger::new(&vec![Size::default(); start]);
        prop_assert!(is_packed(&ledger));
        for ((at, removed), added) in changes {
            let at = usize::from(at) % (ledger.len() + 1);
            let end = (at + usize::from(removed)).min(ledger.len());
            ledger.replace(at..end, &vec![Size::default(); added]).unwrap();
            prop_assert!(is_packed(&ledger));
            ledger.append(Size::default());
            prop_assert!(is_packed(&ledger));
        }
    }
}
