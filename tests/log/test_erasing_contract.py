"""What every log promises about erasure: in memory, on JetStream, and on JetStream sealed."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

import msgspec
import pytest
from tests.log.conftest import WAIT_S, Logs, all_seqs, read, seqs, take

from retold.errors import ConflictError, InputError
from retold.events import Draft, Kept, Recorded, SessionErased, SessionKey, SessionOpened, Window, kept
from retold.ports import Log, Published, Snapshot

OPENED = SessionOpened(window=Window(hard_limit=1_000))


def tombstone(draft: Draft) -> Draft:
    """Return *draft* as one that erases its session."""
    fact = SessionErased(by="owner", reason="asked", opened=OPENED, next_item=7, version=3)
    return msgspec.structs.replace(draft, data=fact)


def history(seq: int) -> Published:
    """Return a published history of event *seq*."""
    return Published(version=seq, seq=seq, base_seq=seq, hash="0" * 64, body=b'{"v":%d}' % seq)


async def fill(log: Log, key: SessionKey, drafts: Iterator[Draft]) -> list[Recorded]:
    """Append five events, with two snapshots and a history."""
    events = await log.append(key, take(drafts, 5))
    for seq in (2, 4):
        await log.save_snapshot(key, Snapshot(seq=seq, body=b"state %d" % seq))
    await log.publish_history(key, history(3))
    return events


async def erased(log: Log, key: SessionKey, drafts: Iterator[Draft]) -> Recorded:
    """Append a tombstone."""
    return (await log.append(key, [tombstone(take(drafts, 1)[0])]))[0]


@pytest.mark.parametrize("removed", [False, True])
def test_an_erased_session_begins_with_its_tombstone(
    logs: Logs, key: SessionKey, drafts: Iterator[Draft], *, removed: bool
) -> None:
    """From the tombstone on nobody is given anything of before: not half-way, not by who knew it, not by a newcomer."""

    async def run() -> None:
        async with logs.open() as log, logs.open() as knowing, logs.open() as fresh:
            before = await fill(log, key, drafts)
            assert len(await read(knowing, key)) == 5
            stone = await erased(log, key, drafts)
            if removed:
                found = await log.erase(key)
                assert (found.seq, found.events, found.projections) == (6, 5, 3)
            assert (stone.event.seq, stone.event.prev) == (6, before[-1].hash)
            for one in (log, knowing, fresh):
                assert await read(one, key) == [stone]
                assert await read(one, key, after=2) == [stone]
                assert await read(one, key, until=4) == []
                assert await read(one, key, after=1, until=5) == []
                assert await one.head(key) == stone.head
                assert (await one.load_snapshot(key), await one.load_history(key)) == (None, None)
            assert [end.seq for end in await fresh.sessions() if end.key == key] == [6]

    asyncio.run(run())


def test_a_session_goes_on_after_its_erasure(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """I can go on in an erased session; sequences go on counting, the chain holds, and it can be erased again."""

    async def run() -> None:
        async with logs.open() as log, logs.open() as fresh:
            await fill(log, key, drafts)
            stone = await erased(log, key, drafts)
            await log.erase(key)
            later = await log.append(key, take(drafts, 2), expected=6)
            assert seqs(await fresh.append(key, take(drafts, 2))) == [9, 10]
            assert (await read(fresh, key))[:3] == [stone, *later]
            await log.save_snapshot(key, Snapshot(seq=8, body=b"after"))
            assert await fresh.load_snapshot(key) == Snapshot(seq=8, body=b"after")
            assert await log.publish_history(key, history(8))
            assert await fresh.load_history(key) == history(8)
            assert (await fresh.erase(key)).events == 0
            assert await all_seqs(log, key) == [6, 7, 8, 9, 10]
            again = await erased(fresh, key, drafts)
            assert (await log.erase(key)).events == 5
            assert await read(fresh, key) == [again]
            assert (await log.append(key, take(drafts, 1)))[0].event.prev == again.hash

    asyncio.run(run())


def test_what_lags_brings_nothing_back(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """A worker that was busy during the erasure cannot store an older snapshot, history or event afterwards."""

    async def run() -> None:
        async with logs.open() as log, logs.open() as late:
            await fill(late, key, drafts)
            await erased(log, key, drafts)
            await log.erase(key)
            await late.save_snapshot(key, Snapshot(seq=5, body=b"state 5"))
            assert not await late.publish_history(key, history(5))
            with pytest.raises(ConflictError):
                await late.append(key, take(drafts, 1), expected=5)
            for one in (log, late):
                assert (await one.load_snapshot(key), await one.load_history(key)) == (None, None)
            assert (await late.append(key, take(drafts, 1)))[0].event.seq == 7
            assert await all_seqs(log, key) == [6, 7]

    asyncio.run(run())


def test_erasing_touches_no_other_session(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Other sessions, also one whose name begins the same, are as they were."""

    async def run() -> None:
        others = [msgspec.structs.replace(key, session=name) for name in ("s2", "S", "s-1")]
        async with logs.open() as log, logs.open() as fresh:
            kept = [await fill(log, other, drafts) for other in others]
            await fill(log, key, drafts)
            await erased(log, key, drafts)
            await log.erase(key)
            for other, events in zip(others, kept, strict=True):
                assert await read(fresh, other) == events
                assert await fresh.load_snapshot(other, until=3) == Snapshot(seq=2, body=b"state 2")
                assert await fresh.load_history(other) == history(3)

    asyncio.run(run())


def test_a_scan_begins_with_the_tombstone(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """A scan of the whole log gives of an erased session its tombstone and what follows."""

    async def run() -> None:
        async with logs.open() as log:
            await fill(log, key, drafts)
            await erased(log, key, drafts)
            await log.erase(key)
            await log.append(key, take(drafts, 2))
            parts = [part async for part in log.scan()]
            scanned = [one for part in parts for one in part.events if one.event.tenant == key.tenant]
            assert scanned == await read(log, key)
            assert seqs(scanned) == [6, 7, 8]
            assert not [part for part in parts if key in part.damage]

    asyncio.run(run())


def test_a_rebuild_of_nothing_keeps_what_lags_away(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """After an erased session was rebuilt, a worker that was busy meanwhile still cannot bring an older state back."""

    async def nothing() -> AsyncGenerator[Snapshot | Published, None]:
        """Make nothing."""
        for one in list[Snapshot]():
            yield one

    async def run() -> None:
        async with logs.open() as log, logs.open() as late:
            await fill(late, key, drafts)
            await erased(log, key, drafts)
            await log.erase(key)
            await log.swap_projections(key, nothing())
            await late.save_snapshot(key, Snapshot(seq=5, body=b"state 5"))
            assert not await late.publish_history(key, history(5))
            assert (await log.erase(key)).projections == 0, "none of before was stored"
            assert (await log.load_snapshot(key), await log.load_history(key)) == (None, None)

    asyncio.run(run())


def test_what_was_written_anew_is_erased_and_written_anew(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """A session that a repair has written anew is erased with its older copy; an erased one can be written anew."""

    async def copies(events: Sequence[Recorded]) -> AsyncGenerator[Kept, None]:
        """Yield *events* as they are kept."""
        for one in events:
            yield kept(one.body)

    async def run() -> None:
        async with logs.open() as log, logs.open() as knowing:
            before = await fill(log, key, drafts)
            assert await read(knowing, key) == before
            await log.replace(key, copies(before), until=5, instead_of=before[-1].head)
            stone = await erased(log, key, drafts)
            assert (await log.erase(key)).events in {5, 10}
            later = [stone, *await log.append(key, take(drafts, 2))]
            await log.replace(key, copies(later), until=8, instead_of=later[-1].head)
            async with logs.open() as fresh:
                for one in (log, knowing, fresh):
                    assert await read(one, key) == later
                    assert await read(one, key, after=6) == later[1:]
                assert [one.body async for one in fresh.salvage(key)][-3:] == [one.body for one in later]
                assert (await fresh.append(key, take(drafts, 1)))[0].event.seq == 9
            again = await erased(knowing, key, drafts)
            assert (await knowing.erase(key)).events in {4, 7}
            async with logs.open() as fresh:
                for one in (log, knowing, fresh):
                    assert await read(one, key) == [again]

    asyncio.run(run())


def test_only_a_tombstone_lets_a_session_be_erased(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Nothing is removed without a tombstone that says who, when and why, and it stands alone in its append."""

    async def run() -> None:
        async with logs.open() as log:
            await fill(log, key, drafts)
            with pytest.raises(InputError, match="append SessionErased first"):
                await log.erase(key)
            bare = msgspec.structs.replace(take(drafts, 1)[0], data=SessionErased(by="owner"))
            await log.append(key, [bare])
            with pytest.raises(InputError, match="append SessionErased first"):
                await log.erase(key)
            with pytest.raises(InputError, match="appended alone"):
                await log.append(key, [tombstone(take(drafts, 1)[0]), *take(drafts, 1)])
            assert await all_seqs(log, key) == [1, 2, 3, 4, 5, 6]

    asyncio.run(run())


def test_a_follower_goes_on_with_the_tombstone(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Who follows a session sees the tombstone next, whatever was removed before it came by, and then what follows."""

    async def run() -> None:
        async with logs.open() as log, logs.open() as other, asyncio.timeout(WAIT_S):
            await other.append(key, take(drafts, 2))
            async with aclosing(log.follow(key)) as follow:
                assert [(await anext(follow)).event.seq for _ in range(2)] == [1, 2]
                await erased(other, key, drafts)
                await other.erase(key)
                await other.append(key, take(drafts, 1))
                assert [(await anext(follow)).event.seq for _ in range(2)] == [3, 4]
            async with aclosing(log.follow(key)) as follow:
                assert (await anext(follow)).event.seq == 3

    asyncio.run(run())
