"""Segments: a row of folded states kept so that what they share is stored once.

The states of a session hold mostly the same entries. A kept state therefore has a *frame* (all but its entries), the
entries that no state before it had, and *runs* that say where each entry lies: in its own *segments* or in those of
earlier messages of the session. A state is loaded from its own message and the few that it names.

Rules:
- A state names at most as much as it needs: a message of which it uses less than `USED_SHARE_MIN` is not named, and its
  entries are stored once more. So what is read for a state is in proportion to the state, however old the session is.
- The bytes are given back exactly, and their hash says so. Runs are found by Python's hash of an entry's bytes: a
  collision would give other bytes, and the hash of the whole refuses them.
- Everything here is values to values; who stores and fetches is `retold.log.snapshots`.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

import msgspec
from msgspec import Raw, Struct

from retold.log.packing import inflate

FORM = 1
"""Raised when a reader of the release before could not read what is written: it passes such a state over."""
SEGMENT_BYTES_MAX = 64 * 1024
"""How long a segment grows before it is deflated: a longer one saves 3%, and is read whole for one entry."""
SEGMENT_LEVEL = 4
"""Of recorded sessions it leaves 0.30 of the bytes in 17 ns a byte; level 1 leaves 0.33 in 13, level 6 0.29 in 33."""
USED_SHARE_MIN = 0.5
"""What is read is at most twice what is needed."""


class Body(Struct, frozen=True):
    """Hold a body cut at its entries: ``before + "[" + ",".join(rows) + "]" + after``; no rows, no brackets."""

    before: bytes
    rows: tuple[bytes, ...]
    after: bytes


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


class Spot(Struct, frozen=True):
    """Say where an entry is stored: in which message, segment and row, and how long it is."""

    position: int
    segment: int
    row: int
    size: int


class Layout(Struct, frozen=True):
    """Say what is stored of the entries of the newest state.

    Attributes:
        spots: where each entry is, by Python's hash of its bytes.
        sources: the messages that hold them, by position.
        stored_bytes: how many bytes of entries each of these holds, needed or not.
    """

    spots: dict[int, Spot] = {}
    sources: dict[int, Source] = {}
    stored_bytes: dict[int, int] = {}


NOTHING_STORED = Layout()

_runs = msgspec.msgpack.Decoder(tuple[Run, ...])
_context = msgspec.json.Decoder(dict[str, Raw])
_rows = msgspec.json.Decoder(list[Raw])


def cut(body: bytes) -> Body:
    """Return *body* cut at its entries: those of a snapshot or of a history. Anything else has no rows."""
    try:
        fields = _context.decode(body)
        if "context" in fields:
            fields = _context.decode(fields["context"])
        entries = bytes(fields["entries"])
        rows = tuple(bytes(row) for row in _rows.decode(entries))
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        return Body(before=body, rows=(), after=b"")
    start = body.find(entries)
    found = Body(before=body[:start], rows=rows, after=body[start + len(entries) :])
    return found if joined(found) == body else Body(before=body, rows=(), after=b"")


def joined(body: Body) -> bytes:
    """Return the bytes that *body* was cut from."""
    if not body.rows:
        return body.before + body.after
    return b"".join((body.before, b"[", b",".join(body.rows), b"]", body.after))


def keep(body: bytes, layout: Layout) -> tuple[Segmented, tuple[bytes, ...]]:
    """Return *body* as it is to be stored where *layout* says what is stored already; and its rows. O(bytes)."""
    parts = cut(body)
    spots = [layout.spots.get(hash(row)) for row in parts.rows]
    worth = _worth_naming(spots, layout)
    plan = _Plan(layout)
    for row, spot in zip(parts.rows, spots, strict=True):
        if spot is not None and spot.position in worth:
            plan.name(spot)
        else:
            plan.store(row)
    plan.end_segment()
    kept = Segmented(
        form=FORM,
        frame=zlib.compress(parts.before + parts.after, SEGMENT_LEVEL),
        before_bytes=len(parts.before),
        sha256=sha256(body).digest(),
        sources=tuple(plan.sources),
        runs=zlib.compress(msgspec.msgpack.encode(plan.runs), SEGMENT_LEVEL),
        segments=tuple(plan.segments),
        rows=tuple(plan.rows),
        stored_bytes=plan.stored_bytes,
    )
    return kept, parts.rows


def layout_of(kept: Segmented, rows: Sequence[bytes], *, at: Source, sources: Mapping[int, int]) -> Layout:
    """Return where the *rows* of *kept*, stored at *at*, are. O(entries).

    *sources* tells how many bytes of entries each message that it names holds, by position.
    """
    holders = (at, *kept.sources)
    spots: dict[int, Spot] = {}
    left = iter(rows)
    for run in runs_of(kept):
        position = holders[run.source].position
        for row, text in zip(range(run.first, run.first + run.count), left, strict=False):
            spots[hash(text)] = Spot(position=position, segment=run.segment, row=row, size=len(text))
    return Layout(
        spots=spots,
        sources={holder.position: holder for holder in holders},
        stored_bytes={**{one.position: sources[one.position] for one in kept.sources}, at.position: kept.stored_bytes},
    )


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


def _worth_naming(spots: Iterable[Spot | None], layout: Layout) -> set[int]:
    """Return the positions of the messages of which enough is used."""
    used: dict[int, int] = {}
    for spot in spots:
        if spot is not None:
            used[spot.position] = used.get(spot.position, 0) + spot.size
    return {position for position, size in used.items() if size >= USED_SHARE_MIN * layout.stored_bytes[position]}


class _Plan:
    """Collect runs and new segments, entry by entry."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._numbers: dict[int, int] = {}
        self.sources: list[Source] = []
        self.runs: list[Run] = []
        self.segments: list[bytes] = []
        self.rows: list[int] = []
        self.stored_bytes = 0
        self._open: list[bytes] = []
        self._open_bytes = 0

    def name(self, spot: Spot) -> None:
        """Take an entry that is stored already."""
        source = self._numbers.get(spot.position)
        if source is None:
            self.sources.append(self._layout.sources[spot.position])
            source = self._numbers[spot.position] = len(self.sources)
        self._run(source, spot.segment, spot.row)

    def store(self, row: bytes) -> None:
        """Take a new entry."""
        if self._open and self._open_bytes + len(row) > SEGMENT_BYTES_MAX:
            self.end_segment()
        self._run(0, len(self.segments), len(self._open))
        self._open.append(row)
        self._open_bytes += len(row) + 1

    def end_segment(self) -> None:
        """Close the segment that is being filled."""
        if self._open:
            self.segments.append(zlib.compress(b",".join(self._open), SEGMENT_LEVEL))
            self.rows.append(len(self._open))
            self.stored_bytes += self._open_bytes
            self._open, self._open_bytes = [], 0

    def _run(self, source: int, segment: int, row: int) -> None:
        last = self.runs[-1] if self.runs else None
        if last is not None and (last.source, last.segment, last.first + last.count) == (source, segment, row):
            self.runs[-1] = Run(source=source, segment=segment, first=last.first, count=last.count + 1)
        else:
            self.runs.append(Run(source=source, segment=segment, first=row, count=1))
