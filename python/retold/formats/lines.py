"""Lines of a transcript: cut out of chunks of bytes within a limit, then read as JSON, one problem per bad line.

Nothing is repaired in silence. A lone surrogate escape, which real tools write, cannot be carried in UTF-8: U+FFFD
takes its place and a note says on which line.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from msgspec import Struct

from retold.events.facts import Fact
from retold.formats.json_text import decode_json, replace_surrogates, surrogate_paths

LINE_BYTES_MAX: Final = 16 * 1024 * 1024
"""The longest line that is read: twice the largest that agents are known to write (a turn with inline images)."""
DOCUMENT_BYTES_MAX: Final = 256 * 1024 * 1024
"""The largest file that is read whole, for JSON that spans lines; JSON Lines files have no limit."""

_ESCAPED_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")

Kind = Literal["codex", "claude-code", "chat", "responses", "anthropic"]
"""What wrote a transcript: an agent, or whoever stored messages of one form."""


class Start(Struct, frozen=True, tag="start"):
    """Say that the facts after this belong to *session*, until the next start. Each session starts once.

    *model* is the one that it was held with, where the transcript tells early on; else empty.
    """

    session: str
    kind: Kind
    model: str = ""


class Happened(Struct, frozen=True, tag="happened"):
    """Say that *fact* happened, by the record that starts on *line* (1 is the first)."""

    line: int
    fact: Fact


class Problem(Struct, frozen=True, tag="problem"):
    """Say what could not be read as it was (an error) or is worth knowing (a note); never quotes the transcript."""

    line: int
    reason: str
    severity: Literal["error", "note"] = "error"


Imported = Start | Happened | Problem


class Line(Struct, frozen=True):
    """Hold one line, with or without its end. Over the limit, `body` is empty and only `size_bytes` tells its size."""

    number: int
    body: bytes
    size_bytes: int


class Record(Struct, frozen=True):
    """Hold one JSON value, the line that it starts on, and its path, if it is a part of the file's one document."""

    line: int
    value: Any
    at: str = ""


def split_lines(chunks: Iterable[bytes], *, line_bytes_max: int = LINE_BYTES_MAX) -> Iterator[Line]:
    """Yield the lines of a file that is read in *chunks* of any size; never holds more than one line and one chunk."""
    number, size_bytes, held = 1, 0, bytearray()
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        pieces = [first]
        for piece in others:
            size_bytes = _hold(held, pieces.pop(), size_bytes, line_bytes_max)
            yield Line(number, bytes(held), size_bytes)
            number, size_bytes = number + 1, 0
            held.clear()
            pieces.append(piece)
        size_bytes = _hold(held, pieces.pop(), size_bytes, line_bytes_max)
    if size_bytes:
        yield Line(number, bytes(held), size_bytes)


def _hold(held: bytearray, piece: bytes, size_bytes: int, line_bytes_max: int) -> int:
    """Add *piece* to the line in *held*, or empty it once the line is over the limit; return the line's size."""
    size_bytes += len(piece)
    if size_bytes > line_bytes_max:
        held.clear()
    else:
        held += piece
    return size_bytes


def read_records(lines: Iterable[Line]) -> Iterator[Record | Problem]:
    """Yield each line's JSON value, or the problem with it; blank lines leave nothing."""
    for line in lines:
        if line.body.strip() or line.size_bytes > len(line.body):
            yield from _read_line(line)


def read_document(lines: Iterable[Line]) -> Iterator[Record | Problem]:
    """Yield the JSON value that *lines* hold together, or the problem with it. Holds the whole file."""
    first, body, size_bytes = 0, bytearray(), 0
    for line in lines:
        first = first or line.number
        size_bytes += line.size_bytes + 1
        if size_bytes <= DOCUMENT_BYTES_MAX and len(line.body) == line.size_bytes:
            body += line.body + b"\n"
    whole = Line(first, bytes(body), size_bytes)
    if len(body) < size_bytes:
        yield Problem(
            first,
            f"expected a document of at most {DOCUMENT_BYTES_MAX} bytes and lines of at most "
            f"{LINE_BYTES_MAX}, got {size_bytes} bytes",
        )
    else:
        yield from _read_line(whole)


def _read_line(line: Line) -> Iterator[Record | Problem]:
    if line.size_bytes > len(line.body):
        yield Problem(line.number, f"expected a line of at most {LINE_BYTES_MAX} bytes, got {line.size_bytes}")
        return
    reason = _why_binary(line.body)
    if reason is None:
        yield from _read_value(line.number, line.body.removeprefix(b"\xef\xbb\xbf").decode())
    else:
        yield Problem(line.number, reason)


def _why_binary(body: bytes) -> str | None:
    if b"\0" in body:
        return f"expected UTF-8 text, got a NUL byte at byte {body.index(0)}"
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"expected UTF-8 text, got an invalid byte at byte {error.start}"
    return None


def _read_value(number: int, text: str) -> Iterator[Record | Problem]:
    try:
        value = decode_json(text)
    except json.JSONDecodeError as error:
        yield Problem(number, f"expected JSON, got a malformed line (character {error.pos + 1})")
        return
    except (ValueError, RecursionError):
        yield Problem(number, "expected JSON with finite numbers, not nested too deep, got something else")
        return
    if _ESCAPED_SURROGATE.search(text) and any(True for _ in surrogate_paths(value, "")):
        value = replace_surrogates(value)
        yield Problem(number, "a lone surrogate was replaced by U+FFFD, for UTF-8 cannot carry it", "note")
    yield Record(number, value)
