"""Laws of the worker: what comes of a session depends on what was said, not on when a worker came by or died."""

import asyncio
import random
from collections.abc import Sequence

import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.lives import lived, long_life, said
from tests.laws.logs import (
    BreakingLog,
    FailingLog,
    HandClock,
    Killed,
    Outcome,
    drained,
    outcome,
    worker_on,
    write,
)
from tests.laws.settings import law
from tests.laws.stories import CHANGED, KEY, SAID, Move, long_story, moves

from retold.errors import UnavailableError
from retold.events import (
    Fact,
    HistoryEdited,
    ItemExtended,
    ItemPinned,
)
from retold.log import MemoryLog
from retold.replay import load

pytestmark = pytest.mark.timeout(240)

_CONVERSATIONS = moves(*SAID, at_least=15, at_most=45)


@law(40)
@given(_CONVERSATIONS, st.lists(st.booleans(), min_size=3, max_size=20))
def test_the_history_does_not_depend_on_when_the_worker_came_by(told: list[Move], drains: list[bool]) -> None:
    """A worker that is always there, one that comes now and then and one that comes at the end give one history."""
    facts = said(told)

    async def run() -> None:
        always = await lived(facts, [True])
        assert await lived(facts, [False]) == always
        assert await lived(facts, drains) == always

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(4))
def test_a_long_session_comes_to_the_same_history_however_late(seed: int) -> None:
    """Over several hundred events and many compactions, a lagging worker comes to the very same history."""
    facts = said(long_story(seed, length=150, verbs=("user", "say", "think", "call", "result", "usage")))

    async def run() -> None:
        always = await lived(facts, [True])
        assert always.version > 1
        assert await lived(facts, [False]) == always
        chance = random.Random(seed)
        assert await lived(facts, [chance.random() < 0.2 for _ in facts]) == always

    asyncio.run(run())


async def _lived_and_died(facts: Sequence[Fact], *, at: int, after: bool) -> tuple[Outcome, bool]:
    """Append *facts* with a worker after each that dies at effect *at*; a new one takes over. Also: did it die?"""
    log, clock = MemoryLog(), HandClock()
    failing = FailingLog(log, at=at, after=after, error=Killed())
    worker = worker_on(failing)
    for fact in facts:
        await write(log, KEY, [fact], clock=clock)
        if not await drained(worker):
            worker = worker_on(failing, "successor")
            await worker.drain()
    assert not worker.damaged
    return await outcome(log, KEY), failing.has_failed


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("seed", [1, 5])
def test_a_worker_killed_between_any_two_effects_is_replaced_without_a_trace(seed: int, *, after: bool) -> None:
    """Whichever write the worker died at, before or after it, its successor comes to the undisturbed history."""
    told = long_story(seed, length=45, verbs=("user", "say", "call", "result", "think", "extend", "pin", "rewind"))
    facts = said(told)

    async def run() -> None:
        undisturbed = (await _lived_and_died(facts, at=1_000_000, after=after))[0]
        assert undisturbed.version > 1
        for at in range(1, 10_000):
            got, died = await _lived_and_died(facts, at=at, after=after)
            assert got == undisturbed, at
            if not died:
                return

    asyncio.run(run())


async def _late_and_died(facts: Sequence[Fact], *, at: int, after: bool) -> tuple[Outcome, bool]:
    """Let a worker come only when all *facts* are there, and die at effect *at*; a new one takes over."""
    log, clock = MemoryLog(), HandClock()
    for fact in facts:
        await write(log, KEY, [fact], clock=clock)
    failing = FailingLog(log, at=at, after=after, error=Killed())
    if not await drained(worker_on(failing)):
        await worker_on(log, "successor").drain()
    return await outcome(log, KEY), failing.has_failed


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_lagging_worker_killed_between_any_two_effects_is_replaced_without_a_trace(*, after: bool) -> None:
    """A worker that died while it caught up leaves nothing that its successor would do differently."""
    facts = long_life(length=70)

    async def run() -> None:
        undisturbed = (await _late_and_died(facts, at=1_000_000, after=after))[0]
        assert undisturbed.version > 2
        for at in range(1, 10_000):
            got, died = await _late_and_died(facts, at=at, after=after)
            assert got == undisturbed, at
            if not died:
                return

    asyncio.run(run())


def test_an_unreachable_server_is_waited_for() -> None:
    """When the server is away for a moment, at any write, the worker tries again and nothing is lost."""
    facts = long_life(length=40)

    async def run() -> None:
        undisturbed = (await _late_and_died(facts, at=1_000_000, after=False))[0]
        for at in range(1, 4):
            log, clock = MemoryLog(), HandClock()
            for fact in facts:
                await write(log, KEY, [fact], clock=clock)
            await worker_on(FailingLog(log, at=at, after=True, error=UnavailableError("away"))).drain()
            assert await outcome(log, KEY) == undisturbed

    with stamina.set_testing(True, attempts=3):
        asyncio.run(run())


def test_a_compaction_that_a_full_server_stored_in_part_is_made_again() -> None:
    """Whichever compaction the server broke off in, the worker comes to the undisturbed history."""
    facts = long_life(length=50)

    async def run() -> None:
        undisturbed = (await _late_and_died(facts, at=1_000_000, after=False))[0]
        assert undisturbed.version > 2
        for at in range(1, 1_000):
            log, clock = MemoryLog(), HandClock()
            for fact in facts:
                await write(log, KEY, [fact], clock=clock)
            breaking = BreakingLog(log, at=at)
            await worker_on(breaking).drain()
            assert await outcome(log, KEY) == undisturbed, at
            if breaking.batches < at:
                return

    with stamina.set_testing(True, attempts=3):
        asyncio.run(run())


@law(15)
@given(_CONVERSATIONS)
def test_two_workers_on_one_log_do_no_harm(told: list[Move]) -> None:
    """Two workers that were started by mistake come to the history that one comes to."""
    facts = said(told)

    async def run() -> None:
        alone = await lived(facts, [False])
        log, clock = MemoryLog(), HandClock()
        first, second = worker_on(log, "first"), worker_on(log, "second")
        for at, fact in enumerate(facts):
            await write(log, KEY, [fact], clock=clock)
            if at % 7 == 6:
                await asyncio.gather(first.drain(), second.drain())
        await asyncio.gather(first.drain(), second.drain())
        assert await outcome(log, KEY) == alone

    asyncio.run(run())


@law(25)
@given(told=moves(*SAID, *CHANGED, at_least=15, at_most=40), at=st.integers(1, 12), after=st.booleans())
def test_any_session_survives_a_worker_that_dies_and_leaves_its_plan_open(
    *, told: list[Move], at: int, after: bool
) -> None:
    """With edits, rewinds and pins around it, a dead worker's open plan neither blocks nor damages the session."""
    facts = said(told)
    half = len(facts) // 2

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        for fact in facts[:half]:
            await write(log, KEY, [fact], clock=clock)
        await drained(worker_on(FailingLog(log, at=at, after=after, error=Killed())))
        present = {entry.item.id for entry in (await load(log, KEY)).entries}
        for fact in facts[half:]:
            if isinstance(fact, ItemPinned) and fact.item not in present:
                continue
            if not isinstance(fact, HistoryEdited | ItemExtended):
                await write(log, KEY, [fact], clock=clock)
        successor = worker_on(log, "successor")
        await successor.drain()
        await successor.drain()
        assert not successor.damaged
        await outcome(log, KEY)

    asyncio.run(run())


def test_text_streamed_after_a_crash_is_no_part_of_the_published_history() -> None:
    """A worker died before it published, the agent went on streaming: what is published still has the recorded hash."""
    facts = long_life()

    async def run() -> None:
        for at in range(1, 40):
            log, clock = MemoryLog(), HandClock()
            failing = FailingLog(log, at=at, after=False, error=Killed())
            worker = worker_on(failing)
            for fact in facts:
                await write(log, KEY, [fact], clock=clock)
                if not await drained(worker):
                    break
            last = (await load(log, KEY)).entries
            if last and last[-1].form == "whole":
                await write(log, KEY, [ItemExtended(text=" and so on")], clock=clock)
            await worker_on(log, "successor").drain()
            await outcome(log, KEY)

    asyncio.run(run())
