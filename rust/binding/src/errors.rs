//! How the core refuses: with `retold.errors.InputError`, which is a `ValueError`.

use pyo3::PyErr;

pyo3::import_exception!(retold.errors, InputError);

/// Return the error that says the same to Python.
#[expect(clippy::needless_pass_by_value, reason = "the signature that `map_err` asks for")]
pub(crate) fn to_python(error: retold_tokens::Error) -> PyErr {
    refused(error.to_string())
}

/// Return an error with this message.
pub(crate) fn refused(message: impl Into<String>) -> PyErr {
    InputError::new_err(message.into())
}
