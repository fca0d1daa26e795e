"""What every log promises of the events that come with their wakes: those that follow, checked, and nothing else."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest
from tests.log.conftest import WAIT_S, Logs, read, take

from retold.events import Draft, Head, Recorded, SessionKey
from retold.ports import Log


async def _come(log: Log, key: SessionKey, head: Head, *, until: int) -> list[Recorded]:
    """Return what wakes bring along, reading what they do not, as a worker does, up to sequence *until*."""
    got: list[Recorded] = []
    async with aclosing(log.wakes()) as wakes, asyncio.timeout(WAIT_S):
        async for wake in wakes:
            if wake.key != key:
                continue
            came = list(log.arrived(key, head=head))
            got += came
            head = came[-1].head if came else head
            if wake.seq > head.seq:
                got += [one async for one in log.read(key, after=head.seq)]
                head = got[-1].head
                log.arrived(key, head=head)
            if head.seq >= until:
                return got
    raise AssertionError("wakes have no end")


def test_what_wakes_bring_along_and_what_is_read_is_everything_once(
    logs: Logs, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """Whoever takes what comes with the wakes, and reads the rest, has each event of a session once, in order."""

    async def run() -> None:
        async with logs.open() as log, logs.open() as writer:
            await writer.append(key, take(drafts, 3))
            coming = asyncio.create_task(_come(log, key, Head(), until=33))
            for nth in range(30):
                await writer.append(key, take(drafts, 1))
                if nth % 7 == 0:
                    await asyncio.sleep(0.02)
            assert await coming == await read(writer, key)

    asyncio.run(run())


def test_events_come_with_their_wakes_once_a_session_is_followed(
    logs: Logs, key: SessionKey, drafts: Iterator[Draft], request: pytest.FixtureRequest
) -> None:
    """Once I have said where a session stands, its next events come along, and no others; what is sealed is read."""
    is_sealed = "sealed" in request.node.name
    other = SessionKey(key.tenant, f"{key.session}-other")

    async def run() -> None:
        async with logs.open() as log, logs.open() as writer, asyncio.timeout(WAIT_S):
            head = (await writer.append(key, take(drafts, 2)))[-1].head
            came: list[Recorded] = []
            async with aclosing(log.wakes()) as wakes:
                async for wake in wakes:
                    if wake.key == key and wake.seq == 2:
                        assert list(log.arrived(key, head=head)) == []
                        await asyncio.sleep(0.05)
                        for _ in range(3):
                            await writer.append(key, take(drafts, 2))
                        await writer.append(other, take(drafts, 1))
                    if wake.key == key and wake.seq > 2:
                        came += log.arrived(key, head=came[-1].head if came else head)
                    if wake.key == key and wake.seq == 8:
                        break
            assert came == ([] if is_sealed else (await read(writer, key))[2:])

    asyncio.run(run())


def test_what_does_not_follow_where_i_say_that_i_am_is_not_given(
    logs: Logs, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """If I say that a session stands elsewhere, under another hash, nothing wrong comes along."""

    async def run() -> None:
        async with logs.open() as log, logs.open() as writer, asyncio.timeout(WAIT_S):
            await writer.append(key, take(drafts, 3))
            wrong = Head(seq=3, hash="f" * 64)
            async with aclosing(log.wakes()) as wakes:
                async for wake in wakes:
                    if wake.key == key and wake.seq == 3:
                        assert list(log.arrived(key, head=wrong)) == []
                        await asyncio.sleep(0.05)
                        await writer.append(key, take(drafts, 2))
                    if wake.key == key and wake.seq == 5:
                        assert list(log.arrived(key, head=wrong)) == []
                        log.leave(key)
                        return

    asyncio.run(run())


def test_what_comes_along_while_the_end_is_asked_for_is_no_damage(
    logs: Logs, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """However fast others write, asking where a session ends never takes what is newer than the answer for lost."""

    async def run() -> None:
        async with logs.open() as log, logs.open() as writer:
            head = (await writer.append(key, take(drafts, 1)))[-1].head
            coming = asyncio.create_task(_come(log, key, head, until=400))
            writing = asyncio.create_task(_write(writer, key, drafts, 400))
            while not coming.done():
                await log.head(key)
                await asyncio.sleep(0)
            await writing
            assert coming.result()[-1].event.seq >= 400

    asyncio.run(run())


async def _write(log: Log, key: SessionKey, drafts: Iterator[Draft], number: int) -> None:
    for _ in range(number):
        await log.append(key, take(drafts, 1))
