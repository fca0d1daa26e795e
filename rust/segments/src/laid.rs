//! What is to be stored of a state: names of rows that are stored already, and segments of those that are not.

use flate2::{Compress, Compression, FlushCompress};

use crate::layout::{Holder, Layout, Spot, at, size};

/// How long a segment grows before it is deflated: a longer one saves 3%, and is read whole for one row.
const SEGMENT_BYTES_MAX: usize = 64 * 1024;

/// Neighbouring rows: `count` from `first` on, in segment number `segment` of source number `source`; 0 is the message itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The message.
    pub source: u32,
    /// The segment in it.
    pub segment: u32,
    /// The first row in that.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// One state as it is to be stored.
#[derive(Clone, Debug, Default)]
pub struct Laid {
    /// The messages that runs name from 1 on.
    pub sources: Vec<Holder>,
    /// Where the rows lie, in order.
    pub runs: Vec<Run>,
    /// The rows that are stored here, with commas between, deflated.
    pub segments: Vec<Vec<u8>>,
    /// How many rows each of these holds.
    pub rows: Vec<u32>,
    /// Their length before that, with a byte more a row.
    pub stored_bytes: u64,
    spots: Vec<(u64, Spot)>,
}

impl Laid {
    /// Return where the rows are once this is stored at `position`, as number `number` of the session.
    #[must_use]
    pub fn layout(&self, position: u64, number: u64) -> Layout {
        let own = Holder { position, number, stored_bytes: self.stored_bytes };
        let holders = std::iter::once(own).chain(self.sources.iter().copied()).collect();
        Layout { spots: self.spots.iter().copied().collect(), holders }
    }
}

/// Collects runs and new segments, row by row.
pub(crate) struct Plan<'a> {
    layout: &'a Layout,
    numbers: Vec<u32>,
    laid: Laid,
    open: Vec<u8>,
    open_rows: u32,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(layout: &'a Layout, rows: usize) -> Self {
        let laid = Laid { spots: Vec::with_capacity(rows), ..Laid::default() };
        Self { layout, numbers: vec![0; layout.holders.len()], laid, open: Vec::new(), open_rows: 0 }
    }

    /// Take a row that is stored already.
    pub(crate) fn name(&mut self, hash: u64, spot: Spot) {
        let place = at(spot.holder);
        let (Some(holder), Some(number)) = (self.layout.holders.get(place), self.numbers.get_mut(place)) else {
            return; // a spot names a holder of its own layout
        };
        if *number == 0 {
            self.laid.sources.push(*holder);
            *number = u32::try_from(self.laid.sources.len()).unwrap_or(u32::MAX);
        }
        let number = *number;
        self.run(hash, Spot { holder: number, ..spot });
    }

    /// Take a new row.
    pub(crate) fn store(&mut self, hash: u64, row: &[u8]) {
        if self.open_rows > 0 && self.open.len().saturating_add(row.len()) > SEGMENT_BYTES_MAX {
            self.end_segment();
        }
        let segment = u32::try_from(self.laid.segments.len()).unwrap_or(u32::MAX);
        self.run(hash, Spot { holder: 0, segment, row: self.open_rows, size: size(row) });
        self.open.extend_from_slice(row);
        self.open.push(b',');
        self.open_rows = self.open_rows.saturating_add(1);
    }

    pub(crate) fn end(mut self) -> Laid {
        self.end_segment();
        self.laid
    }

    fn end_segment(&mut self) {
        if self.open_rows == 0 {
            return;
        }
        self.laid.stored_bytes = self.laid.stored_bytes.saturating_add(u64::try_from(self.open.len()).unwrap_or(0));
        self.open.pop(); // the comma behind the last
        self.laid.segments.push(deflated(&self.open));
        self.laid.rows.push(self.open_rows);
        self.open.clear();
        self.open_rows = 0;
    }

    fn run(&mut self, hash: u64, spot: Spot) {
        self.laid.spots.push((hash, spot));
        if let Some(last) = self.laid.runs.last_mut()
            && (last.source, last.segment, last.first.saturating_add(last.count))
                == (spot.holder, spot.segment, spot.row)
        {
            last.count = last.count.saturating_add(1);
            return;
        }
        self.laid.runs.push(Run { source: spot.holder, segment: spot.segment, first: spot.row, count: 1 });
    }
}

fn deflated(text: &[u8]) -> Vec<u8> {
    let mut state = Compress::new(Compression::new(LEVEL), true);
    let mut out = Vec::with_capacity(text.len().div_ceil(2).saturating_add(64));
    loop {
        let read = usize::try_from(state.total_in()).unwrap_or(usize::MAX);
        let status = state.compress_vec(text.get(read..).unwrap_or_default(), &mut out, FlushCompress::Finish);
        match status {
            Ok(flate2::Status::StreamEnd) | Err(_) => return out,
            Ok(_) => out.reserve(text.len().div_ceil(4).saturating_add(64)),
        }
    }
}

/// Of recorded sessions it leaves 0.30 of the bytes.
const LEVEL: u32 = 4;
