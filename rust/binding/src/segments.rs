//! The classes `Layout` and `Laid`.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use retold_segments::{Holder, Run};

use crate::errors::refused;

/// A run as Python has it: source, segment, first row, how many.
type ToldRun = (u32, u32, u32, u32);

/// A message that holds segments as Python has it: its position, its number, the bytes that it stores.
type ToldHolder = (u64, u64, u64);

/// Return the hash of the items of rows; see `retold_segments::items_hash`.
#[pyfunction]
#[pyo3(signature = (lines, /))]
pub(crate) fn items_hash<'py>(py: Python<'py>, lines: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let hash = py.detach(|| retold_segments::items_hash(lines));
    hash.map(|hash| PyBytes::new(py, &hash)).ok_or_else(|| refused("expected rows of entries, got other lines"))
}

/// Where the rows of a kept state are stored.
#[pyclass(frozen, module = "retold._core")]
pub(crate) struct Layout(retold_segments::Layout);

#[pymethods]
impl Layout {
    #[new]
    fn new() -> Self {
        Self(retold_segments::Layout::default())
    }

    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "a list is extracted as what it holds")]
    #[pyo3(signature = (lines, runs, holders, /))]
    fn of(py: Python<'_>, lines: &[u8], runs: Vec<ToldRun>, holders: Vec<ToldHolder>) -> Self {
        let runs: Vec<Run> =
            runs.iter().map(|&(source, segment, first, count)| Run { source, segment, first, count }).collect();
        let holder = |(position, number, stored_bytes)| Holder { position, number, stored_bytes };
        let holders = holders.into_iter().map(holder).collect();
        Self(py.detach(|| retold_segments::Layout::of(lines, &runs, holders)))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    #[pyo3(signature = (lines, /))]
    fn keep(&self, py: Python<'_>, lines: &[u8]) -> Laid {
        Laid(py.detach(|| self.0.keep(lines)))
    }
}

/// What is to be stored of a state.
#[pyclass(frozen, module = "retold._core")]
pub(crate) struct Laid(retold_segments::Laid);

#[pymethods]
impl Laid {
    #[getter]
    fn sources(&self) -> Vec<(u64, u64)> {
        self.0.sources.iter().map(|holder| (holder.position, holder.number)).collect()
    }

    #[getter]
    fn runs(&self) -> Vec<ToldRun> {
        self.0.runs.iter().map(|run| (run.source, run.segment, run.first, run.count)).collect()
    }

    #[getter]
    fn segments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.segments.iter().map(|segment| PyBytes::new(py, segment)))
    }

    #[getter]
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.rows)
    }

    #[getter]
    fn stored_bytes(&self) -> u64 {
        self.0.stored_bytes
    }

    #[pyo3(signature = (position, number, /))]
    fn layout(&self, position: u64, number: u64) -> Layout {
        Layout(self.0.layout(position, number))
    }
}
