//! The class `Splitter`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// What came, by the run that asked for it, and the rest.
type Parts<'py> = (Vec<(u64, Bound<'py, PyBytes>)>, Bound<'py, PyBytes>);

/// Parts a connection's bytes. Nothing waits for the interpreter's lock with the mutex held, as in `Counter`.
#[pyclass(frozen, module = "retold._core")]
pub(crate) struct Splitter(Mutex<retold_wire::Splitter>);

impl Splitter {
    fn lock(&self) -> MutexGuard<'_, retold_wire::Splitter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Splitter {
    #[new]
    #[pyo3(signature = (prefix, /))]
    fn new(prefix: &str) -> Self {
        Self(Mutex::new(retold_wire::Splitter::new(prefix.as_bytes())))
    }

    #[pyo3(signature = (chunk, /))]
    fn take<'py>(&self, py: Python<'py>, chunk: &[u8]) -> Parts<'py> {
        let split = self.lock().take(chunk);
        let ours = split.ours.iter().map(|(run, frames)| (*run, PyBytes::new(py, frames))).collect();
        (ours, PyBytes::new(py, &split.rest))
    }

    #[pyo3(signature = (sid, run, /))]
    fn watch(&self, sid: u64, run: Option<u64>) {
        self.lock().watch(sid, run);
    }

    fn reset(&self) {
        self.lock().reset();
    }
}
