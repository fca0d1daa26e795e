"""Scanning: the whole stream in its own order, by a pull consumer whose deliveries the core reads and checks.

Rules:
- The core gives what is plainly the next event of its session. A session with anything else (a claim, a sealed event, a
  tombstone at its beginning, an older schema, damage) is left out from there on, and read by the reader, who knows what
  that is.
- The next page is asked for before the last one is worked on, so that the server reads while we fold.
- A consumer in any doubt is made anew behind the last position. The end is where a new one has nothing to deliver.
- A consumer stands still before a message that the server cannot read; only its heartbeats come then.
- Measured: a consumer without a filter is read three times as fast as batched direct gets of the same stream.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing, suppress
from typing import Any, Final, TypeVar

import msgspec

from retold.errors import CorruptLogError, InputError, SealError, UnavailableError
from retold.events import SEQ_MAX, VERSION, ItemAppended, Recorded, SessionKey, decode
from retold.events.lines import KINDS, events_of
from retold.fold import Run
from retold.lease_ports import PARTITIONS
from retold.log.consumers import SILENCE_S, Consumer, consumer, pull_of
from retold.log.link import Link, Lost
from retold.log.names import EVENTS, key_of, session_of
from retold.log.packing import PACKING
from retold.log.reader import Reader
from retold.ports import Scanned
from retold.wire import Run as CoreRun
from retold.wire import Runs, Scan

PAGE_EVENTS = 4096
"""Events of one page: some 20 ms of folding."""
PAGE_BYTES = 8 * 1024 * 1024
"""A page ends at either limit; two of them are held at once."""
SILENT_MAX = 10
"""How many consumers may bring nothing although there is something."""
SIZE_REACHED = 409
"""A pull ended because the next message would be too many bytes; the consumer being deleted is 409, too: then the next
pull is met with silence or an error, and a new consumer is made."""

_PULL = pull_of(events=PAGE_EVENTS, bytes_max=PAGE_BYTES)

Given = tuple[bytes, list[bytes], list[str], list[tuple[int, bytes]], list[tuple[str, int]], list[tuple[str, int, int]]]
"""What `Scan.give` returns."""
_ODD: Final = 4
"""The place in it of the sessions that are left out."""
Page = TypeVar("Page")

HELD_BYTES_MAX = 32 * 1024 * 1024
"""How many bytes of plain items are held back, so that their runs are long."""
_APPENDED = KINDS.index(ItemAppended.__name__)

_PLACE = re.compile(
    rb'\{"v":\d+,"id":"(?:[^"\\]|\\.)*","tenant":"([^"\\]*)","session":"([^"\\]*)","seq":(\d+),', re.DOTALL
)
"""Where an event stands, whatever follows: the core gives only what begins so, and what follows may be no JSON."""


class Scanner:
    """Scan the event stream."""

    def __init__(self, link: Link, reader: Reader) -> None:
        self._link = link
        self._reader = reader

    async def scan(self, partitions: Sequence[int]) -> AsyncGenerator[Scanned[Recorded], None]:
        """Yield the events of *partitions*; see `retold.ports.Log.scan`."""
        check_partitions(partitions)
        scan, left_out = Scan(VERSION, KINDS, PACKING), set[SessionKey]()
        async with aclosing(self._pages(scan, partitions, scan.give)) as pages:
            async for given in pages:
                events = recorded_of(given)
                unread = unread_of(given, events)
                kept = [one for one in events if one is not None and (not left_out or one.event.key not in left_out)]
                if kept:
                    yield Scanned(events=kept)
                async with aclosing(self._closer(given, unread, left_out)) as parts:
                    async for part in parts:
                        yield part

    async def scan_runs(self, partitions: Sequence[int]) -> AsyncGenerator[Scanned[Recorded | Run], None]:
        """Yield the events of *partitions*, plain items in runs; see `retold.ports.Log.scan_runs`."""
        check_partitions(partitions)
        scan, runs, left_out = Scan(VERSION, KINDS, PACKING), Runs(_APPENDED), set[SessionKey]()
        async with aclosing(self._pages(scan, partitions, lambda: runs.take(scan))) as pages:
            async for given, before in pages:
                events = recorded_of(given)
                unread = unread_of(given, events)
                out = left_out | unread.keys()
                parts: list[Recorded | Run] = _together(events, before, unread, left_out)
                if given[_ODD] or unread or runs.held_bytes > HELD_BYTES_MAX:
                    parts += _kept(runs.rest(), out)
                if parts:
                    yield Scanned[Recorded | Run](events=parts)
                async with aclosing(self._closer(given, unread, left_out)) as rest:
                    async for part in rest:
                        yield Scanned[Recorded | Run](events=part.events, damage=part.damage, sealed=part.sealed)
        if rest_of := _kept(runs.rest(), left_out):
            yield Scanned[Recorded | Run](events=rest_of)

    async def _pages(
        self, scan: Scan, partitions: Sequence[int], give: Callable[[], Page]
    ) -> AsyncGenerator[Page, None]:
        """Yield what *give* gives of *scan* for each page, by as many consumers as it takes."""
        position, silent = 0, 0
        while silent <= SILENT_MAX:
            before = position
            async with consumer(self._link, EVENTS, _config(position, partitions)) as made:
                if made.pending == 0:
                    return
                async with aclosing(self._consumed(scan, made, give)) as pages:
                    async for page in pages:
                        yield page
            position = scan.position
            silent += position == before
        raise UnavailableError(f"{EVENTS} has messages behind position {position} and does not deliver them")

    async def _consumed(self, scan: Scan, made: Consumer, give: Callable[[], Page]) -> AsyncGenerator[Page, None]:
        """Yield what the consumer delivers, until it has nothing more or is in doubt."""
        pull = _Pull(scan)
        with suppress(Lost):
            async with self._link.tapped(pull) as reply:
                scan.restart()
                async with aclosing(self._pulled(pull, made, reply, give)) as pages:
                    async for page in pages:
                        yield page

    async def _pulled(
        self, pull: "_Pull", made: Consumer, reply: str, give: Callable[[], Page]
    ) -> AsyncGenerator[Page, None]:
        """Yield what the consumer delivers; while a page is worked on, the next one is under way."""
        page: asyncio.Task[bool] = asyncio.create_task(self._pull(pull, made, reply))
        try:
            while await page:
                given = give()
                page = asyncio.create_task(self._pull(pull, made, reply))
                yield given
            yield give()
        finally:
            page.cancel()
            await asyncio.wait([page])

    async def _pull(self, pull: "_Pull", made: Consumer, reply: str) -> bool:
        """Read one page; return whether the consumer has more, without a doubt."""
        if pull.scan.pending == 0 or pull.scan.is_broken:
            return False
        pull.start()
        await self._link.send(made.next_subject, _PULL, reply=reply)
        return await pull.over() and not pull.scan.is_broken

    async def _closer(
        self, given: Given, unread: Mapping[SessionKey, int], left_out: set[SessionKey]
    ) -> AsyncGenerator[Scanned[Recorded], None]:
        """Yield the rest of each session that needs a closer look from here on, and leave it out of the scan."""
        for key, seq in [*((session_of(name), seq) for name, seq in given[_ODD]), *unread.items()]:
            if key is not None and key not in left_out:
                left_out.add(key)
                async with aclosing(self._rest(key, after=seq)) as rest:
                    async for part in rest:
                        yield part

    async def _rest(self, key: SessionKey, *, after: int) -> AsyncGenerator[Scanned[Recorded], None]:
        """Yield the rest of a session that needs a closer look, a page at a time."""
        events: list[Recorded] = []
        held = 0
        damage: dict[SessionKey, CorruptLogError] = {}
        sealed: dict[SessionKey, SealError] = {}
        try:
            async for recorded in self._reader.read(key, after=after, until=None):
                events.append(recorded)
                held += len(recorded.body)
                if len(events) >= PAGE_EVENTS or held >= PAGE_BYTES:
                    yield Scanned(events=events)
                    events, held = [], 0
        except CorruptLogError as error:
            damage[key] = error
        except SealError as error:
            sealed[key] = error
        yield Scanned(events=events, damage=damage, sealed=sealed)


class _Pull:
    """Take the deliveries of one consumer, and wake the one who waits when a pull is over."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self._until = 0
        self._is_lost = False
        self._arrived = asyncio.Event()

    def start(self) -> None:
        """Expect another page."""
        self._until = self.scan.delivered + PAGE_EVENTS

    async def over(self) -> bool:
        """Wait until the pull is over; return whether another may follow."""
        scan, before = self.scan, -1
        while True:
            if scan.delivered >= self._until or scan.pending == 0:
                return True
            if self._is_lost or scan.is_broken or scan.status is not None:
                return scan.status == SIZE_REACHED and not self._is_lost
            if scan.delivered == before:
                return False  # a heartbeat came while something should be under way: it stands still
            before = scan.delivered
            self._arrived.clear()
            try:
                async with asyncio.timeout(SILENCE_S):
                    await self._arrived.wait()
            except TimeoutError:
                return False

    def take(self, frames: bytes) -> None:
        self.scan.receive(frames)
        self._arrived.set()

    def lose(self) -> None:
        self._is_lost = True
        self._arrived.set()


def _config(position: int, partitions: Sequence[int]) -> dict[str, Any]:
    """Return where a consumer starts that is to deliver *partitions* behind *position*."""
    start: dict[str, Any] = {"deliver_policy": "by_start_sequence", "opt_start_seq": position + 1}
    subjects = [f"retold.ev.{number}.>" for number in sorted(set(partitions))]
    return start | {"filter_subjects": subjects} if subjects else start


def check_partitions(partitions: Sequence[int]) -> None:
    """Check the partitions of a scan.

    Raises:
        InputError: if one is out of range.
    """
    for number in partitions:
        if number not in range(PARTITIONS):
            raise InputError(f"expected partitions from 0 to {PARTITIONS - 1}, got {number}")


def recorded_of(given: Given) -> list[Recorded | None]:
    """Return the events, and None in the place of each that cannot be read."""
    kinds, bodies, hashes, lines, *_ = given
    try:
        return list(map(Recorded, events_of(kinds, lines), bodies, hashes)) if bodies else []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [_decoded(body) for body in bodies]


def _decoded(body: bytes) -> Recorded | None:
    try:
        return decode(body)
    except CorruptLogError:
        return None


def unread_of(given: Given, events: list[Recorded | None]) -> dict[SessionKey, int]:
    """Return the sessions with an event that cannot be read, and the sequence before it.

    *events* loses what follows in them.
    """
    unread: dict[SessionKey, int] = {}
    if None not in events:
        return unread
    for at, (body, recorded) in enumerate(zip(given[1], events, strict=True)):
        place = _PLACE.match(body)
        assert place is not None, "the core has read it"
        tenant, session = (place[group].decode("utf-8", "replace") for group in (1, 2))
        key = SessionKey(tenant=tenant, session=session)
        if key in unread:
            events[at] = None
        elif recorded is None:
            unread[key] = int(place[3]) - 1
    return unread


def _together(
    events: Sequence[Recorded | None],
    before: Sequence[CoreRun | None],
    unread: Mapping[SessionKey, int],
    left_out: AbstractSet[SessionKey],
) -> list[Recorded | Run]:
    """Return the events, each behind the run before it, without sessions that are left out."""
    parts: list[Recorded | Run] = []
    for run, recorded in zip(before, events, strict=True):
        if run is not None:
            parts += (one for one in _kept([run], left_out) if run.seq <= unread.get(one.key, SEQ_MAX))
        if recorded is not None and (not left_out or recorded.event.key not in left_out):
            parts.append(recorded)
    return parts


def _kept(runs: Sequence[CoreRun], left_out: AbstractSet[SessionKey]) -> list[Run]:
    """Return *runs* without those of sessions that are left out."""
    named = [Run(key=key_of(run.subject), core=run) for run in runs]
    return [run for run in named if run.key not in left_out]
