//! The class `Ledger`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use retold_tokens::{Size, Sum};

use crate::errors::to_python;
use crate::numbers::{read_budget, read_part, read_size, read_sizes};

/// Tokens exact, reconstructed and estimated.
type Row = (u64, u64, u64);

/// The sizes of a session's items. Nothing waits for the interpreter's lock with the mutex held, as in `Counter`.
#[pyclass(frozen, module = "retold._core")]
pub(crate) struct Ledger(Mutex<retold_tokens::Ledger>);

impl Ledger {
    fn holding(ledger: retold_tokens::Ledger) -> Self {
        Self(Mutex::new(ledger))
    }

    /// Add items behind the last.
    pub(crate) fn extend(&self, sizes: &[Size]) {
        let mut ledger = self.lock();
        for size in sizes {
            ledger.append(*size);
        }
    }

    fn lock(&self) -> MutexGuard<'_, retold_tokens::Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Ledger {
    #[new]
    #[pyo3(signature = (sizes = None, /))]
    fn new(sizes: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let sizes = sizes.map(read_sizes).transpose()?.unwrap_or_default();
        Ok(Self::holding(retold_tokens::Ledger::new(&sizes)))
    }

    #[staticmethod]
    #[pyo3(signature = (snapshot, /))]
    fn restore(snapshot: &[u8]) -> PyResult<Self> {
        retold_tokens::Ledger::restore(snapshot).map(Self::holding).map_err(to_python)
    }

    fn __len__(&self) -> usize {
        self.lock().len()
    }

    #[getter]
    fn total(&self) -> Row {
        row(self.lock().total())
    }

    #[getter]
    fn upper(&self) -> u64 {
        self.lock().total().upper()
    }

    #[pyo3(signature = (exact, reconstructed, estimated, /))]
    fn append(
        &self,
        exact: &Bound<'_, PyAny>,
        reconstructed: &Bound<'_, PyAny>,
        estimated: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let [exact, reconstructed, estimated] = [read_part(exact)?, read_part(reconstructed)?, read_part(estimated)?];
        self.lock().append(Size { exact, reconstructed, estimated });
        Ok(())
    }

    #[pyo3(signature = (place, exact, reconstructed, estimated, /))]
    fn put(
        &self,
        place: &Bound<'_, PyAny>,
        exact: &Bound<'_, PyAny>,
        reconstructed: &Bound<'_, PyAny>,
        estimated: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let place = read_size(place, "a place in items")?;
        let [exact, reconstructed, estimated] = [read_part(exact)?, read_part(reconstructed)?, read_part(estimated)?];
        self.lock().put(place, Size { exact, reconstructed, estimated }).map_err(to_python)
    }

    #[pyo3(signature = (start, end, sizes, /))]
    fn replace(&self, start: &Bound<'_, PyAny>, end: &Bound<'_, PyAny>, sizes: &Bound<'_, PyAny>) -> PyResult<()> {
        let (start, end) = (read_size(start, "a start in items")?, read_size(end, "an end in items")?);
        let sizes = read_sizes(sizes)?;
        self.lock().replace(start..end, &sizes).map_err(to_python)
    }

    #[pyo3(signature = (start, end, /))]
    fn span(&self, start: &Bound<'_, PyAny>, end: &Bound<'_, PyAny>) -> PyResult<Row> {
        let (start, end) = (read_size(start, "a start in items")?, read_size(end, "an end in items")?);
        self.lock().span(start..end).map(row).map_err(to_python)
    }

    #[pyo3(signature = (place, /))]
    fn prefix(&self, place: &Bound<'_, PyAny>) -> PyResult<Row> {
        let place = read_size(place, "a place in items")?;
        self.lock().prefix(place).map(row).map_err(to_python)
    }

    #[pyo3(signature = (budget, /, *, from_end))]
    fn fit(&self, budget: &Bound<'_, PyAny>, from_end: bool) -> PyResult<usize> {
        let budget = read_budget(budget)?;
        let ledger = self.lock();
        Ok(if from_end { ledger.fit_from_end(budget) } else { ledger.fit_from_start(budget) })
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = self.lock().snapshot();
        PyBytes::new(py, &bytes)
    }
}

fn row(sum: Sum) -> Row {
    (sum.exact, sum.reconstructed, sum.estimated)
}
