"""Memory: live sessions take what they were allowed, the idle ones packed, the rest dropped and found again."""

import asyncio

from tests.laws.lives import lived, long_life
from tests.laws.logs import HandClock, outcome, read, write
from tests.laws.stories import KEY

from retold.events import Recorded, SessionKey
from retold.fold import fold
from retold.log import MemoryLog
from retold.summarizers import ExtractiveSummarizer
from retold.worker import Limits, LiveSession, Worker
from retold.worker.holding import Holding


async def _sessions(many: int) -> list[LiveSession]:
    log, clock = MemoryLog(), HandClock()
    found = []
    for nth in range(many):
        key = SessionKey("one", f"s{nth}")
        await write(log, key, long_life(length=20), clock=clock)
        events: list[Recorded] = await read(log, key)
        found.append(LiveSession(key, [], base=fold(events)))
        found[-1].release()
    return found


def test_what_is_idle_longest_is_packed_first_and_then_dropped() -> None:
    """Sessions beyond the memory that I allow are packed, and beyond that dropped, the idlest first."""

    async def run() -> None:
        sessions = await _sessions(30)
        size = sessions[0].size_bytes
        holding = Holding(bytes_max=size * 6)
        dropped = [gone.key for one in sessions for gone in holding.put(one)]
        assert holding.packed > 0
        assert holding.size_bytes <= size * 6
        assert dropped == [one.key for one in sessions[: len(dropped)]]
        assert dropped
        assert len(holding) > 6, "packed, more are held than there was room for"
        last = holding.take(sessions[-1].key)
        assert last is sessions[-1]
        assert holding.take(sessions[-1].key) is None
        assert set(holding.forget(lambda _: True)) == {one.key for one in sessions[len(dropped) : -1]}
        assert (len(holding), holding.size_bytes) == (0, 0)

    asyncio.run(run())


def test_one_session_is_held_whatever_it_takes() -> None:
    """A session that takes more than all memory that I allow is worked on all the same."""

    async def run() -> None:
        holding = Holding(bytes_max=1)
        first, second = await _sessions(2)
        assert holding.put(first) == []
        assert holding.put(second) == [first]
        assert holding.take(second.key) is second

    asyncio.run(run())


def test_histories_do_not_depend_on_the_memory_that_a_worker_has() -> None:
    """With room for one session only, each comes to the history that it comes to with plenty."""
    facts = long_life(length=60)

    async def run() -> None:
        expected = await lived(facts, [False])
        log, clock = MemoryLog(), HandClock()
        worker = Worker(log, HandClock("worker"), ExtractiveSummarizer(), limits=Limits(live_bytes=1))
        keys = [KEY, SessionKey(KEY.tenant, "b"), SessionKey("other", "c")]
        for at in range(0, len(facts), 3):
            for key in keys:
                await write(log, key, facts[at : at + 3], clock=clock)
            await worker.drain()
        assert len(worker.live) == 1
        for key in keys:
            assert await outcome(log, key) == expected
            assert await log.load_snapshot(key) is not None

    asyncio.run(run())
