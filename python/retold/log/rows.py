"""Rows: appends to many sessions at once, each session's in order, through the core.

Rules:
- On the wire go only appends whose place is known: the session's end as this process knows it. The server checks it
  again, as always.
- The first answer that is not a plain acknowledgement ends a session's part in a round. Its next append then goes the
  writer's careful way, which finds out what was stored; after that the session may join a round again. So what is right
  is decided in one place.
- A session has one append on the wire; the writer's lock is held meanwhile, so that this process's other appends to it
  wait their turn.
"""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from uuid import uuid4

from retold.errors import InputError, RetoldError
from retold.events import VERSION, Draft, Head, SessionKey, is_tombstone
from retold.events.lines import KINDS, draft_lines
from retold.log.blobs import HEADROOM_BYTES
from retold.log.keys import DataKeys
from retold.log.link import ANSWER_TIMEOUT_S, Link, Lost
from retold.log.names import (
    APPEND_BYTES_MAX,
    APPEND_EVENTS_MAX,
    CLAIM_BYTES,
    checked,
    event_subject,
)
from retold.log.trails import Mark, Trail, Trails
from retold.log.writer import Writer
from retold.ports import Row, RowEnd
from retold.wire import Appends

ROUND_EVENTS = 4096
"""About how many events go into one round: 20 ms of work, so that the loop's other tasks need not wait long."""
ROUNDS_AT_ONCE = 2
"""While the server stores one round, the next is made."""
IN_FLIGHT_MAX = 2048
"""Appends without an answer, a round."""
BATCHES_IN_FLIGHT_MAX = 16
"""Atomic batches without an answer, a round: the server takes 50 a stream, of all clients together."""
BYTES_IN_FLIGHT_MAX = 4 * 1024 * 1024
CAREFUL_MAX = 64
"""Sessions that go the careful way at once."""


class RowWriter:
    """Append to many sessions."""

    def __init__(self, link: Link, *, writer: Writer, trails: Trails, keys: DataKeys) -> None:
        self._link = link
        self._keys = keys
        self._writer = writer
        self._trails = trails

    async def append(self, rows: Sequence[Row]) -> list[RowEnd]:
        """Append *rows*; see `retold.ports.Log.append_rows`."""
        check_rows(rows)
        open_rows = [_Progress(row, self._trails.of(row.key)) for row in rows]
        lots = [open_rows[first::ROUNDS_AT_ONCE] for first in range(ROUNDS_AT_ONCE)]
        async with asyncio.TaskGroup() as tasks:
            for lot in lots:
                tasks.create_task(self._rounds(lot))
        return [RowEnd(appended=one.appended, head=one.head, error=one.error) for one in open_rows]

    async def _rounds(self, rows: list["_Progress"]) -> None:
        while rows := [row for row in rows if not row.is_over]:
            await self._together(rows)
            careful = asyncio.Semaphore(CAREFUL_MAX)
            await asyncio.gather(*(self._carefully(row, careful) for row in rows if row.is_stuck))

    async def _carefully(self, row: "_Progress", careful: asyncio.Semaphore) -> None:
        """Make the next append of *row* alone."""
        async with careful:
            drafts = row.row.appends[row.appended]
            try:
                recorded = await self._writer.append(row.key, drafts, expected=row.expected)
            except RetoldError as error:
                row.error = error
            else:
                row.stored(1, recorded[-1].head)

    async def _together(self, rows: Sequence["_Progress"]) -> None:
        """Make the next appends of *rows* in one round; those that it cannot make are stuck afterwards."""
        for row in rows:
            row.is_stuck = True
        quota = max(1, ROUND_EVENTS // len(rows))
        parts, lines, kinds = _readable([part for row in rows if (part := self._part(row, quota)) is not None])
        held: list[_Part] = []
        try:
            # All rounds lock in the same order, so that no two wait for each other.
            for part in sorted(parts, key=lambda part: part.row.key):
                await part.lock.acquire()
                held.append(part)
            if parts:
                await self._run(_Run(self._link, parts, lines, kinds), parts)
        finally:
            for part in held:
                part.lock.release()

    async def _run(self, run: "_Run", parts: Sequence["_Part"]) -> None:
        try:
            await run.end()
        finally:
            for part, end in zip(parts, run.ends(), strict=True):
                self._note(part, *end)

    def _part(self, row: "_Progress", quota: int) -> "_Part | None":
        """Return what of *row* can go on the wire now: appends behind an end that is known and nobody is writing to."""
        if self._keys.is_on or row.trail.sealed or row.trail.erased:
            return None  # the writer seals, and tells of the erasure
        end, lock = row.trail.end, self._trails.lock(row.key)
        if end is None or lock.locked() or row.expected not in (None, end.head.seq):
            return None
        part = _Part(row, end, lock, _within(row.row.appends[row.appended : row.appended + quota], quota))
        if any(is_tombstone(draft.data) for draft in part.drafts):
            return None
        part.cut(self._trails.first_written(row.key, part.ids))
        return part if part.appends else None

    def _note(self, part: "_Part", appended: int, seq: int, digest: str, position: int) -> None:
        """Remember what a round has stored of *part*."""
        row, trail = part.row, part.row.trail
        whole = appended == len(part.appends)
        if appended:
            firsts = accumulate(part.counts, initial=part.end.head.seq + 1)
            self._trails.wrote_row(row.key, zip(part.ids[:appended], firsts, strict=False))
            head = Head(seq=seq, hash=digest)
            trail.note(Mark(head=head, position=position))
            row.stored(appended, head)
        trail.end = Mark(head=Head(seq=seq, hash=digest), position=position) if whole else None
        row.is_stuck = not whole


class _Progress:
    """Follow one row.

    Attributes:
        is_stuck: whether its next append has to go the careful way.
    """

    def __init__(self, row: Row, trail: Trail) -> None:
        self.row = row
        self.key: SessionKey = row.key
        self.trail = trail
        self.appended = 0
        self.head: Head | None = None
        self.error: RetoldError | None = None
        self.is_stuck = False

    @property
    def is_over(self) -> bool:
        return self.error is not None or self.appended == len(self.row.appends)

    @property
    def expected(self) -> int | None:
        """Return where the session must end now; only the first append is bound."""
        return None if self.appended else self.row.expected

    def stored(self, appended: int, head: Head) -> None:
        self.appended += appended
        self.head = head
        self.is_stuck = False


class _Part:
    """Hold what of one row goes into a round."""

    def __init__(self, row: _Progress, end: Mark, lock: asyncio.Lock, appends: list[Sequence[Draft]]) -> None:
        self.row = row
        self.end = end
        self.lock = lock
        self.appends = appends
        self.ids = [drafts[0].id for drafts in appends]
        self.counts = list(map(len, appends))

    def cut(self, appends: int) -> None:
        """Leave only the first *appends*."""
        del self.appends[appends:], self.ids[appends:], self.counts[appends:]

    @property
    def drafts(self) -> Iterator[Draft]:
        return chain.from_iterable(self.appends)

    @property
    def lane(self) -> tuple[str, str, str, int, str, int, list[int]]:
        key, head = self.row.key, self.end.head
        return event_subject(key), key.tenant, key.session, head.seq, head.hash, self.end.position, self.counts


class _Run:
    """Send the appends of one round, and take their answers."""

    def __init__(self, link: Link, parts: Sequence[_Part], lines: bytes, kinds: bytes) -> None:
        self._link = link
        self._run = link.tap.new_run()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers = 0
        body_bytes = min(CLAIM_BYTES, link.max_payload_bytes - HEADROOM_BYTES)
        limits = (body_bytes, APPEND_BYTES_MAX, IN_FLIGHT_MAX, BATCHES_IN_FLIGHT_MAX, BYTES_IN_FLIGHT_MAX)
        self._appends = Appends(link.tap.subject(self._run), uuid4().hex, VERSION, KINDS, limits)
        self._appends.load(lines, kinds, [part.lane for part in parts])

    async def end(self) -> None:
        """Return when everything is answered, or when no answer can be expected any more."""
        self._link.tap.open(self._run, self)
        try:
            self._send(self._appends.send())
            while not self._over.done():
                before = self._answers
                await asyncio.wait([self._over], timeout=ANSWER_TIMEOUT_S)
                if self._answers == before:
                    return
        finally:
            self._link.tap.close(self._run)

    def ends(self) -> list[tuple[int, int, str, int]]:
        """Return, for each part, how many of its appends are stored, and where the session ends: Head and position."""
        return self._appends.ends()

    def take(self, frames: bytes) -> None:
        self._answers += 1
        self._send(self._appends.receive(frames))

    def lose(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _send(self, frames: bytes) -> None:
        try:
            if frames:
                self._link.write(frames)
        except Lost:
            self.lose()
        if self._appends.is_over:
            self.lose()


def check_rows(rows: Sequence[Row]) -> None:
    """Check that each row is of another session.

    Raises:
        InputError: if two name the same, or a name holds what a subject cannot carry.
    """
    seen: set[SessionKey] = set()
    for row in rows:
        if checked(row.key) in seen:
            raise InputError(f"expected one row a session, got two of {row.key.session!r}")
        seen.add(row.key)


def _within(appends: Sequence[Sequence[Draft]], events: int) -> list[Sequence[Draft]]:
    """Return the first of *appends* that hold about *events* drafts, up to one that the writer has to look at."""
    if max(map(len, appends)) == min(map(len, appends)) == 1:
        return list(appends)
    within: list[Sequence[Draft]] = []
    for drafts in appends:
        if events <= 0 or not 0 < len(drafts) <= APPEND_EVENTS_MAX or len({one.id for one in drafts}) < len(drafts):
            break
        within.append(drafts)
        events -= len(drafts)
    return within


def _readable(parts: list[_Part]) -> tuple[list[_Part], bytes, bytes]:
    """Return *parts* with their lines and kinds (`draft_lines`).

    Those that hold what no reader would take are left out: the writer says in words what is wrong, and with which.
    """
    try:
        return parts, *draft_lines(list(chain.from_iterable(part.drafts for part in parts)))
    except InputError:
        good = [part for part in parts if _is_readable(part)]
        return good, *draft_lines(list(chain.from_iterable(part.drafts for part in good)))


def _is_readable(part: _Part) -> bool:
    try:
        draft_lines(list(part.drafts))
    except InputError:
        return False
    return True
