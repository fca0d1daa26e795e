//! The classes `Runs` and `Run`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::encoding::Encoding;
use crate::errors::refused;
use crate::ledger::Ledger;
use crate::scan::{Given, Scan, given};

/// What `Scan.give` gives of the other events, and the run before each of them.
type Taken<'py> = (Given<'py>, Vec<Option<Run>>);

/// The runs of the sessions of a scan. Nothing waits for the interpreter's lock with the mutex held, as in `Counter`.
#[pyclass(frozen, module = "retold._core")]
pub(crate) struct Runs(Mutex<retold_fold::Runs>);

impl Runs {
    fn lock(&self) -> MutexGuard<'_, retold_fold::Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Runs {
    #[new]
    #[pyo3(signature = (appended, /))]
    fn new(appended: u8) -> Self {
        Self(Mutex::new(retold_fold::Runs::new(appended)))
    }

    #[getter]
    fn held_bytes(&self) -> usize {
        self.lock().held_bytes()
    }

    #[pyo3(signature = (scan, /))]
    fn take<'py>(&self, py: Python<'py>, scan: &Scan) -> PyResult<Taken<'py>> {
        let taken = py.detach(|| self.lock().take(&mut scan.lock()));
        let before = taken.before.into_iter().map(|run| run.map(Run)).collect();
        Ok((given(py, taken.events)?, before))
    }

    fn rest(&self) -> Vec<Run> {
        self.lock().rest().into_iter().map(Run).collect()
    }
}

/// Items that were appended to one session one after the other.
#[pyclass(frozen, module = "retold._core")]
pub(crate) struct Run(retold_fold::Run);

#[pymethods]
impl Run {
    #[getter]
    fn subject(&self) -> &str {
        &self.0.subject
    }

    #[getter]
    fn seq(&self) -> u64 {
        self.0.seq
    }

    #[getter]
    fn hash(&self) -> String {
        String::from_utf8_lossy(&self.0.hash).into_owned()
    }

    #[getter]
    fn latest(&self) -> String {
        self.0.latest()
    }

    fn __len__(&self) -> usize {
        self.0.items()
    }

    #[pyo3(signature = (encoding, first_item, ledger, /))]
    fn entries<'py>(
        &self,
        py: Python<'py>,
        encoding: &Encoding,
        first_item: u64,
        ledger: &Ledger,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let made = py.detach(|| {
            let (entries, sizes) = self.0.entries(encoding.inner(), first_item)?;
            ledger.extend(&sizes);
            Some(entries)
        });
        let entries = made.ok_or_else(|| refused("expected texts that can be read, got another"))?;
        Ok(PyBytes::new(py, &entries))
    }
}
