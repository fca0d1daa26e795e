//! The single conversion of an error of the core to one of Python's.

use pyo3::PyErr;
use pyo3::exceptions::PyValueError;

/// Return the `ValueError` that says the same.
#[expect(clippy::needless_pass_by_value, reason = "the signature that `map_err` asks for")]
pub(crate) fn to_python(error: retold_tokens::Error) -> PyErr {
    PyValueError::new_err(error.to_string())
}
