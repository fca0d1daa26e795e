"""Scanning: the whole stream in its own order, by batched direct gets, read and checked in the core.

Rules:
- The core gives what is plainly the next event of its session. A session with anything else (a claim, an older schema,
  damage) is left out from there on, and read by the reader, who knows what that is.
- The next page is asked for before the last one is worked on, so that the server reads while we fold.
- A replica that lags may end a page early. So the end is believed only when the leader has nothing more either.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec
from msgspec import Struct

from retold.errors import CorruptLogError, InputError, UnavailableError
from retold.events import VERSION, Event, Recorded, SessionKey, decode
from retold.events.lines import KINDS, events_of
from retold.log import api
from retold.log.link import Link, Lost
from retold.log.names import EVENTS, EVENTS_ALL, PARTITIONS, key_of
from retold.log.reader import Reader
from retold.ports import Scanned
from retold.wire import Scan

PAGE_EVENTS = 4096
"""Events of one page: some 20 ms of folding."""
PAGE_BYTES = 8 * 1024 * 1024
"""A page ends at either limit; two of them are held at once."""
LAGS_MAX = 100
"""How often a replica may say that there is nothing more where the leader has more."""
NO_RESPONDERS = 503

Given = tuple[bytes, list[bytes], list[str], list[tuple[int, bytes]], list[tuple[str, int]], int]
"""What `Scan.give` returns."""


class _Place(Struct):
    tenant: str
    session: str
    seq: int


_places = msgspec.json.Decoder(_Place)


class Scanner:
    """Scan the event stream."""

    def __init__(self, link: Link, reader: Reader) -> None:
        self._link = link
        self._reader = reader

    async def scan(self, partitions: Sequence[int]) -> AsyncGenerator[Scanned, None]:
        """Yield the events of *partitions*; see `retold.ports.Log.scan`."""
        check_partitions(partitions)
        for subject in [f"retold.ev.{number}.>" for number in dict.fromkeys(partitions)] or [EVENTS_ALL]:
            async with aclosing(self._scan(subject)) as parts:
                async for part in parts:
                    yield part

    async def _scan(self, subject: str) -> AsyncGenerator[Scanned, None]:
        pages = _Pages(self._link, subject)
        left_out: set[SessionKey] = set()
        page = asyncio.ensure_future(self._next(pages))
        try:
            while (given := await page) is not None:
                page = asyncio.ensure_future(self._next(pages))
                kinds, bodies, hashes, lines, odd, _ = given
                events, unread = _recorded(kinds, bodies, hashes, lines, left_out)
                yield Scanned(events=events)
                for key, seq in [*((key_of(name), seq) for name, seq in odd), *unread]:
                    if key not in left_out:
                        left_out.add(key)
                        yield await self._closer(key, after=seq)
        finally:
            page.cancel()
            await asyncio.wait([page])
            pages.close()

    async def _next(self, pages: "_Pages") -> Given | None:
        """Return the next page, or None if the stream has no more.

        Raises:
            UnavailableError: if no answer came within the link's retries, or only from a replica that lags.
        """
        for _ in range(LAGS_MAX):
            before = pages.position
            await self._link.retry(pages.read)
            given = pages.give()
            if pages.position > before:
                return given
            if await api.get(self._link, EVENTS, {"seq": before + 1, "next_by_subj": pages.subject}) is None:
                return None
        raise UnavailableError(f"a replica of {EVENTS} lags: it has nothing after position {before}, the leader has")

    async def _closer(self, key: SessionKey, *, after: int) -> Scanned:
        """Return the rest of a session that needs a closer look."""
        events: list[Recorded] = []
        try:
            async for recorded in self._reader.read(key, after=after, until=None):
                events.append(recorded)  # noqa: PERF401 -- what came before the damage is kept
        except CorruptLogError as error:
            return Scanned(events=events, damage=(error,))
        return Scanned(events=events)


class _Pages:
    """Ask for pages, one after the other, and let the core read them."""

    def __init__(self, link: Link, subject: str) -> None:
        self.subject = subject
        self.position = 0
        self._link = link
        self._run = link.tap.new_run()
        self._scan = Scan(VERSION, KINDS)
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        link.tap.open(self._run, self)

    def close(self) -> None:
        """Ask for no more."""
        self._link.tap.close(self._run)

    def give(self) -> Given:
        """Return what the last page brought."""
        given = self._scan.give()
        self.position = given[-1]
        return given

    async def read(self) -> None:
        """Read one page. What an earlier try has brought of it is not taken twice.

        Raises:
            Lost: if the connection was lost, or no answer came in time.
        """
        self._ended = asyncio.get_running_loop().create_future()
        request = {
            "seq": self.position + 1,
            "next_by_subj": self.subject,
            "batch": PAGE_EVENTS,
            "max_bytes": min(PAGE_BYTES, PAGE_EVENTS * self._link.max_payload_bytes),
        }
        reply = f"{self._link.tap.subject(self._run)}0"
        await self._link.send(f"$JS.API.DIRECT.GET.{EVENTS}", msgspec.json.encode(request), reply=reply)
        await self._link.wait(self._ended)

    def take(self, frames: bytes) -> None:
        self._scan.receive(frames)
        status = self._scan.status
        if status == NO_RESPONDERS and not self._ended.done():
            self._ended.set_exception(Lost("no responders: the stream has no leader now"))
        elif status is not None and not self._ended.done():
            self._ended.set_result(None)

    def lose(self) -> None:
        if not self._ended.done():
            self._ended.set_exception(Lost("the connection was lost"))


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
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _recorded_one_by_one(bodies, left_out)
    if left_out:
        events = [one for one in events if session_of(one.event) not in left_out]
    return events, []


def _recorded_one_by_one(
    bodies: list[bytes], left_out: set[SessionKey]
) -> tuple[list[Recorded], list[tuple[SessionKey, int]]]:
    events: list[Recorded] = []
    unread: dict[SessionKey, int] = {}
    for body in bodies:
        place = _places.decode(body)
        key = SessionKey(tenant=place.tenant, session=place.session)
        if key in left_out or key in unread:
            continue
        try:
            events.append(decode(body))
        except CorruptLogError:
            unread[key] = place.seq - 1
    return events, list(unread.items())


def session_of(event: Event) -> SessionKey:
    """Return the session that *event* belongs to."""
    return SessionKey(tenant=event.tenant, session=event.session)
