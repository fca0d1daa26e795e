//! The class `Scan`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use retold_wire::{Events, Found};

use crate::errors::refused;
use crate::packing::Packing;

/// Kinds, bodies, hashes, the lines of each kind, odd sessions, and where sessions end.
pub(crate) type Given<'py> = (
    Bound<'py, PyBytes>,
    Vec<Bound<'py, PyBytes>>,
    Vec<Bound<'py, PyString>>,
    Vec<(u8, Bound<'py, PyBytes>)>,
    Vec<(String, u64)>,
    Vec<(String, u64, u64)>,
);

/// A scan of a stream. Nothing waits for the interpreter's lock with the mutex held, as in `Counter`.
#[pyclass(frozen, module = "retold._core")]
pub(crate) struct Scan(Mutex<retold_wire::Scan>);

impl Scan {
    pub(crate) fn lock(&self) -> MutexGuard<'_, retold_wire::Scan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Scan {
    #[new]
    #[pyo3(signature = (version, kinds, packing, /))]
    fn new(version: u32, kinds: Vec<String>, packing: &Packing) -> Self {
        Self(Mutex::new(retold_wire::Scan::new(version, kinds, packing.told())))
    }

    #[staticmethod]
    #[pyo3(signature = (version, kinds, packing, /))]
    fn live(version: u32, kinds: Vec<String>, packing: &Packing) -> Self {
        Self(Mutex::new(retold_wire::Scan::live(version, kinds, packing.told())))
    }

    #[pyo3(signature = (subject, seq, hash, /))]
    fn follow(&self, subject: &str, seq: u64, hash: &str) -> PyResult<()> {
        let hash = hash.as_bytes().try_into().map_err(|_| refused("expected a hash of 64 letters, got another"))?;
        self.lock().follow(subject, seq, &hash);
        Ok(())
    }

    #[pyo3(signature = (subject, /))]
    fn leave(&self, subject: &str) {
        self.lock().leave(subject);
    }

    #[pyo3(signature = (frames, /))]
    fn receive(&self, py: Python<'_>, frames: &[u8]) {
        py.detach(|| self.lock().receive(frames));
    }

    #[getter]
    fn status(&self) -> Option<u64> {
        self.lock().status()
    }

    #[getter]
    fn delivered(&self) -> u64 {
        self.lock().delivered()
    }

    #[getter]
    fn pending(&self) -> Option<u64> {
        self.lock().pending()
    }

    #[getter]
    fn position(&self) -> u64 {
        self.lock().position()
    }

    #[getter]
    fn is_broken(&self) -> bool {
        self.lock().is_broken()
    }

    fn restart(&self) {
        self.lock().restart();
    }

    fn give<'py>(&self, py: Python<'py>) -> PyResult<Given<'py>> {
        let events = self.lock().give();
        given(py, events)
    }
}

/// Return what `Scan.give` gives of `events`.
pub(crate) fn given(py: Python<'_>, events: Events) -> PyResult<Given<'_>> {
    let kinds: Vec<u8> = events.found.iter().map(|event| event.kind).collect();
    let bodies = events.found.iter().map(|event| PyBytes::new(py, events.body(event))).collect();
    let hash = |event: &Found| PyString::from_bytes(py, &event.hash);
    let hashes = events.found.iter().map(hash).collect::<PyResult<_>>()?;
    let lines = events.lines().into_iter().map(|(kind, lines)| (kind, PyBytes::new(py, &lines))).collect();
    Ok((PyBytes::new(py, &kinds), bodies, hashes, lines, events.odd, events.ends))
}
