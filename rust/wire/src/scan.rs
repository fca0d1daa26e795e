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

/// A scan of a stream from its start.
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
        }
    }

    /// Start anew with a consumer that delivers from the position behind the last one on.
    pub fn restart(&mut self) {
        self.delivered = 0;
        self.pending = None;
        self.status = None;
        self.is_broken = false;
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
        let Some(head) = self.heads.get_mut(session).filter(|head| !head.is_odd) else { return };
        let marks = Marks::of(message);
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
            return;
        };
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
        self.heads.push(Head { subject: name, seq: 0, hash: GENESIS, is_odd: false });
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
mod tests {
    use super::*;
    use crate::packing::Packer;
    use crate::{Draft, Place, event};

    fn packing() -> Packing {
        Packing { words: b"words".to_vec(), from_bytes: 16, bytes_max: 1000 }
    }

    fn message(subject: &str, number: u64, seq: u64, body: &[u8]) -> Vec<u8> {
        message_with("", subject, number, seq, body)
    }

    fn message_with(header: &str, subject: &str, number: u64, seq: u64, body: &[u8]) -> Vec<u8> {
        let block = format!("NATS/1.0\r\nRetold-Seq: {seq}\r\n{header}\r\n");
        let reply = format!("$JS.ACK.S.C.1.{}.{number}.0.{}", number * 10, 9 - number);
        let sizes = format!("HMSG {subject} 1 {reply} {} {}\r\n", block.len(), block.len() + body.len());
        [sizes.as_bytes(), block.as_bytes(), body, b"\r\n"].concat()
    }

    fn bodies(session: &str, number: u64) -> Vec<Vec<u8>> {
        let draft = Draft::read(br#"{"id":"a","at":"t","actor":"x","data":{"b":1},"cause":null}"#).unwrap();
        let mut prev = GENESIS;
        let write = |seq| {
            let mut body = Vec::new();
            event(&draft, &Place { version: 1, tenant: "t", session, seq, prev: &prev, kind: "K" }, &mut body);
            prev = hash(&body);
            body
        };
        (1..=number).map(write).collect()
    }

    fn scanned(messages: &[Vec<u8>]) -> Events {
        let mut scan = Scan::new(1, vec!["J".into(), "K".into()], packing());
        scan.receive(&messages.concat());
        assert_eq!((scan.delivered(), scan.is_broken()), (messages.len() as u64, false));
        assert_eq!(scan.pending(), Some(9 - messages.len() as u64));
        assert_eq!(scan.position(), messages.len() as u64 * 10);
        scan.give()
    }

    #[test]
    fn sessions_are_given_in_the_streams_order() {
        let (a, b) = (bodies("a", 2), bodies("b", 1));
        let events = scanned(&[
            message("e.1.t.a", 1, 1, &a[0]),
            message("e.2.t.b", 2, 1, &b[0]),
            message("e.1.t.a", 3, 2, &a[1]),
        ]);
        assert_eq!(events.text, [a[0].as_slice(), &b[0], &a[1], b""].join(&b'\n'));
        assert!(events.odd.is_empty());
        let told: Vec<_> = events.found.iter().map(|one| (one.session, one.seq, one.kind, one.hash)).collect();
        assert_eq!(told, [(0, 1, 1, hash(&a[0])), (1, 1, 1, hash(&b[0])), (0, 2, 1, hash(&a[1]))]);
        let last = &events.found[2];
        assert_eq!(
            (&a[1][last.at.clone()], &a[1][last.data.clone()]),
            (br#""t""#.as_slice(), br#"{"b":1}"#.as_slice())
        );
    }

    #[test]
    fn a_session_is_left_out_from_its_first_odd_event_on() {
        let (a, b) = (bodies("a", 3), bodies("b", 3));
        let mut changed = a[1].clone();
        let at = changed.len() - 3;
        changed[at] = b'2';
        for (seq, body) in [(3, &a[2]), (3, &a[1]), (2, &b[1]), (2, &changed[1..].to_vec()), (2, &a[0])] {
            let events = scanned(&[
                message("e.1.t.a", 1, 1, &a[0]),
                message("e.1.t.a", 2, seq, body),
                message("e.1.t.a", 3, 2, &a[1]),
                message("e.2.t.b", 4, 1, &b[0]),
            ]);
            assert_eq!((events.found.len(), events.odd), (2, vec![("e.1.t.a".into(), 1)]));
        }
        let events = scanned(&[
            message("e.1.t.a", 1, 1, &a[0]),
            message("e.1.t.a", 2, 2, &changed),
            message("e.1.t.a", 3, 3, &a[2]),
        ]);
        assert_eq!(events.odd, [("e.1.t.a".into(), 2)], "the chain tells what was changed");
    }

    #[test]
    fn a_packed_event_is_given_as_it_was() {
        let a = bodies("a", 2);
        let packed = Packer::new(packing()).pack(&a[1]).unwrap().to_vec();
        let first = message("e.1.t.a", 1, 1, &a[0]);
        let second = |how, body| message_with(&format!("Retold-Packed: {how}\r\n"), "e.1.t.a", 2, 2, body);
        let events = scanned(&[first.clone(), second("deflate-1", &packed)]);
        assert_eq!(events.text, [a[0].as_slice(), &a[1], b""].join(&b'\n'));
        for odd in [second("deflate-2", &packed), second("deflate-1", &packed[1..]), second("deflate-1", &a[1])] {
            assert_eq!(scanned(&[first.clone(), odd]).odd, [("e.1.t.a".into(), 1)]);
        }
    }

    #[test]
    fn what_is_held_unpacked_is_bounded() {
        let a = bodies("a", 9);
        let mut packer = Packer::new(packing());
        let packed = a.iter().zip(1..).map(|(body, seq)| {
            message_with("Retold-Packed: deflate-1\r\n", "e.1.t.a", seq, seq, packer.pack(body).unwrap())
        });
        let events = scanned(&packed.collect::<Vec<_>>());
        let given = events.found.len();
        assert!((1000..1000 + a[0].len() + 2).contains(&events.text.len()), "{}", events.text.len());
        assert_eq!(events.odd, [("e.1.t.a".into(), given as u64)]);
    }

    #[test]
    fn a_sealed_event_is_odd() {
        let draft = Draft::read(br#"{"id":"a","at":"t","actor":"x","data":{"sealed":{}},"cause":null}"#).unwrap();
        let mut body = Vec::new();
        event(&draft, &Place { version: 1, tenant: "t", session: "a", seq: 1, prev: &GENESIS, kind: "K" }, &mut body);
        let events = scanned(&[message("e.1.t.a", 1, 1, &body)]);
        assert_eq!((events.found.len(), events.odd), (0, vec![("e.1.t.a".into(), 0)]));
    }

    #[test]
    fn a_lost_delivery_is_noticed() {
        let a = bodies("a", 3);
        let beat = |last: u64| {
            let block = format!("NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: {last}\r\n\r\n");
            format!("HMSG d 1 {} {}\r\n{block}\r\n", block.len(), block.len()).into_bytes()
        };
        let first = message("e.1.t.a", 1, 1, &a[0]);
        for (next, is_broken) in
            [(beat(1), false), (beat(2), true), (message("e.1.t.a", 3, 3, &a[2]), true), (first.clone(), true)]
        {
            let mut scan = Scan::new(1, vec!["K".into()], packing());
            scan.receive(&[first.clone(), next].concat());
            assert_eq!((scan.is_broken(), scan.give().found.len()), (is_broken, 1));
        }
    }

    #[test]
    fn a_pull_that_ends_early_says_so() {
        let mut scan = Scan::new(1, vec![], packing());
        let block = "NATS/1.0 408 Request Timeout\r\n\r\n";
        scan.receive(format!("HMSG d 1 {} {}\r\n{block}\r\n", block.len(), block.len()).as_bytes());
        assert_eq!((scan.status(), scan.delivered()), (Some(408), 0));
    }
}
