//! A growing text that is settled up to its last anchor (see `claude::anchors`).
//!
//! The count of a text is that of both sides of an anchor, whatever comes later. So the text before the last anchor is
//! counted once, and only what is after it at every append. Marks remember the sum every few hundred bytes, for spans and
//! truncation.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "offsets in a text and sums of its tokens, a few for each of its bytes, of which there are isize::MAX at most"
)]

use super::held::Held;
use super::settling::{MARK_DISTANCE_BYTES, Mark, kept_at};
use crate::claude::{Anchor, Before, Claude, OpenRun, anchor_after, last_anchor};
use crate::error::Error;

pub(super) struct Anchored {
    claude: Claude,
    held: Held,
    /// Ascending. The first is where the held text begins.
    marks: Vec<Mark>,
    settled: Mark,
    /// The long run that the text ends in.
    open: Option<OpenRun>,
    /// The tokens of everything after what is settled.
    open_tokens: usize,
}

impl Anchored {
    pub(super) fn new(claude: Claude) -> Self {
        Self::resume(claude, Mark::default(), "")
    }

    /// Go on from an anchor and the text after it.
    pub(super) fn resume(claude: Claude, settled: Mark, open: &str) -> Self {
        let held = Held::resume(settled.offset, open);
        let mut state = Self { claude, held, marks: vec![settled], settled, open: None, open_tokens: 0 };
        state.settle();
        state
    }

    pub(super) const fn held(&self) -> &Held {
        &self.held
    }

    pub(super) const fn settled(&self) -> Mark {
        self.settled
    }

    pub(super) const fn total(&self) -> usize {
        self.settled.tokens + self.open_tokens
    }

    pub(super) fn append(&mut self, text: &str) {
        self.held.push(text);
        if let Some(open) = &mut self.open
            && open.goes_on(text.as_bytes())
        {
            self.open_tokens = open.tokens();
            return;
        }
        self.settle();
    }

    pub(super) fn truncate(&mut self, len: usize) -> Result<(), Error> {
        let place = self.held.place(len)?;
        let (kept, settled) = kept_at(&self.marks, len)?;
        self.settled = settled;
        self.marks.truncate(kept);
        self.held.cut(place);
        self.settle();
        Ok(())
    }

    /// Count `[start, end)` on its own: to the first mark in it, by subtraction to the last, then to the end.
    pub(super) fn span(&self, start: usize, end: usize) -> Result<usize, Error> {
        let text = self.held.between(start, end)?;
        // An anchor of the whole is one of the span if the span holds the characters at its sides.
        let first = self.marks.get(self.marks.partition_point(|mark| mark.offset <= start));
        let last =
            self.marks.partition_point(|mark| mark.reach <= end).checked_sub(1).and_then(|at| self.marks.get(at));
        let (Some(first), Some(last)) = (first, last.filter(|last| last.offset > start)) else {
            return Ok(self.claude.count(text));
        };
        let anchor = Anchor { at: first.offset - start, reach: first.reach - start };
        let rest = text.get(last.offset - start..).unwrap_or_default();
        let ends = self.claude.count_to(text, anchor, Before::Frame) + self.claude.count_after(rest, Before::Text);
        Ok(ends + (last.tokens - first.tokens))
    }

    /// Settle the text up to its last anchor, and count what is open.
    fn settle(&mut self) {
        let last = last_anchor(self.held.from(self.settled.offset)).map(|last| self.settled.offset + last.at);
        while let Some(last) = last.filter(|last| *last > self.settled.offset) {
            let from = self.settled.offset;
            let text = self.held.from(from);
            let next = anchor_after(text, MARK_DISTANCE_BYTES).filter(|next| from + next.at <= last);
            let Some(anchor) = next.or_else(|| last_anchor(text)) else { break };
            self.settled.tokens += self.claude.count_to(text, anchor, self.before());
            self.settled.offset = from + anchor.at;
            self.settled.reach = from + anchor.reach;
            let marked = self.marks.last().map_or(0, |mark| mark.offset);
            if self.settled.offset - marked >= MARK_DISTANCE_BYTES {
                self.marks.push(self.settled);
            }
        }
        let text = self.held.from(self.settled.offset);
        self.open = OpenRun::at_end_of(self.claude, text, self.before());
        self.open_tokens = match &self.open {
            Some(open) => open.tokens(),
            None => self.claude.count_after(text, self.before()),
        };
    }

    fn before(&self) -> Before {
        if self.settled.offset == 0 { Before::Frame } else { Before::Text }
    }
}
