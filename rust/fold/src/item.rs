//! Items as the codec writes them, read for what they cost and for where their id goes.

use retold_tokens::{Encoding, Size};

use crate::text::{said, text};

const MESSAGE_FRAMING: u32 = 4;
const NAME_FRAMING: u32 = 1;
const CALL_FRAMING: u32 = 8;
const RESULT_FRAMING: u32 = 7;

/// An item without blocks, and without fields or bodies of a provider.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    before_id: &'a str,
    after_id: &'a str,
    said: Said<'a>,
    framing: u32,
}

/// The texts that are counted, as JSON has them.
#[derive(Debug)]
enum Said<'a> {
    One(&'a str),
    Two(&'a str, &'a str),
    /// The texts of a content that was read once, and a name, which may be empty.
    Content(&'a str, &'a str),
}

impl<'a> Item<'a> {
    /// Return the item that `json` is; None if it is written in any other way, or holds more than texts.
    pub(crate) fn read(json: &'a str) -> Option<Self> {
        let mut rest = Rest { json, rest: json };
        rest.literal(r#"{"type":""#)?;
        let item = if rest.literal(r#"message","role":"#).is_some() {
            message(&mut rest)
        } else if rest.literal(r#"tool_call","call_id":"#).is_some() {
            tool_call(&mut rest)
        } else if rest.literal(r#"tool_result","call_id":"#).is_some() {
            tool_result(&mut rest)
        } else {
            rest.literal(r#"reasoning","text":"#)?;
            reasoning(&mut rest)
        }?;
        rest.rest.is_empty().then_some(item)
    }

    /// Return what the item costs, as `count_item` does; None if a text in it cannot be read or counted.
    pub(crate) fn size(&self, encoding: &Encoding) -> Option<Size> {
        let count = |text: &str| u32::try_from(encoding.count(&said(text)?).ok()?).ok();
        let words = match self.said {
            Said::One(text) => count(text)?,
            Said::Two(first, second) => count(first)?.checked_add(count(second)?)?,
            Said::Content(content, name) => {
                let named = if name.is_empty() { 0 } else { count(name)? };
                texts_of(content).try_fold(named, |sum, text| sum.checked_add(count(text)?))?
            }
        };
        Some(if encoding.is_reconstruction() {
            Size { exact: 0, reconstructed: words.checked_add(self.framing)?, estimated: 0 }
        } else {
            Size { exact: words, reconstructed: self.framing, estimated: 0 }
        })
    }

    /// Return the item's JSON before and after the place of its id, which is left out.
    pub(crate) fn around_id(&self) -> (&'a str, &'a str) {
        (self.before_id, self.after_id)
    }
}

fn message<'a>(rest: &mut Rest<'a>) -> Option<Item<'a>> {
    if !matches!(rest.text()?, "system" | "developer" | "user" | "assistant") {
        return None;
    }
    let content = if rest.literal(r#","content":"#).is_some() { rest.content()? } else { "" };
    let before_id = rest.done();
    if rest.literal(r#","id":"#).is_some() {
        rest.text()?;
    }
    let after_id = rest.rest;
    let name = if rest.literal(r#","name":"#).is_some() { rest.text()? } else { "" };
    if rest.literal(r#","group":"#).is_some() {
        rest.text()?;
    }
    rest.literal("}")?;
    let framing = if name.is_empty() { MESSAGE_FRAMING } else { MESSAGE_FRAMING.saturating_add(NAME_FRAMING) };
    Some(Item { before_id, after_id, said: Said::Content(content, name), framing })
}

fn tool_call<'a>(rest: &mut Rest<'a>) -> Option<Item<'a>> {
    rest.text()?;
    rest.literal(r#","name":"#)?;
    let name = rest.text()?;
    rest.literal(r#","arguments":"#)?;
    let arguments = rest.text()?;
    let before_id = rest.done();
    let after_id = rest.id()?;
    rest.kind()?;
    rest.group()?;
    rest.literal(r#","extra":null}"#)?;
    Some(Item { before_id, after_id, said: Said::Two(name, arguments), framing: CALL_FRAMING })
}

fn tool_result<'a>(rest: &mut Rest<'a>) -> Option<Item<'a>> {
    rest.text()?;
    rest.literal(r#","content":"#)?;
    let content = rest.content()?;
    let before_id = rest.done();
    let after_id = rest.id()?;
    rest.kind()?;
    rest.literal(r#","is_error":"#)?;
    rest.literal("false").or_else(|| rest.literal("true"))?;
    rest.group()?;
    rest.literal(r#","extra":null}"#)?;
    Some(Item { before_id, after_id, said: Said::Content(content, ""), framing: RESULT_FRAMING })
}

fn reasoning<'a>(rest: &mut Rest<'a>) -> Option<Item<'a>> {
    let told = rest.text().filter(|text| !text.is_empty())?;
    let before_id = rest.done();
    let after_id = rest.id()?;
    rest.literal(r#","form":"#)?;
    if !matches!(rest.text()?, "chat" | "responses" | "anthropic") {
        return None;
    }
    rest.literal(r#","body":null"#)?;
    rest.group()?;
    rest.literal("}")?;
    Some(Item { before_id, after_id, said: Said::One(told), framing: MESSAGE_FRAMING })
}

/// What has not been read yet of `json`.
struct Rest<'a> {
    json: &'a str,
    rest: &'a str,
}

impl<'a> Rest<'a> {
    fn literal(&mut self, literal: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }

    fn text(&mut self) -> Option<&'a str> {
        let (found, rest) = text(self.rest)?;
        self.rest = rest;
        Some(found)
    }

    /// Return what was read so far.
    fn done(&self) -> &'a str {
        self.json.get(..self.json.len().saturating_sub(self.rest.len())).unwrap_or_default()
    }

    /// Pass over an id, and return what follows it.
    fn id(&mut self) -> Option<&'a str> {
        self.literal(r#","id":"#)?;
        self.text()?;
        Some(self.rest)
    }

    fn kind(&mut self) -> Option<()> {
        self.literal(r#","kind":"#)?;
        matches!(self.text()?, "function" | "custom").then_some(())
    }

    fn group(&mut self) -> Option<()> {
        self.literal(r#","group":"#)?;
        self.literal("null").or_else(|| self.text().map(|_| ()))
    }

    /// Pass over a list of parts, all of which must be text, and return what is between its brackets.
    fn content(&mut self) -> Option<&'a str> {
        self.literal("[")?;
        let start = self.rest;
        while self.literal(PART).is_some() {
            self.text()?;
            self.literal("}")?;
            if self.literal(",").is_none() {
                break;
            }
        }
        let content = start.get(..start.len().saturating_sub(self.rest.len()))?;
        self.literal("]")?;
        (!content.ends_with(',')).then_some(content)
    }
}

const PART: &str = r#"{"type":"text","text":"#;

/// Return the texts of a content that was read before.
fn texts_of(content: &str) -> impl Iterator<Item = &str> {
    let mut rest = content;
    std::iter::from_fn(move || {
        let (found, after) = text(rest.strip_prefix(',').unwrap_or(rest).strip_prefix(PART)?)?;
        rest = after.strip_prefix('}')?;
        Some(found)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use retold_tokens::{Builtin, Reconstruction};

    use super::*;

    const RESULT: &str = r#"{"type":"tool_result","call_id":"c","content":[{"type":"text","text":"a \"b\""},{"type":"text","text":"c"}],"id":"","kind":"function","is_error":true,"group":"g","extra":null}"#;

    fn exact() -> Encoding {
        Encoding::builtin(Builtin::named("o200k_base").unwrap()).unwrap()
    }

    fn size(json: &str) -> Option<(u32, u32)> {
        let size = Item::read(json)?.size(&exact())?;
        Some((size.exact, size.reconstructed))
    }

    #[test]
    fn each_kind_costs_its_texts_and_its_marks() {
        assert_eq!(size(r#"{"type":"message","role":"user"}"#), Some((0, 4)));
        let content = r#"[{"type":"text","text":"one two"}]"#;
        assert_eq!(size(&format!(r#"{{"type":"message","role":"user","content":{content}}}"#)), Some((2, 4)));
        let named = r#"{"type":"message","role":"user","content":[],"id":"i3","name":"bob","group":"g"}"#;
        assert_eq!(size(named), Some((1, 5)));
        let call = r#"{"type":"tool_call","call_id":"c","name":"run","arguments":"{}","id":"","kind":"custom","group":null,"extra":null}"#;
        assert_eq!(size(call), Some((2, 8)));
        assert_eq!(size(RESULT), Some((u32::try_from(exact().count("a \"b\"").unwrap()).unwrap() + 1, 7)));
        let thought = r#"{"type":"reasoning","text":"so","id":"","form":"responses","body":null,"group":null}"#;
        assert_eq!(size(thought), Some((1, 4)));
    }

    #[test]
    fn a_reconstructed_vocabulary_counts_nothing_exactly() {
        let encoding = Encoding::reconstruction(Reconstruction::named("claude-3").unwrap()).unwrap();
        let size = Item::read(RESULT).unwrap().size(&encoding).unwrap();
        assert_eq!((size.exact, size.reconstructed > 7), (0, true));
    }

    #[test]
    fn the_place_of_the_id_is_found() {
        let of = |json| Item::read(json).unwrap().around_id();
        assert_eq!(of(r#"{"type":"message","role":"user"}"#), (r#"{"type":"message","role":"user""#, "}"));
        let named = r#"{"type":"message","role":"user","content":[],"id":"x","name":"b"}"#;
        assert_eq!(of(named), (r#"{"type":"message","role":"user","content":[]"#, r#","name":"b"}"#));
        assert_eq!(of(RESULT).1, r#","kind":"function","is_error":true,"group":"g","extra":null}"#);
    }

    #[test]
    fn what_is_written_otherwise_is_not_plain() {
        for other in [
            r#"{"type":"message","role":"robot"}"#,
            r#"{"type":"message","role":"user" }"#,
            r#"{"type":"message","role":"user","extra":"{}"}"#,
            r#"{"type":"message","role":"user","name":null}"#,
            r#"{"type":"message","role":"user","content":[{"type":"block","form":"chat","kind":"a","body":"{}"}]}"#,
            r#"{"type":"message","role":"user","content":[{"type":"text","text":"a"},]}"#,
            r#"{"type":"message","role":"user","content":[{"type":"text","text":"a"}"#,
            r#"{"type":"message","role":"user","id":"","id":""}"#,
            r#"{"type":"message","role":"user"}}"#,
            r#"{"type":"opaque","form":"chat","kind":"k","body":"{}"}"#,
            r#"{"type":"reasoning","text":"so","id":"","form":"responses","body":"{}","group":null}"#,
            r#"{"type":"reasoning","text":"","id":"","form":"anthropic","body":null,"group":null}"#,
            &RESULT.replace("function", "other"),
            &RESULT.replace(r#""extra":null"#, r#""extra":"{}""#),
            &RESULT[..RESULT.len() - 1],
        ] {
            assert!(Item::read(other).is_none(), "{other}");
        }
        let broken = r#"{"type":"reasoning","text":"\ud83d","id":"","form":"responses","body":null,"group":null}"#;
        assert_eq!(size(broken), None);
    }
}
