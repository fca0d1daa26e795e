//! Taking the runs out of what a scan gives: held for each session until something else happens in it.

use retold_wire::{Events, Found, Scan};

use crate::item::Item;
use crate::run::Run;
use crate::time::{Time, time};

const APPENDED: &str = r#"{"item":"#;

/// The runs of the sessions of a scan.
#[derive(Debug)]
pub struct Runs {
    appended: u8,
    held: Vec<Option<Run>>,
    held_bytes: usize,
}

/// What a scan has given, without the events that went into runs.
#[derive(Debug)]
pub struct Taken {
    /// The other events.
    pub events: Events,
    /// For each of these, the run of its session that comes before it.
    pub before: Vec<Option<Run>>,
}

impl Runs {
    /// Return runs of events of kind `appended`.
    #[must_use]
    pub fn new(appended: u8) -> Self {
        Self { appended, held: Vec::new(), held_bytes: 0 }
    }

    /// Return how many bytes of items are held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Take what `scan` has to give.
    #[must_use]
    pub fn take(&mut self, scan: &mut Scan) -> Taken {
        let mut events = scan.give();
        let mut others = Vec::new();
        let mut before = Vec::new();
        for found in std::mem::take(&mut events.found) {
            if self.held.len() <= found.session {
                self.held.resize(found.session.saturating_add(1), None);
            }
            if let Some((item, time)) = self.plain(&events, &found) {
                self.hold(scan, &found, item, time);
            } else {
                before.push(self.release(found.session));
                others.push(found);
            }
        }
        events.found = others;
        Taken { events, before }
    }

    /// Return all runs that are held.
    #[must_use]
    pub fn rest(&mut self) -> Vec<Run> {
        self.held_bytes = 0;
        self.held.iter_mut().filter_map(Option::take).collect()
    }

    /// Return the item and the time of an event that appends an item, if both are plain.
    fn plain<'a>(&self, events: &'a Events, found: &Found) -> Option<(&'a str, Time)> {
        let body = events.body(found);
        if found.kind != self.appended || !found.is_unescaped || body.iter().any(|byte| *byte < b' ') {
            return None;
        }
        let time = time(body.get(found.at.clone())?)?;
        let item = std::str::from_utf8(body).ok()?.get(found.data.clone())?;
        let item = item.strip_prefix(APPENDED)?.strip_suffix('}')?;
        Item::read(item).map(|_| (item, time))
    }

    fn hold(&mut self, scan: &Scan, found: &Found, item: &str, time: Time) {
        let Some(held) = self.held.get_mut(found.session) else { return };
        let run = held.get_or_insert_with(|| Run::new(scan.subject(found.session)));
        run.push(item, found.seq, &found.hash, time);
        self.held_bytes = self.held_bytes.saturating_add(item.len());
    }

    fn release(&mut self, session: usize) -> Option<Run> {
        let run = self.held.get_mut(session)?.take()?;
        self.held_bytes = self.held_bytes.saturating_sub(run.bytes());
        Some(run)
    }
}
