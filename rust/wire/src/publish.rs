//! A publish with headers, as the server takes it.

/// What the headers of one event say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headers<'a> {
    /// The event's id.
    pub(crate) id: &'a [u8],
    /// Its sequence in the session.
    pub(crate) seq: u64,
    /// Where the subject must end in the stream; None for a later event of a batch.
    pub(crate) expected: Option<u64>,
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
    let block = block(headers);
    out.extend_from_slice(b"HPUB ");
    out.extend_from_slice(subject);
    out.push(b' ');
    if !reply.is_empty() {
        out.extend_from_slice(reply);
        out.push(b' ');
    }
    out.extend_from_slice(format!("{} {}\r\n", block.len(), block.len().saturating_add(body.len())).as_bytes());
    out.extend_from_slice(&block);
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

fn block(headers: &Headers<'_>) -> Vec<u8> {
    let mut block = Vec::with_capacity(256);
    block.extend_from_slice(b"NATS/1.0\r\nNats-Msg-Id: ");
    block.extend_from_slice(headers.id);
    block.extend_from_slice(format!("\r\nRetold-Seq: {}\r\n", headers.seq).as_bytes());
    if let Some(expected) = headers.expected {
        block.extend_from_slice(format!("Nats-Expected-Last-Subject-Sequence: {expected}\r\n").as_bytes());
    }
    if let Some(batch) = headers.batch {
        block.extend_from_slice(b"Nats-Batch-Id: ");
        block.extend_from_slice(batch.id);
        block.extend_from_slice(format!("\r\nNats-Batch-Sequence: {}\r\n", batch.number).as_bytes());
        if batch.is_last {
            block.extend_from_slice(b"Nats-Batch-Commit: 1\r\n");
        }
    }
    block.extend_from_slice(b"\r\n");
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_names_its_sizes() {
        let mut out = Vec::new();
        let headers = Headers { id: b"a", seq: 3, expected: Some(9), batch: None };
        publish(&mut out, b"s", b"r", &headers, b"body");
        let block = "NATS/1.0\r\nNats-Msg-Id: a\r\nRetold-Seq: 3\r\nNats-Expected-Last-Subject-Sequence: 9\r\n\r\n";
        let frame = format!("HPUB s r {} {}\r\n{block}body\r\n", block.len(), block.len() + 4);
        assert_eq!(String::from_utf8(out).unwrap(), frame);
    }

    #[test]
    fn the_last_of_a_batch_commits_it() {
        for is_last in [false, true] {
            let mut out = Vec::new();
            let batch = Batch { id: b"b", number: 2, is_last };
            publish(&mut out, b"s", b"", &Headers { id: b"a", seq: 3, expected: None, batch: Some(batch) }, b"");
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.contains("Nats-Batch-Commit: 1\r\n"), is_last);
            assert!(text.contains("\r\nNats-Batch-Id: b\r\nNats-Batch-Sequence: 2\r\n"));
        }
    }
}
