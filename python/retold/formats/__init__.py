"""Formats: providers' messages and agents' transcripts, to items and back.

Rules:
- Everything here is a pure function of values. Reading files and sending requests is the shell's.
- What came from one form and has no field of its own in an item (an id, a phase, a cache mark, whether a content was
  a string or a list) lives in the item's `extra`, under the form's name, and is only ever written back to that form.
- `render(to_items(message), form)` equals the message, up to the normalisations that each form's module states.
- A whole history is written as a request that a provider accepts: each response's calls together, their results
  directly after (`render`); one result for each call, and no result without one (`complete`, before it).
- Input is data. An error names the path and the kind of what came, never the text.
"""

from retold.formats.anthropic import split_system
from retold.formats.blocks import is_compaction
from retold.formats.bundle import complete, number_responses
from retold.formats.detect import detect_form, detect_forms
from retold.formats.json_text import address_of
from retold.formats.lines import (
    LINE_BYTES_MAX,
    Happened,
    Imported,
    Kind,
    Line,
    Problem,
    Start,
    split_lines,
)
from retold.formats.messages import render, to_items
from retold.formats.transcripts import read_transcript

__all__ = [
    "LINE_BYTES_MAX",
    "Happened",
    "Imported",
    "Kind",
    "Line",
    "Problem",
    "Start",
    "address_of",
    "complete",
    "detect_form",
    "detect_forms",
    "is_compaction",
    "number_responses",
    "read_transcript",
    "render",
    "split_lines",
    "split_system",
    "to_items",
]
