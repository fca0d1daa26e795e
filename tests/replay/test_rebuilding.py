"""Rebuilding: what is made of the events is made anew from them alone, whole or not at all."""

import asyncio
from collections.abc import AsyncIterable

import pytest
from msgspec import structs
from tests.laws.logs import HandClock, Killed, LogProxy, read, worker_on, write
from tests.laws.stories import KEY, Story, long_story

from retold.errors import ConflictError, CorruptLogError
from retold.events import SessionKey
from retold.fold import fold
from retold.log import MemoryLog
from retold.ports import Log, Published, Snapshot, Unreadable, snapshot_of
from retold.replay import load, rebuild, verify

_VERBS = ("user", "say", "call", "result", "rewind")


async def _worked(*, length: int = 300) -> MemoryLog:
    log, clock = MemoryLog(), HandClock()
    worker = worker_on(log)
    for at, recorded in enumerate(Story().tell(long_story(6, length=length, verbs=_VERBS)).events):
        await write(log, KEY, [recorded.event.data], clock=clock)
        if at % 25 == 0:
            await worker.drain()
    await worker.drain()
    return log


async def _kept(log: Log) -> list[Snapshot | Unreadable]:
    return [snapshot async for snapshot in log.snapshots(KEY)]


def test_a_rebuilt_session_has_what_its_events_give() -> None:
    """After a rebuild every snapshot is the fold of the events, the published history is the same, and all verifies."""

    async def run() -> None:
        log = await _worked()
        published = await log.load_history(KEY)
        rebuilt = await rebuild(log, KEY)
        events = await read(log, KEY)
        assert (rebuilt.events, rebuilt.differed, rebuilt.published) == (len(events), 0, "same")
        assert published is not None
        assert await log.load_history(KEY) == published
        kept = await _kept(log)
        assert len(kept) == rebuilt.snapshots > 2
        assert kept == [snapshot_of(fold(events[: one.seq])) for one in kept]
        assert (await verify(log, KEY)).snapshots == len(kept)

    asyncio.run(run())


def test_wrong_snapshots_and_histories_are_replaced_and_counted() -> None:
    """A snapshot and a history that the events do not give are told of, and are right afterwards."""

    async def run() -> None:
        log = await _worked()
        state = await load(log, KEY)
        wrong = structs.replace(state, next_item=state.next_item + 1)
        await log.save_snapshot(KEY, snapshot_of(wrong))
        published = await log.load_history(KEY)
        assert published is not None
        await log.publish_history(KEY, structs.replace(published, version=published.version + 1, hash="0" * 64))
        assert not (await verify(log, KEY)).ok
        rebuilt = await rebuild(log, KEY)
        assert rebuilt.differed == 1
        assert snapshot_of(wrong) not in await _kept(log)

    asyncio.run(run())


class _Dying(LogProxy):
    """Die while the projections are made, after a number of them."""

    def __init__(self, log: Log, *, after: int) -> None:
        super().__init__(log)
        self._after = after

    async def swap_projections(self, key: SessionKey, made: AsyncIterable[Snapshot | Published]) -> None:
        """Die in the middle."""

        async def some() -> AsyncIterable[Snapshot | Published]:
            left = self._after
            async for one in made:
                if left == 0:
                    raise Killed
                left -= 1
                yield one

        await self.inner.swap_projections(key, some())


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_rebuild_that_dies_leaves_what_was_there(after: int) -> None:
    """If the process dies while it rebuilds, readers find what was there before."""

    async def run() -> None:
        log = await _worked()
        before, published = await _kept(log), await log.load_history(KEY)
        with pytest.raises(Killed):
            await rebuild(_Dying(log, after=after), KEY)
        assert (await _kept(log), await log.load_history(KEY)) == (before, published)

    asyncio.run(run())


def test_a_damaged_session_is_not_rebuilt() -> None:
    """Where an event is missing, nothing is changed and the place is named."""

    async def run() -> None:
        log = await _worked()
        before = await _kept(log)
        log.lose(KEY, 40)
        with pytest.raises(CorruptLogError) as found:
            await rebuild(log, KEY)
        assert found.value.seq == 40
        assert await _kept(log) == before

    asyncio.run(run())


class _Busy(LogProxy):
    """Let a worker keep a snapshot during each of the first swaps."""

    def __init__(self, log: Log, *, times: int) -> None:
        super().__init__(log)
        self.times = times

    async def swap_projections(self, key: SessionKey, made: AsyncIterable[Snapshot | Published]) -> None:
        """Refuse."""
        if self.times > 0:
            self.times -= 1
            raise ConflictError(session=key.session, expected=1, actual=2)
        await self.inner.swap_projections(key, made)


def test_a_rebuild_beside_a_worker_is_tried_again() -> None:
    """A snapshot that a worker keeps meanwhile makes the rebuild start anew, a few times; then it says so."""

    async def run() -> None:
        log = await _worked(length=80)
        assert (await rebuild(_Busy(log, times=3), KEY)).events > 80
        with pytest.raises(ConflictError):
            await rebuild(_Busy(log, times=99), KEY)

    asyncio.run(run())
