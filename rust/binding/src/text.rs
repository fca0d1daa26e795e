//! Text from Python: a `str` or UTF-8 `bytes`, borrowed, or an error that names the first bad position.

use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::errors::refused;
use crate::lists::{items_of, kind_of};

/// From this size on, giving up the interpreter's lock (about 50 ns) costs less than a hundredth of the count.
const DETACHED_BYTES_MIN: usize = 2048;

/// Return the text of `value` without copying it.
pub(crate) fn read_text<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    if let Ok(text) = value.cast::<PyString>() {
        return text.to_str().map_err(|error| lone_surrogate(value.py(), &error));
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return std::str::from_utf8(bytes.as_bytes()).map_err(|error| {
            refused(format!("expected UTF-8, got an invalid sequence at byte {}", error.valid_up_to()))
        });
    }
    Err(no_text(value))
}

/// Return the items of a list of texts, so that `read_text` can borrow from them; or the index and error of the first
/// that is no text at all.
pub(crate) fn read_texts<'py>(value: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let read = |(index, item): (usize, PyResult<Bound<'py, PyAny>>)| {
        let item = item?;
        let text = item.is_instance_of::<PyString>() || item.is_instance_of::<PyBytes>();
        if text { Ok(item) } else { Err(at_index(value.py(), index, &no_text(&item))) }
    };
    items_of(value, "a list of texts")?.enumerate().map(read).collect()
}

/// Return the error of one text of many, with its index.
pub(crate) fn at_index(py: Python<'_>, index: usize, error: &PyErr) -> PyErr {
    refused(format!("text {index}: {}", error.value(py)))
}

fn no_text(value: &Bound<'_, PyAny>) -> PyErr {
    refused(format!("expected str or UTF-8 bytes, got {}", kind_of(value)))
}

/// Do `work` on `size_bytes` of text, without the interpreter's lock if it takes a while.
pub(crate) fn count_with<T: Send>(py: Python<'_>, size_bytes: usize, work: impl FnOnce() -> T + Send) -> T {
    if size_bytes < DETACHED_BYTES_MIN { work() } else { py.detach(work) }
}

fn lone_surrogate(py: Python<'_>, error: &PyErr) -> PyErr {
    if !error.is_instance_of::<PyUnicodeEncodeError>(py) {
        return refused("expected a text that can be written as UTF-8");
    }
    match error.value(py).getattr("start").and_then(|start| start.extract::<usize>()) {
        Ok(start) => refused(format!("expected Unicode text, got a lone surrogate at character {start}")),
        Err(_) => refused("expected Unicode text, got a lone surrogate"),
    }
}
