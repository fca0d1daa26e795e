//! The class `Guard`, and the functions on what a text says and where it comes from.

use pyo3::prelude::*;
use pyo3::types::PyString;
use retold_guard::{Origin, Protected, Rule, Rules, Trust};

use crate::errors::refused;
use crate::text::{count_with, read_text};

/// A rule as Python gives it: its name, how an order begins, how it goes on.
type GivenRule = (String, Vec<String>, String);

/// Whose words a line is (0 trusted, 1 the agent's, 2 untrusted), in which texts, whether it is said, copied, has what is unknown.
type ToldOrigin = (u8, Vec<usize>, bool, bool, bool);

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

/// Return whether `value` is a sentence in another writing; see `retold_guard::is_encoded`.
#[pyfunction]
#[pyo3(signature = (value, /))]
pub(crate) fn is_encoded(value: &str) -> bool {
    retold_guard::is_encoded(value)
}

/// Return where each of `lines` comes from; see `retold_guard::origins`.
#[pyfunction]
#[pyo3(signature = (lines, texts, /))]
#[expect(clippy::needless_pass_by_value, reason = "a list is extracted as what it holds")]
pub(crate) fn origins(
    py: Python<'_>,
    lines: Vec<Bound<'_, PyString>>,
    texts: Vec<(u8, Bound<'_, PyString>)>,
) -> PyResult<Vec<ToldOrigin>> {
    let lines = lines.iter().map(|line| read_text(line)).collect::<PyResult<Vec<&str>>>()?;
    let texts = texts
        .iter()
        .map(|(rank, text)| Ok((trust(*rank)?, read_text(text)?)))
        .collect::<PyResult<Vec<(Trust, &str)>>>()?;
    let found = py.detach(|| retold_guard::origins(&lines, &texts));
    Ok(found.into_iter().map(told).collect())
}

fn trust(rank: u8) -> PyResult<Trust> {
    match rank {
        0 => Ok(Trust::Trusted),
        1 => Ok(Trust::Agent),
        2 => Ok(Trust::Untrusted),
        _ => Err(refused(format!("expected a trust of 0 to 2, got {rank}"))),
    }
}

fn told(origin: Origin) -> ToldOrigin {
    let rank = match origin.trust {
        Trust::Trusted => 0,
        Trust::Agent => 1,
        Trust::Untrusted => 2,
    };
    (rank, origin.texts, origin.is_said, origin.is_copied, origin.has_unknown)
}
