//! Numbers from Python: whole and not negative, or an error that says so.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use pyo3::prelude::*;
use pyo3::types::PyInt;
use retold_tokens::Size;

use crate::errors::refused;

/// Return an offset, a length or a limit; `what` names it in the error. One beyond any text is as good as the greatest.
pub(crate) fn read_size(value: &Bound<'_, PyAny>, what: &str) -> PyResult<usize> {
    let huge = || value.is_instance_of::<PyInt>() && value.gt(0).unwrap_or(false);
    let size = value.extract().ok().or_else(|| huge().then_some(usize::MAX));
    size.ok_or_else(|| refused(format!("expected {what}: a whole number of at least 0")))
}

/// A number of threads; None is as many as there are processors for this process.
#[derive(Clone, Copy)]
pub(crate) struct Threads(pub(crate) NonZeroUsize);

impl Threads {
    pub(crate) const ONE: Self = Self(NonZeroUsize::MIN);
}

impl<'py> FromPyObject<'_, 'py> for Threads {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if value.is_none() {
            return Ok(Self(available_parallelism().unwrap_or(NonZeroUsize::MIN)));
        }
        let refusal = |_| refused("expected a number of threads: a whole number of at least 1, or None");
        value.extract().map(Self).map_err(refusal)
    }
}

/// Return token ids.
pub(crate) fn read_ids(value: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    value.extract().map_err(|_| refused("expected a list of token ids: whole numbers of at least 0"))
}

/// Return a budget in tokens.
pub(crate) fn read_budget(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    value.extract().map_err(|_| refused("expected a budget in tokens: a whole number of at least 0"))
}

/// Return one part of an item's size.
pub(crate) fn read_part(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    value.extract().map_err(|_| wrong_part(value))
}

/// Return the sizes of items, each a tuple of three numbers.
pub(crate) fn read_sizes(value: &Bound<'_, PyAny>) -> PyResult<Vec<Size>> {
    value.try_iter()?.enumerate().map(|(index, row)| read_row(index, &row?)).collect()
}

fn read_row(index: usize, row: &Bound<'_, PyAny>) -> PyResult<Size> {
    row.extract().map(|(exact, reconstructed, estimated)| Size { exact, reconstructed, estimated }).map_err(|_| {
        refused(format!("item {index}: expected three numbers of tokens from 0 to {}, got {row}", u32::MAX))
    })
}

fn wrong_part(value: &Bound<'_, PyAny>) -> PyErr {
    refused(format!("expected a number of tokens from 0 to {}, got {value}", u32::MAX))
}
