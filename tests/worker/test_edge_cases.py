"""Faults that other compactors had, where a log, a worker or a summarizer is needed to show that they are not here."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from msgspec import structs
from tests.laws.lives import WINDOW, lived, long_life, said, user
from tests.laws.logs import (
    FailingLog,
    HandClock,
    InterruptedLog,
    Killed,
    drained,
    outcome,
    read,
    worker_on,
    write,
)
from tests.laws.stories import KEY, Move
from tests.laws.texts import OUTPUT, PROSE

from retold.client import Client, Session
from retold.events import (
    CompactionAbandoned,
    CompactionPlanned,
    Draft,
    Fact,
    HistoryEdited,
    HistoryReplaced,
    ItemAppended,
    Message,
    Policy,
    SessionErased,
    SessionOpened,
    SummaryField,
    SummaryWritten,
    Text,
    ToolCall,
    ToolResult,
    Tuning,
    WindowChanged,
)
from retold.fold import Context
from retold.log import MemoryLog
from retold.policy import PRESETS, SummarizeSpan, Summary
from retold.replay import load
from retold.summarizers import ExtractiveSummarizer
from retold.worker import Limits, Worker

_POLICIES = sorted(PRESETS)
_every_preset = pytest.mark.parametrize("policy", _POLICIES)
_Answer = Callable[[Context, SummarizeSpan], Awaitable[tuple[SummaryField, ...]]]


class _Summarizer:
    """Answer as a test says, and remember what was asked."""

    name = "scripted"

    def __init__(self, answer: _Answer) -> None:
        self._answer = answer
        self.asked: list[tuple[Context, SummarizeSpan]] = []

    async def summarize(self, context: Context, decision: SummarizeSpan) -> Summary:
        """Answer."""
        self.asked.append((context, decision))
        return Summary(fields=await self._answer(context, decision), summarizer=self.name)


def _goal(*lines: str) -> tuple[SummaryField, ...]:
    return (SummaryField(name="goal", lines=lines),)


def _life(policy: Policy = "ladder", *, turns: int = 150) -> list[Fact]:
    """Return what agents say in a session of *policy* that is compacted several times."""
    facts: list[Fact] = [SessionOpened(window=WINDOW, policy=policy)]
    for number in range(turns):
        facts.append(user(f"Request {number}. {PROSE}"))
        facts.append(ItemAppended(item=Message(role="assistant", content=(Text(f"{number} {PROSE * 4}"),))))
    return facts


async def _lived(facts: Sequence[Fact], summarizer: _Summarizer, *, limits: Limits | None = None) -> MemoryLog:
    log, clock = MemoryLog(), HandClock()
    worker = Worker(log, HandClock("worker"), summarizer, limits=limits)
    for fact in facts:
        await write(log, KEY, [fact], clock=clock)
        await worker.drain()
    assert not worker.damaged
    await outcome(log, KEY)
    return log


async def _facts(log: MemoryLog) -> list[Fact]:
    return [one.event.data for one in await read(log, KEY)]


# ---- summarizers ---------------------------------------------------------------------------------------------------


async def _says_nothing(_: Context, __: SummarizeSpan) -> tuple[SummaryField, ...]:
    return _goal("", "  ")


async def _says_a_goal(_: Context, __: SummarizeSpan) -> tuple[SummaryField, ...]:
    return _goal("Mend the parser")


async def _inflates(context: Context, decision: SummarizeSpan) -> tuple[SummaryField, ...]:
    covered = set(decision.covers)
    return _goal(*(str(entry.item) * 3 for entry in context.entries if entry.item.id in covered))


async def _quotes_and_fails(context: Context, _: SummarizeSpan) -> tuple[SummaryField, ...]:
    raise RuntimeError(f"half a summary: QUOTED {context.entries[0].item}")


@_every_preset
@pytest.mark.parametrize("answer", [_says_nothing, _inflates, _quotes_and_fails])
def test_a_bad_summary_is_not_installed_and_leaves_no_trace(policy: Policy, answer: _Answer) -> None:
    """An empty, inflated or broken-off summary costs no history, and nothing of a failed try is in my log."""

    async def run() -> None:
        summarizer = _Summarizer(answer)
        log = await _lived(_life(policy), summarizer)
        assert summarizer.asked
        facts = await _facts(log)
        written = [fact for fact in facts if isinstance(fact, SummaryWritten)]
        assert written
        assert {fact.summarizer for fact in written} == {"extractive"}
        assert not any(b"QUOTED" in one.body for one in await read(log, KEY))
        assert (await load(log, KEY)).tokens.upper <= WINDOW.input_limit

    asyncio.run(run())


def test_a_summarizer_that_hangs_is_given_up() -> None:
    """A summarizer that never answers holds my session up for its time limit, then the history is compacted without."""
    limits = Limits(summary_timeout_s=0.001)

    async def hangs(_: Context, __: SummarizeSpan) -> tuple[SummaryField, ...]:
        """Wait for ever."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError("never")

    async def run() -> None:
        log = await _lived(_life(turns=60), _Summarizer(hangs), limits=limits)
        assert {fact.summarizer for fact in await _facts(log) if isinstance(fact, SummaryWritten)} == {"extractive"}

    asyncio.run(run())


@_every_preset
def test_a_summarizer_sees_all_that_its_summary_stands_for(policy: Policy) -> None:
    """My summarizer is given every covered entry whole, not the last few thousand tokens, and the summary before."""

    async def answers(_: Context, decision: SummarizeSpan) -> tuple[SummaryField, ...]:
        """Say which summary this is."""
        return _goal(f"This is {decision.summary_id}.")

    async def run() -> None:
        summarizer = _Summarizer(answers)
        log = await _lived(_life(policy), summarizer)
        originals = {entry.item.id: entry.item for context, _ in summarizer.asked for entry in context.entries}
        assert len(summarizer.asked) > 1
        for context, decision in summarizer.asked:
            there = {entry.item.id: entry.item for entry in context.entries}
            assert set(decision.covers) <= set(there)
            whole = [entry for entry in context.entries if entry.form == "whole"]
            assert all(originals[entry.item.id] == entry.item for entry in whole)
        written = [fact for fact in await _facts(log) if isinstance(fact, SummaryWritten)]
        for before, after in pairwise(written):
            assert before.item.id in after.covers
        (told,) = summarizer.asked[1][0].summary
        assert (told.name, told.lines, told.trust) == ("goal", ("This is s1.",), "untrusted")

    asyncio.run(run())


def test_a_switch_to_a_smaller_window_is_summarised_from_the_whole_old_history() -> None:
    """The summary that a smaller model goes on with is made of all that the larger one could see."""

    async def answers(_: Context, __: SummarizeSpan) -> tuple[SummaryField, ...]:
        """Say something."""
        return _goal("Go on.")

    async def run() -> None:
        summarizer = _Summarizer(answers)
        large = structs.replace(WINDOW, hard_limit=400_000, pre_rot=300_000)
        facts = [SessionOpened(window=large), *_life()[1:], WindowChanged(window=WINDOW)]
        log = await _lived(facts, summarizer)
        ((context, decision),) = summarizer.asked
        assert len(context.entries) == len(facts) - 2
        assert len(decision.covers) > 80
        published = await log.load_history(KEY)
        assert published is not None
        assert (await load(log, KEY)).tokens.upper <= WINDOW.input_limit

    asyncio.run(run())


# ---- many writers, crashes, clocks ---------------------------------------------------------------------------------


def test_a_plan_left_open_by_a_crash_does_not_block() -> None:
    """A worker that died right after it announced a compaction is followed by one that makes it, once."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        for fact in _life("codex"):
            await write(log, KEY, [fact], clock=clock)
        dying = FailingLog(log, at=1, after=True, error=Killed())
        assert not await drained(Worker(dying, HandClock("worker"), _Summarizer(_says_a_goal)))
        assert isinstance((await _facts(log))[-1], CompactionPlanned)
        assert (await load(log, KEY)).plan is not None
        await Worker(log, HandClock("successor"), _Summarizer(_says_a_goal)).drain()
        facts = await _facts(log)
        replaced = [fact.base_seq for fact in facts if isinstance(fact, HistoryReplaced)]
        planned = [fact.base_seq for fact in facts if isinstance(fact, CompactionPlanned)]
        assert planned == replaced
        assert (await load(log, KEY)).plan is None
        undisturbed = await _lived(_life("codex"), _Summarizer(_says_a_goal))
        assert await outcome(log, KEY) == await outcome(undisturbed, KEY)

    asyncio.run(run())


def test_two_workers_compact_a_range_once() -> None:
    """Two workers that see the same growth write one compaction of it, not two."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        for fact in long_life():
            await write(log, KEY, [fact], clock=clock)
        await asyncio.gather(*(worker_on(log, name).drain() for name in ("anne", "bert", "cora")))
        bases = [fact.base_seq for fact in await _facts(log) if isinstance(fact, HistoryReplaced)]
        assert len(set(bases)) == len(bases) > 0
        assert await outcome(log, KEY) == await lived(long_life(), [False])

    asyncio.run(run())


@pytest.mark.parametrize("cleared", [HistoryEdited(items=()), SessionErased(by="me")], ids=["cleared", "erased"])
@pytest.mark.parametrize("at", [1, 2])
def test_what_was_cleared_while_a_worker_compacted_does_not_come_back(cleared: Fact, at: int) -> None:
    """When I clear my history before a worker's plan, or while a model writes the summary, the result is given up."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        for fact in [*said([Move("user", 0)]), *(user(f"{nth} {PROSE * 12}") for nth in range(20))]:
            await write(log, KEY, [fact], clock=clock)
        interrupted = InterruptedLog(log, KEY, at=at, facts=[cleared])
        worker = Worker(interrupted, HandClock("worker"), _Summarizer(_says_a_goal))
        await worker.drain()
        await worker.drain()
        context = await load(log, KEY)
        assert context.entries == ()
        assert context.summary == ()
        after = [fact for fact in (await _facts(log)) if isinstance(fact, CompactionAbandoned | HistoryReplaced)]
        assert not any(isinstance(fact, HistoryReplaced) for fact in after)
        await outcome(log, KEY)

    asyncio.run(run())


def test_clocks_that_run_backwards_change_no_compaction() -> None:
    """Writers whose clocks are years apart, or run backwards, come to the history that true clocks give."""

    async def run() -> None:
        facts = long_life()
        log = MemoryLog()
        start = datetime(2026, 1, 1, tzinfo=UTC)
        for nth, fact in enumerate(facts):
            at = start - timedelta(days=nth) if nth % 3 else start + timedelta(days=3_650)
            await log.append(KEY, [Draft(id=f"skew-{nth}", at=at, actor="agent", data=fact)])
            worker = Worker(log, HandClock(f"w{nth}", start=at), ExtractiveSummarizer())
            await worker.drain()
        assert await outcome(log, KEY) == await lived(facts, [True])

    asyncio.run(run())


# ---- what can be seen, steered, and had back -----------------------------------------------------------------------


@_every_preset
def test_a_compaction_is_seen_in_the_event_stream(policy: Policy) -> None:
    """Whoever reads my log finds when a compaction was planned, what it stood for, and what it kept and freed."""

    async def run() -> None:
        log = await _lived(_life(policy), _Summarizer(_says_nothing))
        facts = await _facts(log)
        replaced = [fact for fact in facts if isinstance(fact, HistoryReplaced)]
        assert replaced
        for fact in replaced:
            before = facts[: facts.index(fact)]
            planned = next(one for one in reversed(before) if isinstance(one, CompactionPlanned))
            assert planned.base_seq == fact.base_seq
            assert planned.tokens_before == fact.receipt.tokens_before > fact.receipt.tokens_after
            assert fact.receipt.kept + len(fact.receipt.summarised) + len(fact.receipt.offloaded) > 0

    asyncio.run(run())


def test_a_session_can_switch_compaction_off_and_ask_for_it() -> None:
    """With a manual session nothing is compacted until I ask, then once."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        worker = worker_on(log)
        opened = SessionOpened(window=WINDOW, tuning=Tuning(manual=True))
        for fact in [opened, *_life()[1:]]:
            await write(log, KEY, [fact], clock=clock)
            await worker.drain()
        assert (await load(log, KEY)).version == 0
        session = await Client(log, HandClock("mine")).existing(KEY.session, tenant=KEY.tenant)
        assert await session.manage() is not None
        await worker.drain()
        assert (await load(log, KEY)).version == 1
        assert (await load(log, KEY)).tokens.upper <= WINDOW.input_limit

    asyncio.run(run())


@pytest.mark.parametrize("policy", ["ladder", "agkit"])
def test_what_was_offloaded_comes_back_from_the_log_after_a_chain_of_compactions(policy: Policy) -> None:
    """After compaction upon compaction, each placeholder's original is had back from the log, byte for byte."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        worker, restored = worker_on(log), 0
        session = None
        for nth in range(40):
            for fact in _turn(nth, policy):
                await write(log, KEY, [fact], clock=clock)
                await worker.drain()
            session = session or await Client(log, HandClock("mine")).existing(KEY.session, tenant=KEY.tenant)
            if nth % 8 == 7:
                restored += await _restore_all(log, session)
        assert restored > 3
        assert (await load(log, KEY)).version > 3
        await outcome(log, KEY)

    asyncio.run(run())


def _turn(nth: int, policy: Policy) -> list[Fact]:
    opened: list[Fact] = [SessionOpened(window=WINDOW, policy=policy)] if nth == 0 else []
    call = ItemAppended(item=ToolCall(call_id=f"c{nth}", name="read", arguments=f'{{"n": {nth}}}'))
    result = ItemAppended(item=ToolResult(call_id=f"c{nth}", content=(Text(f"{nth} café\r\n{OUTPUT[:900]}"),)))
    return [*opened, user(f"Request {nth}."), call, result]


async def _restore_all(log: MemoryLog, session: Session) -> int:
    appended = [fact.item for fact in await _facts(log) if isinstance(fact, ItemAppended)]
    offloaded = [entry.item.id for entry in (await load(log, KEY)).entries if entry.form == "placeholder"]
    for item_id in offloaded:
        await session.restore(item_id)
        now = next(entry.item for entry in (await load(log, KEY)).entries if entry.item.id == item_id)
        said_then = appended[int(item_id[1:]) - 1]
        assert msgspec.json.encode(now) == msgspec.json.encode(structs.replace(said_then, id=item_id))
    return len(offloaded)
