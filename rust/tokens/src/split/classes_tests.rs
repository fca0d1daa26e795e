//! The classes of every code point against the tables that tiktoken's regular expressions read.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]

use regex_syntax::hir::{Class, ClassUnicode, HirKind};

use super::{LEAD, LETTER, LOWER, NEWLINE, NUMBER, SPACE, SYMBOL, UPPER, class_of};

fn members(pattern: &str) -> ClassUnicode {
    match regex_syntax::parse(pattern).unwrap().into_kind() {
        HirKind::Class(Class::Unicode(class)) => class,
        other => panic!("expected a class, got {other:?}"),
    }
}

#[test]
fn every_code_point_has_the_classes_of_tiktokens_engine() {
    let classes = [
        (UPPER, r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"),
        (LOWER, r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"),
        (LETTER, r"\p{L}"),
        (NUMBER, r"\p{N}"),
        (SPACE, r"\s"),
        (NEWLINE, r"[\r\n]"),
        (SYMBOL, r"[^\s\p{L}\p{N}]"),
        (LEAD, r"[^\r\n\p{L}\p{N}]"),
    ];
    for (flag, pattern) in classes {
        let mut expected = vec![false; 0x11_0000];
        for range in members(pattern).ranges() {
            expected[range.start() as usize..=range.end() as usize].fill(true);
        }
        for code_point in (0..0x11_0000).filter(|code_point| char::from_u32(*code_point).is_some()) {
            let actual = class_of(code_point) & flag != 0;
            assert_eq!(actual, expected[code_point as usize], "U+{code_point:04X} and {pattern}");
        }
    }
}

#[test]
fn a_character_that_ignores_case_to_a_contraction_is_known() {
    let folded = members("(?i)[sdmtlver]");
    let beyond_ascii: Vec<char> = folded.iter().flat_map(|r| r.start()..=r.end()).filter(|c| !c.is_ascii()).collect();
    assert_eq!(beyond_ascii, ['\u{17f}']);
}
