//! How many bytes were looked at: what the bounds on a call's cost are about, for tests to compare.

use std::cell::Cell;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

/// Note that so many bytes were merged, or read by a splitter.
pub(crate) fn done(bytes: usize) {
    BYTES.set(BYTES.get().saturating_add(bytes));
}

/// Return how many bytes `work` looked at.
pub(crate) fn of<T>(work: impl FnOnce() -> T) -> usize {
    BYTES.set(0);
    work();
    BYTES.get()
}
