"""Workers share a log: each session is one worker's, and another's when that one leaves, dies, or falls asleep."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, nullcontext
from pathlib import Path

import pytest
from tests.laws.lives import lived, long_life
from tests.laws.logs import HandClock, LogProxy, outcome, read, write
from tests.log.conftest import WAIT_S, InMemory, Logs, OnJetStream

from retold.events import Draft, HistoryReplaced, Recorded, SessionKey
from retold.lease_ports import PARTITIONS, Claim, Leases
from retold.log import EmbeddedServer, MemoryLog
from retold.log.memory_leases import MemoryLeases
from retold.ports import Log
from retold.summarizers import ExtractiveSummarizer
from retold.worker import LeasedPartitions, Worker
from retold.worker.ownership import Everything, LetGo, tell_held

TTL_S = 0.6
SHARED_TTL_S = 3.0
"""Where real work is done, on a machine that does much else."""
EVERYTHING = set(range(PARTITIONS))


async def _nothing(partitions: frozenset[int], patience_s: float) -> None:
    """Let go of nothing: no work is going on."""


async def until(*owned: LeasedPartitions, hold: int) -> None:
    """Wait until each of *owned* holds *hold* partitions, one more, or one less."""
    while not all(abs(len(one.followed) - hold) <= 1 for one in owned):
        waiting = [asyncio.ensure_future(one.changed(one.followed)) for one in owned]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()


class SleepyLeases:
    """Pass on, but let no write through while asleep: the process is stopped, or cut off."""

    def __init__(self, leases: Leases) -> None:
        """Pass on to *leases*."""
        self._leases = leases
        self.awake = asyncio.Event()
        self.awake.set()
        self.claims = leases.claims
        self.claim = leases.claim
        self.changes = leases.changes

    async def put(self, name: str, value: bytes, *, revision: int, quietly: bool = False) -> int | None:
        """Write when awake."""
        await self.awake.wait()
        return await self._leases.put(name, value, revision=revision, quietly=quietly)

    async def remove(self, name: str, *, revision: int) -> bool:
        """Remove when awake."""
        await self.awake.wait()
        return await self._leases.remove(name, revision=revision)


@asynccontextmanager
async def keeping(leases: Leases, *, let_go: LetGo = _nothing) -> AsyncIterator[LeasedPartitions]:
    """Hold a share for the block."""
    owned = LeasedPartitions(leases, ttl_s=TTL_S)
    async with owned.kept(let_go):
        yield owned


def test_one_worker_alone_has_everything_at_once() -> None:
    """The first worker works on all sessions before any time has run out; when it has left, nobody holds anything."""

    async def run() -> None:
        leases = MemoryLeases()
        async with asyncio.timeout(WAIT_S), LeasedPartitions(leases, ttl_s=3600.0).kept(_nothing):
            pass
        owned = LeasedPartitions(leases, ttl_s=3600.0)
        async with asyncio.timeout(WAIT_S), owned.kept(_nothing):
            await until(owned, hold=PARTITIONS)
            assert owned.holds(SessionKey("t", "s"))
        assert not owned.followed
        assert not owned.holds(SessionKey("t", "s"))
        assert not [name for name in await leases.claims() if name.startswith("worker.")]

    asyncio.run(run())


def test_workers_that_come_and_go_share_equally_and_nobody_waits() -> None:
    """Each of four workers has a quarter; who stops hands its share over at once, however long a lease lasts."""

    async def run() -> None:
        leases = MemoryLeases()
        async with asyncio.timeout(WAIT_S), AsyncExitStack() as stack:
            owned = [LeasedPartitions(leases, ttl_s=3600.0) for _ in range(4)]
            for number, one in enumerate(owned, start=1):
                await stack.enter_async_context(one.kept(_nothing))
                await until(*owned[:number], hold=PARTITIONS // number)
            held = [set(one.followed) for one in owned]
            assert set[int]().union(*held) == EVERYTHING
            assert sum(map(len, held)) == PARTITIONS
            async with LeasedPartitions(leases, ttl_s=3600.0).kept(_nothing):
                await until(*owned, hold=PARTITIONS // 5)
            await until(*owned, hold=PARTITIONS // 4)

    asyncio.run(run())


def test_how_many_partitions_a_worker_holds_is_told_whenever_it_changes() -> None:
    """Metrics say of each worker how many it holds: all of them alone, half beside another, and all again after it."""

    async def run() -> None:
        leases, told = MemoryLeases(), asyncio.Queue[int]()
        alone, other = LeasedPartitions(leases, ttl_s=3600.0), LeasedPartitions(leases, ttl_s=3600.0)
        async with asyncio.timeout(WAIT_S), alone.kept(_nothing), asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(tell_held(alone, told.put_nowait))
            for number in (PARTITIONS, PARTITIONS // 2, PARTITIONS):
                async with other.kept(_nothing) if number < PARTITIONS else nullcontext():
                    while await told.get() != number:
                        pass
            telling.cancel()

    asyncio.run(run())


def test_a_worker_that_falls_asleep_has_stopped_before_another_takes_over() -> None:
    """Who cannot renew lets go of everything first; then others take it; awake again, it joins as a new worker."""

    async def run() -> None:
        leases = MemoryLeases()
        sleepy = SleepyLeases(leases)
        others_at_drop = list[int]()

        async def drop(_: frozenset[int], patience_s: float) -> None:
            if not patience_s:
                others_at_drop.append(len(one.followed))

        async with asyncio.timeout(WAIT_S), keeping(leases) as one, keeping(sleepy, let_go=drop) as other:
            await until(one, other, hold=PARTITIONS // 2)
            name = other.worker
            sleepy.awake.clear()
            await until(one, hold=PARTITIONS)
            assert others_at_drop == [PARTITIONS // 2]
            assert not other.followed
            sleepy.awake.set()
            await until(one, other, hold=PARTITIONS // 2)
            assert other.worker != name
            assert set(one.followed) | set(other.followed) == EVERYTHING

    asyncio.run(run())


def test_a_worker_that_wakes_in_time_goes_on_with_what_it_had() -> None:
    """Who was cut off and is back before anybody took over holds the same again, as newly claimed: much may be new."""

    async def run() -> None:
        leases = MemoryLeases()
        sleepy = SleepyLeases(leases)
        async with asyncio.timeout(WAIT_S), keeping(sleepy) as one:
            await until(one, hold=PARTITIONS)
            name, before = one.worker, one.followed
            sleepy.awake.clear()
            await one.changed(before)
            assert not one.followed
            sleepy.awake.set()
            await until(one, hold=PARTITIONS)
            assert one.worker == name
            assert all(one.followed[number] > before[number] for number in range(PARTITIONS))

    asyncio.run(run())


def test_what_a_worker_dropped_and_is_not_its_share_any_more_is_free_for_others() -> None:
    """A worker that came while I was cut off gets its share, although the table has my name on everything."""

    async def run() -> None:
        leases = MemoryLeases()
        sleepy = SleepyLeases(leases)
        async with asyncio.timeout(WAIT_S), keeping(sleepy) as one:
            await until(one, hold=PARTITIONS)
            sleepy.awake.clear()
            await one.changed(one.followed)
            async with keeping(leases) as other:
                sleepy.awake.set()
                await until(one, other, hold=PARTITIONS // 2)

    asyncio.run(run())


class Flickering(Everything):
    """Lose everything and have it again at once, when a test says so."""

    def __init__(self) -> None:
        """Begin with everything."""
        self._change = asyncio.Event()
        self.let_go: LetGo = _nothing

    def kept(self, let_go: LetGo) -> AbstractAsyncContextManager[None]:
        """Remember how the worker lets go."""
        self.let_go = let_go
        return nullcontext()

    async def changed(self, since: Mapping[int, int]) -> None:
        """Wait for a change."""
        while self.followed == since:
            await self._change.wait()

    async def flicker(self) -> None:
        """Lose everything, and have it again before the worker has wholly let go."""
        letting_go = asyncio.ensure_future(self.let_go(frozenset(range(PARTITIONS)), 0))
        await asyncio.sleep(0)
        self.followed = dict.fromkeys(range(PARTITIONS), 1)
        self._change.set()
        self._change = asyncio.Event()
        await letting_go


class StubbornLog(LogProxy):
    """Let the first append end late when it is cancelled."""

    def __init__(self, log: Log) -> None:
        """Pass on to *log*."""
        super().__init__(log)
        self.is_asked = asyncio.Event()
        self.may_end = asyncio.Event()

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append, but for the first time."""
        if not self.is_asked.is_set():
            self.is_asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                await self.may_end.wait()
        return await super().append(key, drafts, expected=expected, are_new=are_new)


def test_a_session_that_comes_back_while_it_is_let_go_of_is_worked_on() -> None:
    """A partition that I have again before I have wholly let go of it is worked on, although nothing in it grows."""
    facts = long_life(length=40)
    key = SessionKey("flicker", "s")

    async def run() -> None:
        calm = await lived(facts, [False])
        log, clock = MemoryLog(), HandClock()
        for fact in facts[:-1]:
            await write(log, key, [fact], clock=clock)
        stubborn, owned = StubbornLog(log), Flickering()
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(Worker(stubborn, HandClock("w"), ExtractiveSummarizer()).run(owned))
            await stubborn.is_asked.wait()
            await write(log, key, facts[-1:], clock=clock)  # it waits for another turn now
            for _ in range(20):
                await asyncio.sleep(0)
            flickering = tasks.create_task(owned.flicker())
            for _ in range(20):
                await asyncio.sleep(0)
            stubborn.may_end.set()
            await flickering
            await _reached(log, key, calm.version)
            running.cancel()

    asyncio.run(run())


class BlinkingLeases(SleepyLeases):
    """Miss the workers' entries in the table, as a look may that falls on their renewal."""

    def __init__(self, leases: Leases) -> None:
        """Pass on the rest to *leases*."""
        super().__init__(leases)
        self.claims = self._without_workers

    async def _without_workers(self) -> dict[str, Claim]:
        found = await self._leases.claims()
        return {name: claim for name, claim in found.items() if not name.startswith("worker.")}


def test_a_worker_whose_entry_is_missed_in_the_table_is_not_robbed() -> None:
    """A look at the table that misses a renewal costs nobody its partitions: whether it is there is asked by name."""

    async def run() -> None:
        leases = MemoryLeases()
        async with asyncio.timeout(WAIT_S), keeping(leases) as one:
            await until(one, hold=PARTITIONS)
            async with keeping(BlinkingLeases(leases)) as other:
                while len(other.followed) < PARTITIONS // 2:
                    await other.changed(other.followed)
                    assert not set(one.followed) & set(other.followed)

    asyncio.run(run())


@pytest.fixture(params=["memory", "jetstream"])
def logs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Logs]:
    """Give one implementation after the other, with sessions of this test alone."""
    if request.param == "memory":
        yield InMemory()
        return
    server = EmbeddedServer(tmp_path, profile="fast")
    running = asyncio.run(server.start())
    yield OnJetStream(running.url)
    asyncio.run(server.stop())


async def _worker(logs: Logs, name: str) -> None:
    """Work beside others, until cancelled."""
    async with logs.open() as log:
        worker = Worker(log, HandClock(name), ExtractiveSummarizer())
        await worker.run(LeasedPartitions(log.leases, ttl_s=SHARED_TTL_S))


async def _reached(log: Log, key: SessionKey, version: int) -> None:
    """Wait until the session has that many replacements."""
    async with aclosing(log.follow(key)) as events:
        async for one in events:
            if isinstance(one.event.data, HistoryReplaced) and one.event.data.version == version:
                return


async def _versions(log: Log, key: SessionKey) -> list[int]:
    facts = [one.event.data for one in await read(log, key)]
    return [fact.version for fact in facts if isinstance(fact, HistoryReplaced)]


@pytest.mark.slow
def test_workers_that_share_a_log_do_each_thing_once_whoever_comes_or_goes(logs: Logs) -> None:
    """While my workers come and leave, each compaction is made once, and the histories are those of one worker."""
    facts = long_life(length=40)
    keys = [SessionKey("shared", f"s{number}") for number in range(10)]

    async def told(log: Log, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Let all sessions grow, and workers come and leave meanwhile; return those who are there in the end."""
        clock, running = HandClock(), [tasks.create_task(_worker(logs, "first"))]
        for at, fact in enumerate(facts):
            await asyncio.gather(*(write(log, key, [fact], clock=clock) for key in keys))
            if at in (8, 16):
                running.append(tasks.create_task(_worker(logs, f"w{at}")))
            if at == 28:
                running.pop(0).cancel()
        return running

    async def run() -> None:
        calm = await lived(facts, [True])
        async with logs.open() as log, asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
            running = await told(log, tasks)
            await asyncio.gather(*(_reached(log, key, calm.version) for key in keys))
            for one in running:
                one.cancel()
        async with logs.open() as log:
            for key in keys:
                assert await _versions(log, key) == list(range(1, calm.version + 1))
                assert (await outcome(log, key)).hash == calm.hash

    asyncio.run(run())
