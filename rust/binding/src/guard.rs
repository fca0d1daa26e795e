//! The class `Guard`.

use pyo3::prelude::*;
use retold_guard::{Protected, Rule, Rules};

use crate::errors::refused;
use crate::text::count_with;

/// A rule as Python gives it: its name, how an order begins, how it goes on.
type GivenRule = (String, Vec<String>, String);

/// Rules and protected texts, ready to be looked for.
#[pyclass(frozen, module = "retold._core")]
pub(crate) struct Guard {
    rules: Rules,
    protected: Protected,
}

#[pymethods]
impl Guard {
    #[new]
    #[expect(clippy::needless_pass_by_value, reason = "a list is extracted as what it holds")]
    #[pyo3(signature = (rules, protected, /))]
    fn new(rules: Vec<GivenRule>, protected: Vec<String>) -> PyResult<Self> {
        let rules: Vec<Rule> = rules.into_iter().map(|(name, starts, then)| Rule { name, starts, then }).collect();
        let rules = Rules::new(&rules).map_err(|error| refused(error.0))?;
        Ok(Self { rules, protected: Protected::new(&protected) })
    }

    #[pyo3(signature = (text, /))]
    fn orders(&self, py: Python<'_>, text: &str) -> Vec<(String, &'static str)> {
        let met = count_with(py, text.len(), || self.rules.met(text));
        met.into_iter().map(|(name, view)| (name.to_owned(), view)).collect()
    }

    #[pyo3(signature = (text, canaries, /))]
    #[expect(clippy::needless_pass_by_value, reason = "a list is extracted as what it holds")]
    fn leaks(&self, py: Python<'_>, text: &str, canaries: Vec<String>) -> Vec<&'static str> {
        let canaries: Vec<&str> = canaries.iter().map(String::as_str).collect();
        count_with(py, text.len(), || self.protected.found(text, &canaries))
    }
}

/// Return `text` in one spelling; see `retold_guard::fold`.
#[pyfunction]
#[pyo3(signature = (text, /))]
pub(crate) fn folded(text: &str) -> String {
    retold_guard::fold(text)
}

/// Return what `text` says, as it stands and in other writings; see `retold_guard::views`.
#[pyfunction]
#[pyo3(signature = (text, /))]
pub(crate) fn readings(py: Python<'_>, text: &str) -> Vec<String> {
    let views = count_with(py, text.len(), || retold_guard::views(text));
    views.into_iter().map(|view| view.text).collect()
}
