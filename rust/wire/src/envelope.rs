//! Reading an event's place out of its bytes.

use crate::drafts::string;
use crate::events::Hash;
use crate::frames::number;

/// What an event says of its place, as the codec of this version writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    pub(crate) tenant: &'a [u8],
    pub(crate) session: &'a [u8],
    pub(crate) seq: u64,
    pub(crate) kind: &'a [u8],
    pub(crate) prev: &'a Hash,
}

impl<'a> Envelope<'a> {
    /// Read `body`; None if it is not written exactly as an event of `version` is, or is sealed. What else `data` holds
    /// is not looked at.
    pub(crate) fn read(body: &'a [u8], version: u64) -> Option<Self> {
        let (found, rest) = digits(body.strip_prefix(b"{\"v\":")?)?;
        let (_, rest) = string(rest.strip_prefix(b",\"id\":")?)?;
        let (tenant, rest) = name(rest.strip_prefix(b",\"tenant\":")?)?;
        let (session, rest) = name(rest.strip_prefix(b",\"session\":")?)?;
        let (seq, rest) = digits(rest.strip_prefix(b",\"seq\":")?)?;
        let (_, rest) = string(rest.strip_prefix(b",\"at\":")?)?;
        let (kind, rest) = name(rest.strip_prefix(b",\"type\":")?)?;
        let (_, rest) = string(rest.strip_prefix(b",\"actor\":")?)?;
        let rest = rest.strip_prefix(b",\"cause\":")?;
        let rest = rest.strip_prefix(b"null").or_else(|| Some(string(rest)?.1))?;
        let (prev, rest) = name(rest.strip_prefix(b",\"prev\":")?)?;
        let data = rest.strip_prefix(b",\"data\":")?;
        let whole = data.starts_with(b"{") && data.ends_with(b"}}") && !data.starts_with(b"{\"sealed\":");
        (whole && found == version).then_some(Self { tenant, session, seq, kind, prev: prev.try_into().ok()? })
    }
}

/// Part a text that is written as it is from what follows.
fn name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (text, rest) = string(bytes)?;
    let text = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    (!text.contains(&b'\\')).then_some((text, rest))
}

fn digits(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    let (digits, rest) = bytes.split_at_checked(end)?;
    Some((number(digits)?, rest))
}
