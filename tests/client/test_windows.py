"""The window is a fact about the model in use: whatever a session returns to, it is sent to the model of now."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.laws.logs import HandClock, worker_on
from tests.laws.texts import OUTPUT

from retold.client import Client, Session
from retold.errors import InputError
from retold.events import Tuning, Window
from retold.fold import Context
from retold.log import MemoryLog
from retold.replay import load, verify

LARGE = Window(hard_limit=60_000, pre_rot=40_000)
SMALL = Window(hard_limit=4_000)


async def _work(session: Session, steps: int) -> None:
    for step in range(steps):
        await session.append({"role": "user", "content": f"Look at failure {step}."})
        await session.append({"role": "assistant", "content": f"{step}: {OUTPUT}"})


def _run(steps: Callable[[MemoryLog, Session], Awaitable[None]]) -> None:
    """Run *steps* on a new session, and prove it."""

    async def run() -> None:
        log = MemoryLog()
        session = await Client(log, HandClock("mine")).session("a", window=LARGE)
        await steps(log, session)
        for end in await log.sessions():
            assert (await verify(log, end.key)).ok

    asyncio.run(run())


async def _brought_up(log: MemoryLog, session: Session) -> Context:
    worker = worker_on(log)
    await worker.drain()
    assert not worker.damaged
    return await load(log, session.key)


@pytest.mark.parametrize("encoding", [None, "claude-4.8"])
def test_a_rewind_keeps_the_window_of_the_model_that_i_use(encoding: str | None) -> None:
    """I go on with a smaller model, then rewind to before that: what comes back is brought under its window."""

    async def run(log: MemoryLog, session: Session) -> None:
        await _work(session, 12)
        await session.tag("before")
        before = await load(log, session.key)
        await session.change_window(SMALL, encoding=encoding)
        await _brought_up(log, session)
        await session.rewind("before")
        now = await load(log, session.key)
        assert [entry.item for entry in now.entries] == [entry.item for entry in before.entries]
        assert (now.window, now.encoding) == (SMALL, encoding or "o200k_base")
        if encoding is not None:
            assert now.tokens != before.tokens
        await session.append({"role": "user", "content": "Go on."})
        settled = await _brought_up(log, session)
        assert settled.tokens.upper <= SMALL.input_limit

    _run(run)


def test_a_rewind_to_a_smaller_window_leaves_the_larger_one_in_use() -> None:
    """I go on with a larger model, then rewind to before that: nothing is compacted for a model that I left."""

    async def run(log: MemoryLog, session: Session) -> None:
        await session.change_window(SMALL)
        await _work(session, 1)
        await session.tag("before")
        await session.change_window(LARGE)
        await session.rewind("before")
        await _work(session, 9)
        context = await _brought_up(log, session)
        assert context.window == LARGE
        assert context.tokens.upper > SMALL.hard_limit
        assert not any(entry.form != "whole" for entry in context.entries)

    _run(run)


def test_an_undo_keeps_the_window_of_the_model_that_i_use() -> None:
    """I undo a compaction that was made for the larger model: what comes back is brought under the smaller window."""

    async def run(log: MemoryLog, session: Session) -> None:
        await _work(session, 60)
        version = (await _brought_up(log, session)).version
        assert version > 0
        await session.change_window(SMALL, encoding="cl100k_base")
        await session.undo()
        undone = await load(log, session.key)
        assert (undone.window, undone.encoding) == (SMALL, "cl100k_base")
        assert undone.tokens.upper > SMALL.input_limit
        settled = await _brought_up(log, session)
        assert settled.tokens.upper <= SMALL.input_limit

    _run(run)


def test_a_fork_starts_under_the_window_of_its_place_or_the_one_that_i_name() -> None:
    """A fork starts as the session was, its window too; I name another where it is for another model."""

    async def run(log: MemoryLog, session: Session) -> None:
        await _work(session, 12)
        await session.tag("before")
        await session.change_window(SMALL)
        then = await session.fork("then", at="before")
        named = await session.fork("named", at="before", window=SMALL)
        assert (await load(log, then.key)).window == LARGE
        assert (await _brought_up(log, named)).tokens.upper <= SMALL.input_limit

    _run(run)


@pytest.mark.parametrize("wrong", [None, 200_000, {"hard_limit": 200_000}, "200k", Tuning()], ids=repr)
def test_what_is_no_window_is_refused(wrong: Any) -> None:
    """Something else than a window, or than a tuning, is named, wherever I give it."""

    async def run(log: MemoryLog, session: Session) -> None:
        client = Client(log, HandClock("other"))
        end = await log.head(session.key)
        with pytest.raises(InputError, match="expected a Window"):
            await session.change_window(wrong)
        if wrong is not None:
            with pytest.raises(InputError, match="expected a Window"):
                await session.fork("b", window=wrong)
            with pytest.raises(InputError, match="expected a Window"):
                await client.session("b", window=wrong)
        if not isinstance(wrong, Tuning | None):
            with pytest.raises(InputError, match="expected a Tuning"):
                await client.session("b", window=LARGE, tuning=wrong)
        assert await log.head(session.key) == end
        assert len(await log.sessions()) == 1

    _run(run)


def test_a_window_that_leaves_no_room_is_refused() -> None:
    """A window without room for a request, or a vocabulary that nobody has, is refused, and nothing is recorded."""

    async def run(log: MemoryLog, session: Session) -> None:
        end = await log.head(session.key)
        for window, encoding in ((Window(hard_limit=0), None), (Window(hard_limit=9, reserve=9), None), (SMALL, "x")):
            with pytest.raises(InputError):
                await session.change_window(window, encoding=encoding)
        assert await log.head(session.key) == end

    _run(run)
