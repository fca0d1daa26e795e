//! Lists from Python, item by item: one that says that it is longer than memory is read until an item is wrong.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PySequence, PyString};

use crate::errors::refused;

/// Return the items of a list, or of another sequence but a text; `what` names it in the error.
pub(crate) fn items_of<'py>(value: &Bound<'py, PyAny>, what: &str) -> PyResult<Bound<'py, PyIterator>> {
    let text = value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>();
    if text || value.cast::<PySequence>().is_err() {
        return Err(refused(format!("expected {what}, got {}", kind_of(value))));
    }
    value.try_iter()
}

/// Return the name of a value's type.
pub(crate) fn kind_of(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "something else".to_owned(), |name| name.to_string())
}
