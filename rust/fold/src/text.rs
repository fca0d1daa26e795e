//! Texts as JSON has them.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// Part the text that `json` begins with from what follows; its quotes are left out. None if it begins with none.
pub(crate) fn text(json: &str) -> Option<(&str, &str)> {
    let rest = json.strip_prefix('"')?;
    let mut at: usize = 0;
    loop {
        at = at.checked_add(memchr2(b'"', b'\\', rest.as_bytes().get(at..)?)?)?;
        if rest.as_bytes().get(at) == Some(&b'"') {
            return Some((rest.get(..at)?, rest.get(at.checked_add(1)?..)?));
        }
        at = at.checked_add(2)?;
    }
}

/// Return what a text says; None if an escape in it is none, or is half of a pair.
pub(crate) fn said(text: &str) -> Option<Cow<'_, str>> {
    let Some(first) = memchr(b'\\', text.as_bytes()) else { return Some(Cow::Borrowed(text)) };
    let mut said = String::with_capacity(text.len());
    let mut rest = text;
    let mut next = Some(first);
    while let Some(at) = next {
        said.push_str(rest.get(..at)?);
        let (character, after) = escape(rest.get(at.checked_add(1)?..)?)?;
        said.push(character);
        rest = after;
        next = memchr(b'\\', rest.as_bytes());
    }
    said.push_str(rest);
    Some(Cow::Owned(said))
}

/// Part the character that an escape stands for, whose backslash is left out, from what follows.
fn escape(rest: &str) -> Option<(char, &str)> {
    let mut characters = rest.chars();
    let character = match characters.next()? {
        plain @ ('"' | '\\' | '/') => plain,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unicode(characters.as_str()),
        _ => return None,
    };
    Some((character, characters.as_str()))
}

fn unicode(rest: &str) -> Option<(char, &str)> {
    let (high, rest) = four(rest)?;
    if let Some(character) = char::from_u32(high) {
        return Some((character, rest));
    }
    let (low, rest) = four(rest.strip_prefix("\\u")?)?;
    let pair = [u16::try_from(high).ok()?, u16::try_from(low).ok()?];
    let character = char::decode_utf16(pair).next()?.ok()?;
    Some((character, rest))
}

fn four(rest: &str) -> Option<(u32, &str)> {
    let (digits, rest) = rest.split_at_checked(4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)?, rest))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_at_its_own_quote() {
        assert_eq!(text(r#""a\"b\\",1"#), Some((r#"a\"b\\"#, ",1")));
        assert_eq!(text(r#""""#), Some(("", "")));
        for none in ["", "a", "\"", r#""a\""#, r#""a\"#] {
            assert_eq!(text(none), None, "{none}");
        }
    }

    #[test]
    fn an_escape_is_the_character_that_it_stands_for() {
        assert_eq!(said("plain ä").unwrap(), "plain ä");
        assert_eq!(said(r#"\"\\\/\b\f\n\r\tx\u00e4\u20AC\ud83d\ude00."#).unwrap(), "\"\\/\u{8}\u{c}\n\r\txä€😀.");
        for none in [r"\", r"\x", r"\u12", r"\u12g4", r"\ud83d", r"\ud83dx", r"\ud83d\u0041", r"\ude00", r"\u+123"] {
            assert_eq!(said(none), None, "{none}");
        }
    }
}
