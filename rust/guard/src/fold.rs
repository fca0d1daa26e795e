//! One spelling for all that reads alike: compatibility forms, case, look-alikes, and what cannot be seen.

use std::sync::LazyLock;

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// Return `text` in one spelling: NFKC, lower case, without marks that cannot be seen or stand on Latin letters, look-alikes as
/// the Latin letters that they look like, and every run of white space as one blank.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        // Most of a text is ASCII, which needs no tables; what stands beside it does not change what it is.
        let end = rest.bytes().position(|one| one.is_ascii() != first.is_ascii()).unwrap_or(rest.len());
        let (run, others) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if first.is_ascii() {
            add_ascii(&mut folded, run);
        } else {
            visible(run).for_each(|one| add_folded(&mut folded, one));
        }
        rest = others;
    }
    folded.make_ascii_lowercase();
    folded
}

fn add_ascii(folded: &mut String, run: &str) {
    for (at, word) in run.split(|one: char| one <= ' ' || one == '\u{7f}').enumerate() {
        if at > 0 && !folded.ends_with(' ') && !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
}

/// Add `one` with what it is made of parted. The order of marks on a letter is no matter, for none of them stays.
fn add_folded(folded: &mut String, one: char) {
    if is_han(one) {
        folded.push(one);
        return;
    }
    decompose_compatible(one, |part| {
        if part.is_ascii() {
            add(folded, part);
        } else if !is_combining_mark(part) {
            for plain in part.to_lowercase().map(look_alike) {
                if plain.is_ascii() || !(is_combining_mark(plain) || is_hidden(plain)) {
                    add(folded, plain);
                }
            }
        }
    });
}

/// Return whether `one` is a Chinese character of those that are no form of another.
fn is_han(one: char) -> bool {
    ('\u{3400}'..='\u{9fff}').contains(&one)
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

/// Where the most of them stand is looked up by number, the others by halving.
const TABLE_END: u32 = 0x600;

/// What look-alikes look like.
struct Letters {
    /// By the number of those of less than `TABLE_END`; 0 where they look like none.
    table: Vec<u8>,
    /// The others, ascending.
    high: Vec<(char, u8)>,
}

static LETTERS: LazyLock<Letters> = LazyLock::new(|| {
    let pairs = LOOK_ALIKES.iter().flat_map(|(from, to)| from.chars().zip(to.bytes()));
    let (low, mut high): (Vec<_>, Vec<_>) = pairs.partition(|(like, _)| u32::from(*like) < TABLE_END);
    let mut table = vec![0; usize::try_from(TABLE_END).unwrap_or_default()];
    for (like, letter) in low {
        if let Some(place) = table.get_mut(usize::try_from(u32::from(like)).unwrap_or_default()) {
            *place = letter;
        }
    }
    high.sort_unstable();
    Letters { table, high }
});

fn look_alike(one: char) -> char {
    if one.is_ascii() || ('\u{3000}'..='\u{9fff}').contains(&one) {
        return one;
    }
    let Letters { table, high } = &*LETTERS;
    if u32::from(one) < TABLE_END {
        let letter = usize::try_from(u32::from(one)).ok().and_then(|at| table.get(at)).copied().unwrap_or_default();
        return if letter == 0 { one } else { char::from(letter) };
    }
    let found = high.binary_search_by_key(&one, |(like, _)| *like).ok().and_then(|at| high.get(at));
    found.map_or(one, |(_, letter)| char::from(*letter))
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
