//! The levels against each other, few enough for an interpreter that checks every step (`make sanitize`).
#![allow(clippy::arithmetic_side_effects, reason = "a test may fail loudly")]

use super::super::masks::{self, Masks, WINDOW};
use super::{Level, Work};

struct Classify<'a>(&'a [u8; WINDOW]);

impl Work for Classify<'_> {
    type Output = Masks;

    fn run(self, classify: impl Fn(&[u8; WINDOW]) -> Masks) -> Masks {
        classify(self.0)
    }
}

#[test]
fn every_byte_in_every_place_is_classified_alike() {
    let level = Level::of_this_machine();
    for shift in 0..=255_u8 {
        let mut window = [0; WINDOW];
        for (byte, place) in window.iter_mut().zip(0..=255_u8) {
            *byte = place.wrapping_mul(37).wrapping_add(shift);
        }
        assert_eq!(level.run(Classify(&window)), masks::classify(&window));
    }
}

#[test]
fn this_machine_has_what_its_level_is_compiled_for() {
    #[cfg(target_arch = "x86_64")]
    if Level::of_this_machine() == Level::Avx2 {
        let has = [
            is_x86_feature_detected!("avx2"),
            is_x86_feature_detected!("bmi1"),
            is_x86_feature_detected!("bmi2"),
            is_x86_feature_detected!("popcnt"),
            is_x86_feature_detected!("lzcnt"),
        ];
        assert_eq!(has, [true; 5]);
    }
}
