//! The text as the tokenizer reads it: what is changed before it looks for words.
//!
//! In this order: NFC, with the Thai SARA AM composed as well; control characters are left out, but tab, line break and
//! NUL, which is a blank; private characters of the basic plane are left out; the other blanks become blanks, but the
//! ideographic one; and for Claude 3 curly quotes become straight.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

use super::characters::Class;

const PLAIN_BLOCK: usize = 32;
const SARA_AM: char = '\u{0E33}';
const NIKHAHIT: char = '\u{0E4D}';
const SARA_AA: char = '\u{0E32}';

/// Return `text` as it is read; borrowed, if that is how it is written.
///
/// Only what is unsettled is normalised, with the character before it, which it may be joined to.
pub(super) fn normalised(text: &str, fold_quotes: bool) -> Cow<'_, str> {
    let mut end = settled_bytes(text, fold_quotes);
    if end == text.len() {
        return Cow::Borrowed(text);
    }
    let mut read = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let settled = rest.get(..end).unwrap_or_default();
        let base = settled.char_indices().next_back().map_or(0, |(at, _)| at);
        read.push_str(settled.get(..base).unwrap_or_default());
        let open = rest.get(base..).unwrap_or_default();
        let mut after = open.char_indices().skip(usize::from(end > base));
        let joined = |(_, next): &(usize, char)| is_settled(*next, fold_quotes) && *next != SARA_AA;
        let until = after.find(joined).map_or(open.len(), |(at, _)| at);
        normalise(open.get(..until).unwrap_or_default(), fold_quotes, &mut read);
        rest = open.get(until..).unwrap_or_default();
        if rest.is_empty() {
            return Cow::Owned(read);
        }
        end = settled_bytes(rest, fold_quotes);
    }
}

fn normalise(text: &str, fold_quotes: bool, read: &mut String) {
    let mut before = '\0';
    for character in text.nfc().filter(|character| !is_left_out(*character)) {
        if character == SARA_AA && before == NIKHAHIT {
            read.pop();
            read.push(SARA_AM);
            before = SARA_AM;
            continue;
        }
        before = character;
        if !is_private(character) {
            read.push(folded(character, fold_quotes));
        }
    }
}

/// Return how many bytes at the start of `text` are read as they are written.
fn settled_bytes(text: &str, fold_quotes: bool) -> usize {
    let mut end = 0_usize;
    loop {
        let rest = text.get(end..).unwrap_or_default();
        end = end.saturating_add(plain_bytes(rest.as_bytes()));
        match text.get(end..).and_then(|rest| rest.chars().next()) {
            Some(next) if is_settled(next, fold_quotes) => end = end.saturating_add(next.len_utf8()),
            _ => return end,
        }
    }
}

/// Tell whether a character is read as it is written, and changes nothing before it.
fn is_settled(character: char, fold_quotes: bool) -> bool {
    if let Ok(byte) = u8::try_from(character)
        && byte.is_ascii()
    {
        return is_plain(byte);
    }
    !Class::of(character).is_unsettled() || (!fold_quotes && is_quote(character))
}

/// Return how many bytes of plain ASCII `bytes` begins with.
fn plain_bytes(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<PLAIN_BLOCK>();
    // Without a way out in the middle, the compiler compares a block at once.
    let plain = blocks.iter().position(|block| !block.iter().fold(true, |plain, byte| plain & is_plain(*byte)));
    let start = plain.unwrap_or(blocks.len()).saturating_mul(PLAIN_BLOCK);
    let rest = bytes.get(start..).unwrap_or_default();
    start.saturating_add(rest.iter().position(|byte| !is_plain(*byte)).unwrap_or(rest.len()))
}

pub(super) const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n')
}

const fn is_left_out(character: char) -> bool {
    matches!(character, '\u{01}'..='\u{08}' | '\u{0b}'..='\u{1f}' | '\u{7f}'..='\u{9f}')
}

const fn is_private(character: char) -> bool {
    matches!(character, '\u{e000}'..='\u{f8ff}')
}

const fn is_quote(character: char) -> bool {
    matches!(character, '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}')
}

const fn folded(character: char, fold_quotes: bool) -> char {
    match character {
        '\0' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' => {
            ' '
        }
        '\u{2018}' | '\u{2019}' if fold_quotes => '\'',
        '\u{201c}' | '\u{201d}' if fold_quotes => '"',
        _ => character,
    }
}
