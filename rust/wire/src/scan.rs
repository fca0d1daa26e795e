//! Reading a whole stream, or a part of it, in the stream's order: events of many sessions, each checked to follow the
//! one before it in its session.
//!
//! Rule: what is not plainly the next event of its session, whatever the reason, is *odd*. From there on the scan leaves
//! that session out, and the caller reads it in its careful way, which knows claims, older versions and damage.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use memchr::memchr;

use crate::envelope::Envelope;
use crate::events::{Hash, hash};
use crate::frames::{Frame, Message, first_frame, number};
use crate::packing::{DEFLATE, Packing, Unpacker};

const GENESIS: Hash = [b'0'; 64];
const HEARTBEAT: u64 = 100;

/// One event: where it lies in the text that it came with, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its bytes.
    pub body: Range<usize>,
    /// Its time, in these, quotes included.
    pub at: Range<usize>,
    /// Its fact, in these.
    pub data: Range<usize>,
    /// Its type, as its place among the kinds.
    pub kind: u8,
    /// The number that the scan has given its session, from 0.
    pub session: usize,
    /// Its sequence.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
    /// Whether its id, its actor and its cause hold no backslash.
    pub is_unescaped: bool,
}

/// Some events, in the stream's order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Their bytes, one after the other, each with a line break behind it.
    pub text: Vec<u8>,
    /// Each of them.
    pub found: Vec<Found>,
    /// Sessions that the scan leaves out from here on, by subject, and the last sequence of each that it has given.
    pub odd: Vec<(String, u64)>,
    /// Sessions that have had messages, those that are left out included, by subject, and the last one's sequence and
    /// position; in a scan from the start only those that are left out.
    pub ends: Vec<(String, u64, u64)>,
}

impl Events {
    /// Return the bytes of an event.
    #[must_use]
    pub fn body(&self, event: &Found) -> &[u8] {
        self.text.get(event.body.clone()).unwrap_or_default()
    }

    /// Return the events of each kind that there is, one a line.
    #[must_use]
    pub fn lines(&self) -> Vec<(u8, Cow<'_, [u8]>)> {
        let first = self.found.first().map(|event| event.kind).unwrap_or_default();
        let bytes =
            self.found.iter().fold(0_usize, |sum, event| sum.saturating_add(event.body.len()).saturating_add(1));
        if bytes == self.text.len() && self.found.iter().all(|event| event.kind == first) {
            return vec![(first, Cow::Borrowed(self.text.as_slice()))];
        }
        let mut lines: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
        for event in &self.found {
            let text = lines.entry(event.kind).or_default();
            text.extend_from_slice(self.body(event));
            text.push(b'\n');
        }
        lines.into_iter().map(|(kind, text)| (kind, Cow::Owned(text))).collect()
    }
}

#[derive(Debug)]
struct Head {
    subject: String,
    seq: u64,
    hash: Hash,
    is_odd: bool,
}

/// A scan of a stream, from its start or from where each session is said to stand.
#[derive(Debug)]
pub struct Scan {
    version: u64,
    kinds: Vec<Vec<u8>>,
    numbers: HashMap<Vec<u8>, usize>,
    heads: Vec<Head>,
    unpacker: Unpacker,
    events: Events,
    position: u64,
    delivered: u64,
    pending: Option<u64>,
    status: Option<u64>,
    is_broken: bool,
    is_live: bool,
    ends: BTreeMap<usize, (u64, u64)>,
}

impl Scan {
    /// Return a scan that expects events of `version`, of the types in `kinds`, some of them packed.
    #[must_use]
    pub fn new(version: u32, kinds: Vec<String>, packing: Packing) -> Self {
        Self {
            version: version.into(),
            kinds: kinds.into_iter().map(String::into_bytes).collect(),
            numbers: HashMap::new(),
            heads: Vec::new(),
            unpacker: Unpacker::new(packing),
            events: Events::default(),
            position: 0,
            delivered: 0,
            pending: None,
            status: None,
            is_broken: false,
            is_live: false,
            ends: BTreeMap::new(),
        }
    }

    /// Return a scan of what comes from now on: sessions are left out until they are followed.
    #[must_use]
    pub fn live(version: u32, kinds: Vec<String>, packing: Packing) -> Self {
        Self { is_live: true, ..Self::new(version, kinds, packing) }
    }

    /// Start anew with a consumer that delivers from the position behind the last one on.
    pub fn restart(&mut self) {
        self.delivered = 0;
        self.pending = None;
        self.status = None;
        self.is_broken = false;
    }

    /// Expect behind `seq`, whose hash is `hash`, the next event of the session whose events have `subject`.
    ///
    /// What comes up to there is known and passed over. Nothing changes if the scan is that far already.
    pub fn follow(&mut self, subject: &str, seq: u64, hash: &Hash) {
        let session = self.session(subject.as_bytes());
        let Some(head) = self.heads.get_mut(session).filter(|head| head.is_odd || head.seq < seq) else { return };
        (head.seq, head.hash, head.is_odd) = (seq, *hash, false);
    }

    /// Leave out the session whose events have `subject` until it is followed again.
    pub fn leave(&mut self, subject: &str) {
        let session = self.session(subject.as_bytes());
        if let Some(head) = self.heads.get_mut(session) {
            head.is_odd = true;
        }
    }

    /// Take what the consumer delivers, which are whole frames.
    pub fn receive(&mut self, mut frames: &[u8]) {
        while let Some((frame, length)) = first_frame(frames).filter(|_| !frames.is_empty()) {
            if let Frame::Message(message) = frame {
                match message.status() {
                    0 => self.take(&message),
                    HEARTBEAT => self.beat(&message),
                    status => self.status = Some(status),
                }
            }
            frames = frames.get(length..).unwrap_or_default();
        }
    }

    /// Return the status that ended a pull before it was full, or None.
    #[must_use]
    pub fn status(&self) -> Option<u64> {
        self.status
    }

    /// Return how many messages the consumer has delivered.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Return how many messages there were behind the last one when it was delivered; None if none was.
    #[must_use]
    pub fn pending(&self) -> Option<u64> {
        self.pending
    }

    /// Return the position in the stream of the last message that came, events of odd sessions included.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Return whether a delivery was lost on the way: the consumer is of no use any more.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Return the subject of the session that has this number; empty if there is none.
    #[must_use]
    pub fn subject(&self, session: usize) -> String {
        self.heads.get(session).map(|head| head.subject.clone()).unwrap_or_default()
    }

    /// Return what has come since the last call, and be ready for the next pull.
    pub fn give(&mut self) -> Events {
        self.status = None;
        let ends = std::mem::take(&mut self.ends);
        self.events.ends =
            ends.into_iter().map(|(session, (seq, position))| (self.subject(session), seq, position)).collect();
        std::mem::take(&mut self.events)
    }

    fn beat(&mut self, message: &Message<'_>) {
        let last = message.header(b"Nats-Last-Consumer").and_then(number);
        self.is_broken |= last.is_some_and(|last| last != self.delivered);
    }

    fn take(&mut self, message: &Message<'_>) {
        let Some(delivery) = delivery(message.reply).filter(|_| !self.is_broken) else { return };
        if Some(delivery.number) != self.delivered.checked_add(1) || delivery.position <= self.position {
            self.is_broken = true;
            return;
        }
        self.delivered = delivery.number;
        self.pending = Some(delivery.pending);
        self.position = delivery.position;
        let session = self.session(message.subject);
        let Some(head) = self.heads.get_mut(session) else { return };
        let marks = Marks::of(message);
        if head.is_odd {
            self.ends.insert(session, (marks.seq.unwrap_or_default(), delivery.position));
            return;
        }
        if marks.seq.is_some_and(|seq| seq <= head.seq) && self.is_live {
            return;
        }
        let payload = match marks.packed {
            None => Some(message.payload),
            // Else a few megabytes of zeros, packed, would be held as gigabytes.
            Some(DEFLATE) if self.events.text.len() <= self.unpacker.bytes_max() => {
                self.unpacker.unpack(message.payload)
            }
            Some(_) => None,
        };
        let next =
            payload.and_then(|payload| next_of(payload, message.subject, head, self.version, &marks, &self.kinds));
        let (Some(payload), Some((event, kind))) = (payload, next) else {
            head.is_odd = true;
            self.events.odd.push((head.subject.clone(), head.seq));
            self.ends.insert(session, (marks.seq.unwrap_or_default(), delivery.position));
            return;
        };
        if self.is_live {
            self.ends.insert(session, (event.seq, delivery.position));
        }
        head.seq = event.seq;
        head.hash = hash(payload);
        let start = self.events.text.len();
        self.events.text.extend_from_slice(payload);
        self.events.found.push(Found {
            body: start..self.events.text.len(),
            at: event.at,
            data: event.data,
            kind,
            session,
            seq: event.seq,
            hash: head.hash,
            is_unescaped: event.is_unescaped,
        });
        self.events.text.push(b'\n');
    }

    /// Return the number of the session whose events have `subject`.
    fn session(&mut self, subject: &[u8]) -> usize {
        if let Some(number) = self.numbers.get(subject) {
            return *number;
        }
        let number = self.heads.len();
        let name = String::from_utf8_lossy(subject).into_owned();
        self.heads.push(Head { subject: name, seq: 0, hash: GENESIS, is_odd: self.is_live });
        self.numbers.insert(subject.to_vec(), number);
        number
    }
}

struct Delivery {
    position: u64,
    number: u64,
    pending: u64,
}

/// Read `$JS.ACK.stream.consumer.tries.position.number.time.pending`, or the same with domain and account before the
/// stream and a token at the end.
fn delivery(reply: &[u8]) -> Option<Delivery> {
    let mut tokens = reply.rsplit(|byte| *byte == b'.');
    if reply.split(|byte| *byte == b'.').count() != 9 {
        tokens.next();
    }
    let pending = number(tokens.next()?)?;
    let [_, number_at, position] = [tokens.next()?, tokens.next()?, tokens.next()?];
    Some(Delivery { position: number(position)?, number: number(number_at)?, pending })
}

/// What the headers of a message say.
#[derive(Debug, Default)]
struct Marks<'a> {
    seq: Option<u64>,
    is_claim: bool,
    packed: Option<&'a [u8]>,
}

impl<'a> Marks<'a> {
    fn of(message: &Message<'a>) -> Self {
        let mut marks = Self::default();
        for (name, value) in message.values() {
            match name {
                b"Retold-Seq" => marks.seq = number(value),
                b"Retold-Claim" => marks.is_claim = true,
                b"Retold-Packed" => marks.packed = Some(value),
                _ => {}
            }
        }
        marks
    }
}

/// Return the event in `payload` and its kind if it is the next of its session; None if it is odd.
fn next_of<'a>(
    payload: &'a [u8],
    subject: &[u8],
    head: &Head,
    version: u64,
    marks: &Marks<'_>,
    kinds: &[Vec<u8>],
) -> Option<(Envelope<'a>, u8)> {
    let event = Envelope::read(payload, version)?;
    let seq = head.seq.checked_add(1)?;
    let mut names = subject.rsplit(|byte| *byte == b'.');
    let is_next = event.seq == seq
        && event.prev == &head.hash
        && names.next() == Some(event.session)
        && names.next() == Some(event.tenant)
        && marks.seq == Some(seq)
        && !marks.is_claim
        && memchr(b'\n', payload).is_none();
    let kind = kinds.iter().position(|kind| kind.as_slice() == event.kind).filter(|_| is_next)?;
    Some((event, u8::try_from(kind).ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers")]
#[path = "scan_tests.rs"]
mod tests;
