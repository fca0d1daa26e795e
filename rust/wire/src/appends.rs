//! Appends to many sessions at once: what to send next, given what was answered.
//!
//! Rules: a session is a lane, and a lane has one append in flight, for the next must name the position at which the
//! one before was stored. Lanes do not wait for each other, as far as the limits go. A lane ends at the first answer
//! that is not a plain acknowledgement; whether that append was stored is for the caller to find out.

use std::collections::VecDeque;

use crate::acks::stored_at;
use crate::drafts::{Draft, lines};
use crate::events::{Hash, Place, event, hash};
use crate::frames::{Frame, first_frame, number};
use crate::packing::{Packer, Packing};
use crate::publish::{Batch, Headers, publish, put_number};

/// How much may be under way.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest event that goes over the wire from here.
    pub body_bytes: usize,
    /// The largest append, all its events together.
    pub append_bytes: usize,
    /// How many appends may wait for their answer.
    pub appends: usize,
    /// How many of them may be atomic batches.
    pub batches: usize,
    /// Above this many unanswered bytes nothing more is sent.
    pub bytes: usize,
}

/// What is to be appended to one session.
#[derive(Clone, Debug)]
pub struct Lane {
    /// The subject of the session's events.
    pub subject: String,
    /// The tenant's name.
    pub tenant: String,
    /// The session's name.
    pub session: String,
    /// The sequence that the session ends at.
    pub seq: u64,
    /// The hash of its last event.
    pub hash: Hash,
    /// The position of its last event in the stream.
    pub position: u64,
    /// How many drafts each append has.
    pub appends: Vec<usize>,
}

/// How far a lane got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneEnd {
    /// How many of its appends are stored.
    pub appended: usize,
    /// The session's last sequence.
    pub seq: u64,
    /// The hash of its last event.
    pub hash: Hash,
    /// The position of its last event in the stream.
    pub position: u64,
}

#[derive(Debug)]
struct Row {
    lane: Lane,
    next_draft: usize,
    done: usize,
    flight: Option<Flight>,
    is_over: bool,
}

/// An append without its answer: where the session ends if it is stored.
#[derive(Debug)]
struct Flight {
    seq: u64,
    hash: Hash,
    bytes: usize,
    is_batch: bool,
}

/// Appends to many sessions.
#[derive(Debug)]
pub struct Appends {
    reply: Vec<u8>,
    batch: Vec<u8>,
    batches_made: u64,
    version: u32,
    kinds: Vec<String>,
    kind_of: Vec<u8>,
    text: Vec<u8>,
    drafts: Vec<std::ops::Range<usize>>,
    rows: Vec<Row>,
    waiting: VecDeque<usize>,
    waiting_batches: VecDeque<usize>,
    limits: Limits,
    packer: Packer,
    in_flight: usize,
    batches_in_flight: usize,
    bytes_in_flight: usize,
    over: usize,
}

impl Appends {
    /// Return appends whose answers come to `<reply><lane>-<append>`, and whose atomic batches are `<batch>-<number>`.
    #[must_use]
    pub fn new(reply: &str, batch: &str, version: u32, kinds: Vec<String>, limits: Limits, packing: Packing) -> Self {
        Self {
            packer: Packer::new(packing),
            reply: reply.into(),
            batch: batch.into(),
            batches_made: 0,
            version,
            kinds,
            kind_of: Vec::new(),
            text: Vec::new(),
            drafts: Vec::new(),
            rows: Vec::new(),
            waiting: VecDeque::new(),
            waiting_batches: VecDeque::new(),
            limits,
            in_flight: 0,
            batches_in_flight: 0,
            bytes_in_flight: 0,
            over: 0,
        }
    }

    /// Take what is to be appended: `text` has a draft a line, those of the first lane first; `kind_of` has the place
    /// of each one's type among the kinds. To be called once.
    pub fn load(&mut self, text: &[u8], kind_of: &[u8], lanes: Vec<Lane>) {
        text.clone_into(&mut self.text);
        kind_of.clone_into(&mut self.kind_of);
        let mut start: usize = 0;
        for line in lines(&self.text) {
            let end = start.saturating_add(line.len());
            self.drafts.push(start..end);
            start = end.saturating_add(1);
        }
        let mut next_draft: usize = 0;
        for lane in lanes {
            let drafts = lane.appends.iter().fold(0_usize, |sum, count| sum.saturating_add(*count));
            let is_over = lane.appends.is_empty();
            self.over = self.over.saturating_add(usize::from(is_over));
            if !is_over {
                self.waiting.push_back(self.rows.len());
            }
            self.rows.push(Row { lane, next_draft, done: 0, flight: None, is_over });
            next_draft = next_draft.saturating_add(drafts);
        }
    }

    /// Return whether no lane has anything left to send or to hear.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over == self.rows.len()
    }

    /// Return how far each lane got.
    pub fn ends(&self) -> impl Iterator<Item = LaneEnd> {
        self.rows.iter().map(|row| LaneEnd {
            appended: row.done,
            seq: row.lane.seq,
            hash: row.lane.hash,
            position: row.lane.position,
        })
    }

    /// Return what is to be sent now.
    #[must_use]
    pub fn send(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.in_flight < self.limits.appends && self.bytes_in_flight < self.limits.bytes {
            let ready =
                if self.batches_in_flight < self.limits.batches { self.waiting_batches.pop_front() } else { None };
            let Some(place) = ready.or_else(|| self.waiting.pop_front()) else { break };
            self.start(place, &mut out);
        }
        out
    }

    /// Take answers, which are whole frames, and return what is to be sent next.
    #[must_use]
    pub fn receive(&mut self, mut frames: &[u8]) -> Vec<u8> {
        while let Some((frame, length)) = first_frame(frames).filter(|_| !frames.is_empty()) {
            if let Frame::Message(message) = frame {
                let position = stored_at(&message);
                if let Some(place) = self.place_of(message.subject) {
                    self.answer(place, position);
                }
            }
            frames = frames.get(length..).unwrap_or_default();
        }
        self.send()
    }

    /// Return the lane that waits for an answer to `subject`.
    fn place_of(&self, subject: &[u8]) -> Option<usize> {
        let mut numbers = subject.strip_prefix(self.reply.as_slice())?.split(|byte| *byte == b'-').map(number);
        let place = usize::try_from(numbers.next()??).ok()?;
        let append = usize::try_from(numbers.next()??).ok()?;
        self.rows.get(place).filter(|row| row.flight.is_some() && row.done == append).map(|_| place)
    }

    fn answer(&mut self, place: usize, position: Option<u64>) {
        let Some(row) = self.rows.get_mut(place) else { return };
        let Some(flight) = row.flight.take() else { return };
        self.in_flight = self.in_flight.saturating_sub(1);
        self.batches_in_flight = self.batches_in_flight.saturating_sub(usize::from(flight.is_batch));
        self.bytes_in_flight = self.bytes_in_flight.saturating_sub(flight.bytes);
        let Some(position) = position.filter(|position| *position > row.lane.position) else {
            self.end(place);
            return;
        };
        row.lane.seq = flight.seq;
        row.lane.hash = flight.hash;
        row.lane.position = position;
        row.next_draft = row.next_draft.saturating_add(row.lane.appends.get(row.done).copied().unwrap_or(0));
        row.done = row.done.saturating_add(1);
        if row.done == row.lane.appends.len() {
            self.end(place);
        } else {
            self.waiting.push_back(place);
        }
    }

    fn end(&mut self, place: usize) {
        if let Some(row) = self.rows.get_mut(place).filter(|row| !row.is_over) {
            row.is_over = true;
            self.over = self.over.saturating_add(1);
        }
    }

    /// Write the next append of a lane; one that cannot go over the wire as it is ends the lane.
    fn start(&mut self, place: usize, out: &mut Vec<u8>) {
        let Some(count) = self.rows.get(place).and_then(|row| row.lane.appends.get(row.done)).copied() else { return };
        let is_batch = count > 1;
        if is_batch && self.batches_in_flight >= self.limits.batches {
            self.waiting_batches.push_back(place);
            return;
        }
        let before = out.len();
        let Some((seq, hash)) = self.write(place, count, out) else {
            out.truncate(before);
            self.end(place);
            return;
        };
        let bytes = out.len().saturating_sub(before);
        self.in_flight = self.in_flight.saturating_add(1);
        self.batches_in_flight = self.batches_in_flight.saturating_add(usize::from(is_batch));
        self.bytes_in_flight = self.bytes_in_flight.saturating_add(bytes);
        if let Some(row) = self.rows.get_mut(place) {
            row.flight = Some(Flight { seq, hash, bytes, is_batch });
        }
    }

    /// Write the frames of one append, and return where the session ends then; None if one of them cannot be sent so.
    fn write(&mut self, place: usize, count: usize, out: &mut Vec<u8>) -> Option<(u64, Hash)> {
        let row = self.rows.get(place)?;
        let drafts = row.next_draft..row.next_draft.checked_add(count)?;
        let mut reply = Vec::with_capacity(64);
        reply.extend_from_slice(&self.reply);
        put_number(&mut reply, place as u64);
        reply.push(b'-');
        put_number(&mut reply, row.done as u64);
        let mut batch = Vec::new();
        if count > 1 {
            batch.extend_from_slice(&self.batch);
            batch.push(b'-');
            put_number(&mut batch, self.batches_made);
            self.batches_made = self.batches_made.saturating_add(1);
        }
        let (mut seq, mut prev) = (row.lane.seq, row.lane.hash);
        let (mut body, mut total): (Vec<u8>, usize) = (Vec::with_capacity(1024), 0);
        for (number, draft) in (1..).zip(drafts) {
            let parts = Draft::read(self.text.get(self.drafts.get(draft)?.clone())?)?;
            let kind = self.kinds.get(usize::from(*self.kind_of.get(draft)?))?;
            let Lane { tenant, session, .. } = &row.lane;
            seq = seq.checked_add(1)?;
            body.clear();
            event(&parts, &Place { version: self.version, tenant, session, seq, prev: &prev, kind }, &mut body);
            total = total.checked_add(body.len())?;
            if body.len() > self.limits.body_bytes || total > self.limits.append_bytes {
                return None;
            }
            let is_last = number == count;
            let packed = self.packer.pack(&body);
            let headers = Headers {
                id: parts.plain_id()?,
                seq,
                expected: (number == 1).then_some(row.lane.position),
                is_packed: packed.is_some(),
                batch: (count > 1).then_some(Batch { id: &batch, number, is_last }),
            };
            let reply = if is_last { reply.as_slice() } else { b"" };
            publish(out, row.lane.subject.as_bytes(), reply, &headers, packed.unwrap_or(&body));
            prev = hash(&body);
        }
        Some((seq, prev))
    }
}
