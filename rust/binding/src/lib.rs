//! The Python extension `retold._core`.
//!
//! Conversion only: every rule lives in the crates beside it, every docstring in `python/retold/_core.pyi`, and the doors
//! to it are `retold/tokens.py`, `retold/identifiers.py`, `retold/wire.py` and `retold/screening.py`. One file per type or verb.
//!
//! Rules: an error is an `InputError` whose message holds no text; a long text is counted without the interpreter's
//! lock; a text is never copied on the way in.

#![forbid(unsafe_code)]

mod appends;
mod counter;
mod encoding;
mod errors;
mod guard;
mod identifiers;
mod ledger;
mod lists;
mod numbers;
mod packing;
mod runs;
mod scan;
mod segments;
mod splitter;
mod text;
mod vocabularies;

/// The module that Python imports.
#[pyo3::pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;
    use pyo3::types::PyTuple;
    use retold_tokens::{Builtin, Reconstruction};

    #[pymodule_export]
    use super::appends::Appends;
    #[pymodule_export]
    use super::counter::Counter;
    #[pymodule_export]
    use super::encoding::Encoding;
    #[pymodule_export]
    use super::guard::{Guard, folded, is_encoded, origins};
    #[pymodule_export]
    use super::identifiers::{count_identifiers, identifiers_in, tell_shortly};
    #[pymodule_export]
    use super::ledger::Ledger;
    #[pymodule_export]
    use super::packing::Packing;
    #[pymodule_export]
    use super::runs::{Run, Runs};
    #[pymodule_export]
    use super::scan::Scan;
    #[pymodule_export]
    use super::segments::{Laid, Layout, items_hash};
    #[pymodule_export]
    use super::splitter::Splitter;
    #[pymodule_export]
    use super::vocabularies::{Vocabulary, check_vocabularies};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let names = Builtin::ALL.map(Builtin::name);
        module.add("ENCODINGS", PyTuple::new(module.py(), names)?)?;
        let names = Reconstruction::ALL.map(Reconstruction::name);
        module.add("RECONSTRUCTIONS", PyTuple::new(module.py(), names)?)
    }
}
