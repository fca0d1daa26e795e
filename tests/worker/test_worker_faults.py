"""What a worker does when a model, an agent, a session or a window stands in its way."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, cast

import pytest
from tests.laws.lives import WINDOW, lived, long_life, said, user
from tests.laws.logs import (
    HandClock,
    InterruptedLog,
    LogProxy,
    ScriptedSummarizer,
    outcome,
    read,
    worker_on,
    write,
)
from tests.laws.stories import KEY, Move
from tests.laws.texts import OUTPUT, PROSE

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
    plain_text,
)
from retold.fold import history_of
from retold.lease_ports import Partitions
from retold.log import MemoryLog
from retold.model_ports import Summarizer
from retold.ports import Log, SessionEnd
from retold.replay import load, verify
from retold.summarizers import ExtractiveSummarizer
from retold.worker import Worker
from retold.worker import worker as worker_module


@pytest.mark.parametrize(
    "answer",
    [
        UnavailableError("no model"),
        TimeoutError(),
        (),
        (SummaryField(name="goal", lines=()),),
        (SummaryField(name="goal", lines=("word " * 50_000,)),),
        (SummaryField(name="goal", lines=("half a pair \ud800",)),),
        ConnectionError("api down"),
        KeyError("choices"),
        (SummaryField(name="goal", lines=cast("Any", (3,))),),
        (SummaryField(name="goal", lines=cast("Any", (b"bytes",))),),
        (SummaryField(name="goal", lines=cast("Any", None)),),
        cast("Any", "a text"),
        cast("Any", None),
    ],
    ids=[
        *("away", "slow", "nothing", "no-lines", "too-long", "no-text", "broken", "bug", "numbers", "bytes"),
        *("null-lines", "text", "null"),
    ],
)
def test_a_summarizer_that_fails_costs_no_history(answer: tuple[SummaryField, ...] | Exception) -> None:
    """If the model that summarises fails or returns nothing usable, my history is compacted without it."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        scripted = ScriptedSummarizer(answer)
        worker = Worker(log, HandClock("worker"), scripted)
        for fact in long_life(length=80):
            await write(log, KEY, [fact], clock=clock)
            await worker.drain()
        assert scripted.calls > 0
        assert (await outcome(log, KEY)).version > 0
        written = [one.event.data for one in await read(log, KEY)]
        assert not any(isinstance(fact, SummaryWritten) and fact.summarizer == "scripted" for fact in written)
        assert any(isinstance(fact, SummaryWritten) for fact in written)

    asyncio.run(run())


def test_what_is_logged_of_a_failed_summarizer_is_its_error_s_type(caplog: pytest.LogCaptureFixture) -> None:
    """The worker's log says which kind of error a summarizer raised, and never the error's text."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        worker = Worker(log, HandClock("worker"), ScriptedSummarizer(ConnectionError("the transcript")))
        for fact in long_life(length=80):
            await write(log, KEY, [fact], clock=clock)
        await worker.drain()

    asyncio.run(run())
    assert f"summarizer scripted failed on session {KEY.session}: ConnectionError" in caplog.text
    assert "the transcript" not in caplog.text


def test_what_a_summarizer_wrote_is_sent_and_never_asked_for_again() -> None:
    """A summary is written once: replaying the session reads it from the log."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        scripted = ScriptedSummarizer((SummaryField(name="goal", lines=("Mend the parser",)),))
        worker = Worker(log, HandClock("worker"), scripted)
        for fact in long_life(length=80):
            await write(log, KEY, [fact], clock=clock)
            await worker.drain()
        calls = scripted.calls
        written = [one.event.data for one in await read(log, KEY) if isinstance(one.event.data, SummaryWritten)]
        assert len(written) == calls > 0
        texts = [
            plain_text(item.content) for item in history_of(await load(log, KEY)).items if isinstance(item, Message)
        ]
        assert any("Mend the parser" in text for text in texts)
        assert (await verify(log, KEY)).ok
        assert scripted.calls == calls

    asyncio.run(run())


async def _interrupted(
    facts: Sequence[Fact], *, at: int, by: Sequence[Fact], summarizer: Summarizer | None = None
) -> MemoryLog:
    """Let an agent write *by* just before the worker's append number *at*."""
    log, clock = MemoryLog(), HandClock()
    for fact in facts:
        await write(log, KEY, [fact], clock=clock)
    interrupted = InterruptedLog(log, KEY, at=at, facts=by)
    worker = Worker(interrupted, HandClock("worker"), summarizer or ExtractiveSummarizer())
    await worker.drain()
    await worker.drain()
    assert not worker.damaged
    return log


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_what_an_agent_says_while_a_worker_works_is_kept_and_follows(at: int) -> None:
    """A message that I append between plan and result is in the history, after what was compacted."""
    facts = long_life()
    more = [user("and one more thing")]

    async def run() -> None:
        log = await _interrupted(facts, at=at, by=more)
        assert await outcome(log, KEY) == await lived([*facts, *more], [False])
        kinds = [type(one.event.data) for one in await read(log, KEY)]
        assert CompactionAbandoned not in kinds

    asyncio.run(run())


_changed_by = pytest.mark.parametrize(
    "barrier",
    [
        HistoryEdited(items=(Message(role="user", content=(Text("start anew"),)),)),
        ItemExtended(text=" and so on"),
        ItemPinned(item="i1"),
        SessionRewound(to_seq=3),
    ],
    ids=lambda fact: type(fact).__name__,
)
_DUE = [*said([Move("user", 0), Move("call", 1), Move("result", 4)]), user(PROSE * 10)]
_DUE += [ItemAppended(item=Message(role="assistant", content=(Text(OUTPUT),))) for _ in range(6)]


@_changed_by
def test_an_edit_while_a_model_writes_abandons_the_plan(barrier: Fact) -> None:
    """When I change the history that a plan was made on, the plan is given up on record, and my change stands."""
    model = ScriptedSummarizer((SummaryField(name="goal", lines=("Mend the parser",)),))

    async def run() -> None:
        log = await _interrupted(_DUE, at=2, by=[barrier], summarizer=model)
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


@_changed_by
def test_an_edit_while_a_worker_decides_leaves_nothing_of_the_decision(barrier: Fact) -> None:
    """When I change the history before a result that needs no model is stored, nothing of that is, and no plan."""

    async def run() -> None:
        log = await _interrupted(_DUE, at=1, by=[barrier])
        facts = [one.event.data for one in await read(log, KEY)]
        assert CompactionAbandoned not in map(type, facts)
        planned = [fact.base_seq for fact in facts if isinstance(fact, CompactionPlanned)]
        assert planned == [fact.base_seq for fact in facts if isinstance(fact, HistoryReplaced)]
        assert (await load(log, KEY)).plan is None
        await outcome(log, KEY)

    asyncio.run(run())


def _messages(entries: Sequence[object]) -> list[Message]:
    items: list[Item] = [entry.item for entry in entries]  # type: ignore[attr-defined]
    return [item for item in items if isinstance(item, Message)]


def test_a_damaged_session_is_set_aside_and_the_others_go_on() -> None:
    """One damaged session is named and left alone; my other sessions are compacted as ever."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        others = [KEY.__class__(tenant="laws", session=name) for name in ("a", "b", "z")]
        for key in others:
            for fact in long_life():
                await write(log, key, [fact], clock=clock)
        log.lose(others[1], 5)
        worker = worker_on(log)
        await worker.drain()
        assert list(worker.damaged) == [others[1]]
        assert "at sequence 5" in str(worker.damaged[others[1]])
        for key in (others[0], others[2]):
            assert (await outcome(log, key)).version > 0

    asyncio.run(run())


def test_a_session_of_an_unknown_vocabulary_is_set_aside() -> None:
    """A session that another program opened with a vocabulary I do not have stops no other session."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        strange = KEY.__class__(tenant="laws", session="strange")
        await write(log, strange, [SessionOpened(window=WINDOW, encoding="of_tomorrow")], clock=clock)
        for fact in long_life():
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
        facts: list[Fact] = [SessionOpened(window=WINDOW), system, user("hello")]
        facts += said([Move("usage", 1)] * 10)[1:]
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
        await write(log, KEY, [SessionOpened(window=WINDOW), system], clock=clock)
        await worker.drain()
        await write(log, KEY, [HistoryEdited(items=())], clock=clock)
        for fact in long_life()[1:]:
            await write(log, KEY, [fact], clock=clock)
            await worker.drain()
        assert (await load(log, KEY)).tokens.upper <= WINDOW.input_limit
        assert any(isinstance(one.event.data, HistoryReplaced) for one in await read(log, KEY))

    asyncio.run(run())


class _AwayLog(LogProxy):
    """Be away for longer than anybody waits, at the first tries to follow what grows."""

    left = 3

    async def wakes(self, partitions: Partitions | None = None) -> AsyncGenerator[SessionEnd, None]:
        """Fail, and wake when that is over."""
        if self.left:
            self.left -= 1
            raise UnavailableError("away")
        async with aclosing(self.inner.wakes(partitions)) as ends:
            async for end in ends:
                yield end


def test_a_worker_outlives_a_server_that_is_away_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose server comes back after minutes goes on; nobody has to start it again."""
    monkeypatch.setattr(worker_module, "FOLLOW_AGAIN_S", 0.0)

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        away = _AwayLog(log)
        worker = worker_on(away)
        running = asyncio.create_task(worker.run())
        for fact in long_life():
            await write(log, KEY, [fact], clock=clock)
        expected = await lived(long_life(), [False])
        async with asyncio.timeout(10):
            while await outcome(log, KEY) != expected:  # noqa: ASYNC110 - what is published wakes nobody
                await asyncio.sleep(0)
        assert away.left == 0
        worker.stop()
        await running

    asyncio.run(run())


def test_a_running_worker_keeps_up_and_stops_when_cancelled() -> None:
    """A worker that runs beside me compacts as I append, and cancelling it leaves a session that proves itself."""

    async def run() -> None:
        log: Log = MemoryLog()
        clock = HandClock()
        worker = Worker(log, HandClock("worker"), ExtractiveSummarizer())
        running = asyncio.create_task(worker.run())
        for fact in long_life():
            await write(log, KEY, [fact], clock=clock)
            for _ in range(50):
                await asyncio.sleep(0)
        await worker.drain()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await outcome(log, KEY) == await lived(long_life(), [False])

    asyncio.run(run())
