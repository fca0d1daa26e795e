"""Wakes: every session of the followed partitions once, then each that grows.

Rules:
- One consumer follows them all. One for each partition was measured: with 64 of them, the server took three times the
  time for an event, the client half as much again; one with 32 filters costs as much as 32 consumers.
- Partitions that come are listed, for much may have happened in them. Those that stay go on from where they were: a
  fleet that shares its work anew must not look at every session again.
- After a break all are listed: what was written meanwhile, or lost by the server, shows in that.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress

from retold.lease_ports import PARTITIONS, Partitions
from retold.log import api
from retold.log.api import Stored
from retold.log.arrivals import Arrivals
from retold.log.feed import Feed
from retold.log.headers import seq_of
from retold.log.link import Link, Lost
from retold.log.names import EVENTS, event_subjects, session_of
from retold.ports import SessionEnd

_ALL: Mapping[int, int] = dict.fromkeys(range(PARTITIONS), 0)


async def wakes(link: Link, partitions: Partitions | None, arrivals: Arrivals) -> AsyncGenerator[SessionEnd, None]:
    """Yield what `retold.ports.Log.wakes` says; a session whose last message names no sequence is woken with 0.

    What comes of sessions that are followed is held in *arrivals*.

    Raises:
        UnavailableError: if the server does not come back within the link's retries.
    """
    listed: Mapping[int, int] = {}
    position = 0
    while True:
        followed = dict(_ALL if partitions is None else partitions.followed)
        gained = [number for number, claim in followed.items() if listed.get(number) != claim]
        if gained:
            end = await _end(link)
            if len(gained) == len(followed):
                position = end
            for stored in await Feed(link, EVENTS, *event_subjects(gained)).lasts_now():
                if (woken := _woken(stored)) is not None:
                    yield woken
        listed = {}
        changed = asyncio.ensure_future(_changed(partitions, followed))
        try:
            if not followed:
                await changed
            with suppress(Lost):
                newer = _newer(arrivals, followed, position, until=changed)
                async with aclosing(newer) as ends:
                    async for position, woken in ends:  # noqa: B007 -- where the next one starts
                        yield woken
                listed = followed
        finally:
            changed.cancel()


async def _newer(
    arrivals: Arrivals, followed: Mapping[int, int], position: int, *, until: "asyncio.Future[None]"
) -> AsyncGenerator[tuple[int, SessionEnd], None]:
    """Yield each session that grew after *position*, and up to where was read; what lies here already comes as one."""
    if not followed:
        return
    async with aclosing(arrivals.newer(event_subjects(followed), position, until=until)) as newer:
        async for read, woken in newer:
            for key, seq in woken.items():
                yield read, SessionEnd(key=key, seq=seq)


async def _changed(partitions: Partitions | None, followed: Mapping[int, int]) -> None:
    if partitions is None:
        await asyncio.get_running_loop().create_future()
    else:
        await partitions.changed(followed)


def _woken(stored: Stored) -> SessionEnd | None:
    """Return the session that grew; None for a message on a subject that is no session's (`dead_letters`)."""
    key = session_of(stored.subject)
    return None if key is None else SessionEnd(key=key, seq=max(seq_of(stored), 0))


async def _end(link: Link) -> int:
    info = await api.call(link, f"STREAM.INFO.{EVENTS}")
    return int(info["state"]["last_seq"])
