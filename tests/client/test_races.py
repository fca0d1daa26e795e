"""Somebody else writes between what I looked up and what I record: I am told so, and nothing of mine is recorded."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from tests.laws.logs import HandClock, LogProxy, read, worker_on
from tests.laws.texts import OUTPUT

from retold.client import Client, Session
from retold.errors import ConflictError
from retold.events import (
    CompactionUndone,
    Draft,
    HistoryEdited,
    ItemPinned,
    ItemRestored,
    Recorded,
    SessionKey,
    Window,
)
from retold.fold import Context
from retold.log import MemoryLog
from retold.ports import Log
from retold.replay import load, verify

Rival = Callable[[Log, SessionKey], Awaitable[None]]


_MINE = (CompactionUndone, HistoryEdited, ItemPinned, ItemRestored)


class _Overtaken(LogProxy):
    """Let *rival* write just before the next append of mine."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.rival: Rival | None = None

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Write after the rival."""
        rival, self.rival = self.rival, None
        if rival is not None:
            await rival(self.inner, key)
        return await super().append(key, drafts, expected=expected, are_new=are_new)


async def _appends(log: Log, key: SessionKey) -> None:
    """Append a message, as another agent does."""
    session = await Client(log, HandClock("rival")).existing(key.session, tenant=key.tenant)
    await session.append({"role": "user", "content": "And another thing."})


async def _compacts(log: Log, key: SessionKey) -> None:
    """Compact the session once more, as a worker does."""
    session = await Client(log, HandClock("rival")).existing(key.session, tenant=key.tenant)
    before = await load(log, key)
    await session.request_compaction(target_tokens=before.tokens.upper * 2 // 3)
    await worker_on(log, "rival-worker").drain()
    assert (await load(log, key)).version > before.version


def _first(context: Context, form: str) -> str:
    return next(entry.item.id for entry in context.entries if entry.form == form)


async def _undo(session: Session, _: Context) -> int:
    return await session.undo()


async def _restore(session: Session, context: Context) -> int:
    return await session.restore(_first(context, "placeholder"))


async def _pin(session: Session, context: Context) -> int:
    return await session.pin(_first(context, "placeholder"))


async def _edit(session: Session, context: Context) -> int:
    at = _first(context, "placeholder")
    return await session.edit([{"role": "assistant", "content": "It was looked at."}], first=at, last=at)


async def _compress(session: Session, context: Context) -> int:
    at = [entry.item.id for entry in context.entries if entry.form == "whole"]
    done = await session.compress([{"first": at[2], "last": at[2], "messages": ["It was looked at."]}])
    assert done.seq is not None
    return done.seq


async def _started() -> tuple[_Overtaken, Session]:
    """Return a session that was compacted by offloads and by more, on a log where somebody may come first."""
    log = _Overtaken(MemoryLog())
    session = await Client(log, HandClock("mine")).session(
        "a", window=Window(hard_limit=30_000, pre_rot=20_000), policy="agkit"
    )
    for step in range(40):
        await session.append({"role": "assistant", "content": f"{step}: {OUTPUT}"})
    await worker_on(log.inner).drain()
    assert (await load(log, session.key)).version > 0
    return log, session


@pytest.mark.parametrize("rival", [_appends, _compacts])
@pytest.mark.parametrize("act", [_undo, _restore, _pin, _edit, _compress])
def test_whoever_is_overtaken_is_told_and_may_repeat(
    act: Callable[[Session, Context], Awaitable[int]], rival: Rival
) -> None:
    """I am told of the conflict, my log is whole, and called again the same does what I asked for."""

    async def run() -> None:
        log, session = await _started()
        context = await load(log, session.key)
        log.rival = rival
        with pytest.raises(ConflictError):
            await act(session, context)
        written = [one.event.data for one in (await read(log, session.key))[context.seq :]]
        assert not any(isinstance(fact, _MINE) for fact in written)
        assert (await verify(log, session.key)).ok
        await act(session, await load(log, session.key))
        assert (await verify(log, session.key)).ok

    asyncio.run(run())


def test_an_undo_never_takes_back_another_compaction() -> None:
    """The worker compacts while I undo: what I meant is not undone instead of it, nor it instead of what I meant."""

    async def run() -> None:
        log, session = await _started()
        meant = (await load(log, session.key)).compacted_seq
        log.rival = _compacts
        with pytest.raises(ConflictError):
            await session.undo()
        newer = (await load(log, session.key)).compacted_seq
        assert newer > meant
        await session.undo()
        await session.undo()
        undone = [
            one.event.data for one in await read(log, session.key) if isinstance(one.event.data, CompactionUndone)
        ]
        assert [one.seq for one in undone] == [newer, meant]
        assert (await verify(log, session.key)).ok

    asyncio.run(run())
