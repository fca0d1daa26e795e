//! The class `Encoding`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use retold_tokens::{Builtin, Reconstruction};

use crate::counter::Counter;
use crate::errors::{refused, to_python};
use crate::numbers::{Threads, read_ids, read_size};
use crate::text::{at_index, count_with, read_text, read_texts};

/// A vocabulary with its rules.
#[pyclass(frozen, module = "retold._core")]
pub(crate) struct Encoding(retold_tokens::Encoding);

impl Encoding {
    /// Return the vocabulary itself.
    pub(crate) fn inner(&self) -> &retold_tokens::Encoding {
        &self.0
    }
}

#[pymethods]
impl Encoding {
    #[staticmethod]
    #[pyo3(signature = (name, /))]
    fn builtin(py: Python<'_>, name: &str) -> PyResult<Self> {
        let open = || match (Builtin::named(name), Reconstruction::named(name)) {
            (Some(builtin), _) => Some(retold_tokens::Encoding::builtin(builtin)),
            (_, Some(reconstruction)) => Some(retold_tokens::Encoding::reconstruction(reconstruction)),
            (None, None) => None,
        };
        let Some(opened) = py.detach(open) else {
            let names =
                Builtin::ALL.map(Builtin::name).into_iter().chain(Reconstruction::ALL.map(Reconstruction::name));
            let names = names.collect::<Vec<_>>().join(", ");
            return Err(refused(format!("expected an encoding of {names}, got {name:?}")));
        };
        opened.map(Self).map_err(to_python)
    }

    #[staticmethod]
    #[pyo3(signature = (name, json, /))]
    fn from_json(py: Python<'_>, name: &str, json: &[u8]) -> PyResult<Self> {
        py.detach(|| retold_tokens::Encoding::from_file(name, json)).map(Self).map_err(to_python)
    }

    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn kind(&self) -> &'static str {
        if self.0.is_reconstruction() { "reconstructed" } else { "exact" }
    }

    #[getter]
    fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }

    #[pyo3(signature = (text))]
    fn count(&self, text: &Bound<'_, PyAny>) -> PyResult<usize> {
        let (py, text) = (text.py(), read_text(text)?);
        count_with(py, text.len(), || self.0.count(text)).map_err(to_python)
    }

    #[pyo3(signature = (texts, threads = Threads::ONE), text_signature = "($self, texts, threads=1)")]
    fn count_batch(&self, texts: &Bound<'_, PyAny>, threads: Threads) -> PyResult<Vec<usize>> {
        let py = texts.py();
        let texts = read_texts(texts)?;
        let at = |(index, text)| read_text(text).map_err(|error| at_index(py, index, &error));
        let texts = texts.iter().enumerate().map(at).collect::<PyResult<Vec<&str>>>()?;
        let size_bytes = texts.iter().map(|text| text.len()).fold(0, usize::saturating_add);
        let counts = count_with(py, size_bytes, || self.0.count_batch(&texts, threads.0));
        counts.map_err(|(index, error)| at_index(py, index, &to_python(error)))
    }

    #[pyo3(signature = (text, limit))]
    fn count_until(&self, text: &Bound<'_, PyAny>, limit: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let limit = read_size(limit, "a limit in tokens")?;
        let (py, text) = (text.py(), read_text(text)?);
        count_with(py, text.len(), || self.0.count_until(text, limit)).map_err(to_python)
    }

    #[pyo3(signature = (text))]
    fn encode(&self, text: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
        let (py, text) = (text.py(), read_text(text)?);
        count_with(py, text.len(), || self.0.encode(text)).map_err(to_python)
    }

    #[pyo3(signature = (ids))]
    fn decode<'py>(&self, ids: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let ids_read = read_ids(ids, |id| self.0.check_id(id).map_err(to_python))?;
        let bytes = self.0.decode(&ids_read).map_err(to_python)?;
        Ok(PyBytes::new(ids.py(), &bytes))
    }

    fn __repr__(&self) -> String {
        format!("<Encoding {}>", self.0.name())
    }

    fn counter(&self) -> Counter {
        Counter::new(self.0.counter())
    }

    #[pyo3(signature = (snapshot))]
    fn restore(&self, py: Python<'_>, snapshot: &Bound<'_, PyAny>) -> PyResult<Counter> {
        let snapshot: &[u8] = snapshot.extract().map_err(|_| refused("expected a snapshot: bytes"))?;
        count_with(py, snapshot.len(), || self.0.restore(snapshot)).map(Counter::new).map_err(to_python)
    }
}
