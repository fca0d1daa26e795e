//! Taking our own messages out of what the server sends; the rest goes on to the client library unchanged.

use std::collections::BTreeMap;

use crate::frames::{Frame, first_frame, number};

/// What came, parted at the frames' ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Our messages as whole frames, by the number of the run that asked for them.
    pub ours: BTreeMap<u64, Vec<u8>>,
    /// Everything else, in order.
    pub rest: Vec<u8>,
}

/// Part a connection's bytes into our messages and others'.
///
/// Ours are those to `<prefix><run>-<slot>`, and those of a subscription that a run watches: a consumer delivers a message
/// under its own subject.
#[derive(Debug)]
pub struct Splitter {
    prefix: Vec<u8>,
    watched: BTreeMap<u64, u64>,
    held: Vec<u8>,
}

impl Splitter {
    /// Return a splitter at the start of a connection.
    #[must_use]
    pub fn new(prefix: &[u8]) -> Self {
        Self { prefix: prefix.to_vec(), watched: BTreeMap::new(), held: Vec::new() }
    }

    /// Take the messages of subscription `sid` for those of `run`; None: leave them to others again.
    pub fn watch(&mut self, sid: u64, run: Option<u64>) {
        match run {
            Some(run) => self.watched.insert(sid, run),
            None => self.watched.remove(&sid),
        };
    }

    /// Forget the frame that has begun: the connection is a new one.
    pub fn reset(&mut self) {
        self.held.clear();
    }

    /// Take the next bytes of the connection. A frame that is not whole is held until it is.
    pub fn take(&mut self, chunk: &[u8]) -> Split {
        let mut split = Split::default();
        if self.held.is_empty() {
            let used = self.part(chunk, &mut split);
            self.held.extend_from_slice(chunk.get(used..).unwrap_or_default());
        } else {
            let mut bytes = std::mem::take(&mut self.held);
            bytes.extend_from_slice(chunk);
            let used = self.part(&bytes, &mut split);
            bytes.drain(..used);
            self.held = bytes;
        }
        split
    }

    /// Part the whole frames of `bytes`, and return how many bytes they are.
    fn part(&self, bytes: &[u8], split: &mut Split) -> usize {
        let mut used: usize = 0;
        while let Some((frame, length)) = bytes.get(used..).filter(|left| !left.is_empty()).and_then(first_frame) {
            let end = used.saturating_add(length);
            let raw = bytes.get(used..end).unwrap_or_default();
            match self.run_of(&frame) {
                Some(run) => split.ours.entry(run).or_default().extend_from_slice(raw),
                None => split.rest.extend_from_slice(raw),
            }
            used = end;
        }
        used
    }

    fn run_of(&self, frame: &Frame<'_>) -> Option<u64> {
        let Frame::Message(message) = frame else { return None };
        if let Some(run) = self.watched.get(&message.sid) {
            return Some(*run);
        }
        let token = message.subject.strip_prefix(self.prefix.as_slice())?;
        number(token.split(|byte| *byte == b'-').next()?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers")]
mod tests {
    use super::*;

    const BYTES: &[u8] =
        b"PING\r\nMSG i.w7-1 1 2\r\nab\r\nMSG i.9 1 3\r\nxyz\r\nMSG i.w7-22 1 0\r\n\r\nMSG i.w8-0 1 1\r\n!\r\n";

    #[test]
    fn ours_and_others_are_parted_however_the_bytes_are_cut() {
        let whole = Splitter::new(b"i.w").take(BYTES);
        assert_eq!(whole.rest, b"PING\r\nMSG i.9 1 3\r\nxyz\r\n");
        assert_eq!(whole.ours[&7], b"MSG i.w7-1 1 2\r\nab\r\nMSG i.w7-22 1 0\r\n\r\n");
        assert_eq!(whole.ours[&8], b"MSG i.w8-0 1 1\r\n!\r\n");
        for size in 1..BYTES.len() {
            let mut splitter = Splitter::new(b"i.w");
            let mut all = Split::default();
            for chunk in BYTES.chunks(size) {
                let one = splitter.take(chunk);
                all.rest.extend(one.rest);
                for (run, frames) in one.ours {
                    all.ours.entry(run).or_default().extend(frames);
                }
            }
            assert_eq!(all, whole, "in chunks of {size}");
        }
    }

    #[test]
    fn a_watched_subscription_is_ours_whatever_its_subjects() {
        let mut splitter = Splitter::new(b"i.w");
        splitter.watch(5, Some(9));
        let split = splitter.take(b"MSG any 5 1\r\nx\r\nMSG any 6 1\r\ny\r\n");
        assert_eq!(
            (split.ours[&9].as_slice(), split.rest.as_slice()),
            (b"MSG any 5 1\r\nx\r\n".as_slice(), b"MSG any 6 1\r\ny\r\n".as_slice())
        );
        splitter.watch(5, None);
        assert_eq!(splitter.take(b"MSG any 5 1\r\nx\r\n").ours.len(), 0);
    }

    #[test]
    fn a_new_connection_starts_anew() {
        let mut splitter = Splitter::new(b"i.w");
        assert_eq!(splitter.take(b"MSG i.w1-1 1 5\r\nhe"), Split::default());
        splitter.reset();
        assert_eq!(splitter.take(b"PONG\r\n").rest, b"PONG\r\n");
    }
}
