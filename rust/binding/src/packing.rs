//! The class `Packing`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use retold_wire::{Packer, Unpacker};

/// How bodies are packed. Nothing waits for the interpreter's lock with the mutex held, as in `Counter`.
#[pyclass(frozen, module = "retold._core")]
pub(crate) struct Packing {
    told: retold_wire::Packing,
    both: Mutex<(Packer, Unpacker)>,
}

impl Packing {
    /// Return how bodies are packed.
    pub(crate) fn told(&self) -> retold_wire::Packing {
        self.told.clone()
    }

    fn lock(&self) -> MutexGuard<'_, (Packer, Unpacker)> {
        self.both.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Packing {
    #[new]
    #[pyo3(signature = (words, from_bytes, bytes_max, /))]
    fn new(words: Vec<u8>, from_bytes: usize, bytes_max: usize) -> Self {
        let told = retold_wire::Packing { words, from_bytes, bytes_max };
        let both = Mutex::new((Packer::new(told.clone()), Unpacker::new(told.clone())));
        Self { told, both }
    }

    #[pyo3(signature = (body, /))]
    fn pack<'py>(&self, py: Python<'py>, body: &[u8]) -> Option<Bound<'py, PyBytes>> {
        let packed = py.detach(|| self.lock().0.pack(body).map(<[u8]>::to_vec))?;
        Some(PyBytes::new(py, &packed))
    }

    #[pyo3(signature = (stored, /))]
    fn unpack<'py>(&self, py: Python<'py>, stored: &[u8]) -> Option<Bound<'py, PyBytes>> {
        let body = py.detach(|| self.lock().1.unpack(stored).map(<[u8]>::to_vec))?;
        Some(PyBytes::new(py, &body))
    }
}
