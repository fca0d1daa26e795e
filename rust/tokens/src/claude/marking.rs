//! How a word is written in the marked text: its start and end are marked, and capitals are small letters after a mark.

use super::characters::{Class, lowered};
use super::pieces::{CAPITAL, CAPITALS, Pieces, WORD_END, WORD_START};
use super::tiling::Tiling;

/// Shorter words of capitals are written as they are.
pub(super) const CAPITALS_MIN: usize = 4;
/// It has no small letter of one character: it stays, and does not count as a capital.
const DOTTED_I: char = 'İ';
/// A word with it is written as it is.
const CAPITAL_SHARP_S: char = 'ẞ';

/// How the letters of a word are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    AsItIs,
    /// A mark, and small letters.
    Capital,
    /// Another mark, and small letters.
    Capitals,
}

/// Tile a word with its marks.
pub(super) fn word(pieces: &Pieces, tiling: &mut Tiling, word: &str, marks_capitals: bool) {
    let case = case_of(word, marks_capitals);
    match case {
        Case::AsItIs => {}
        Case::Capital => tiling.mark(pieces, CAPITAL),
        Case::Capitals => tiling.mark(pieces, CAPITALS),
    }
    tiling.mark(pieces, WORD_START);
    for character in word.chars() {
        tiling.character(pieces, if case == Case::AsItIs { character } else { lowered(character) });
    }
    tiling.mark(pieces, WORD_END);
}

/// Tile a word that a mark without a letter before it opens: its capitals stay.
pub(super) fn marked_word(pieces: &Pieces, tiling: &mut Tiling, word: &str) {
    tiling.mark(pieces, WORD_START);
    word.chars().for_each(|character| tiling.character(pieces, character));
    tiling.mark(pieces, WORD_END);
}

fn case_of(word: &str, marks_capitals: bool) -> Case {
    let (mut length, mut uppers, mut capital, mut dotted, mut only_capitals) = (0_usize, 0_usize, false, false, true);
    for (at, character) in word.chars().enumerate() {
        let class = Class::of(character);
        length = at.saturating_add(1);
        match character {
            CAPITAL_SHARP_S => return Case::AsItIs,
            DOTTED_I => dotted = true,
            _ if class.is_upper() => {
                uppers = uppers.saturating_add(1);
                capital |= at == 0;
            }
            _ => only_capitals &= !class.is_no_capital(),
        }
    }
    if marks_capitals && only_capitals && !dotted && uppers > 0 && length >= CAPITALS_MIN {
        return Case::Capitals;
    }
    if capital && uppers == 1 { Case::Capital } else { Case::AsItIs }
}
