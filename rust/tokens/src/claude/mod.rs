//! Counts as Claude's tokenizers do, after ctok 1.3.0, which found out by asking the provider for counts.
//!
//! A reconstruction: nobody has published these tokenizers. What is counted is a text as the content of one message,
//! without the frame around it. A text is normalised, cut into runs, and each run tiled with the fewest pieces; which
//! pieces those are, and so where a token ends, is not known, so that there are no ids.
//!
//! From the text to its count: [`normal`] says how it is read, [`runs`] finds the runs and their marks, [`marking`] spells
//! words, [`tiling`] finds the fewest [`pieces`]; [`characters`] says what each character is.

mod anchors;
mod characters;
mod marking;
mod normal;
mod open;
mod pieces;
mod reconstruction;
mod runs;
mod tiling;

use std::cell::RefCell;

use crate::words::Words;
use pieces::Pieces;
use runs::Walk;
use tiling::Tiling;

pub(crate) use anchors::{Anchor, anchor_after, last_anchor};
pub(crate) use open::OpenRun;
pub use reconstruction::Reconstruction;

/// From here on `count_until` looks whether there are too many already.
const BLOCK_BYTES: usize = 4096;

/// A generation with its pieces.
#[derive(Clone, Copy)]
pub(crate) struct Claude {
    generation: Reconstruction,
    pieces: &'static Pieces,
}

/// What is before a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// The frame of the message.
    Frame,
    /// More of the text, up to an anchor.
    Text,
}

/// What counting works with: the words that this thread knows, and room for the run at hand.
struct Desk {
    words: Words,
    tiling: Tiling,
}

thread_local! {
    static DESKS: RefCell<[Option<Box<Desk>>; 2]> = const { RefCell::new([None, None]) };
}

impl Claude {
    /// Return the number of tokens of `text`; an empty one has none.
    pub(crate) fn count(self, text: &str) -> usize {
        self.count_after(text, Before::Frame)
    }

    /// Return the number of tokens of `text`, or `None` as soon as it is certain that there are more than `limit`.
    pub(crate) fn count_until(self, text: &str, limit: usize) -> Option<usize> {
        let (mut tokens, mut rest, mut before) = (0_usize, text, Before::Frame);
        while let Some(anchor) = anchor_after(rest, BLOCK_BYTES) {
            tokens = tokens.saturating_add(self.count_to(rest, anchor, before));
            if tokens > limit {
                return None;
            }
            (rest, before) = (rest.get(anchor.at..).unwrap_or_default(), Before::Text);
        }
        Some(tokens.saturating_add(self.count_after(rest, before))).filter(|tokens| *tokens <= limit)
    }

    /// Return the number of tokens of `text` up to `anchor`, whatever follows.
    ///
    /// What is before an anchor and what is after do not know of each other. So the character after it, which the text
    /// before has to see, is counted with it and taken off again.
    pub(crate) fn count_to(self, text: &str, anchor: Anchor, before: Before) -> usize {
        let seen = text.get(..anchor.reach).unwrap_or_default();
        let after = text.get(anchor.at..anchor.reach).unwrap_or_default();
        self.count_after(seen, before).saturating_sub(self.count_after(after, Before::Text))
    }

    /// Return the number of tokens of `text` where `before` comes before it.
    pub(crate) fn count_after(self, text: &str, before: Before) -> usize {
        if text.is_empty() {
            return 0;
        }
        let read = normal::normalised(text, self.folds_quotes());
        let frame = self.has_frame(before);
        let content = Self::content(text, read.trim_end_matches('\n'), frame);
        let breaks = read.bytes().rev().take_while(|byte| *byte == b'\n').count();
        self.with_desk(|desk| {
            let at_end = self.count_breaks(breaks, desk);
            if content.is_empty() {
                return at_end.saturating_add(usize::from(frame));
            }
            Walk::new(self, desk, content, frame).run().saturating_add(at_end)
        })
    }

    /// Return `read`, how `text` is read, without what a frame takes in: its mark for the start of a word is the blank, if
    /// the text begins with a single one.
    fn content<'t>(text: &str, read: &'t str, frame: bool) -> &'t str {
        let rest = read.strip_prefix(' ').filter(|rest| frame && text.starts_with(' ') && !rest.starts_with(' '));
        rest.unwrap_or(read)
    }

    /// Tell whether the frame before a text ends in the mark for the start of a word.
    fn has_frame(self, before: Before) -> bool {
        before == Before::Frame && self.generation != Reconstruction::Claude4_8
    }

    fn folds_quotes(self) -> bool {
        self.generation == Reconstruction::Claude3
    }

    fn marks_capitals(self) -> bool {
        self.generation == Reconstruction::Claude3
    }

    fn with_desk<T>(self, work: impl FnOnce(&mut Desk) -> T) -> T {
        DESKS.with_borrow_mut(|desks| {
            let [claude3, claude4] = desks;
            let desk = if self.generation == Reconstruction::Claude3 { claude3 } else { claude4 };
            work(desk.get_or_insert_with(|| Box::new(Desk { words: Words::new(), tiling: Tiling::new() })))
        })
    }

    /// Return the tokens of line breaks at the end of a text: the frame goes on with two more, and the last token of all
    /// is the frame's.
    fn count_breaks(self, breaks: usize, desk: &mut Desk) -> usize {
        if breaks == 0 {
            return 0;
        }
        desk.tiling.clear();
        for _ in 0..breaks.saturating_add(2) {
            desk.tiling.character(self.pieces, '\n');
        }
        (desk.tiling.tokens() as usize).saturating_sub(1)
    }
}
