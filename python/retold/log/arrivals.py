"""Arrivals: new messages of the followed partitions, read once: they wake, and bring what a live session needs.

Rules:
- A session whose place is known is followed: the core checks that what comes follows it, and it is held until somebody
  asks. All others are woken by name only, and read when their turn comes.
- What is not plainly the next event (a claim, a sealed event, a gap, damage) ends the following, and wakes: the reader
  finds out what it is. Whoever has read a session follows it again.
- What is held has a limit. Beyond it sessions are woken by name, as if nobody followed them.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from retold.events import VERSION, Head, Recorded, SessionKey
from retold.events.lines import KINDS
from retold.log.consumers import SILENCE_S, Consumer, consumer, pull_of
from retold.log.link import Link, Lost
from retold.log.names import EVENTS, event_subject, key_of
from retold.log.packing import PACKING
from retold.log.scanning import Given, recorded_of, unread_of
from retold.log.trails import Mark, Trails
from retold.wire import Scan

PULL_EVENTS = 4096
"""Messages asked for at a time: what may lie here unread; the server sends them as they come."""
PULL_BYTES_MAX = 16 * 1024 * 1024
"""The most bytes asked for at a time: holds 64 of the largest messages."""
HELD_BYTES_MAX = 64 * 1024 * 1024
"""How many bytes of events are held for sessions whose turn has not come."""

_PULL = pull_of(events=PULL_EVENTS, bytes_max=PULL_BYTES_MAX)
_PULL_OVER = frozenset({404, 408, 409})
"""Statuses that end a pull. 409 may also say that the consumer is gone: then the next pull is met with silence."""


class Arrivals:
    """Hold what came of the sessions that are followed."""

    def __init__(self, link: Link, trails: Trails) -> None:
        """Read from *link*, and note in *trails* where sessions end."""
        self._link = link
        self._trails = trails
        self._scan = Scan.live(VERSION, KINDS, PACKING)
        self._came: dict[SessionKey, list[Recorded]] = {}
        self._held_bytes = 0
        self._is_scanning = False

    def take(self, key: SessionKey, *, head: Head) -> list[Recorded]:
        """Return what came behind *head* of the session, checked to follow, and follow it from there on."""
        came = self._drop(key)
        behind = [recorded for recorded in came if recorded.event.seq > head.seq]
        if behind and (behind[0].event.seq != head.seq + 1 or behind[0].event.prev != head.hash):
            self._scan.leave(event_subject(key))
            behind = []
        end = behind[-1].head if behind else head
        if end.seq:
            self._scan.follow(event_subject(key), end.seq, end.hash)
        return behind

    def leave(self, key: SessionKey) -> None:
        """Hold nothing of the session any more."""
        self._drop(key)
        self._scan.leave(event_subject(key))

    async def newer(
        self, subjects: Sequence[str], position: int, *, until: "asyncio.Future[None]"
    ) -> AsyncGenerator[tuple[int, Mapping[SessionKey, int]], None]:
        """Yield the sessions that had messages after stream *position*, each with its newest sequence, until *until*.

        With them comes the position that has been read up to.

        Raises:
            Lost: when it cannot be said any more that nothing is missing.
            UnavailableError: if the server does not answer within the link's retries.
        """
        if self._is_scanning:  # for somebody else: from now on sessions are followed here, and the other's are read
            self._scan = Scan.live(VERSION, KINDS, PACKING)
        scan, self._is_scanning = self._scan, True
        pull = _Pull(scan)
        until.add_done_callback(lambda _: pull.lose())
        start = {"deliver_policy": "by_start_sequence", "opt_start_seq": position + 1}
        filters: dict[str, Any] = (
            {"filter_subject": subjects[0]} if len(subjects) == 1 else {"filter_subjects": list(subjects)}
        )
        try:
            async with consumer(self._link, EVENTS, start | filters) as made, self._link.tapped(pull) as reply:
                scan.restart()
                while True:
                    await self._link.send(made.next_subject, _PULL, reply=reply)
                    async for given in pull.given(made):
                        woken = self._hold(given)
                        if woken:
                            yield max(position, scan.position), woken
        except Lost:
            if not until.done():
                raise
        finally:
            self._is_scanning = self._is_scanning and scan is not self._scan

    def _hold(self, given: Given) -> dict[SessionKey, int]:
        """Hold the events of sessions that are followed; return all sessions that had messages."""
        ends = {key_of(subject): (seq, position) for subject, seq, position in given[-1]}
        events = recorded_of(given)
        for key in unread_of(given, events):
            self.leave(key)
        came = self._came
        for recorded in events:
            if recorded is not None:
                key = recorded.event.key
                if key in came:
                    came[key].append(recorded)
                else:
                    came[key] = [recorded]
                self._held_bytes += len(recorded.body)
        for key, (seq, position) in ends.items():
            last = came[key][-1] if key in came else None
            if last is not None and last.event.seq == seq:
                self._note(key, Mark(head=last.head, position=position))
        while self._held_bytes > HELD_BYTES_MAX:
            self.leave(next(iter(came)))
        return {key: seq for key, (seq, _) in ends.items()}

    def _note(self, key: SessionKey, mark: Mark) -> None:
        trail = self._trails.of(key)
        trail.note(mark)
        if trail.end is None or trail.end.head.seq < mark.head.seq:
            trail.end = mark

    def _drop(self, key: SessionKey) -> list[Recorded]:
        came = self._came.pop(key, [])
        self._held_bytes -= sum(len(recorded.body) for recorded in came)
        return came


class _Pull:
    """Take the deliveries of one consumer, and wake the one who waits for them."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._arrived = asyncio.Event()
        self._is_lost = False

    async def given(self, made: Consumer) -> AsyncGenerator[Given, None]:
        """Yield what comes until this pull is over and the server wants another.

        Raises:
            Lost: if a delivery was lost, the consumer is silent, or it stands still before a message that the server
                cannot read.
        """
        scan, first, before = self._scan, self._scan.delivered, -1
        while True:
            await self._wait()
            is_over = scan.status in _PULL_OVER
            if scan.status is not None and not is_over:
                raise Lost(f"the consumer ended with status {scan.status}")
            if scan.delivered == before and not is_over and before < made.pending:
                raise Lost("the consumer stands still before a message that cannot be read")
            before = scan.delivered
            yield scan.give()
            if scan.is_broken:
                raise Lost("a delivery was lost on the way")
            if is_over or scan.delivered - first >= PULL_EVENTS:
                return

    async def _wait(self) -> None:
        if self._is_lost:
            raise Lost("the connection was lost, or no more is wanted")
        try:
            async with asyncio.timeout(SILENCE_S):
                await self._arrived.wait()
        except TimeoutError:
            raise Lost("the consumer fell silent") from None
        self._arrived.clear()
        if self._is_lost:
            raise Lost("the connection was lost, or no more is wanted")

    def take(self, frames: bytes) -> None:
        self._scan.receive(frames)
        self._arrived.set()

    def lose(self) -> None:
        self._is_lost = True
        self._arrived.set()
