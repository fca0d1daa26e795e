"""What every log promises to repairs and restores: exact bytes, all or damage, and nothing lost on the way."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence

import pytest
from tests.log.conftest import Logs, read, read_to_damage, take

from retold.errors import ConflictError, CorruptLogError
from retold.events import Draft, Head, Kept, Recorded, SessionKey, kept, record
from retold.ports import Log


async def each(events: Sequence[Recorded]) -> AsyncGenerator[Kept, None]:
    """Give *events* as a source would."""
    for recorded in events:
        yield kept(recorded.body)


def made(drafts: Iterator[Draft], key: SessionKey, number: int) -> list[Recorded]:
    """Return the events of a session that no log has."""
    return record(take(drafts, number), key=key, head=Head())


def test_a_copy_has_the_same_bytes_and_goes_on(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """A session that I copied in reads as the one it came from, and I can append to it."""

    async def run() -> None:
        events = made(drafts, key, 450)
        async with logs.open() as log:
            assert await log.stored_end(key) == Head()
            await log.copy(key, each(events[:250]), until=250)
            await log.copy(key, each(events[250:]), until=450)
            assert await log.stored_end(key) == await log.head(key) == events[-1].head
        async with logs.open() as log:
            assert await read(log, key) == events
            assert (await log.append(key, take(drafts, 1)))[0].event.seq == 451

    asyncio.run(run())


def test_a_copy_that_does_not_follow_is_refused(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Events that do not follow what is there, or each other, or end too soon, are not taken for a session."""

    async def run() -> None:
        events = made(drafts, key, 9)
        async with logs.open() as log:
            await log.copy(key, each(events[:3]), until=3)
            for wrong in (events[4:], [events[3], events[5]], events):
                with pytest.raises(CorruptLogError):
                    await log.copy(key, each(wrong), until=9)
            with pytest.raises(CorruptLogError, match="its source ends before"):
                await log.copy(key, each(events[3:8]), until=9)

    asyncio.run(run())


@pytest.mark.parametrize("lost", [[1], [4], [9], [2, 3, 8], list(range(1, 10))], ids=str)
def test_what_is_lost_is_put_back(logs: Logs, key: SessionKey, drafts: Iterator[Draft], lost: list[int]) -> None:
    """After events were lost, what is left can be salvaged, and the whole put in its place reads as it was for all."""

    async def check(log: Log, events: list[Recorded]) -> None:
        assert await read(log, key) == events
        for after in range(10):
            assert await read(log, key, after=after) == events[after:]

    async def run() -> None:
        async with logs.open() as log, logs.open() as other:
            events = await log.append(key, take(drafts, 9))
            await check(other, events)
            for seq in lost:
                await logs.lose(key, seq)
            salvaged = [one.body async for one in log.salvage(key)]
            assert salvaged == [one.body for one in events if one.event.seq not in lost]
            await log.replace(key, each(events), until=9, instead_of=await log.stored_end(key))
            for reader in (log, other):
                await check(reader, events)
            again = await other.append(key, take(drafts, 1))
            assert [one.event.seq for one in again] == [10]
            async with logs.open() as fresh:
                await check_all(fresh, [*events, *again])

    async def check_all(log: Log, events: list[Recorded]) -> None:
        assert await read(log, key) == events
        assert {one.body async for one in log.salvage(key)} == {one.body for one in events}

    asyncio.run(run())


def test_a_copy_that_broke_off_is_damage_and_can_be_taken_up(
    logs: Logs, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """A copy whose source failed half-way cannot be read as a whole session or appended to; done again, it is whole."""

    async def failing(events: Sequence[Recorded]) -> AsyncGenerator[Kept, None]:
        for recorded in events:
            yield kept(recorded.body)
        raise ConflictError(session="source", expected=1, actual=2)

    async def run() -> None:
        events = made(drafts, key, 600)
        async with logs.open() as log:
            with pytest.raises(ConflictError):
                await log.copy(key, failing(events[:450]), until=600)
        async with logs.open() as log:
            end = await log.stored_end(key)
            if end.seq:  # the one in memory stores all or nothing
                got, damaged = await read_to_damage(log, key)
                assert (got, damaged) == (list(range(1, end.seq + 1)), end.seq + 1)
                with pytest.raises(CorruptLogError):
                    await log.append(key, take(drafts, 1))
                assert [one.damaged for one in await log.sessions() if one.key == key] == [True]
            await log.copy(key, each(events[end.seq :]), until=600)
        async with logs.open() as log:
            assert await read(log, key) == events

    asyncio.run(run())


def test_a_follower_sees_nothing_of_a_repair(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Whoever follows a session while it is written anew gets each event once, and then what is appended."""

    async def run() -> None:
        async with logs.open() as log, logs.open() as writer:
            events = await writer.append(key, take(drafts, 9))
            follow = log.follow(key)
            got = [await anext(follow) for _ in range(9)]
            await writer.replace(key, each(events), until=9, instead_of=events[-1].head)
            more = await writer.append(key, take(drafts, 2))
            got += [await anext(follow) for _ in range(2)]
            await follow.aclose()
            assert got == [*events, *more]

    asyncio.run(run())
