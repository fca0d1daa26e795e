//! A publish with headers, as the server takes it.

use crate::packing::DEFLATE;

const ID: &[u8] = b"NATS/1.0\r\nNats-Msg-Id: ";
const SEQ: &[u8] = b"\r\nRetold-Seq: ";
const EXPECTED: &[u8] = b"\r\nNats-Expected-Last-Subject-Sequence: ";
const PACKED: &[u8] = b"\r\nRetold-Packed: ";
const BATCH: &[u8] = b"\r\nNats-Batch-Id: ";
const NUMBER: &[u8] = b"\r\nNats-Batch-Sequence: ";
const COMMIT: &[u8] = b"\r\nNats-Batch-Commit: 1";
const END: &[u8] = b"\r\n\r\n";

/// What the headers of one event say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headers<'a> {
    /// The event's id.
    pub(crate) id: &'a [u8],
    /// Its sequence in the session.
    pub(crate) seq: u64,
    /// Where the subject must end in the stream; None for a later event of a batch.
    pub(crate) expected: Option<u64>,
    /// Whether the body is packed.
    pub(crate) is_packed: bool,
    /// The place in an atomic batch.
    pub(crate) batch: Option<Batch<'a>>,
}

/// The place of one event in an atomic batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) number: usize,
    pub(crate) is_last: bool,
}

/// Write the frame that publishes `body` to `subject` behind what is in `out`; the answer goes to `reply`, if any.
pub(crate) fn publish(out: &mut Vec<u8>, subject: &[u8], reply: &[u8], headers: &Headers<'_>, body: &[u8]) {
    let place = header_bytes(headers);
    out.extend_from_slice(b"HPUB ");
    out.extend_from_slice(subject);
    out.push(b' ');
    if !reply.is_empty() {
        out.extend_from_slice(reply);
        out.push(b' ');
    }
    put_number(out, place as u64);
    out.push(b' ');
    put_number(out, place.saturating_add(body.len()) as u64);
    out.extend_from_slice(b"\r\n");
    put_headers(out, headers);
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

fn put_headers(out: &mut Vec<u8>, headers: &Headers<'_>) {
    out.extend_from_slice(ID);
    out.extend_from_slice(headers.id);
    out.extend_from_slice(SEQ);
    put_number(out, headers.seq);
    if let Some(expected) = headers.expected {
        out.extend_from_slice(EXPECTED);
        put_number(out, expected);
    }
    if headers.is_packed {
        out.extend_from_slice(PACKED);
        out.extend_from_slice(DEFLATE);
    }
    if let Some(batch) = headers.batch {
        out.extend_from_slice(BATCH);
        out.extend_from_slice(batch.id);
        out.extend_from_slice(NUMBER);
        put_number(out, batch.number as u64);
        if batch.is_last {
            out.extend_from_slice(COMMIT);
        }
    }
    out.extend_from_slice(END);
}

/// Return how many bytes `put_headers` writes.
fn header_bytes(headers: &Headers<'_>) -> usize {
    let expected = headers.expected.map_or(0, |expected| EXPECTED.len().saturating_add(digits(expected)));
    let batch = headers.batch.map_or(0, |batch| {
        let commit = if batch.is_last { COMMIT.len() } else { 0 };
        [BATCH.len(), batch.id.len(), NUMBER.len(), digits(batch.number as u64), commit].iter().sum()
    });
    let packed = if headers.is_packed { PACKED.len().saturating_add(DEFLATE.len()) } else { 0 };
    [ID.len(), headers.id.len(), SEQ.len(), digits(headers.seq), expected, packed, batch, END.len()].iter().sum()
}

/// Write `number` in decimal.
pub(crate) fn put_number(out: &mut Vec<u8>, number: u64) {
    let end = out.len().saturating_add(digits(number));
    out.resize(end, b'0');
    let mut left = number;
    for digit in out.iter_mut().rev() {
        *digit = b'0'.wrapping_add(u8::try_from(left % 10).unwrap_or_default());
        left /= 10;
        if left == 0 {
            break;
        }
    }
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| (log as usize).saturating_add(1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers")]
mod tests {
    use super::*;

    #[test]
    fn a_frame_names_its_sizes() {
        let mut out = Vec::new();
        let headers = Headers { id: b"a", seq: 3, expected: Some(9), is_packed: true, batch: None };
        publish(&mut out, b"s", b"r", &headers, b"body");
        let block = "NATS/1.0\r\nNats-Msg-Id: a\r\nRetold-Seq: 3\r\nNats-Expected-Last-Subject-Sequence: 9\r\n\
            Retold-Packed: deflate-1\r\n\r\n";
        let frame = format!("HPUB s r {} {}\r\n{block}body\r\n", block.len(), block.len() + 4);
        assert_eq!(String::from_utf8(out).unwrap(), frame);
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 1, 9, 10, 99, 100, 1_234_567_890, u64::MAX] {
            let mut out = b"9".to_vec();
            put_number(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), format!("9{number}"));
        }
    }

    #[test]
    fn the_last_of_a_batch_commits_it() {
        for is_last in [false, true] {
            let mut out = Vec::new();
            let batch = Batch { id: b"b", number: 2, is_last };
            let headers = Headers { id: b"a", seq: 3, expected: None, is_packed: false, batch: Some(batch) };
            publish(&mut out, b"s", b"", &headers, b"");
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.contains("Nats-Batch-Commit: 1\r\n"), is_last);
            assert!(text.contains("\r\nNats-Batch-Id: b\r\nNats-Batch-Sequence: 2\r\n"));
        }
    }
}
