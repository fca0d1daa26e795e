//! One spelling for all that reads alike: compatibility forms, case, look-alikes, and what cannot be seen.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Return `text` in one spelling: NFKC, lower case, without marks that cannot be seen or stand on Latin letters, look-alikes as
/// the Latin letters that they look like, and every run of white space as one blank.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        // Most of a text is ASCII, which needs no tables; what stands beside it does not change what it is.
        let of_a_kind = |one: char| one.is_ascii() == first.is_ascii();
        let end = rest.find(|one| !of_a_kind(one)).unwrap_or(rest.len());
        let (run, others) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if first.is_ascii() {
            run.chars().for_each(|one| add(&mut folded, one.to_ascii_lowercase()));
        } else {
            add_folded(&mut folded, run);
        }
        rest = others;
    }
    folded
}

fn add_folded(folded: &mut String, run: &str) {
    for one in visible(run).nfkd().flat_map(char::to_lowercase) {
        let one = look_alike(one);
        if !is_combining_mark(one) && !is_hidden(one) {
            add(folded, one);
        }
    }
}

fn add(folded: &mut String, one: char) {
    if !one.is_whitespace() && !one.is_control() {
        folded.push(one);
    } else if !folded.ends_with(' ') && !folded.is_empty() {
        folded.push(' ');
    }
}

/// Return the characters of `text` that can be seen; of tag characters, what they spell.
fn visible(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter_map(|one| match one {
        '\u{e0020}'..='\u{e007e}' => char::from_u32(u32::from(one).wrapping_sub(0xe0000)),
        _ if is_hidden(one) => None,
        _ => Some(one),
    })
}

/// Return whether `one` takes no room: joiners, marks of direction, variation selectors, soft hyphens and such.
pub(crate) fn is_hidden(one: char) -> bool {
    matches!(one,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

const LOOK_ALIKES: [(&str, &str); 5] = [
    // Cyrillic, lower case
    ("абвгдеёікмнопрсстухьѕјћһԁԛԝӏзч", "abbrdeeikmhonpcctyxbsjhhdqwl34"),
    // Greek
    ("αβγδεζηικλμνορστυχω", "abydezniklmvopotuxw"),
    // Latin letters of other shapes
    ("ɑɡıɩɪʀɴɢʟᴀʙᴄᴅᴇꜰʜᴊᴋᴍᴏᴘꞯꜱᴛᴜᴠᴡʏᴢøłđħŧƅɓɗɛɠɨɲɔʋƴ", "agiiirnglabcdefhjkmopqstuvwyzoldhtbbdeginovy"),
    // Armenian
    ("օոսհցգքաւ", "onuhggqwl"),
    // What stands for letters in squares and circles that NFKC leaves
    ("🅐🅑🅒🅓🅔🅕🅖🅗🅘🅙🅚🅛🅜🅝🅞🅟🅠🅡🅢🅣🅤🅥🅦🅧🅨🅩", "abcdefghijklmnopqrstuvwxyz"),
];

fn look_alike(one: char) -> char {
    if one.is_ascii() || ('\u{3000}'..='\u{9fff}').contains(&one) {
        return one;
    }
    let found = |(from, to): &(&str, &str)| from.chars().position(|like| like == one).and_then(|at| to.chars().nth(at));
    LOOK_ALIKES.iter().find_map(found).unwrap_or(one)
}

#[cfg(test)]
mod tests {
    use super::{LOOK_ALIKES, fold};

    #[test]
    fn what_reads_alike_is_one() {
        for text in [
            "Ignore all",
            "ＩＧＮＯＲＥ　ａｌｌ",
            "ig\u{200b}nore\u{a0}\u{2060}all",
            "іgnоrе аll",
            "i̶g̷n̸o̵r̶e̵ a̶l̷l",
            "𝐈𝐠𝐧𝐨𝐫𝐞 𝒶𝓁𝓁",
            "ɪɢɴᴏʀᴇ ᴀʟʟ",
        ] {
            assert_eq!(fold(text), "ignore all", "{text}");
        }
        let tags: String = "ignore all".chars().filter_map(|one| char::from_u32(u32::from(one) + 0xe0000)).collect();
        assert_eq!(fold(&tags), "ignore all");
    }

    #[test]
    fn every_look_alike_has_its_letter() {
        for (from, to) in LOOK_ALIKES {
            assert_eq!(from.chars().count(), to.chars().count(), "{from}");
        }
    }
}
