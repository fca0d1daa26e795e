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
from contextlib import suppress
from itertools import accumulate, chain
from uuid import uuid4

from retold.errors import InputError, RetoldError
from retold.events import VERSION, Draft, Head, SessionErased, SessionKey
from retold.events.lines import KINDS, draft_lines
from retold.log.blobs import HEADROOM_BYTES
from retold.log.keys import DataKeys
from retold.log.link import Link, Lost
from retold.log.names import (
    APPEND_BYTES_MAX,
    APPEND_EVENTS_MAX,
    CLAIM_BYTES,
    checked,
    event_subject,
)
from retold.log.packing import PACKING
from retold.log.trails import Mark, Trail, Trails
from retold.log.writer import Writer
from retold.ports import Row, RowEnd
from retold.wire import Appends

ROUND_EVENTS = 4096
"""About how many events go into one round: 20 ms of work, so that the loop's other tasks need not wait long."""
ROUNDS_AT_ONCE = 4
"""While the server stores one round, the next is made; between two of them, answers are taken."""
IN_FLIGHT_MAX = 1024
"""Appends without an answer, a round."""
BATCHES_IN_FLIGHT_MAX = 8
"""Atomic batches without an answer, a round: the server takes 50 a stream, of all clients together."""
BYTES_IN_FLIGHT_MAX = 2 * 1024 * 1024
SILENCE_S = 2.0
"""A round that has no answer at all for so long goes the careful way: a leader that died never answers."""
CAREFUL_MAX = 64
"""Sessions that go the careful way at once."""
_ERASED = KINDS.index(SessionErased.__name__)


class RowWriter:
    """Append to many sessions."""

    def __init__(self, link: Link, *, writer: Writer, trails: Trails, keys: DataKeys) -> None:
        self._link = link
        self._keys = keys
        self._writer = writer
        self._trails = trails
        self._making = asyncio.Lock()

    async def append(self, rows: Sequence[Row]) -> list[RowEnd]:
        """Append *rows*; see `retold.ports.Log.append_rows`."""
        check_rows(rows)
        open_rows = [_Progress(row, self._trails) for row in rows]
        # All rounds lock in the same order, so that no two wait for each other.
        in_order = sorted(open_rows, key=lambda row: row.subject)
        lots = [in_order[first::ROUNDS_AT_ONCE] for first in range(ROUNDS_AT_ONCE)]
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
                sent, row.is_refused = row.is_refused, False
                recorded = await self._writer.append(row.key, drafts, expected=row.expected, were_sent=sent)
            except RetoldError as error:
                row.error = error
            else:
                row.stored(1, recorded[-1].head)

    async def _together(self, rows: Sequence["_Progress"]) -> None:
        """Make the next appends of *rows* in one round; those that it cannot make are stuck afterwards."""
        held: list[_Part] = []
        try:
            async with self._making:
                run = await self._made(rows, held)
                await asyncio.sleep(0)  # the answers to other rounds are taken before the next one is made
            if run is not None:
                await self._run(run, held)
        finally:
            for part in held:
                part.lock.release()

    async def _made(self, rows: Sequence["_Progress"], held: list["_Part"]) -> "_Run | None":
        """Return what is to be sent of *rows*; *held* gets the parts of it, whose sessions are locked."""
        quota = max(1, ROUND_EVENTS // len(rows))
        found: list[_Part] = []
        for row in rows:
            row.is_stuck = True
            part = self._part(row, quota)
            if part is not None:
                await part.lock.acquire()
                held.append(part)
                found.append(part)
        parts, lines, kinds = _readable(found)
        if len(parts) < len(held):
            kept = set(map(id, parts))
            for part in [part for part in held if id(part) not in kept]:
                part.lock.release()
                held.remove(part)
        return _Run(self._link, parts, lines, kinds) if parts else None

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
        end = row.trail.end
        if end is None or row.lock.locked() or row.expected not in (None, end.head.seq):
            return None
        part = _Part(row, end, *_within(row.row.appends[row.appended : row.appended + quota], quota))
        part.cut(self._trails.first_written(row.key, part.ids))
        return part if part.appends else None

    def _note(self, part: "_Part", appended: int, seq: int, digest: str, position: int) -> None:
        """Remember what a round has stored of *part*."""
        row, trail = part.row, part.row.trail
        whole = appended == len(part.appends)
        mark = Mark(head=Head(seq=seq, hash=digest), position=position)
        if appended:
            firsts = accumulate(part.counts, initial=part.end.head.seq + 1)
            self._trails.wrote_row(row.key, part.ids[:appended], firsts)
            trail.note(mark)
            row.stored(appended, mark.head)
            trail.end = mark
        row.is_stuck = row.is_refused = not whole


class _Progress:
    """Follow one row.

    Attributes:
        is_stuck: whether its next append has to go the careful way.
        is_refused: whether that was sent, and was not stored, or nobody said so.
    """

    def __init__(self, row: Row, trails: Trails) -> None:
        self.row = row
        self.key: SessionKey = row.key
        self.subject = event_subject(row.key)
        self._trails = trails
        self.lock = trails.lock(row.key)
        self.appended = 0
        self.head: Head | None = None
        self.error: RetoldError | None = None
        self.is_stuck = self.is_refused = False

    @property
    def trail(self) -> Trail:
        """Return what is remembered of the session now: of very many, some are forgotten on the way."""
        return self._trails.of(self.key)

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

    def __init__(self, row: _Progress, end: Mark, appends: list[Sequence[Draft]], counts: list[int]) -> None:
        self.row = row
        self.end = end
        self.lock = row.lock
        self.appends = appends
        self.counts = counts
        self.ids = [drafts[0].id for drafts in appends]

    def cut(self, appends: int) -> None:
        """Leave only the first *appends*."""
        del self.appends[appends:], self.ids[appends:], self.counts[appends:]

    @property
    def drafts(self) -> Iterator[Draft]:
        return chain.from_iterable(self.appends)

    @property
    def lane(self) -> tuple[str, str, str, int, str, int, list[int]]:
        key, head = self.row.key, self.end.head
        return self.row.subject, key.tenant, key.session, head.seq, head.hash, self.end.position, self.counts


class _Run:
    """Send the appends of one round, and take their answers."""

    def __init__(self, link: Link, parts: Sequence[_Part], lines: bytes, kinds: bytes) -> None:
        self._link = link
        self._run = link.tap.new_run()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers = 0
        body_bytes = min(CLAIM_BYTES, link.max_payload_bytes - HEADROOM_BYTES)
        limits = (body_bytes, APPEND_BYTES_MAX, IN_FLIGHT_MAX, BATCHES_IN_FLIGHT_MAX, BYTES_IN_FLIGHT_MAX)
        self._appends = Appends(link.tap.subject(self._run), uuid4().hex, VERSION, KINDS, limits, PACKING)
        self._appends.load(lines, kinds, [part.lane for part in parts])

    async def end(self) -> None:
        """Return when everything is answered, or when no answer can be expected any more."""
        self._link.tap.open(self._run, self)
        try:
            self._send(self._appends.send())
            while not self._over.done():
                before = self._answers
                await asyncio.wait([self._over], timeout=SILENCE_S)
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


def _within(appends: Sequence[Sequence[Draft]], events: int) -> tuple[list[Sequence[Draft]], list[int]]:
    """Return the first of *appends* that hold about *events* drafts, up to one that the writer has to look at.

    And how many drafts each of them has.
    """
    counts = list(map(len, appends))
    if counts.count(1) == len(counts):
        return list(appends), counts
    within: list[Sequence[Draft]] = []
    for drafts in appends:
        if events <= 0 or not 0 < len(drafts) <= APPEND_EVENTS_MAX or len({one.id for one in drafts}) < len(drafts):
            break
        within.append(drafts)
        events -= len(drafts)
    return within, counts[: len(within)]


def _readable(parts: list[_Part]) -> tuple[list[_Part], bytes, bytes]:
    """Return *parts* with their lines and kinds (`draft_lines`).

    Those that hold what no reader would take are left out: the writer says in words what is wrong, and with which. So
    are those that hold an erasure.
    """
    with suppress(InputError):
        lines, kinds = draft_lines(list(chain.from_iterable(part.drafts for part in parts)))
        if _ERASED not in kinds:
            return parts, lines, kinds
    good = [part for part in parts if _is_readable(part)]
    return good, *draft_lines(list(chain.from_iterable(part.drafts for part in good)))


def _is_readable(part: _Part) -> bool:
    with suppress(InputError):
        return _ERASED not in draft_lines(list(part.drafts))[1]
    return False
