//! The check of the embedded vocabularies.

use pyo3::prelude::*;
use retold_tokens::Builtin;

use crate::errors::to_python;

/// A name, the number of tokens, the published SHA-256 and the one recomputed.
type Row = (&'static str, usize, &'static str, String);

/// Recompute the published SHA-256 of every embedded vocabulary.
#[pyfunction]
pub(crate) fn check_vocabularies(py: Python<'_>) -> PyResult<Vec<Row>> {
    let checks: Result<Vec<_>, _> = py.detach(|| Builtin::ALL.into_iter().map(Builtin::check).collect());
    let rows = checks.map_err(to_python)?.into_iter();
    Ok(rows.map(|check| (check.name, check.tokens, check.sha256_expected, check.sha256_actual)).collect())
}
