//! Numbers from Python: whole and not negative, or an error that says so.

use pyo3::prelude::*;

use crate::errors::refused;

/// Return an offset, a length or a limit; `what` names it in the error.
pub(crate) fn read_size(value: &Bound<'_, PyAny>, what: &str) -> PyResult<usize> {
    value.extract().map_err(|_| refused(format!("expected {what}: a whole number of at least 0")))
}

/// Return token ids.
pub(crate) fn read_ids(value: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    value.extract().map_err(|_| refused("expected a list of token ids: whole numbers of at least 0"))
}
