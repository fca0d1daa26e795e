"""A worker writes no more often than it has to, and what it keeps costs no more because a session is long."""

import asyncio
from collections.abc import Sequence

from tests.laws.lives import WINDOW, long_life, user
from tests.laws.logs import HandClock, LogProxy, ScriptedSummarizer, outcome, read, worker_on, write
from tests.laws.stories import KEY

from retold.events import (
    CompactionPlanned,
    CompactionRequested,
    Draft,
    Fact,
    HistoryReplaced,
    ItemsOffloaded,
    Recorded,
    SessionKey,
    SessionOpened,
    SummaryField,
    SummaryWritten,
    Window,
)
from retold.fold import Context, decode_context
from retold.log import MemoryLog
from retold.policy import SummarizeSpan, Summary
from retold.ports import Snapshot
from retold.replay import load
from retold.worker import Worker


class _Appends(LogProxy):
    """Remember what was appended together."""

    def __init__(self, log: MemoryLog) -> None:
        """Pass on to *log*."""
        super().__init__(log)
        self.appended: list[list[Fact]] = []

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append, and remember it."""
        self.appended.append([draft.data for draft in drafts])
        return await super().append(key, drafts, expected=expected, are_new=are_new)


def test_a_compaction_without_a_model_is_stored_at_once() -> None:
    """Where no model is asked, plan and result are one append: whoever reads my log sees both or neither."""

    async def run() -> None:
        log, clock = _Appends(MemoryLog()), HandClock()
        worker = worker_on(log)
        for fact in long_life(length=80):
            await write(log.inner, KEY, [fact], clock=clock)
            await worker.drain()
        kinds = [[type(fact) for fact in together] for together in log.appended]
        assert {ItemsOffloaded, SummaryWritten} <= {together[1] for together in kinds}
        for together in kinds:
            assert together[0] is CompactionPlanned
            assert together[-1] is HistoryReplaced
        await outcome(log, KEY)

    asyncio.run(run())


class _Watched(ScriptedSummarizer):
    """Answer, and remember whether the plan was in the log when it was asked."""

    def __init__(self, log: MemoryLog) -> None:
        """Look into *log*."""
        super().__init__((SummaryField(name="goal", lines=("Mend the parser",)),))
        self.planned: list[bool] = []
        self._log = log

    async def summarize(self, context: Context, decision: SummarizeSpan) -> Summary:
        """Look, and answer."""
        self.planned.append(isinstance((await read(self._log, context.key))[-1].event.data, CompactionPlanned))
        return await super().summarize(context, decision)


def test_a_plan_is_there_while_a_model_is_asked() -> None:
    """As long as a model writes a summary, my log says that a compaction is being made."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        model = _Watched(log)
        worker = Worker(log, HandClock("worker"), model)
        for fact in long_life(length=80):
            await write(log, KEY, [fact], clock=clock)
            await worker.drain()
        assert model.planned
        assert all(model.planned)

    asyncio.run(run())


def test_snapshots_cost_an_event_no_more_in_a_long_history() -> None:
    """Keeping snapshots takes a few entries for each event of mine, however many entries a history has."""
    events, batch = 2_400, 20

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        worker = worker_on(log)
        await write(log, KEY, [SessionOpened(window=Window(hard_limit=1_000_000))], clock=clock)
        for first in range(0, events, batch):
            await write(log, KEY, [user(f"Request {first + nth}.") for nth in range(batch)], clock=clock)
            await worker.drain()
        kept = [one async for one in log.snapshots(KEY) if isinstance(one, Snapshot)]
        entries = [len(decode_context(one.body, key=KEY).entries) for one in kept]
        assert entries == sorted(entries)
        assert entries[-1] > events // 2
        assert sum(entries) < 10 * events

    asyncio.run(run())


def test_a_place_where_nothing_comes_of_a_decision_is_passed() -> None:
    """A compaction that I ask for when there is nothing to compact holds nothing up that I say afterwards."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        facts = [SessionOpened(window=WINDOW), CompactionRequested(reason="now"), *map(user, ("one", "two", "three"))]
        for fact in facts:
            await write(log, KEY, [fact], clock=clock)
        await worker_on(log).drain()
        assert len((await load(log, KEY)).entries) == 3

    asyncio.run(run())
