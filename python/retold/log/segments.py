"""Segments: a row of folded states kept so that what they share is stored once.

The states of a session hold mostly the same entries. A kept state therefore has a *frame* (all but its entries), the
entries that no state before it had, and *runs* that say where each entry lies: in its own *segments* or in those of
earlier messages of the session. A state is loaded from its own message and the few that it names.

Rules:
- A state names at most as much as it needs: a message of which it uses less than half is not named, and its entries are
  stored once more. So what is read for a state is in proportion to the state, however old the session is.
- The bytes are given back exactly, and their hash says so. Which entries are stored already the core finds
  (`retold.layouts`), by a hash of an entry's bytes: a collision would give other bytes, and the hash of the whole
  refuses them.
- Everything here is values to values; who stores and fetches is `retold.log.snapshots`.
"""

import zlib
from collections.abc import Mapping
from hashlib import sha256

import msgspec
from msgspec import Raw, Struct

from retold.fold import Body, Rows
from retold.layouts import Laid, Layout
from retold.log.packing import inflate

FORM = 1
"""Raised when a reader of the release before could not read what is written: it passes such a state over."""
SEGMENT_LEVEL = 4
"""Of zlib, as the core has it for segments: of recorded sessions it leaves 0.30 of the bytes, level 1 0.33."""


class Run(Struct, frozen=True, array_like=True):
    """Name *count* neighbouring entries: from *first* on, in segment number *segment* of source number *source*."""

    source: int
    segment: int
    first: int
    count: int


class Source(Struct, frozen=True, array_like=True):
    """Name an earlier message of the session: where it lies in the stream, and the how many-th of the session it is."""

    position: int
    number: int


class Segmented(Struct, frozen=True, array_like=True):
    """Hold one state as it is stored.

    Attributes:
        form: how this is written.
        frame: what comes before and after the entries, deflated.
        before_bytes: the length of the first part.
        sha256: of the whole body.
        sources: the messages that runs name from 1 on; source 0 is this one.
        runs: where the entries lie, in order: `Run`s, deflated; most who read a message read it for its segments.
        segments: the entries that are stored here, deflated.
        rows: how many entries each of them holds.
        stored_bytes: their length before that.
    """

    form: int
    frame: bytes
    before_bytes: int
    sha256: bytes
    sources: tuple[Source, ...]
    runs: bytes
    segments: tuple[bytes, ...]
    rows: tuple[int, ...]
    stored_bytes: int


NOTHING_STORED = Layout()

_runs = msgspec.msgpack.Decoder(tuple[Run, ...])
_context = msgspec.json.Decoder(dict[str, Raw])
_rows = msgspec.json.Decoder(list[Raw])


def cut(body: bytes) -> bytes:
    """Return *body* as a `Body`, cut at its entries: those of a snapshot or of a history. Anything else as it is."""
    if isinstance(body, Body):
        return body
    try:
        fields = _context.decode(body)
        if "context" in fields:
            fields = _context.decode(fields["context"])
        entries = bytes(fields["entries"])
        rows = [bytes(row) for row in _rows.decode(entries)]
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        return body
    if not rows or b"\n" in entries:
        return body
    start = body.find(entries)
    lines = Rows((), lines=b"".join(row + b"\n" for row in rows))
    found = Body.of(body[:start], lines, body[start + len(entries) :])
    return found if found == body else body


def keep(body: bytes, layout: Layout) -> tuple[Segmented, Laid]:
    """Return *body* as it is to be stored where *layout* says what is stored already; and where its rows lie. O(bytes).

    What has no rows is its frame.
    """
    body = cut(body)
    frame, before_bytes, lines = body, len(body), b""
    if isinstance(body, Body):
        frame, before_bytes, lines = body.frame, body.before_bytes, body.rows.lines
    laid = layout.keep(lines)
    kept = Segmented(
        form=FORM,
        frame=zlib.compress(frame, SEGMENT_LEVEL),
        before_bytes=before_bytes,
        sha256=sha256(body).digest(),
        sources=tuple(Source(*source) for source in laid.sources),
        runs=zlib.compress(msgspec.msgpack.encode(laid.runs), SEGMENT_LEVEL),
        segments=laid.segments,
        rows=laid.rows,
        stored_bytes=laid.stored_bytes,
    )
    return kept, laid


def layout_of(kept: Segmented, rows: Rows, *, at: Source, sources: Mapping[int, int]) -> Layout:
    """Return where the *rows* of *kept*, stored at *at*, are. O(bytes).

    *sources* tells how many bytes of entries each message that it names holds, by position.
    """
    holders = [(at.position, at.number, kept.stored_bytes)]
    holders += [(source.position, source.number, sources[source.position]) for source in kept.sources]
    runs = [(run.source, run.segment, run.first, run.count) for run in runs_of(kept)]
    try:
        return Layout.of(rows.lines, runs, holders)
    except OverflowError:  # it was not written here
        return NOTHING_STORED


def restore(kept: Segmented, sources: Mapping[int, Segmented]) -> bytes | None:
    """Return the body that *kept* stands for; None if anything is damaged or missing. O(bytes).

    *sources* holds the messages that it names, by position.
    """
    frame = inflate(kept.frame)
    if frame is None or kept.form != FORM:
        return None
    opened: dict[tuple[int, int], _Segment] = {}
    pieces: list[bytes] = []
    for run in runs_of(kept):
        place = (run.source, run.segment)
        if place not in opened:
            opened[place] = _Segment(kept, sources, run)
        pieces.append(opened[place].part(run))
    before, after = frame[: kept.before_bytes], frame[kept.before_bytes :]
    body = b"".join((before, b"[", b",".join(pieces), b"]", after)) if pieces else before + after
    return body if sha256(body).digest() == kept.sha256 else None


def runs_of(kept: Segmented) -> tuple[Run, ...]:
    """Return where the entries of *kept* lie; nothing if that is damaged."""
    text = inflate(kept.runs)
    try:
        return () if text is None else _runs.decode(text)
    except msgspec.MsgspecError:
        return ()


class _Segment:
    """Hold one segment while a state is put together. One that is damaged or not there is empty: no hash will hold."""

    def __init__(self, kept: Segmented, sources: Mapping[int, Segmented], run: Run) -> None:
        self._text = b""
        self._count = -1
        self._rows: list[bytes] | None = None
        is_known = 0 <= run.source <= len(kept.sources)
        holder = kept if run.source == 0 or not is_known else sources.get(kept.sources[run.source - 1].position)
        if is_known and holder is not None and 0 <= run.segment < min(len(holder.segments), len(holder.rows)):
            self._text = inflate(holder.segments[run.segment]) or b""
            self._count = holder.rows[run.segment]

    def part(self, run: Run) -> bytes:
        """Return the rows of *run*, joined; a whole segment, which most are, is not looked into."""
        if run.first == 0 and run.count == self._count:
            return self._text
        if self._rows is None:
            self._rows = _cut_rows(self._text)
        return b",".join(self._rows[run.first : run.first + run.count])


def _cut_rows(text: bytes) -> list[bytes]:
    try:
        return [bytes(row) for row in _rows.decode(b"[" + text + b"]")]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []
