//! The class `Appends`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use retold_wire::{Hash, Lane, Limits};

use crate::errors::refused;
use crate::packing::Packing;

/// Subject, tenant, session, its last sequence, hash and position, and how many drafts each append has.
type Row = (String, String, String, u64, String, u64, Vec<usize>);

/// How many appends are stored, and the last sequence, hash and position.
type End<'py> = (usize, u64, Bound<'py, PyString>, u64);

/// Appends to many sessions. Nothing waits for the interpreter's lock with the mutex held, as in `Counter`.
#[pyclass(frozen, module = "retold._core")]
pub(crate) struct Appends(Mutex<retold_wire::Appends>);

impl Appends {
    fn lock(&self) -> MutexGuard<'_, retold_wire::Appends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Appends {
    #[new]
    #[pyo3(signature = (reply, batch, version, kinds, limits, packing, /))]
    fn new(
        reply: &str,
        batch: &str,
        version: u32,
        kinds: Vec<String>,
        limits: (usize, usize, usize, usize, usize),
        packing: &Packing,
    ) -> Self {
        let (body_bytes, append_bytes, appends, batches, bytes) = limits;
        let limits = Limits { body_bytes, append_bytes, appends, batches, bytes };
        Self(Mutex::new(retold_wire::Appends::new(reply, batch, version, kinds, limits, packing.told())))
    }

    #[pyo3(signature = (lines, kinds, rows, /))]
    fn load(&self, py: Python<'_>, lines: &[u8], kinds: &[u8], rows: Vec<Row>) -> PyResult<()> {
        let rows = rows.into_iter().map(read_row).collect::<PyResult<Vec<Lane>>>()?;
        py.detach(|| self.lock().load(lines, kinds, rows));
        Ok(())
    }

    fn send<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &py.detach(|| self.lock().send()))
    }

    #[pyo3(signature = (frames, /))]
    fn receive<'py>(&self, py: Python<'py>, frames: &[u8]) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &py.detach(|| self.lock().receive(frames)))
    }

    #[getter]
    fn is_over(&self) -> bool {
        self.lock().is_over()
    }

    fn ends<'py>(&self, py: Python<'py>) -> PyResult<Vec<End<'py>>> {
        let ends: Vec<_> = self.lock().ends().collect();
        let text = |hash: &Hash| PyString::from_bytes(py, hash);
        ends.iter().map(|end| Ok((end.appended, end.seq, text(&end.hash)?, end.position))).collect()
    }
}

fn read_row((subject, tenant, session, seq, hash, position, appends): Row) -> PyResult<Lane> {
    let hash = hash.into_bytes().try_into().map_err(|_| refused("expected a hash of 64 characters"))?;
    Ok(Lane { subject, tenant, session, seq, hash, position, appends })
}
