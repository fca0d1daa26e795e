"""After a rewind the worker decides where it returned to: no history above the window is left or published."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.lives import WINDOW, long_life, said, user
from tests.laws.logs import (
    FailingLog,
    HandClock,
    InterruptedLog,
    Killed,
    LogProxy,
    Outcome,
    drained,
    outcome,
    read,
    worker_on,
    write,
)
from tests.laws.settings import law
from tests.laws.stories import CHANGED, KEY, SAID, Move, long_story, moves
from tests.laws.texts import PROSE

from retold.events import CompactionPlanned, Fact, HistoryReplaced, ItemPinned, SessionKey, SessionRewound
from retold.fold import decode_history
from retold.log import MemoryLog
from retold.ports import Published
from retold.replay import load


class _Watched(LogProxy):
    """Refuse a published history that does not fit the window."""

    async def publish_history(self, key: SessionKey, published: Published) -> bool:
        """Check, and publish."""
        assert decode_history(published.body, key=key).tokens <= WINDOW.input_limit
        return await super().publish_history(key, published)


async def _told(facts: Sequence[Fact]) -> tuple[MemoryLog, HandClock]:
    log, clock = MemoryLog(), HandClock()
    for fact in facts:
        await write(log, KEY, [fact], clock=clock)
    return log, clock


async def _rewound(facts: Sequence[Fact], later: Sequence[Fact], *, to: float, drains: Sequence[bool]) -> Outcome:
    """Tell *facts*, rewind to *to* of them, tell *later* with a worker that comes where *drains* says."""
    log, clock = await _told(facts)
    to_seq = max(1, int(to * len(facts)))
    watched = _Watched(log)
    worker = worker_on(watched)
    for at, fact in enumerate([SessionRewound(to_seq=to_seq), *later]):
        await write(log, KEY, [fact], clock=clock)
        if drains[at % len(drains)]:
            await worker.drain()
    await worker.drain()
    assert not worker.damaged
    return await outcome(log, KEY)


_LIFE = said(long_story(3, length=60, verbs=("user", "say", "think", "call", "result")))


@law(25)
@given(
    later=moves(*SAID, at_most=15),
    to=st.sampled_from([0.2, 0.6, 0.9, 0.97]),
    drains=st.lists(st.booleans(), min_size=2, max_size=9),
)
def test_after_a_rewind_the_history_does_not_depend_on_when_the_worker_came_by(
    *, later: list[Move], to: float, drains: list[bool]
) -> None:
    """A worker that saw the rewind at once and one that came by later give one history, and it fits."""

    async def run() -> None:
        at_once = await _rewound(_LIFE, said(later)[1:], to=to, drains=[True])
        assert at_once.tokens <= WINDOW.input_limit
        assert await _rewound(_LIFE, said(later)[1:], to=to, drains=[False]) == at_once
        assert await _rewound(_LIFE, said(later)[1:], to=to, drains=drains) == at_once

    asyncio.run(run())


def test_a_rewind_to_a_history_above_the_window_is_compacted_there() -> None:
    """When I rewind a session that nobody had compacted, I am sent a history that fits, decided at the rewind."""

    async def run() -> None:
        log, clock = await _told([*said([]), *(user(f"{at} {PROSE * 12}") for at in range(60))])
        before = (await load(log, KEY)).tokens.upper
        assert before > WINDOW.input_limit
        rewound = await write(log, KEY, [SessionRewound(to_seq=60)], clock=clock)
        await worker_on(_Watched(log)).drain()
        replaced = [one.event.data for one in await read(log, KEY) if isinstance(one.event.data, HistoryReplaced)]
        assert [fact.base_seq for fact in replaced] == [rewound[0].event.seq]
        ended = await outcome(log, KEY)
        assert ended.tokens <= WINDOW.input_limit
        assert ended.published == (2, ended.hash)

    asyncio.run(run())


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_worker_killed_after_a_rewind_is_replaced_without_a_trace(*, after: bool) -> None:
    """Wherever a worker dies after a rewind, its successor comes to the undisturbed history."""

    async def died(at: int) -> tuple[Outcome, bool]:
        """Let a worker die at one effect."""
        log, clock = await _told(_LIFE)
        failing = FailingLog(log, at=1, after=True, error=Killed())
        await drained(worker_on(failing))  # a plan is open, and the rewind takes its base away
        await write(log, KEY, [SessionRewound(to_seq=len(_LIFE) * 9 // 10), user("go on")], clock=clock)
        failing = FailingLog(log, at=at, after=after, error=Killed())
        if not await drained(worker_on(failing)):
            await worker_on(_Watched(log), "successor").drain()
        return await outcome(log, KEY), failing.has_failed

    async def run() -> None:
        undisturbed, _ = await died(1_000_000)
        assert undisturbed.tokens <= WINDOW.input_limit
        for at in range(1, 10_000):
            got, has_died = await died(at)
            assert got == undisturbed, at
            if not has_died:
                return

    asyncio.run(run())


@pytest.mark.parametrize("dies_at", [1_000_000, *range(2, 9)])
def test_a_rewind_while_a_worker_works_leaves_no_plan_open(dies_at: int) -> None:
    """A rewind that comes between any two of the worker's writes ends in a history that fits, and proves itself."""

    async def run() -> None:
        for at in range(2, 8):
            log, _ = await _told(_LIFE)
            to_seq = len(_LIFE) - 2 * (at % 3)
            interrupted = InterruptedLog(_Watched(log), KEY, at=at, facts=[SessionRewound(to_seq=to_seq)])
            await drained(worker_on(FailingLog(interrupted, at=dies_at, after=True, error=Killed())))
            await worker_on(_Watched(log), "successor").drain()
            context = await load(log, KEY)
            assert context.plan is None
            facts = [one.event.data for one in await read(log, KEY)]
            planned = [fact.base_seq for fact in facts if isinstance(fact, CompactionPlanned)]
            assert len(set(planned)) == len(planned)
            assert context.tokens.upper <= WINDOW.input_limit
            await outcome(log, KEY)

    asyncio.run(run())


@law(25)
@given(told=moves(*SAID, *CHANGED, at_least=15, at_most=40), drains=st.lists(st.booleans(), min_size=2, max_size=9))
def test_no_history_above_the_window_is_ever_published(told: list[Move], drains: list[bool]) -> None:
    """Whatever agents do and whenever the worker comes by, what it publishes can be sent."""
    facts = said(told)

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        worker = worker_on(_Watched(log))
        for at, fact in enumerate(facts):
            present = {entry.item.id for entry in (await load(log, KEY)).entries} if at else set()
            if isinstance(fact, ItemPinned) and fact.item not in present:
                continue
            if type(fact).__name__ in ("HistoryEdited", "ItemExtended"):
                continue
            await write(log, KEY, [fact], clock=clock)
            if drains[at % len(drains)]:
                await worker.drain()
        await worker.drain()
        assert not worker.damaged

    asyncio.run(run())


def test_a_rewind_below_the_thresholds_plans_nothing() -> None:
    """A rewind to a short history is left as it is."""

    async def run() -> None:
        log, clock = await _told(long_life())
        await write(log, KEY, [SessionRewound(to_seq=5)], clock=clock)
        await worker_on(_Watched(log)).drain()
        assert not [one for one in await read(log, KEY) if isinstance(one.event.data, CompactionPlanned)]
        assert (await outcome(log, KEY)).version == 1

    asyncio.run(run())
