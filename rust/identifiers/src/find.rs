//! Finding them.

use std::collections::HashSet;

use crate::digits::{is_blank, is_decimal};

/// Of one text, this much is searched: half from its head, half from its tail.
const TEXT_CHARACTERS_MAX: usize = 20_000;

/// A shorter one says too little.
const CHARACTERS_MIN: usize = 3;

/// So many bytes are as many characters at least: none has more than four.
const BYTES_SURELY_MIN: usize = 4 * CHARACTERS_MIN;

/// What is longer is data.
const CHARACTERS_MAX: usize = 200;

/// What a sentence puts around a word, and belongs to it nowhere.
const ENDS: [char; 8] = ['.', ':', '!', '?', '*', '#', '-', '…'];

/// Return the identifiers of `text`, each once, ascending. O(characters), with a logarithm for the order.
#[must_use]
pub fn identifiers_in(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    each_identifier(text, |identifier| found.push((beginning(identifier), identifier)));
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(_, identifier)| identifier).collect()
}

/// Return the first eight bytes of `text` as a number: in the same order, and compared at once.
pub(crate) fn beginning(text: &str) -> u64 {
    let mut first = [0; 8];
    first.iter_mut().zip(text.bytes()).for_each(|(to, byte)| *to = byte);
    u64::from_be_bytes(first)
}

/// Return how many identifiers `texts` have, each counted once, and how many of them `others` have as well.
#[must_use]
pub fn count_identifiers(texts: &[&str], others: &[&str]) -> (usize, usize) {
    let mut missing: HashSet<&str> = HashSet::new();
    for text in texts {
        each_identifier(text, |identifier| {
            missing.insert(identifier);
        });
    }
    let count = missing.len();
    let beginnings = Beginnings::of(missing.iter().copied());
    for other in others {
        if missing.is_empty() {
            break;
        }
        each_identifier(other, |identifier| {
            if beginnings.may_have(identifier) {
                missing.remove(identifier);
            }
        });
    }
    (count, count.saturating_sub(missing.len()))
}

/// The beginnings of texts, in few enough bits to stay near: tells at once of most others that they are not among them.
struct Beginnings(Vec<u64>);

impl Beginnings {
    /// So many bits of a product say which word of the table it is, as many as there are places in one which bit.
    const WORD_BITS: u32 = 10;
    const PLACE_BITS: u32 = 6;

    fn of<'text>(texts: impl Iterator<Item = &'text str>) -> Self {
        let mut table = vec![0; 1 << Self::WORD_BITS];
        for text in texts {
            let (word, bit) = Self::place(text);
            if let Some(bits) = table.get_mut(word) {
                *bits |= bit;
            }
        }
        Self(table)
    }

    fn may_have(&self, text: &str) -> bool {
        let (word, bit) = Self::place(text);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// Return the word and the bit that say whether `text` is there: its beginning and its length, mixed by a multiplication.
    fn place(text: &str) -> (usize, u64) {
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let mixed = (beginning(text) ^ length.rotate_left(17)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let word = usize::try_from(mixed >> (u64::BITS - Self::WORD_BITS)).unwrap_or(0);
        let place = (mixed >> (u64::BITS - Self::WORD_BITS - Self::PLACE_BITS)) & 63;
        (word, 1 << place)
    }
}

/// Give each identifier of `text` to `take`, as often as it stands there.
pub(crate) fn each_identifier<'text>(text: &'text str, mut take: impl FnMut(&'text str)) {
    let (head, tail) = searched(text);
    for part in [head, tail] {
        each_word(part, |word| {
            let inner = without_ends(word);
            if is_of_length(word) && (inner.len() == word.len() || is_of_length(inner)) {
                take(inner);
            }
        });
    }
}

fn without_ends(word: &str) -> &str {
    let is_plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric); // most words begin and end so
    let bytes = word.as_bytes();
    if is_plain(bytes.first()) && is_plain(bytes.last()) { word } else { word.trim_matches(ENDS) }
}

fn is_of_length(word: &str) -> bool {
    let is_surely = (BYTES_SURELY_MIN..=CHARACTERS_MAX).contains(&word.len());
    is_surely || (word.len() >= CHARACTERS_MIN && (CHARACTERS_MIN..=CHARACTERS_MAX).contains(&word.chars().count()))
}

/// Return what is searched of `text`: all of it and nothing, or its head and its tail.
fn searched(text: &str) -> (&str, &str) {
    if text.len() <= TEXT_CHARACTERS_MAX || text.chars().nth(TEXT_CHARACTERS_MAX).is_none() {
        return (text, "");
    }
    let half = TEXT_CHARACTERS_MAX / 2;
    let head = text.char_indices().nth(half).map_or(text.len(), |(at, _)| at);
    let tail = text.char_indices().nth_back(half.saturating_sub(1)).map_or(0, |(at, _)| at);
    (text.get(..head).unwrap_or(text), text.get(tail..).unwrap_or(text))
}

/// Give each word of `text` that tells to `take`.
///
/// A word is a run of characters that may be in one. A decimal digit that may not (Chinese and Japanese texts have wide
/// ones) ends a word that tells by nothing else, and may begin one: `版本１２` has `１` and `２`.
fn each_word<'text>(text: &'text str, mut take: impl FnMut(&'text str)) {
    let mut at: usize = 0;
    while let Some(telling) = next_telling(text.as_bytes(), at) {
        let before = text.as_bytes().get(at..telling).unwrap_or(&[]);
        let same_word = before.iter().rev().take_while(|byte| form(**byte) < WIDE).count();
        at = words_from(text, telling.saturating_sub(same_word), &mut take);
    }
}

/// Give the words that tell from `at` on, where one may begin, up to one that has ASCII behind it; return what follows.
fn words_from<'text>(text: &'text str, mut at: usize, take: &mut impl FnMut(&'text str)) -> usize {
    let mut open: Option<usize> = None; // where a word begins that a wide digit has just told
    loop {
        let (end, seen) = run_from(text, at);
        let next = text.get(end..).and_then(|rest| rest.chars().next());
        let begins = open.take().or_else(|| (end > at && tells(text.get(at..end).unwrap_or(""), seen)).then_some(at));
        if let Some(begin) = begins {
            take(text.get(begin..end).unwrap_or(""));
        }
        if (begins.is_none() || end == at) && next.is_some_and(is_wide_decimal) {
            open = Some(if begins.is_none() { at } else { end });
        }
        at = end.saturating_add(next.map_or(0, char::len_utf8));
        if next.is_none_or(|next| next.is_ascii()) {
            return at;
        }
    }
}

/// Return where the first character from `at` on is by which a word may tell: one outside of ASCII may do so by itself.
fn next_telling(bytes: &[u8], at: usize) -> Option<usize> {
    let mut from = at;
    loop {
        let found = next_that_may_tell(bytes, from)?;
        let behind = || found.checked_sub(1).filter(|before| *before >= at).and_then(|before| bytes.get(before));
        let ahead = || found.checked_add(1).and_then(|after| bytes.get(after));
        let tells = match bytes.get(found)? {
            b'A'..=b'Z' => behind().is_some_and(u8::is_ascii_lowercase),
            b'.' => behind().is_some_and(u8::is_ascii_alphabetic) && ahead().is_some_and(u8::is_ascii_alphabetic),
            _ => true,
        };
        if tells {
            return Some(found);
        }
        from = found.saturating_add(1);
    }
}

/// Return where the first byte from `at` on is that is no small letter, blank or sign alone. Most of a text is.
fn next_that_may_tell(bytes: &[u8], at: usize) -> Option<usize> {
    let (chunks, rest) = bytes.get(at..)?.as_chunks::<LANES>();
    let mut from = at;
    for chunk in chunks {
        let lanes = chunk.map(|byte| u8::from(may_tell(byte)));
        let told = u128::from_le_bytes(lanes);
        if told != 0 {
            return Some(from.saturating_add(usize::try_from(told.trailing_zeros() / 8).ok()?));
        }
        from = from.saturating_add(LANES);
    }
    rest.iter().position(|byte| may_tell(*byte)).map(|lane| from.saturating_add(lane))
}

/// So many bytes are looked at together.
const LANES: usize = 16;

/// Return whether `byte` is a digit, a dot, a slash, an underscore, a capital or outside of ASCII; without a branch.
#[expect(clippy::needless_bitwise_bool, reason = "a branch would keep the compiler from looking at many bytes at once")]
const fn may_tell(byte: u8) -> bool {
    (byte.wrapping_sub(b'.') < 12) | (byte == b'_') | (byte.wrapping_sub(b'A') < 26) | (byte >= 0x80)
}

fn is_wide_decimal(character: char) -> bool {
    !character.is_ascii() && !may_be_part(character) && is_decimal(character)
}

const TELLS: u8 = 1;
const LOWER: u8 = 2;
const UPPER: u8 = 4;
const DOT: u8 = 8;
const WIDE: u8 = 16;
/// A word ends here.
const END: u8 = 32;

/// What each byte is; those of a character outside of ASCII are looked at together.
const FORMS: [u8; 256] = forms();

const fn forms() -> [u8; 256] {
    let mut forms = [WIDE; 256];
    let (ascii, _) = forms.split_at_mut(128);
    let mut rest = ascii;
    let mut byte: u8 = 0;
    while let Some((form, behind)) = rest.split_first_mut() {
        *form = form_of(byte);
        byte = byte.wrapping_add(1);
        rest = behind;
    }
    forms
}

const fn form_of(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' | b'_' | b'/' => TELLS,
        b'a'..=b'z' => LOWER,
        b'A'..=b'Z' => UPPER,
        b'.' => DOT,
        b'\t'..=b'\r'
        | 0x1c..=b' '
        | b'"'
        | b'\''
        | b'`'
        | b'<'
        | b'>'
        | b'('
        | b')'
        | b'['
        | b']'
        | b'{'
        | b'}'
        | b','
        | b';'
        | b'='
        | b'|'
        | b'\\' => END,
        _ => 0,
    }
}

fn form(byte: u8) -> u8 {
    FORMS.get(usize::from(byte)).copied().unwrap_or(END)
}

/// Return where the characters of `text` end that may be in one word from `at` on, and the forms of all of them.
fn run_from(text: &str, at: usize) -> (usize, u8) {
    let bytes = text.as_bytes();
    let (mut end, mut seen) = (at, 0);
    loop {
        let rest = bytes.get(end..).unwrap_or(&[]);
        let plain = rest.iter().position(|byte| {
            let form = form(*byte);
            seen |= form & !(WIDE | END);
            form >= WIDE
        });
        end = end.saturating_add(plain.unwrap_or(rest.len()));
        match text.get(end..).and_then(|rest| rest.chars().next()) {
            Some(character) if !character.is_ascii() && may_be_part(character) => {
                seen |= WIDE;
                end = end.saturating_add(character.len_utf8());
            }
            _ => return (end, seen),
        }
    }
}

/// Return whether a character outside of ASCII may be in a word.
fn may_be_part(character: char) -> bool {
    !is_blank(character) && !('\u{2e80}'..='\u{ffff}').contains(&character)
}

/// Return whether `word`, which has these forms, tells.
fn tells(word: &str, form: u8) -> bool {
    let bytes = word.as_bytes();
    form & TELLS != 0
        || (form & LOWER != 0 && form & UPPER != 0 && bytes.windows(2).any(is_inner_capital))
        || (form & DOT != 0 && bytes.windows(3).any(is_inner_dot))
        || (form & WIDE != 0 && word.chars().any(is_decimal))
}

fn is_inner_capital(pair: &[u8]) -> bool {
    matches!(pair, [b'a'..=b'z', b'A'..=b'Z'])
}

fn is_inner_dot(three: &[u8]) -> bool {
    matches!(three, [before, b'.', after] if before.is_ascii_alphabetic() && after.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_things_are_found_by_their_form() {
        let text = "See src/app.py: load_file(x) at v1.2, LoadFile, retold.policy… and nothing else - OK.";
        assert_eq!(identifiers_in(text), ["LoadFile", "load_file", "retold.policy", "src/app.py", "v1.2"]);
        assert_eq!(identifiers_in("a1 ab1. ***id_9*** 请看queue_2的日志"), ["ab1", "id_9", "queue_2"]);
    }

    #[test]
    fn a_wide_digit_ends_a_word_and_may_begin_one() {
        let words = |text| {
            let mut words = Vec::new();
            each_word(text, |word| words.push(word));
            words
        };
        assert_eq!(words("abc１２def"), ["abc１", "２def"]);
        assert_eq!(words("abc1１２ ３"), ["abc1", "２", "３"]);
        assert_eq!(words("１２"), ["１", "２"]);
        assert_eq!(words("ab１cd２ef３"), ["ab１cd", "ef３"]);
        assert_eq!(words(""), Vec::<&str>::new());
    }

    #[test]
    fn of_a_long_text_the_middle_is_not_searched() {
        let text = format!("head_1 {}mid_1 {} tail_1", "é ".repeat(10_000), "é ".repeat(10_000));
        assert_eq!(identifiers_in(&text), ["head_1", "tail_1"]);
    }

    #[test]
    fn what_others_have_as_well_is_counted() {
        assert_eq!(count_identifiers(&["a_1 b_2", "c_3 a_1"], &["c_3", "nothing a_1 d_4"]), (3, 2));
        assert_eq!(count_identifiers(&[], &["a_1"]), (0, 0));
    }
}
