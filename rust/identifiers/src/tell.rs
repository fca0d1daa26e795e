//! Telling a few of them, where there is little room.

use std::collections::HashSet;

use crate::digits::is_digit;
use crate::find::{beginning, each_identifier};

const BETWEEN: &str = ", ";

/// So many values are put in order at once: more than there is room for, mostly.
const ORDERED_AT_ONCE: usize = 16;

/// A value with what it is told by: how little it says, its place among those that say as much.
type Ranked<'a> = (Rank, u64, &'a str);

/// What is told first to last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Name,
    Number,
    Word,
}

/// Return the identifiers of `text` in at most so many `characters`, those that are no bare numbers first, else ascending.
#[must_use]
pub fn tell_identifiers(text: &str, characters: usize) -> String {
    let mut found = Vec::new();
    each_identifier(text, |identifier| {
        if fits(identifier, characters) {
            found.push((rank_of(identifier), beginning(identifier), identifier));
        }
    });
    tell(&mut found, characters)
}

/// Return `values` in at most so many `characters`, each once, those that are no bare numbers or words first, else as they
/// come.
#[must_use]
pub fn tell_values(values: &[&str], characters: usize) -> String {
    let mut met = HashSet::new();
    let new = values.iter().filter(|value| met.insert(**value));
    tell(&mut (0..).zip(new).map(|(place, value)| (rank_of(value), place, *value)).collect::<Vec<_>>(), characters)
}

/// Return `values` in order, in at most so many `characters`: what does not fit is left out for what does.
fn tell(mut values: &mut [Ranked<'_>], characters: usize) -> String {
    let mut told = String::new();
    let mut room = characters;
    let mut last = None;
    while !values.is_empty() {
        if let Some(end) = ORDERED_AT_ONCE.checked_sub(1).filter(|end| *end < values.len()) {
            values.select_nth_unstable(end);
        }
        let (first, rest) = values.split_at_mut(ORDERED_AT_ONCE.min(values.len()));
        first.sort_unstable();
        for value in first.iter().map(|(_, _, value)| *value) {
            let between = if told.is_empty() { "" } else { BETWEEN };
            let is_new = last.replace(value) != Some(value);
            if is_new && fits(value, room.saturating_sub(between.len())) {
                told.push_str(between);
                told.push_str(value);
                room = room.saturating_sub(between.len()).saturating_sub(value.chars().count());
            }
        }
        let between = if told.is_empty() { 0 } else { BETWEEN.len() };
        values = partition(rest, |value| last != Some(value) && fits(value, room.saturating_sub(between)));
    }
    told
}

/// Return those of `values` that are wanted, in any order.
fn partition<'v, 'a>(values: &'v mut [Ranked<'a>], wanted: impl Fn(&str) -> bool) -> &'v mut [Ranked<'a>] {
    let mut count: usize = 0;
    for at in 0..values.len() {
        if values.get(at).is_some_and(|(_, _, value)| wanted(value)) {
            values.swap(count, at);
            count = count.saturating_add(1);
        }
    }
    values.get_mut(..count).unwrap_or(&mut [])
}

/// Return whether `value` is something and has at most so many `characters`.
fn fits(value: &str, characters: usize) -> bool {
    !value.is_empty() && characters > 0 && (value.len() <= characters || value.chars().count() <= characters)
}

/// Return whether `value` is a number, else a name, which has a digit or is written as names of things are, else a word.
fn rank_of(value: &str) -> Rank {
    let (is_number, tells) = if value.is_ascii() {
        let tells = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'_' | b'/' | b'@');
        (value.bytes().all(|byte| byte.is_ascii_digit()), value.bytes().any(tells))
    } else {
        (value.chars().all(is_digit), value.chars().any(|one| is_digit(one) || matches!(one, '_' | '/' | '@')))
    };
    match (is_number, tells) {
        (true, _) => Rank::Number,
        (false, true) => Rank::Name,
        (false, false) => Rank::Word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_told_numbers_after_names() {
        assert_eq!(tell_identifiers("12345 then src/a.py and src/longer/b.py", 21), "src/a.py, 12345");
        assert_eq!(tell_values(&["plain", "7", "x_1", "7"], 100), "x_1, 7, plain");
        assert_eq!(tell_identifiers("a_1", 0), "");
    }

    #[test]
    fn of_many_the_first_are_told_and_each_once() {
        let names: Vec<String> = (10..99).rev().map(|number| format!("name_{number}")).collect();
        let text = names.iter().chain(&names).map(String::as_str).collect::<Vec<_>>().join(" ");
        assert_eq!(tell_identifiers(&text, 30), "name_10, name_11, name_12");
        assert_eq!(tell_identifiers(&text, 10_000).split(", ").count(), names.len());
    }
}
