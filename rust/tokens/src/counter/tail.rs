//! The open end of a text once more, where a window can read it as it lies.

use super::open::RUN_BYTES_MIN;
use crate::split::{VIEW, WINDOW};

/// Room for windows one after the other, so that what is in it moves seldom.
const ROOM: usize = 512;

/// A short open end in ASCII, with zeros after it.
pub(super) struct Tail {
    room: [u8; ROOM],
    start: usize,
    end: usize,
    /// Whether it is the open end; else that is too long, or not in ASCII.
    is_whole: bool,
}

impl Tail {
    pub(super) const fn new() -> Self {
        Self { room: [0; ROOM], start: 0, end: 0, is_whole: false }
    }

    /// Begin anew with an open end, or with none that is of use.
    pub(super) fn begin(&mut self, open: Option<&str>) {
        self.is_whole = false;
        let Some(open) = open.filter(|open| open.len() < RUN_BYTES_MIN && open.is_ascii()) else { return };
        self.empty();
        self.put(open.as_bytes());
        self.is_whole = true;
    }

    /// Append `text`; return whether it is the open end still.
    #[inline]
    pub(super) fn push(&mut self, text: &str) -> bool {
        self.is_whole = self.is_whole && self.len().saturating_add(text.len()) <= WINDOW && text.is_ascii();
        if self.is_whole {
            if self.end.saturating_add(text.len()).saturating_add(VIEW) > ROOM {
                self.move_down();
            }
            self.put(text.as_bytes());
        }
        self.is_whole
    }

    /// Return the window at the start of the open end, and as many bytes after it as are read of a piece.
    #[inline]
    pub(super) fn view(&self) -> Option<&[u8; VIEW]> {
        self.room.get(self.start..).and_then(<[u8]>::first_chunk)
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Leave out the first `len` bytes: they are settled.
    #[inline]
    pub(super) fn settle(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.end);
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.end.saturating_add(bytes.len());
        if let Some(to) = self.room.get_mut(self.end..end) {
            to.copy_from_slice(bytes);
            self.end = end;
        }
    }

    fn move_down(&mut self) {
        let open: [u8; WINDOW] = self.view().and_then(|view| view.first_chunk().copied()).unwrap_or([0; WINDOW]);
        let len = self.len();
        self.empty();
        self.put(open.get(..len).unwrap_or_default());
    }

    fn empty(&mut self) {
        if let Some(used) = self.room.get_mut(..self.end) {
            used.fill(0);
        }
        (self.start, self.end) = (0, 0);
    }
}
