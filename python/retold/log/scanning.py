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
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Any

import msgspec

from retold.errors import CorruptLogError, InputError, SealError, UnavailableError
from retold.events import VERSION, Recorded, SessionKey, decode
from retold.events.lines import KINDS, events_of
from retold.log.consumers import SILENCE_S, Consumer, consumer, pull_of
from retold.log.link import Link, Lost
from retold.log.names import EVENTS, PARTITIONS, key_of
from retold.log.packing import PACKING
from retold.log.reader import Reader
from retold.ports import Scanned
from retold.wire import Scan

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

Given = tuple[bytes, list[bytes], list[str], list[tuple[int, bytes]], list[tuple[str, int]], int]
"""What `Scan.give` returns."""


_PLACE = re.compile(
    rb'\{"v":\d+,"id":"(?:[^"\\]|\\.)*","tenant":"([^"\\]*)","session":"([^"\\]*)","seq":(\d+),', re.DOTALL
)
"""Where an event stands, whatever follows: the core gives only what begins so, and what follows may be no JSON."""


class Scanner:
    """Scan the event stream."""

    def __init__(self, link: Link, reader: Reader) -> None:
        self._link = link
        self._reader = reader

    async def scan(self, partitions: Sequence[int]) -> AsyncGenerator[Scanned, None]:
        """Yield the events of *partitions*; see `retold.ports.Log.scan`."""
        check_partitions(partitions)
        scan = Scan(VERSION, KINDS, PACKING)
        position, left_out, silent = 0, set[SessionKey](), 0
        while silent <= SILENT_MAX:
            before = position
            async with consumer(self._link, EVENTS, _config(position, partitions)) as made:
                if made.pending == 0:
                    return
                async with aclosing(self._consumed(scan, made)) as pages:
                    async for given in pages:
                        position = given[-1]
                        async for part in self._parts(given, left_out):
                            yield part
            silent += position == before
        raise UnavailableError(f"{EVENTS} has messages behind position {position} and does not deliver them")

    async def _consumed(self, scan: Scan, made: Consumer) -> AsyncGenerator[Given, None]:
        """Yield what the consumer delivers, until it has nothing more or is in doubt."""
        pull = _Pull(scan)
        with suppress(Lost):
            async with self._link.tapped(pull) as reply:
                scan.restart()
                async with aclosing(self._pages(pull, made, reply)) as pages:
                    async for given in pages:
                        yield given

    async def _pages(self, pull: "_Pull", made: Consumer, reply: str) -> AsyncGenerator[Given, None]:
        """Yield what the consumer delivers; while a page is worked on, the next one is under way."""
        page: asyncio.Task[bool] = asyncio.create_task(self._pull(pull, made, reply))
        try:
            while await page:
                given = pull.scan.give()
                page = asyncio.create_task(self._pull(pull, made, reply))
                yield given
            yield pull.scan.give()
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

    async def _parts(self, given: Given, left_out: set[SessionKey]) -> AsyncGenerator[Scanned, None]:
        kinds, bodies, hashes, lines, odd, _ = given
        events, unread = _recorded(kinds, bodies, hashes, lines, left_out)
        if events:
            yield Scanned(events=events)
        for key, seq in [*((key_of(name), seq) for name, seq in odd), *unread]:
            if key not in left_out:
                left_out.add(key)
                async with aclosing(self._closer(key, after=seq)) as rest:
                    async for part in rest:
                        yield part

    async def _closer(self, key: SessionKey, *, after: int) -> AsyncGenerator[Scanned, None]:
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


def _recorded(
    kinds: bytes, bodies: list[bytes], hashes: list[str], lines: list[tuple[int, bytes]], left_out: set[SessionKey]
) -> tuple[list[Recorded], list[tuple[SessionKey, int]]]:
    """Return the events, and the sessions that hold one that cannot be read, with the last sequence before it."""
    try:
        events = list(map(Recorded, events_of(kinds, lines), bodies, hashes)) if bodies else []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _recorded_one_by_one(bodies, left_out)
    if left_out:
        events = [one for one in events if one.event.key not in left_out]
    return events, []


def _recorded_one_by_one(
    bodies: list[bytes], left_out: set[SessionKey]
) -> tuple[list[Recorded], list[tuple[SessionKey, int]]]:
    events: list[Recorded] = []
    unread: dict[SessionKey, int] = {}
    for body in bodies:
        place = _PLACE.match(body)
        assert place is not None, "the core has read it"
        tenant, session = (place[group].decode("utf-8", "replace") for group in (1, 2))
        key = SessionKey(tenant=tenant, session=session)
        if key in left_out or key in unread:
            continue
        try:
            events.append(decode(body))
        except CorruptLogError:
            unread[key] = int(place[3]) - 1
    return events, list(unread.items())
