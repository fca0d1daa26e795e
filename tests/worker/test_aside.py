"""A damaged session is set aside and noted, the others go on, and it is taken up again when it is whole."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from tests.laws.lives import long_life
from tests.laws.logs import HandClock, LogProxy, read, worker_on, write
from tests.laws.stories import KEY

from retold.events import Kept, Recorded, SessionKey, kept
from retold.log import MemoryLog
from retold.ports import Aside
from retold.worker import worker as worker_module

OTHER = SessionKey(KEY.tenant, "other")


class _Counting(LogProxy):
    """Count how often the damaged session is read."""

    reads = 0

    def read(self, key: SessionKey, *, after: int = 0, until: int | None = None) -> AsyncGenerator[Recorded, None]:
        """Count, and pass on."""
        self.reads += key == KEY
        return self.inner.read(key, after=after, until=until)


async def _each(events: list[Recorded]) -> AsyncGenerator[Kept, None]:
    for recorded in events:
        yield kept(recorded.body)


async def _damaged() -> tuple[MemoryLog, list[Recorded]]:
    log = MemoryLog()
    for key in (KEY, OTHER):
        await write(log, key, long_life(length=30), clock=HandClock(key.session))
    events = await read(log, KEY)
    log.lose(KEY, 7)
    return log, events


def test_a_damaged_session_is_noted_and_the_others_are_compacted() -> None:
    """One damaged session shows with its place, and stops no other."""

    async def run() -> None:
        log, _ = await _damaged()
        worker = worker_on(log)
        await worker.drain()
        assert await log.aside() == {KEY: Aside(seq=7, reason="it is missing")}
        assert worker.damaged.keys() == {KEY}
        assert await log.load_history(OTHER) is not None

    asyncio.run(run())


def test_a_repaired_session_is_taken_up_again() -> None:
    """After its repair the session is compacted like any other, by this worker and by a new one, and the note goes."""

    async def run() -> None:
        for fresh in (False, True):
            log, events = await _damaged()
            worker = worker_on(log)
            await worker.drain()
            await log.replace(KEY, _each(events), until=len(events), instead_of=await log.stored_end(KEY))
            worker = worker_on(log) if fresh else worker
            await worker.drain()
            assert await log.aside() == {}
            assert worker.damaged == {}
            assert await log.load_history(KEY) is not None

    asyncio.run(run())


def test_a_damaged_session_that_grows_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often agents append to a damaged session, the worker does not read it each time; repaired, it goes on."""
    monkeypatch.setattr(worker_module, "ASIDE_RETRY_S_FIRST", 0.05)

    async def run() -> None:
        log, events = await _damaged()
        counting = _Counting(log)
        worker = worker_on(counting)
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(30):
            while KEY not in worker.damaged:  # noqa: ASYNC110 - the worker tells by its state alone
                await asyncio.sleep(0)
            clock = HandClock("more")
            for _ in range(200):
                await write(log, KEY, long_life(length=3)[1:2], clock=clock)
                await asyncio.sleep(0)
            assert counting.reads <= 6
            later = [one async for one in log.salvage(KEY)][len(events) - 1 :]
            whole = [*map(_kept, events), *later]
            await log.replace(KEY, _all(whole), until=len(whole), instead_of=await log.stored_end(KEY))
            while KEY in await log.aside() or KEY in worker.damaged:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(run())


def _kept(recorded: Recorded) -> Kept:
    return kept(recorded.body)


async def _all(events: list[Kept]) -> AsyncGenerator[Kept, None]:
    for one in events:
        yield one
