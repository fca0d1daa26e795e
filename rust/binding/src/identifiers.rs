//! The functions on identifiers.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::errors::refused;
use crate::lists::items_of;
use crate::numbers::read_size;
use crate::text::{at_index, count_with, read_text, read_texts};

/// What is told shortly: the identifiers of a text, or values as they are.
enum Told<'a> {
    Text(&'a str),
    Values(Vec<&'a str>),
}

/// The same as Python has it, to borrow from.
enum Source<'py> {
    Text(Bound<'py, PyAny>),
    Values(Vec<Bound<'py, PyAny>>),
}

#[pyfunction]
#[pyo3(signature = (text, /))]
pub(crate) fn identifiers_in<'a>(text: &'a Bound<'_, PyAny>) -> PyResult<Vec<&'a str>> {
    let (py, text) = (text.py(), read_text(text)?);
    Ok(count_with(py, text.len(), || retold_identifiers::identifiers_in(text)))
}

#[pyfunction]
#[pyo3(signature = (texts, others, /))]
pub(crate) fn count_identifiers(texts: &Bound<'_, PyAny>, others: &Bound<'_, PyAny>) -> PyResult<(usize, usize)> {
    let (py, texts, others) = (texts.py(), read_texts(texts)?, read_texts(others)?);
    let (texts, others) = (borrowed(py, &texts)?, borrowed(py, &others)?);
    let size_bytes = texts.iter().chain(&others).map(|text| text.len()).fold(0, usize::saturating_add);
    Ok(count_with(py, size_bytes, || retold_identifiers::count_identifiers(&texts, &others)))
}

#[pyfunction]
#[pyo3(signature = (sources, /))]
pub(crate) fn tell_shortly(sources: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let py = sources.py();
    let sources = items_of(sources, "a list of sources")?
        .enumerate()
        .map(|(index, item)| read_source(&item?).map_err(|error| at_index(py, index, &error)))
        .collect::<PyResult<Vec<_>>>()?;
    let mut told = Vec::with_capacity(sources.len());
    for (index, (source, characters)) in sources.iter().enumerate() {
        let source = borrowed_source(py, source).map_err(|error| at_index(py, index, &error))?;
        told.push((source, *characters));
    }
    Ok(py.detach(|| told.iter().map(|(told, characters)| tell(told, *characters)).collect()))
}

fn tell(told: &Told<'_>, characters: usize) -> String {
    match told {
        Told::Text(text) => retold_identifiers::tell_identifiers(text, characters),
        Told::Values(values) => retold_identifiers::tell_values(values, characters),
    }
}

fn read_source<'py>(item: &Bound<'py, PyAny>) -> PyResult<(Source<'py>, usize)> {
    let Ok(pair) = item.cast::<PyTuple>() else {
        return Err(refused("expected a pair of a text or values and a size"));
    };
    let (source, characters) = pair.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>()?;
    let characters = read_size(&characters, "a size in characters")?;
    let is_text = source.is_instance_of::<PyString>() || source.is_instance_of::<PyBytes>();
    Ok((if is_text { Source::Text(source) } else { Source::Values(read_texts(&source)?) }, characters))
}

fn borrowed_source<'a>(py: Python<'_>, source: &'a Source<'_>) -> PyResult<Told<'a>> {
    match source {
        Source::Text(text) => Ok(Told::Text(read_text(text)?)),
        Source::Values(values) => Ok(Told::Values(borrowed(py, values)?)),
    }
}

fn borrowed<'a>(py: Python<'_>, texts: &'a [Bound<'_, PyAny>]) -> PyResult<Vec<&'a str>> {
    let at = |(index, text)| read_text(text).map_err(|error| at_index(py, index, &error));
    texts.iter().enumerate().map(at).collect()
}
