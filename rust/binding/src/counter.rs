//! The class `Counter`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::to_python;
use crate::numbers::read_size;
use crate::text::{count_with, read_text};

/// A text that grows, and its token count.
///
/// Whoever holds the mutex never waits for the interpreter's lock before giving it back, so two threads on one counter
/// take turns and cannot block each other for ever.
#[pyclass(frozen, module = "retold._core")]
pub(crate) struct Counter(Mutex<retold_tokens::Counter>);

impl Counter {
    pub(crate) fn new(counter: retold_tokens::Counter) -> Self {
        Self(Mutex::new(counter))
    }

    fn lock(&self) -> MutexGuard<'_, retold_tokens::Counter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Counter {
    #[pyo3(signature = (text))]
    fn append(&self, text: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = text.py();
        if let Ok(bytes) = text.cast::<PyBytes>() {
            let bytes = bytes.as_bytes();
            return count_with(py, bytes.len(), || self.lock().append_bytes(bytes)).map_err(to_python);
        }
        let text = read_text(text)?;
        count_with(py, text.len(), || self.lock().append(text)).map_err(to_python)
    }

    #[getter]
    fn total(&self) -> usize {
        self.lock().total()
    }

    #[getter]
    fn size_bytes(&self) -> usize {
        self.lock().len()
    }

    #[getter]
    fn unfinished_bytes(&self) -> usize {
        self.lock().unfinished()
    }

    #[pyo3(signature = (start, end))]
    fn span(&self, py: Python<'_>, start: &Bound<'_, PyAny>, end: &Bound<'_, PyAny>) -> PyResult<usize> {
        let start = read_size(start, "a start in bytes")?;
        let end = read_size(end, "an end in bytes")?;
        count_with(py, end.saturating_sub(start), || self.lock().span(start, end)).map_err(to_python)
    }

    #[pyo3(signature = (n_bytes))]
    fn truncate(&self, py: Python<'_>, n_bytes: &Bound<'_, PyAny>) -> PyResult<usize> {
        let n_bytes = read_size(n_bytes, "a length in bytes")?;
        py.detach(|| self.lock().truncate(n_bytes)).map_err(to_python)
    }

    fn __repr__(&self) -> String {
        let counter = self.lock();
        format!("<Counter of {} tokens in {} bytes>", counter.total(), counter.len())
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = py.detach(|| self.lock().snapshot());
        PyBytes::new(py, &bytes)
    }
}
