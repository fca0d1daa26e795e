//! The frames that a NATS server sends, found in a row of bytes.

use memchr::memchr;

/// A control line is this long at most; the longest, INFO, names every server of a cluster.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// One frame of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A message, with headers or without.
    Message(Message<'a>),
    /// Anything else: INFO, PING, PONG, +OK, -ERR, or what is no frame at all.
    Other,
}

/// A message as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The subject that it was sent to.
    pub subject: &'a [u8],
    /// The subscription that it came by.
    pub sid: u64,
    /// Where an answer goes; of a consumer's delivery, its place in the stream. Empty if there is none.
    pub reply: &'a [u8],
    /// The header block, its version line included; empty if there is none.
    pub headers: &'a [u8],
    /// The body.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Return the value of header `name`, which has to be written as the server writes it.
    #[must_use]
    pub fn header(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.values().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// Return each header's name and value.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        lines(self.headers).filter_map(|line| {
            let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
            Some((name, value.get(1..)?.trim_ascii()))
        })
    }

    /// Return the number of the status that it is; 0 if it is none.
    #[must_use]
    pub fn status(&self) -> u64 {
        lines(self.headers).next().and_then(|first| number(first.get(9..12)?)).unwrap_or(0)
    }

    /// Return whether it is a status of the server, with no message in it.
    #[must_use]
    pub fn is_status(&self) -> bool {
        lines(self.headers).next().is_some_and(|first| first.len() > b"NATS/1.0".len())
    }
}

/// Return the first frame of `bytes` and its length; None if more bytes have to come.
#[must_use]
pub fn first_frame(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    let Some(end) = memchr(b'\n', bytes) else {
        return (bytes.len() > LINE_BYTES_MAX).then_some((Frame::Other, bytes.len()));
    };
    let (line, rest) = bytes.split_at_checked(end.saturating_add(1))?;
    let Some(control) = control(line) else { return Some((Frame::Other, line.len())) };
    let length = line.len().saturating_add(control.total).saturating_add(b"\r\n".len());
    if bytes.len() < length {
        return None;
    }
    let (headers, payload) = rest.get(..control.total)?.split_at_checked(control.headers)?;
    Some((
        Frame::Message(Message { subject: control.subject, sid: control.sid, reply: control.reply, headers, payload }),
        length,
    ))
}

struct Control<'a> {
    subject: &'a [u8],
    sid: u64,
    reply: &'a [u8],
    headers: usize,
    total: usize,
}

/// Read `MSG subject sid [reply] size` or `HMSG subject sid [reply] headers size`; None for any other line.
fn control(line: &[u8]) -> Option<Control<'_>> {
    let mut words = line.trim_ascii().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let has_headers = match words.next()? {
        b"MSG" => false,
        b"HMSG" => true,
        _ => return None,
    };
    let subject = words.next()?;
    let sid = number(words.next()?)?;
    let mut sizes = words.rev();
    let total = usize::try_from(number(sizes.next()?)?).ok()?;
    let headers = if has_headers { usize::try_from(number(sizes.next()?)?).ok()? } else { 0 };
    let reply = sizes.next().unwrap_or_default();
    (headers <= total).then_some(Control { subject, sid, reply, headers, total })
}

/// Return the number that `digits` write, if they are digits and nothing else.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte.wrapping_sub(b'0')))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, after) = rest.split_at_checked(memchr(b'\n', rest).unwrap_or(rest.len()))?;
        rest = after.get(1..).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers")]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_with_and_without_headers_and_reply() {
        let bytes = b"MSG a.b 7 5\r\nhello\r\nPING\r\n";
        let message = Message { subject: b"a.b", sid: 7, reply: b"", headers: b"", payload: b"hello" };
        assert_eq!(first_frame(bytes), Some((Frame::Message(message), 20)));
        let bytes = b"HMSG a.b 7 reply 22 24\r\nNATS/1.0 404\r\nA: b\r\n\r\nhi\r\n";
        let Some((Frame::Message(message), length)) = first_frame(bytes) else { panic!("expected a message") };
        assert_eq!((message.payload, length, message.is_status()), (b"hi".as_slice(), bytes.len(), true));
        assert_eq!((message.status(), message.reply), (404, b"reply".as_slice()));
        assert_eq!((message.header(b"A"), message.header(b"B")), (Some(b"b".as_slice()), None));
    }

    #[test]
    fn a_frame_that_is_not_whole_is_waited_for() {
        let bytes = b"HMSG a 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n";
        for cut in 0..bytes.len() {
            assert_eq!(first_frame(&bytes[..cut]), None, "{cut}");
        }
        assert!(first_frame(bytes).is_some());
    }

    #[test]
    fn what_is_no_message_is_passed_over_by_the_line() {
        for line in [b"PING\r\n".as_slice(), b"-ERR 'x'\r\n", b"MSG a 1 x\r\n", b"HMSG a 1 5 4\r\n", b"\n"] {
            assert_eq!(first_frame(line), Some((Frame::Other, line.len())));
        }
    }
}
