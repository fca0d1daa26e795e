"""Bodies: states and histories as JSON that know where their entries are, so that nobody has to look for them.

A state and the history that is published of it have the same entries, which are most of both: they are written once, as
`Rows`. A `Body` is the very bytes that `encode_context` and `encode_history` give.
"""

from collections.abc import Sequence

import msgspec
from msgspec import structs

from retold.fold.context import Context, Entry, encode_context
from retold.fold.history import History, encode_history
from retold.layouts import items_hash

_NO_ENTRIES = b'"entries":[]'
"""Stands in no text, whose quotes are escaped."""

_encoder = msgspec.json.Encoder()


class Rows:
    """Hold entries as JSON.

    Attributes:
        entries: the entries.
        lines: each as a row of JSON, which has no line feed, and a line feed behind it.
    """

    __slots__ = ("_hash", "entries", "lines")

    def __init__(self, entries: Sequence[Entry], *, lines: bytes | None = None) -> None:
        """Write *entries*, or take them as *lines* have them. O(bytes)."""
        self.entries = tuple(entries)
        self.lines = _encoder.encode_lines(self.entries) if lines is None else lines
        self._hash: str | None = None

    def __eq__(self, other: object) -> bool:
        """Return whether *other* is the same rows."""
        return isinstance(other, Rows) and self.lines == other.lines

    def __hash__(self) -> int:
        """Return a hash of the rows, which is kept with them."""
        return hash(self.lines)

    @property
    def hash(self) -> str:
        """Return the content hash of a history of these entries (`history_hash`)."""
        if self._hash is None:
            self._hash = items_hash(self.lines).hex()
        return self._hash

    @property
    def text_bytes(self) -> int:
        """Return what the entries take as a JSON list (`retold.fold.text_bytes`). O(1)."""
        return len(self.lines) + 1

    def are_of(self, entries: Sequence[Entry]) -> bool:
        """Return whether these are *entries*. O(entries) where they are the very same objects, as most are."""
        return self.entries == tuple(entries)


class Body(bytes):
    """Hold a body with what it was made of: ``before + "[" + rows with commas between + "]" + after``.

    Attributes:
        before_bytes: the length of the first part.
        rows: the entries.
        after_bytes: the length of the last part.
    """

    before_bytes: int
    rows: Rows
    after_bytes: int

    @classmethod
    def of(cls, before: bytes, rows: Rows, after: bytes) -> "Body":
        """Return the body that has these parts; *rows* are one at least."""
        joined = memoryview(rows.lines.replace(b"\n", b","))[:-1]
        body = cls(b"".join((before, b"[", joined, b"]", after)))
        body.before_bytes, body.rows, body.after_bytes = len(before), rows, len(after)
        return body

    @property
    def frame(self) -> bytes:
        """Return what comes before and after the entries."""
        return self[: self.before_bytes] + self[len(self) - self.after_bytes :]


def context_body(context: Context, *, rows: Rows | None = None) -> bytes:
    """Return `encode_context`, as a `Body` where there are entries. *rows* are used if they are of these. O(bytes)."""
    return _with_rows(encode_context(structs.replace(context, entries=())), context.entries, rows)


def history_body(history: History, *, rows: Rows | None = None) -> bytes:
    """Return `encode_history`, as a `Body` where there are entries. *rows* are used if they are of these. O(bytes)."""
    return _with_rows(encode_history(structs.replace(history, entries=())), history.entries, rows)


def _with_rows(frame: bytes, entries: Sequence[Entry], rows: Rows | None) -> bytes:
    if not entries:
        return frame
    rows = rows if rows is not None and rows.are_of(entries) else Rows(entries)
    before, _, after = frame.partition(_NO_ENTRIES)
    return Body.of(before + _NO_ENTRIES[:-2], rows, after)
