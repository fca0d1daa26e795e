"""What an agent compressed by itself is a compaction, wherever compactions are told; and a fork names its parent."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from tests.laws.logs import HandClock, LogProxy, worker_on
from tests.laws.texts import OUTPUT

from retold.client import Client, Session
from retold.errors import InputError
from retold.events import Recorded, SessionKey, Window
from retold.fold import fold
from retold.log import MemoryLog
from retold.ports import Log
from retold.replay import Part, Version, explain_version, play, versions


async def _compressed(log: Log) -> Session:
    """Return a session of which an agent compressed a part, then another, with something between."""
    client = Client(log, HandClock("mine"))
    session = await client.session("a", window=Window(hard_limit=60_000, pre_rot=40_000), policy="agent")
    for step in range(6):
        await session.append({"role": "user", "content": f"Look at failure {step}."})
        await session.append({"role": "assistant", "content": f"{step}: {OUTPUT}"})
    await session.compress([{"first": "i1", "last": "i2", "messages": ["One was looked at."]}])
    await session.append({"role": "user", "content": "Go on."})
    await session.rewind((await session.history()).seq)  # a version that no compaction made
    await session.compress([{"first": "i3", "last": "i4", "messages": ["Two was looked at."]}])
    return session


def test_a_replay_ends_with_the_first_compaction_of_an_agent_too() -> None:
    """Played until the first compaction, a session ends where its agent compressed it, with version and receipt."""

    async def run() -> None:
        log = MemoryLog()
        session = await _compressed(log)
        listed = [one for one in await versions(log, session.key) if isinstance(one, Version)]
        assert [one.tier for one in listed] == ["edit", "edit"]
        async with aclosing(play(log, session.key)) as frames:
            made = [frame.compaction async for frame in frames if frame.compaction is not None]
        assert made == listed
        async with aclosing(play(log, session.key, Part(until_compaction=True))) as frames:
            played = [frame async for frame in frames]
        assert played[-1].compaction == listed[0]
        assert [frame for frame in played if frame.compaction is not None] == played[-1:]

    asyncio.run(run())


def test_a_diff_lists_the_compactions_of_an_agent_too() -> None:
    """Between two places I see what the agent compressed, by its version, as `explain` knows it; in a fork as well."""

    async def run() -> None:
        log = MemoryLog()
        session = await _compressed(log)
        fork = await session.fork("b")
        await fork.compress([{"first": "i5", "last": "i6", "messages": ["Three was looked at."]}])
        found = await session.diff(1)
        assert [one.tier for one in found.compactions] == ["edit", "edit"]
        for one in found.compactions:
            explained = await session.explain(one.version)
            assert (explained.seq, explained.tokens_after) == (one.seq, one.receipt.tokens_after)
        across = await session.diff(1, other=fork)
        assert [one.tier for one in across.compactions] == ["edit"] * 3
        assert [one.version for one in across.compactions][:2] == [one.version for one in found.compactions]
        assert (await fork.explain(across.compactions[-1].version)).tier == "edit"

    asyncio.run(run())


def test_a_fork_is_explained_with_its_parent() -> None:
    """A compaction in a fork names the session that it went its own way from, and where; so does a fork without one."""

    async def run() -> None:
        log = MemoryLog()
        session = await _compressed(log)
        at = (await session.history()).seq
        fork = await session.fork("b")
        with pytest.raises(InputError, match=rf"'b' has none.*forked from 'a' at {at}"):
            await fork.explain()
        await fork.request_compaction(target_tokens=900)
        await worker_on(log).drain()
        found = await fork.explain()
        assert found.parent is not None
        assert (found.parent.session, found.parent.seq) == ("a", at)
        with pytest.raises(InputError, match=rf"got 1: .*forked from 'a' at {at}"):
            await fork.explain(1)
        assert (await session.explain()).parent is None

    asyncio.run(run())


class _Counting(LogProxy):
    """Count how often a session's events are read."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.reads = 0

    def read(self, key: SessionKey, *, after: int = 0, until: int | None = None) -> AsyncGenerator[Recorded, None]:
        self.reads += 1
        return super().read(key, after=after, until=until)


def test_an_explanation_reads_a_session_once() -> None:
    """However late the compaction, a session without rewinds is read once to explain it."""

    async def run() -> None:
        log = _Counting(MemoryLog())
        session = await _compressed(log)
        events = [one async for one in log.read(session.key)]
        for version in (None, 1):
            log.reads = 0
            found = await explain_version(log, session.key, version)
            assert log.reads <= 2, "the second is that of the rewind"
            assert found.version == fold(events[: found.seq]).version

    asyncio.run(run())
