"""The policy `agent`: the model keeps its history small, and a worker steps in only where nothing could be sent."""

import asyncio

import pytest
from tests.laws.logs import HandClock, InterruptedLog, outcome, worker_on

from retold.client import Client, Session
from retold.client.decompressing import covered, opened
from retold.events import HistoryReplaced, Window
from retold.fold import decode_history
from retold.log import MemoryLog
from retold.policy.nudging import Style
from retold.ports import Log
from retold.replay import load

WINDOW = Window(hard_limit=20_000, pre_rot=12_000)


async def _step(session: Session, number: int) -> None:
    function = {"name": "run_tests", "arguments": "{}"}
    calls = [{"id": f"r{number}", "type": "function", "function": function}]
    await session.append({"role": "assistant", "content": None, "tool_calls": calls})
    text = f"FAILED test_{number}: 1 != 2\n" * 80
    await session.append({"role": "tool", "tool_call_id": f"r{number}", "content": text})


async def _react(session: Session) -> None:
    """Do what a model does that is told to compress: take the largest range that it is offered."""
    view = await session.view()
    first, _, last = view.movable[0].split(" (", maxsplit=1)[0].partition(" to ")
    asked = {"first": first, "last": last or first, "messages": ["runs failed, each: 1 != 2"]}
    await session.compress([asked])


async def _compactions(log: Log, session: Session) -> int:
    facts = [one.event.data async for one in log.read(session.key)]
    return sum(isinstance(fact, HistoryReplaced) for fact in facts)


async def _work(log: Log, *, style: Style | None, steps: int = 60) -> tuple[Session, int]:
    """Let an agent work, with a worker beside it; return its session and how many nudges it was given."""
    session = await Client(log, HandClock()).session("s", window=WINDOW, policy="agent")
    worker, nudges = worker_on(log), 0
    await session.append({"role": "system", "content": "RULES"})
    await session.append({"role": "user", "content": "Find the failure."})
    for number in range(steps):
        await _step(session, number)
        if style is not None and (await session.view(style=style)).nudge is not None:
            nudges += 1
            await _react(session)
        await worker.drain()
        history = await session.history()
        assert history.tokens <= WINDOW.input_limit
        published = await log.load_history(session.key)
        if published is not None:
            assert decode_history(published.body, key=session.key).tokens <= WINDOW.input_limit
    return session, nudges


@pytest.mark.parametrize("style", ["lazy", "balanced", "aggressive"])
def test_a_model_that_reacts_is_left_alone(style: Style) -> None:
    """A model that compresses when it is nudged never meets the worker, and its window never fills."""

    async def run() -> None:
        log = MemoryLog()
        session, nudges = await _work(log, style=style)
        assert nudges >= 3
        assert await _compactions(log, session) == 0
        assert (await session.history()).tokens < WINDOW.pre_rot_tokens
        await outcome(log, session.key)

    asyncio.run(run())


def test_a_model_that_does_not_react_is_compacted_at_the_last_moment() -> None:
    """A model that never compresses has the whole window, and then the ladder, so that every request can be sent."""

    async def run() -> None:
        log = MemoryLog()
        session, _ = await _work(log, style=None, steps=20)
        assert (await session.history()).tokens > WINDOW.pre_rot_tokens
        assert await _compactions(log, session) == 0
        await session.erase(by="test")
        session, _ = await _work(log, style=None)
        assert await _compactions(log, session) >= 1
        await outcome(log, session.key)

    asyncio.run(run())


def test_a_worker_compacts_below_when_it_is_asked() -> None:
    """Below the last moment, a request is all that makes a worker compact; blocks go into its summary as others do."""

    async def run() -> None:
        log = MemoryLog()
        session, _ = await _work(log, style="balanced", steps=20)
        before = await session.history()
        assert any(entry.form == "compressed" for entry in before.entries)
        await session.request_compaction(target_tokens=before.tokens // 3)
        await worker_on(log).drain()
        assert await _compactions(log, session) == 1
        assert (await session.history()).tokens <= before.tokens // 3
        await session.undo()
        assert any(entry.form == "compressed" for entry in (await session.history()).entries)
        await outcome(log, session.key)

    asyncio.run(run())


def test_a_block_that_is_opened_while_a_worker_decides_leaves_nothing_of_the_decision() -> None:
    """When my model opens a block while a worker compacts, nothing of what it decided is stored."""

    async def run() -> None:
        log = MemoryLog()
        session = await Client(log, HandClock()).session("s", window=WINDOW)
        await session.append({"role": "user", "content": "Find the failure."})
        for number in range(8):
            await _step(session, number)
        done = await session.compress([{"first": "i2", "last": "i5", "messages": ["two runs"]}])
        for number in range(8, 20):
            await _step(session, number)
        context = await load(log, session.key)
        fact = opened(done.blocks[0].block, await covered(log, context, done.blocks[0].block))
        worker = worker_on(InterruptedLog(log, session.key, at=1, facts=[fact]))
        await worker.drain()
        await worker.drain()
        kinds = [one.event.type async for one in log.read(session.key)]
        assert kinds.count("HistoryDecompressed") == 1
        assert not {"CompactionPlanned", "CompactionAbandoned"} & set(kinds)
        await outcome(log, session.key)

    asyncio.run(run())
