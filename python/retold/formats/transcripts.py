"""Transcripts: what an agent left on disk, read into facts, whoever wrote it.

The kind is judged by the first records that belong to one. JSON Lines are read line by line and never held; JSON that
spans lines, or a list on one line, is held whole. Every bad line gives one problem with its number, and the rest is
imported. The same input gives the same output, so a caller can make importing again harmless.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Final, Literal, assert_never

from retold.errors import InputError
from retold.formats.chat_log import conversation_in, is_message, read_chat_log
from retold.formats.claude_code import RECORD_TYPES as CLAUDE_CODE_TYPES
from retold.formats.claude_code import read_claude_code
from retold.formats.codex import RECORD_TYPES as CODEX_TYPES
from retold.formats.codex import read_codex
from retold.formats.expect import kind_of
from retold.formats.json_text import decode_json
from retold.formats.lines import (
    LINE_BYTES_MAX,
    Happened,
    Imported,
    Kind,
    Line,
    Problem,
    Record,
    Start,
    read_document,
    read_records,
    split_lines,
)

__all__ = [
    "LINE_BYTES_MAX",
    "Happened",
    "Imported",
    "Kind",
    "Line",
    "Problem",
    "Start",
    "read_transcript",
    "split_lines",
]

SNIFFED_RECORDS_MAX: Final = 100
"""How many records and bad lines may come before one of a known kind; then the file is given up."""

_Writer = Literal["codex", "claude-code", "messages"]
_CLAUDE_CODE_IDS: Final = ("message", "sessionId", "uuid", "leafUuid", "messageId")


def read_transcript(lines: Iterable[Line], *, name: str) -> Iterator[Imported]:
    """Yield the sessions of a transcript, its facts in order, and a problem for each line that could not be read.

    *name* is the file's name; it names sessions that have no id of their own. A `Start` says whose facts follow, until
    the next: one file may hold several sessions, each starts once. Items have no ids; where an edit must name one, it
    is ``i<n>`` for the n-th item of its session. Lazy: a line is read when what came before it was taken.
    """
    records = _open(iter(lines))
    head: list[Record | Problem] = []
    for record in records:
        head.append(record)
        writer = _writer_of(record.value) if isinstance(record, Record) else None
        if writer is not None:
            yield from _reader_of(writer)(chain(head, records), name=name)
            return
        if len(head) >= SNIFFED_RECORDS_MAX:
            break
    yield from _give_up(head)


def _give_up(head: list[Record | Problem]) -> Iterator[Problem]:
    """Yield why a file is of no known kind: its first bad line, and that its records are unknown, if it has any."""
    yield from [record for record in head if isinstance(record, Problem) and record.severity == "error"][:1]
    for record in head:
        if isinstance(record, Record):
            expected = "a Codex or Claude Code transcript, or messages in chat, Responses or Anthropic form"
            yield Problem(record.line, f"expected {expected}, got records of no known kind")
            return


def _reader_of(writer: _Writer) -> Callable[..., Iterator[Imported]]:
    match writer:
        case "codex":
            return read_codex
        case "claude-code":
            return read_claude_code
        case "messages":
            return read_chat_log
        case _:
            assert_never(writer)


def _writer_of(value: dict[str, Any]) -> _Writer | None:
    kind = value.get("type")
    if isinstance(kind, str) and kind in CODEX_TYPES and isinstance(value.get("payload"), dict):
        return "codex"
    if isinstance(kind, str) and kind in CLAUDE_CODE_TYPES and any(field in value for field in _CLAUDE_CODE_IDS):
        return "claude-code"
    return "messages" if is_message(value) or conversation_in(value) is not None else None


def _open(lines: Iterator[Line]) -> Iterator[Record | Problem]:
    """Yield the file's objects: one a line, or the elements of its one document."""
    head = _first_two(lines)
    if not head:
        yield Problem(1, "expected at least one record, got an empty file")
        return
    whole = chain(head, lines)
    first = True
    for record in read_document(whole) if _spans_lines(head) else read_records(whole):
        if isinstance(record, Record) and isinstance(record.value, list) and first:
            yield from _elements(record, record.value, at="")
        elif isinstance(record, Record) and isinstance(record.value, dict) and "loglines" in record.value:
            yield from _elements(record, record.value["loglines"], at="loglines")
        elif isinstance(record, Record) and not isinstance(record.value, dict):
            yield Problem(record.line, f"expected an object on the line, got {kind_of(record.value)}")
        else:
            yield record
        first = first and isinstance(record, Problem) and record.severity == "note"


def _elements(record: Record, values: Any, *, at: str) -> Iterator[Record | Problem]:
    if not isinstance(values, list) or not values:
        got = "an empty one" if values == [] else kind_of(values)
        yield Problem(record.line, f"expected a list of records, got {got}")
        return
    for index, value in enumerate(values):
        if isinstance(value, dict):
            yield Record(record.line, value, f"{at}[{index}]")
        else:
            yield Problem(record.line, f"expected an object at {at}[{index}], got {kind_of(value)}")


def _first_two(lines: Iterator[Line]) -> list[Line]:
    """Return the first two lines that are not blank, as many as there are."""
    head: list[Line] = []
    for line in lines:
        if line.body.strip() or line.size_bytes > len(line.body):
            head.append(line)
        if len(head) == 2:
            break
    return head


def _spans_lines(head: list[Line]) -> bool:
    """Tell whether one JSON value spans lines: the first line is left open and the second is no record by itself."""
    opening = head[0].body.strip().removeprefix(b"\xef\xbb\xbf")
    if len(head) < 2 or not opening.startswith((b"[", b"{")) or not opening.endswith((b"[", b"{", b",")):
        return False
    return not (_is_object(head[0].body) or (len(opening) > 1 and _is_object(head[1].body)))


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(decode_json(body.decode()), dict)
    except (ValueError, RecursionError, InputError):
        return False
