//! Numbers from Python: whole and not negative, or an error that says so.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt};
use retold_tokens::Size;

use crate::errors::refused;
use crate::lists::{items_of, kind_of};

/// Return an offset, a length or a limit; `what` names it in the error. One beyond any text is as good as the greatest.
pub(crate) fn read_size(value: &Bound<'_, PyAny>, what: &str) -> PyResult<usize> {
    let huge = || value.is_instance_of::<PyInt>() && value.gt(0).unwrap_or(false);
    let size = || value.extract().ok().or_else(|| huge().then_some(usize::MAX));
    let size = if value.is_instance_of::<PyBool>() { None } else { size() };
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
        let threads = if value.is_instance_of::<PyBool>() { None } else { value.extract().ok() };
        let expected = "expected a number of threads: a whole number of at least 1, or None";
        threads.map(Self).ok_or_else(|| refused(expected))
    }
}

/// How many token ids one call takes: a gigabyte of them, which is far more text than anybody holds as ids.
const IDS_MAX: usize = 1 << 28;

/// Return token ids; the first that `check` refuses ends the reading, and so does one more than `IDS_MAX`.
pub(crate) fn read_ids(value: &Bound<'_, PyAny>, check: impl Fn(u32) -> PyResult<()>) -> PyResult<Vec<u32>> {
    let expected = "a list of token ids: whole numbers of at least 0";
    let mut ids = Vec::new();
    for id in items_of(value, expected)? {
        let id = id?;
        let id = id.extract().map_err(|_| refused(format!("expected {expected}, got {}", said(&id))))?;
        check(id)?;
        if ids.len() == IDS_MAX {
            return Err(refused(format!("expected at most {IDS_MAX} token ids, got more: decode them part by part")));
        }
        ids.push(id);
    }
    Ok(ids)
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
        let numbers = row.extract::<(i64, i64, i64)>().ok().map(|numbers| format!("{numbers:?}"));
        let came = numbers.unwrap_or_else(|| kind_of(row));
        refused(format!("item {index}: expected three numbers of tokens from 0 to {}, got {came}", u32::MAX))
    })
}

fn wrong_part(value: &Bound<'_, PyAny>) -> PyErr {
    refused(format!("expected a number of tokens from 0 to {}, got {}", u32::MAX, said(value)))
}

/// Return what an error may say of a value: a number, or what else it is, never a text.
fn said(value: &Bound<'_, PyAny>) -> String {
    let number = value.extract::<i64>().ok().map(|number| number.to_string());
    number.unwrap_or_else(|| kind_of(value))
}
