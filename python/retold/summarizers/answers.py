"""What a model answered: of the schema or rejected, and checked against what was really said.

Rules:
- An answer is rejected if it is empty, refused, cut off, of another shape, or larger than it may be.
- Rules and files are computed from the log, and stand first, as they are. A model may add a rule only as a quotation of
  the user, and a file only if its path was named: text that a tool returned cannot become a rule.
- A line is one line: it cannot open a section of the summary.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from retold.errors import RejectedError
from retold.events import Message, SummaryField, ToolCall, ToolResult, plain_text
from retold.fold import Entry
from retold.policy.bonds import is_user
from retold.policy.summary import FIELDS

_T = TypeVar("_T")

LINES_MAX = 200
"""A section of an answer is read up to here: within any budget, more are noise."""

QUOTE_CHARACTERS_MIN = 8
"""A shorter quotation proves nothing: it is found in any text."""

_FENCE = re.compile(r"\s*```(?:json)?\s*\n(?P<inner>.*)\n\s*```\s*", re.DOTALL)
_QUOTES = "\"'`“”‘’«»「」„ "  # noqa: RUF001 - what quotations are put in


class Answer(Struct, frozen=True):
    """Hold what a model answered, with what the provider said it cost, in tokens; 0 where it did not."""

    text: str
    input_tokens: int = 0
    output_tokens: int = 0


class _Record(Struct, frozen=True, forbid_unknown_fields=True):
    goal: list[str]
    constraints: list[str]
    decisions: list[str]
    files: list[str]
    errors: list[str]
    open_work: list[str]
    last_step: list[str]
    facts: list[str]


_decoder = msgspec.json.Decoder(_Record)


def read_answer(text: str) -> dict[str, tuple[str, ...]]:
    """Return the lines of each section of a model's answer, each once and on one line.

    Raises:
        RejectedError: if it is empty, or is not what was asked for.
    """
    if not text.strip():
        raise RejectedError("empty")
    fenced = _FENCE.fullmatch(text)
    try:
        record = _decoder.decode(text if fenced is None else fenced["inner"])
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        raise RejectedError("garbage") from None
    lines = {name: _lines(getattr(record, name)) for name in record.__struct_fields__}
    if not any(lines.values()):
        raise RejectedError("empty")
    return lines


def read_json(body: bytes, kind: type[_T]) -> _T:
    """Return the answer of a provider's that *body* is.

    Raises:
        RejectedError: if it is another.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise RejectedError("garbage") from None


def merge(
    lines: Mapping[str, tuple[str, ...]], computed: Sequence[SummaryField], covered: Sequence[Entry]
) -> tuple[SummaryField, ...]:
    """Return the fields of a summary: *computed* as they are, what the model wrote of the others, and what it adds.

    What it adds to a computed field must be found in *covered*. Which events a model's lines come from is not known.
    """
    known = {field.name: field for field in computed}
    texts = [_text(entry) for entry in covered]
    said = [" ".join(text.split()) for entry, text in zip(covered, texts, strict=True) if is_user(entry)]
    fields = []
    for name in FIELDS:
        own = known.get(name, SummaryField(name=name, lines=()))
        added = [
            line
            for line in lines.get(name, ())
            if name not in known or _is_found(name, line, own.lines, said if name != "files" else texts)
        ]
        fields.append(SummaryField(name=name, lines=(*own.lines, *added), seqs=own.seqs))
    return tuple(fields)


def _lines(written: Sequence[str]) -> tuple[str, ...]:
    plain = (" ".join(line.split()).lstrip("-*# ") for line in written[:LINES_MAX])
    return tuple(dict.fromkeys(line for line in plain if line))


def _is_found(name: str, line: str, known: Sequence[str], texts: Sequence[str]) -> bool:
    """Return whether *line* is new, and found in *texts*: all of them for a file, the user's for a rule."""
    if line in known:
        return False
    if name == "files":
        path = line.rpartition(": ")[0] or line
        paths = {one.rpartition(": ")[0] for one in known}
        return path not in paths and any(path in text for text in texts)
    quotation = line.strip(_QUOTES)
    return len(quotation) >= QUOTE_CHARACTERS_MIN and any(quotation in text for text in texts)


def _text(entry: Entry) -> str:
    match entry.item:
        case Message() | ToolResult():
            return plain_text(entry.item.content)
        case ToolCall():
            return entry.item.arguments
        case _:
            return ""
