//! Reading an event's place out of its bytes.

use std::ops::Range;

use memchr::memchr;

use crate::drafts::string;
use crate::events::Hash;
use crate::frames::number;

/// What an event says of its place, as the codec of this version writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    pub(crate) tenant: &'a [u8],
    pub(crate) session: &'a [u8],
    pub(crate) seq: u64,
    pub(crate) kind: &'a [u8],
    pub(crate) prev: &'a Hash,
    /// Where its time is in the body, quotes included.
    pub(crate) at: Range<usize>,
    /// Where the fact is in the body.
    pub(crate) data: Range<usize>,
    /// Whether the texts of no meaning here (id, actor, cause) are written as they are.
    pub(crate) is_unescaped: bool,
}

impl<'a> Envelope<'a> {
    /// Read `body`; None if it is not written exactly as an event of `version` is, or is sealed. What else `data` holds
    /// is not looked at.
    pub(crate) fn read(body: &'a [u8], version: u64) -> Option<Self> {
        let (found, rest) = digits(body.strip_prefix(b"{\"v\":")?)?;
        let (id, rest) = string(rest.strip_prefix(b",\"id\":")?)?;
        let (tenant, rest) = name(rest.strip_prefix(b",\"tenant\":")?)?;
        let (session, rest) = name(rest.strip_prefix(b",\"session\":")?)?;
        let (seq, rest) = digits(rest.strip_prefix(b",\"seq\":")?)?;
        let rest = rest.strip_prefix(b",\"at\":")?;
        let at_start = body.len().saturating_sub(rest.len());
        let (at, rest) = string(rest)?;
        let (kind, rest) = name(rest.strip_prefix(b",\"type\":")?)?;
        let (actor, rest) = string(rest.strip_prefix(b",\"actor\":")?)?;
        let rest = rest.strip_prefix(b",\"cause\":")?;
        let (cause, rest) = match rest.strip_prefix(b"null") {
            Some(rest) => (b"".as_slice(), rest),
            None => string(rest)?,
        };
        let (prev, rest) = name(rest.strip_prefix(b",\"prev\":")?)?;
        let data = rest.strip_prefix(b",\"data\":")?;
        let whole = data.starts_with(b"{") && data.ends_with(b"}}") && !data.starts_with(b"{\"sealed\":");
        (whole && found == version).then_some(Self {
            tenant,
            session,
            seq,
            kind,
            prev: prev.try_into().ok()?,
            at: at_start..at_start.saturating_add(at.len()),
            data: body.len().saturating_sub(data.len())..body.len().saturating_sub(1),
            is_unescaped: [id, actor, cause].iter().all(|text| memchr(b'\\', text).is_none()),
        })
    }
}

/// Part a text that is written as it is from what follows.
fn name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (text, rest) = string(bytes)?;
    let text = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    (!text.contains(&b'\\')).then_some((text, rest))
}

/// Part a number, written as JSON has it, from what follows.
fn digits(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    let (digits, rest) = bytes.split_at_checked(end)?;
    let is_json = digits.len() == 1 || !digits.starts_with(b"0");
    Some((number(digits).filter(|_| is_json)?, rest))
}
