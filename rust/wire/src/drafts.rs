//! A draft as one line of JSON, parted where the event needs it. The parts are copied as they are, so an event's bytes
//! are those that its one encoder wrote.

use memchr::memmem::rfind;
use memchr::{memchr, memchr2};

const NO_CAUSE: &[u8] = b",\"cause\":null}";
const CAUSE: &[u8] = b",\"cause\":\"";

/// The parts of a draft: JSON text each, quotes included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft<'a> {
    /// The event's id.
    pub id: &'a [u8],
    /// When it happened.
    pub at: &'a [u8],
    /// Who says so.
    pub actor: &'a [u8],
    /// The fact.
    pub data: &'a [u8],
    /// The id of the event that led to it, or null.
    pub cause: &'a [u8],
}

impl<'a> Draft<'a> {
    /// Part `line`, which is `{"id":…,"at":…,"actor":…,"data":…,"cause":…}` without a blank; None if it is not.
    #[must_use]
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let (id, rest) = string(line.strip_prefix(b"{\"id\":")?)?;
        let (at, rest) = string(rest.strip_prefix(b",\"at\":")?)?;
        let (actor, rest) = string(rest.strip_prefix(b",\"actor\":")?)?;
        let rest = rest.strip_prefix(b",\"data\":")?;
        // A quote inside a text is written with a backslash before it, so these bytes are no part of one, and what
        // follows their last place is the cause.
        if let Some(data) = rest.strip_suffix(NO_CAUSE) {
            return Some(Self { id, at, actor, data, cause: b"null" });
        }
        let (data, rest) = rest.split_at_checked(rfind(rest, CAUSE)?)?;
        let cause = rest.get(CAUSE.len().saturating_sub(1)..)?.strip_suffix(b"}")?;
        let (cause, after) = string(cause)?;
        after.is_empty().then_some(Self { id, at, actor, data, cause })
    }

    /// Return the id as a header can carry it: printable ASCII that JSON writes as it is; None for any other.
    #[must_use]
    pub fn plain_id(&self) -> Option<&'a [u8]> {
        let id = self.id.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        (!id.is_empty() && id.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\')).then_some(id)
    }
}

/// Return each line of `text`, which ends with a line break.
pub(crate) fn lines(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (line, rest) = text.split_at_checked(memchr(b'\n', text)?)?;
        text = rest.get(1..)?;
        Some(line)
    })
}

/// Part the JSON text that `bytes` begin with from what follows; None if they begin with none.
pub(crate) fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = usize::from(*bytes.first()? == b'"');
    if at == 0 {
        return None;
    }
    loop {
        at = at.checked_add(memchr2(b'"', b'\\', bytes.get(at..)?)?)?;
        if *bytes.get(at)? == b'"' {
            return bytes.split_at_checked(at.checked_add(1)?);
        }
        at = at.checked_add(2)?;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers")]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_parted_whatever_its_texts_say() {
        let line = br#"{"id":"a\"b","at":"2026-01-01T00:00:00Z","actor":"x\\","data":{"text":"\",\"cause\":null}"},"cause":",\"cause\":\"c"}"#;
        let draft = Draft::read(line).unwrap();
        assert_eq!((draft.id, draft.actor), (br#""a\"b""#.as_slice(), br#""x\\""#.as_slice()));
        assert_eq!(draft.data, br#"{"text":"\",\"cause\":null}"}"#);
        assert_eq!(draft.cause, br#"",\"cause\":\"c""#);
        assert_eq!(draft.plain_id(), None);
        let draft = Draft::read(br#"{"id":"ab-1","at":"t","actor":"x","data":{},"cause":null}"#).unwrap();
        assert_eq!(
            (draft.plain_id(), draft.cause, draft.data),
            (Some(b"ab-1".as_slice()), b"null".as_slice(), b"{}".as_slice())
        );
    }

    #[test]
    fn what_is_no_draft_is_refused() {
        for line in
            [b"".as_slice(), b"{}", br#"{"id":1,"at":"t""#, br#"{"id":"a","at":"t","actor":"x","data":{},"cause":7}"#]
        {
            assert_eq!(Draft::read(line), None);
        }
    }
}
