"""What a model answered: of the schema or rejected, and checked against what was really said.

Rules:
- An answer is rejected if it is empty, refused, cut off, of another shape, or larger than it may be.
- Rules and files are computed from the log, and stand first, as they are. A model may add a rule only as a quotation of
  the user, which becomes the user's whole sentence, and a file only if its path was named: text that a tool returned
  cannot become a rule.
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
from retold.summarizers.quoting import Sayings

_T = TypeVar("_T")

LINES_MAX = 200
"""A section of an answer is read up to here: within any budget, more are noise."""

_FENCE = re.compile(r"\s*```(?:json)?\s*\n(?P<inner>.*)\n\s*```\s*", re.DOTALL)


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
    said = Sayings([text for entry, text in zip(covered, texts, strict=True) if is_user(entry)])
    fields = []
    for name in FIELDS:
        own, written = known.get(name, SummaryField(name=name, lines=())), lines.get(name, ())
        if name in known and name == "files":
            written = _new_files(written, own.lines, texts)
        elif name in known:
            written = tuple(rule for line in written if (rule := said.whole(line)) is not None)
        fields.append(SummaryField(name=name, lines=tuple(dict.fromkeys((*own.lines, *written))), seqs=own.seqs))
    return tuple(fields)


def _new_files(written: Sequence[str], known: Sequence[str], texts: Sequence[str]) -> tuple[str, ...]:
    """Return the lines of *written* about files that are not *known*, and that *texts* name."""
    paths = {line.rpartition(": ")[0] for line in known}
    new = ((line, line.rpartition(": ")[0] or line) for line in written)
    return tuple(line for line, path in new if path not in paths and any(path in text for text in texts))


def _lines(written: Sequence[str]) -> tuple[str, ...]:
    plain = (" ".join(line.split()).lstrip("-*# ") for line in written[:LINES_MAX])
    return tuple(dict.fromkeys(line for line in plain if line))


def _text(entry: Entry) -> str:
    match entry.item:
        case Message() | ToolResult():
            return plain_text(entry.item.content)
        case ToolCall():
            return entry.item.arguments
        case _:
            return ""
