"""What the worker does about an undo: it leaves it alone, until the history has grown or cannot be sent."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.laws.lives import WINDOW, long_life, said, user
from tests.laws.logs import FailingLog, HandClock, Killed, Outcome, drained, outcome, read, worker_on, write
from tests.laws.stories import KEY, long_story
from tests.laws.texts import PROSE

from retold.client import Client, Session
from retold.errors import InputError
from retold.events import CompactionUndone, Fact, HistoryReplaced
from retold.fold import history_of
from retold.log import MemoryLog
from retold.replay import load

_LATER = said(long_story(9, length=40, verbs=("user", "say", "think", "call", "result")))[1:]


async def _compacted(facts: Sequence[Fact]) -> tuple[MemoryLog, Session]:
    """Tell *facts* up to the first compaction, which a worker beside them makes."""
    log, clock = MemoryLog(), HandClock()
    worker = worker_on(log)
    for fact in facts:
        await write(log, KEY, [fact], clock=clock)
        await worker.drain()
        if (await load(log, KEY)).compacted_seq:
            break
    return log, await Client(log, HandClock("mine")).existing(KEY.session, tenant=KEY.tenant)


def test_what_i_undo_is_not_done_again_at_once() -> None:
    """After my undo the worker lets the originals stand, publishes them, and compacts when there is more."""

    async def run() -> None:
        log, session = await _compacted(long_life())
        seq = (await load(log, KEY)).compacted_seq
        before = await load(log, KEY, at=seq - 1)
        undone = await session.undo()
        assert history_of(await load(log, KEY)).hash == history_of(before).hash
        for _ in range(2):
            worker = worker_on(log, "second")
            await worker.drain()
            assert not worker.damaged
            assert (await log.head(KEY)).seq == undone
        published = await log.load_history(KEY)
        assert published is not None
        assert (published.seq, published.hash) == (undone, history_of(before).hash)
        for fact in _LATER:
            await write(log, KEY, [fact], clock=HandClock(f"{(await log.head(KEY)).seq}"))
        await worker_on(log, "third").drain()
        assert (await load(log, KEY)).compacted_seq > undone
        await outcome(log, KEY)

    asyncio.run(run())


def test_an_undo_of_what_cannot_be_sent_is_compacted_where_it_stands() -> None:
    """When what returns is above the window, I am sent a history that fits, not an error of the provider's."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        for fact in [*said([]), *(user(f"{at} {PROSE * 12}") for at in range(60))]:
            await write(log, KEY, [fact], clock=clock)
        await worker_on(log).drain()
        session = await Client(log, HandClock("mine")).existing(KEY.session, tenant=KEY.tenant)
        while (await load(log, KEY)).tokens.upper <= WINDOW.input_limit:
            undone = await session.undo()
        await worker_on(log, "second").drain()
        replaced = [one.event.data for one in await read(log, KEY) if isinstance(one.event.data, HistoryReplaced)]
        assert replaced[-1].base_seq == undone
        assert (await outcome(log, KEY)).tokens <= WINDOW.input_limit

    asyncio.run(run())


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_worker_killed_after_an_undo_is_replaced_without_a_trace(*, after: bool) -> None:
    """Wherever a worker dies after an undo, its successor comes to the undisturbed history; so does one that lags."""

    async def died(at: int, *, lags: bool) -> tuple[Outcome, bool]:
        """Let a worker die at one effect."""
        log, session = await _compacted(long_life())
        await session.undo()
        failing = FailingLog(log, at=at, after=after, error=Killed())
        for nth, fact in enumerate(_LATER):
            await write(log, KEY, [fact], clock=HandClock(f"later{nth}"))
            if not lags and not await drained(worker_on(failing, f"w{nth}")):
                await worker_on(log, f"s{nth}").drain()
        await worker_on(log, "successor").drain()
        return await outcome(log, KEY), failing.has_failed

    async def run() -> None:
        undisturbed, _ = await died(1_000_000, lags=True)
        assert undisturbed.version > 2
        for at in range(1, 10_000, 3):
            got, has_died = await died(at, lags=False)
            assert got == undisturbed, at
            if not has_died:
                return

    asyncio.run(run())


def test_an_undo_of_nothing_is_refused() -> None:
    """Where nothing was compacted, or somebody edited the history since, an undo says so and records nothing."""

    async def run() -> None:
        log, session = await _compacted(long_life(length=5))
        with pytest.raises(InputError, match="expected a compaction to undo"):
            await session.undo()
        log, session = await _compacted(long_life())
        forked = await session.fork("forked")
        with pytest.raises(InputError, match="was forked"):
            await forked.undo()
        facts = [one.event.data for one in await read(log, KEY)]
        assert not any(isinstance(fact, CompactionUndone) for fact in facts)

    asyncio.run(run())
