//! Counts many texts, on one thread or on several.
//!
//! Threads take the next few texts whenever they are done with some, so that a long one holds up nothing but itself. They
//! end with the call: a pool that stays would be gone in a process that forks, and a server's threads are its own to plan.
//! What they learnt of words stays, for those of the next call.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::encoding::Encoding;
use crate::error::Error;
use crate::ranked::at_desks_left;

/// A thread is started for so many bytes at least.
const THREAD_BYTES_MIN: usize = 256 * 1024;
/// So many bytes of texts are taken at a time, or one text.
const SHARE_BYTES: usize = 32 * 1024;

impl Encoding {
    /// Return the number of tokens of each text, in order, counted on up to `threads` threads: the calling one and others,
    /// as many as the texts are worth. O(n) of all bytes.
    ///
    /// # Errors
    /// As [`Encoding::count`], with the index of the first text that cannot be counted.
    pub fn count_batch(&self, texts: &[&str], threads: NonZeroUsize) -> Result<Vec<usize>, (usize, Error)> {
        let size_bytes = texts.iter().map(|text| text.len()).fold(0, usize::saturating_add);
        let worth = threads.get().min(texts.len()).min(size_bytes / THREAD_BYTES_MIN);
        if worth <= 1 {
            return self.count_share(0, texts);
        }
        let shares = shares(texts);
        let next = AtomicUsize::new(0);
        let work = || {
            let claims = std::iter::from_fn(|| shares.get(next.fetch_add(1, Ordering::Relaxed)));
            claims.map(|(first, share)| (*first, self.count_share(*first, share))).collect::<Vec<_>>()
        };
        let mut counted = thread::scope(|scope| {
            // Where no thread can be had, the others do its work.
            let work_there = || at_desks_left(work);
            let others = (1..worth).map_while(|_| thread::Builder::new().spawn_scoped(scope, work_there).ok());
            let others: Vec<_> = others.collect();
            let mut counted = work();
            for other in others {
                counted.extend(other.join().unwrap_or_default());
            }
            counted
        });
        counted.sort_unstable_by_key(|(first, _)| *first);
        let mut counts = Vec::with_capacity(texts.len());
        for (first, share) in counted {
            // A thread that died left a gap, which shows here.
            if first != counts.len() {
                break;
            }
            counts.extend(share?);
        }
        let rest = texts.get(counts.len()..).unwrap_or_default();
        counts.extend(self.count_share(counts.len(), rest)?);
        Ok(counts)
    }

    /// Count texts of which the first has an index.
    fn count_share(&self, first: usize, texts: &[&str]) -> Result<Vec<usize>, (usize, Error)> {
        let count = |(index, text): (usize, &&str)| self.count(text).map_err(|error| (index, error));
        (first..).zip(texts).map(count).collect()
    }
}

/// Cut texts into shares of a size, each with the index of its first text.
fn shares<'a>(texts: &'a [&'a str]) -> Vec<(usize, &'a [&'a str])> {
    let mut shares = Vec::new();
    let mut first = 0;
    let mut bytes = 0_usize;
    for (end, text) in (1..).zip(texts) {
        bytes = bytes.saturating_add(text.len());
        if bytes >= SHARE_BYTES || end == texts.len() {
            shares.push((first, texts.get(first..end).unwrap_or_default()));
            (first, bytes) = (end, 0);
        }
    }
    shares
}
