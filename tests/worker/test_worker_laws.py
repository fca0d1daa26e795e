"""Laws of the worker: what comes of a session depends on what was said, not on when a worker came by or died."""

import asyncio
import random
from collections.abc import Sequence

import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from retold.errors import UnavailableError
from retold.events import (
    CompactionAbandoned,
    CompactionFailed,
    CompactionPlanned,
    Fact,
    HistoryEdited,
    HistoryReplaced,
    Item,
    ItemAppended,
    ItemExtended,
    ItemPinned,
    Message,
    SessionOpened,
    SessionRewound,
    SummaryField,
    SummaryWritten,
    Text,
    Window,
    plain_text,
)
from retold.fold import history_of
from retold.log import MemoryLog
from retold.ports import Log
from retold.replay import load, verify
from retold.summarizers import ExtractiveSummarizer
from retold.worker import Worker
from tests.laws.logs import (
    FailingLog,
    HandClock,
    InterruptedLog,
    Killed,
    Outcome,
    ScriptedSummarizer,
    drained,
    outcome,
    read,
    worker_on,
    write,
)
from tests.laws.settings import law
from tests.laws.stories import CHANGED, KEY, SAID, Move, Story, long_story, moves
from tests.laws.texts import OUTPUT, PROSE

_WINDOW = Window(hard_limit=8_000, pre_rot=5_000, reserve=800)
_CONVERSATIONS = moves(*SAID, at_least=15, at_most=45)


def _said(told: Sequence[Move], window: Window = _WINDOW) -> list[Fact]:
    """Return what agents say in a story, without a worker."""
    return [recorded.event.data for recorded in Story(window).tell(told).events]


def _user(text: str) -> Fact:
    return ItemAppended(item=Message(role="user", content=(Text(text),)))


def _long(seed: int = 7, length: int = 60) -> list[Fact]:
    return _said(long_story(seed, length=length, verbs=("user", "say", "think", "call", "result")))


async def _lived(facts: Sequence[Fact], drains: Sequence[bool]) -> Outcome:
    """Append *facts* one by one, with a worker that comes by where *drains* says, and at the end."""
    log, clock = MemoryLog(), HandClock()
    worker = worker_on(log)
    for at, fact in enumerate(facts):
        await write(log, KEY, [fact], clock=clock)
        if drains[at % len(drains)]:
            await worker.drain()
    await worker.drain()
    assert not worker.damaged
    return await outcome(log, KEY)


@law(40)
@given(_CONVERSATIONS, st.lists(st.booleans(), min_size=3, max_size=20))
def test_the_history_does_not_depend_on_when_the_worker_came_by(told: list[Move], drains: list[bool]) -> None:
    """A worker that is always there, one that comes now and then and one that comes at the end give one history."""
    facts = _said(told)

    async def run() -> None:
        always = await _lived(facts, [True])
        assert await _lived(facts, [False]) == always
        assert await _lived(facts, drains) == always

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(4))
def test_a_long_session_comes_to_the_same_history_however_late(seed: int) -> None:
    """Over several hundred events and many compactions, a lagging worker comes to the very same history."""
    facts = _said(long_story(seed, length=150, verbs=("user", "say", "think", "call", "result", "usage")))

    async def run() -> None:
        always = await _lived(facts, [True])
        assert always.version > 1
        assert await _lived(facts, [False]) == always
        chance = random.Random(seed)
        assert await _lived(facts, [chance.random() < 0.2 for _ in facts]) == always

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
def test_a_worker_killed_between_any_two_effects_is_replaced_without_a_trace(seed: int, after: bool) -> None:
    """Whichever write the worker died at, before or after it, its successor comes to the undisturbed history."""
    told = long_story(seed, length=45, verbs=("user", "say", "call", "result", "think", "extend", "pin", "rewind"))
    facts = _said(told)

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
def test_a_lagging_worker_killed_between_any_two_effects_is_replaced_without_a_trace(after: bool) -> None:
    """A worker that died while it caught up leaves nothing that its successor would do differently."""
    facts = _long(length=70)

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
    facts = _long(length=40)

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


@pytest.mark.parametrize(
    "answer",
    [
        UnavailableError("no model"),
        TimeoutError(),
        (),
        (SummaryField(name="goal", lines=()),),
        (SummaryField(name="goal", lines=("word " * 50_000,)),),
        (SummaryField(name="goal", lines=("half a pair \ud800",)),),
    ],
    ids=["away", "slow", "nothing", "no-lines", "too-long", "no-text"],
)
def test_a_summarizer_that_fails_costs_no_history(answer: tuple[SummaryField, ...] | UnavailableError) -> None:
    """If the model that summarises fails or returns nothing usable, my history is compacted without it."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        scripted = ScriptedSummarizer(answer)
        worker = Worker(log, HandClock("worker"), scripted)
        for fact in _long(length=80):
            await write(log, KEY, [fact], clock=clock)
            await worker.drain()
        assert scripted.calls > 0
        assert (await outcome(log, KEY)).version > 0
        written = [one.event.data for one in await read(log, KEY)]
        assert not any(isinstance(fact, SummaryWritten) and fact.summarizer == "scripted" for fact in written)
        assert any(isinstance(fact, SummaryWritten) for fact in written)

    asyncio.run(run())


def test_what_a_summarizer_wrote_is_sent_and_never_asked_for_again() -> None:
    """A summary is written once: replaying the session reads it from the log."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        scripted = ScriptedSummarizer((SummaryField(name="goal", lines=("Mend the parser",)),))
        worker = Worker(log, HandClock("worker"), scripted)
        for fact in _long(length=80):
            await write(log, KEY, [fact], clock=clock)
            await worker.drain()
        calls = scripted.calls
        written = [one.event.data for one in await read(log, KEY) if isinstance(one.event.data, SummaryWritten)]
        assert len(written) == calls > 0
        texts = [plain_text(item.content) for item in history_of(await load(log, KEY)).items if isinstance(item, Message)]
        assert any("Mend the parser" in text for text in texts)
        assert (await verify(log, KEY)).ok
        assert scripted.calls == calls

    asyncio.run(run())


@law(15)
@given(_CONVERSATIONS)
def test_two_workers_on_one_log_do_no_harm(told: list[Move]) -> None:
    """Two workers that were started by mistake come to the history that one comes to."""
    facts = _said(told)

    async def run() -> None:
        alone = await _lived(facts, [False])
        log, clock = MemoryLog(), HandClock()
        first, second = worker_on(log, "first"), worker_on(log, "second")
        for at, fact in enumerate(facts):
            await write(log, KEY, [fact], clock=clock)
            if at % 7 == 6:
                await asyncio.gather(first.drain(), second.drain())
        await asyncio.gather(first.drain(), second.drain())
        assert await outcome(log, KEY) == alone

    asyncio.run(run())


async def _interrupted(facts: Sequence[Fact], *, at: int, by: Sequence[Fact]) -> MemoryLog:
    """Let an agent write *by* just before the worker's append number *at*."""
    log, clock = MemoryLog(), HandClock()
    for fact in facts:
        await write(log, KEY, [fact], clock=clock)
    worker = worker_on(InterruptedLog(log, KEY, at=at, facts=by))
    await worker.drain()
    await worker.drain()
    assert not worker.damaged
    return log


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_what_an_agent_says_while_a_worker_works_is_kept_and_follows(at: int) -> None:
    """A message that I append between plan and result is in the history, after what was compacted."""
    facts = _long()
    more = [_user("and one more thing")]

    async def run() -> None:
        log = await _interrupted(facts, at=at, by=more)
        assert await outcome(log, KEY) == await _lived([*facts, *more], [False])
        kinds = [type(one.event.data) for one in await read(log, KEY)]
        assert CompactionAbandoned not in kinds

    asyncio.run(run())


@pytest.mark.parametrize(
    "barrier",
    [
        HistoryEdited(items=(Message(role="user", content=(Text("start anew"),)),)),
        ItemExtended(text=" and so on"),
        ItemPinned(item="i1"),
        SessionRewound(to_seq=3),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_an_edit_between_plan_and_result_abandons_the_plan(barrier: Fact) -> None:
    """When I change the history that a plan was made on, the plan is given up on record, and my change stands."""
    facts = [*_said([Move("user", 0), Move("call", 1), Move("result", 4)]), _user(PROSE * 10)]
    facts += [ItemAppended(item=Message(role="assistant", content=(Text(OUTPUT),))) for _ in range(6)]

    async def run() -> None:
        log = await _interrupted(facts, at=2, by=[barrier])
        kinds = [type(one.event.data) for one in await read(log, KEY)]
        planned = kinds.index(CompactionPlanned)
        assert kinds[planned : planned + 3] == [CompactionPlanned, type(barrier), CompactionAbandoned]
        await outcome(log, KEY)
        context = await load(log, KEY)
        assert context.plan is None
        if isinstance(barrier, ItemPinned):
            assert "i1" in context.pinned
        if isinstance(barrier, HistoryEdited):
            assert [plain_text(item.content) for item in _messages(context.entries)] == ["start anew"]

    asyncio.run(run())


def _messages(entries: Sequence[object]) -> list[Message]:
    items: list[Item] = [entry.item for entry in entries]  # type: ignore[attr-defined]
    return [item for item in items if isinstance(item, Message)]


@law(25)
@given(moves(*SAID, *CHANGED, at_least=15, at_most=40), st.integers(1, 12), st.booleans())
def test_any_session_survives_a_worker_that_dies_and_leaves_its_plan_open(
    told: list[Move], at: int, after: bool
) -> None:
    """With edits, rewinds and pins around it, a dead worker's open plan neither blocks nor damages the session."""
    facts = _said(told)
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
    facts = _long()

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


def test_a_damaged_session_is_set_aside_and_the_others_go_on() -> None:
    """One damaged session is named and left alone; my other sessions are compacted as ever."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        others = [KEY.__class__(tenant="laws", session=name) for name in ("a", "b", "z")]
        for key in others:
            for fact in _long():
                await write(log, key, [fact], clock=clock)
        log.lose(others[1], 5)
        worker = worker_on(log)
        await worker.drain()
        assert list(worker.damaged) == [others[1]]
        assert worker.damaged[others[1]].seq == 5
        for key in (others[0], others[2]):
            assert (await outcome(log, key)).version > 0

    asyncio.run(run())


def test_a_session_of_an_unknown_vocabulary_is_set_aside() -> None:
    """A session that another program opened with a vocabulary I do not have stops no other session."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        strange = KEY.__class__(tenant="laws", session="strange")
        await write(log, strange, [SessionOpened(window=_WINDOW, encoding="of_tomorrow")], clock=clock)
        for fact in _long():
            await write(log, KEY, [fact], clock=clock)
        worker = worker_on(log)
        await worker.drain()
        assert list(worker.damaged) == [strange]
        assert (await outcome(log, KEY)).version > 0

    asyncio.run(run())


def test_a_history_that_cannot_fit_fails_by_name_and_ends() -> None:
    """If what must be kept is larger than the window, that is recorded once a message that makes it grow, no more."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        worker = worker_on(log)
        system = ItemAppended(item=Message(role="system", content=(Text(PROSE * 600),)))
        facts: list[Fact] = [SessionOpened(window=_WINDOW), system, _user("hello")]
        facts += _said([Move("usage", 1)] * 10)[1:]
        for fact in facts:
            await write(log, KEY, [fact], clock=clock)
            await worker.drain()
            await worker.drain()
        failed = [one.event.data for one in await read(log, KEY) if isinstance(one.event.data, CompactionFailed)]
        assert len(failed) == 2
        assert "of at least" in failed[0].reason
        assert not worker.damaged

    asyncio.run(run())


def test_a_history_that_failed_once_is_compacted_after_it_was_edited_and_grew_again() -> None:
    """A failure at a great size does not keep the worker away once I have made the history small."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        worker = worker_on(log)
        system = ItemAppended(item=Message(role="system", content=(Text(PROSE * 2_000),)))
        await write(log, KEY, [SessionOpened(window=_WINDOW), system], clock=clock)
        await worker.drain()
        await write(log, KEY, [HistoryEdited(items=())], clock=clock)
        for fact in _long()[1:]:
            await write(log, KEY, [fact], clock=clock)
            await worker.drain()
        assert (await load(log, KEY)).tokens.upper <= _WINDOW.input_limit
        assert any(isinstance(one.event.data, HistoryReplaced) for one in await read(log, KEY))

    asyncio.run(run())


def test_a_running_worker_keeps_up_and_stops_when_cancelled() -> None:
    """A worker that runs beside me compacts as I append, and cancelling it leaves a session that proves itself."""

    async def run() -> None:
        log: Log = MemoryLog()
        clock = HandClock()
        worker = Worker(log, HandClock("worker"), ExtractiveSummarizer())
        running = asyncio.create_task(worker.run())
        for fact in _long():
            await write(log, KEY, [fact], clock=clock)
            for _ in range(50):
                await asyncio.sleep(0)
        await worker.drain()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await outcome(log, KEY) == await _lived(_long(), [False])

    asyncio.run(run())
