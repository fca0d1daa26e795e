"""What every log promises to those who wait: follow, wakes, and the list of sessions."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

from tests.log.conftest import WAIT_S, Logs, read, take

from retold.events import Draft, SessionKey
from retold.ports import Log, SessionEnd, Snapshot


def test_follow_gives_what_was_and_then_what_comes(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Following from a place gives me each later event once, in order, as it is appended."""

    async def run() -> None:
        async with logs.open() as log, logs.open() as writer, asyncio.timeout(WAIT_S):
            await writer.append(key, take(drafts, 3))
            got = []
            async with aclosing(log.follow(key, after=1)) as events:
                async for recorded in events:
                    got.append(recorded.event.seq)
                    if recorded.event.seq in (3, 4):
                        await writer.append(key, take(drafts, recorded.event.seq - 2))
                    if recorded.event.seq == 6:
                        break
            assert got == [2, 3, 4, 5, 6]

    asyncio.run(run())


def test_follow_waits_for_a_session_that_is_not_there_yet(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """I can follow a session before its first event, and from a place that it has not reached."""

    async def first(log: Log, *, after: int) -> int:
        async with aclosing(log.follow(key, after=after)) as events:
            async for recorded in events:
                return recorded.event.seq
        raise AssertionError("a follow has no end")

    async def run() -> None:
        async with logs.open() as log, logs.open() as writer, asyncio.timeout(WAIT_S):
            early = asyncio.create_task(first(log, after=0))
            ahead = asyncio.create_task(first(log, after=3))
            await asyncio.sleep(0)
            for _ in range(5):
                await writer.append(key, take(drafts, 1))
            assert (await early, await ahead) == (1, 4)

    asyncio.run(run())


def test_wakes_name_every_session_and_then_each_that_grows(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """A worker learns of every session that is there, and of each one that grows afterwards."""
    keys = [SessionKey(tenant=tenant, session=f"s{number}") for number in range(5)]

    async def run() -> None:
        async with logs.open() as log, logs.open() as writer, asyncio.timeout(WAIT_S):
            for key in keys:
                await writer.append(key, take(drafts, 2))
            want = dict.fromkeys(keys, 2)
            async with aclosing(log.wakes()) as wakes:
                async for wake in wakes:
                    if want.get(wake.key) == wake.seq:
                        del want[wake.key]
                    if not want and wake.seq == 7:
                        break
                    if not want:
                        await writer.append(keys[3], take(drafts, 5))
                        want[keys[3]] = 7

    asyncio.run(run())


def test_sessions_lists_each_with_its_end_in_order(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """I get every session and where it ends, ordered by name."""
    keys = [SessionKey(tenant=tenant, session=name) for name in ("c", "a", "b=", "B-1")]

    async def run() -> None:
        async with logs.open() as log:
            for number, key in enumerate(keys, start=1):
                await log.append(key, take(drafts, number))
            listed = [end for end in await log.sessions() if end.key.tenant == tenant]
            ends = [SessionEnd(key=key, seq=number) for number, key in enumerate(keys, start=1)]
            assert listed == sorted(ends, key=lambda end: end.key)

    asyncio.run(run())


def test_long_feeds_and_lists_are_whole(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """Hundreds of sessions are listed and woken whole, and a follower gets hundreds of events in order."""
    keys = [SessionKey(tenant=tenant, session=f"s{number:03}") for number in range(600)]

    async def run() -> None:
        async with logs.open() as log, asyncio.timeout(WAIT_S):
            for first in range(0, 600, 100):
                await asyncio.gather(*(log.append(key, take(drafts, 1)) for key in keys[first : first + 100]))
            assert [end.key for end in await log.sessions() if end.key.tenant == tenant] == keys
            missing = set(keys)
            async with aclosing(log.wakes()) as wakes:
                while missing:
                    missing.discard((await anext(wakes)).key)
            await log.append(keys[0], take(drafts, 999))
            follow = log.follow(keys[0])
            async with aclosing(follow):
                assert [(await anext(follow)).event.seq for _ in range(1000)] == list(range(1, 1001))

    asyncio.run(run())


def test_sessions_do_not_mix(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """Sessions of one name under two tenants, or of two names, share nothing."""
    keys = [SessionKey(tenant=tenant, session="x"), SessionKey(tenant=f"{tenant}2", session="x")]

    async def run() -> None:
        async with logs.open() as log:
            for number, key in enumerate(keys, start=1):
                await log.append(key, take(drafts, number))
                await log.save_snapshot(key, Snapshot(seq=1, body=key.tenant.encode()))
            for number, key in enumerate(keys, start=1):
                assert len(await read(log, key)) == number
                assert await log.load_snapshot(key) == Snapshot(seq=1, body=key.tenant.encode())

    asyncio.run(run())
