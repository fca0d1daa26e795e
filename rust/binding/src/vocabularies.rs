//! The check of the embedded vocabularies.

use pyo3::prelude::*;
use retold_tokens::{Builtin, Reconstruction, VocabularyCheck};

use crate::errors::to_python;

/// What a check of an embedded vocabulary found.
#[pyclass(frozen, module = "retold._core")]
pub(crate) struct Vocabulary(VocabularyCheck);

#[pymethods]
impl Vocabulary {
    #[getter]
    fn name(&self) -> &str {
        self.0.name
    }

    #[getter]
    fn tokens(&self) -> usize {
        self.0.tokens
    }

    #[getter]
    fn sha256_expected(&self) -> &str {
        self.0.sha256_expected
    }

    #[getter]
    fn sha256_actual(&self) -> &str {
        &self.0.sha256_actual
    }

    #[getter]
    fn ok(&self) -> bool {
        self.0.sha256_actual == self.0.sha256_expected
    }

    fn __repr__(&self) -> String {
        let verdict = if self.ok() { "as published" } else { "damaged" };
        format!("<Vocabulary {} of {} tokens, {verdict}>", self.0.name, self.0.tokens)
    }
}

/// Recompute the SHA-256 of every embedded vocabulary.
#[pyfunction]
pub(crate) fn check_vocabularies(py: Python<'_>) -> PyResult<Vec<Vocabulary>> {
    let checks: Result<Vec<_>, _> = py.detach(|| {
        let exact = Builtin::ALL.into_iter().map(Builtin::check);
        exact.chain(Reconstruction::ALL.into_iter().map(Reconstruction::check)).collect()
    });
    Ok(checks.map_err(to_python)?.into_iter().map(Vocabulary).collect())
}
