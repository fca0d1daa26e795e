//! A run: items that were appended to one session one after the other, nothing else in between.

use std::io::Write as _;

use retold_tokens::{Encoding, Size};
use retold_wire::Hash;

use crate::item::Item;
use crate::time::Time;

const EARLIEST: Time = *b"0000-00-00T00:00:00.000000";

/// Items that were appended to one session one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The subject of the session's events.
    pub subject: String,
    /// The sequence of the last of these events.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
    latest: Time,
    text: String,
    ends: Vec<usize>,
}

impl Run {
    pub(crate) fn new(subject: String) -> Self {
        Self { subject, seq: 0, hash: [b'0'; 64], latest: EARLIEST, text: String::new(), ends: Vec::new() }
    }

    /// Add the item of event `seq`, whose hash is `hash`; `json` must be one that can be read.
    pub(crate) fn push(&mut self, json: &str, seq: u64, hash: &Hash, time: Time) {
        self.text.push_str(json);
        self.ends.push(self.text.len());
        self.latest = self.latest.max(time);
        (self.seq, self.hash) = (seq, *hash);
    }

    /// Return how many items there are.
    #[must_use]
    pub fn items(&self) -> usize {
        self.ends.len()
    }

    /// Return how many bytes they have.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Return the latest time that one of the events names, in UTC, without a zone.
    #[must_use]
    pub fn latest(&self) -> String {
        String::from_utf8_lossy(&self.latest).into_owned()
    }

    /// Return the items as entries of a history, a JSON list, and what each costs; the first has number `first_item`.
    ///
    /// None if a text in one of them is none that Python would read.
    #[must_use]
    pub fn entries(&self, encoding: &Encoding, first_item: u64) -> Option<(Vec<u8>, Vec<Size>)> {
        let mut out = Vec::with_capacity(self.text.len().saturating_add(self.ends.len().saturating_mul(80)));
        let mut sizes = Vec::with_capacity(self.ends.len());
        let mut seq = self.seq.checked_sub(self.ends.len() as u64)?;
        let mut start = 0;
        for (number, end) in (first_item..).zip(&self.ends) {
            let item = Item::read(self.text.get(start..*end)?)?;
            let size = item.size(encoding)?;
            let (before, after) = item.around_id();
            (seq, start) = (seq.checked_add(1)?, *end);
            out.push(if sizes.is_empty() { b'[' } else { b',' });
            let Size { exact, reconstructed, .. } = size;
            write!(
                out,
                r#"{{"item":{before},"id":"i{number}"{after},"tokens":{{"exact":{exact},"reconstructed":{reconstructed}}},"seq":{seq}}}"#
            )
            .ok()?;
            sizes.push(size);
        }
        out.push(b']');
        Some((out, sizes))
    }
}
