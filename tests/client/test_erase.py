"""Erasing a session as an agent's owner does: what goes, what stays, and what is refused."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from tests.laws.logs import HandClock, LogProxy, outcome, worker_on
from tests.laws.texts import OUTPUT

from retold.client import Client, Session
from retold.errors import CorruptLogError, InputError, SealError
from retold.events import Draft, Recorded, SessionErased, SessionKey, Window
from retold.log import MemoryLog
from retold.ports import Log
from retold.replay import verify

WINDOW = Window(hard_limit=2_000, pre_rot=1_200)


async def lived(log: Log, name: str = "s") -> Session:
    """Return a session that was compacted."""
    session = await Client(log, HandClock(name)).session(name, window=WINDOW)
    for number in range(30):
        await session.append({"role": "user" if number % 2 else "assistant", "content": f"{OUTPUT} {number}"})
    await worker_on(log).drain()
    assert (await session.history()).version > 0
    return session


def test_an_erased_session_goes_on_empty() -> None:
    """After an erasure the session is empty, keeps its window and numbering, goes on, is compacted and proven again."""

    async def run() -> None:
        log = MemoryLog()
        session = await lived(log)
        before = await session.history()
        found = await session.erase(by="owner", reason="asked")
        assert found.events == found.seq - 1
        empty = await session.history()
        assert (empty.items, empty.version) == ((), before.version + 1)
        assert await session.append({"role": "user", "content": "again"}) == found.seq + 1
        assert [item.id for item in (await session.history()).items] == ["i31"]
        for _ in range(30):
            await session.append({"role": "user", "content": OUTPUT})
        await worker_on(log).drain()
        assert (await outcome(log, session.key)).version > before.version + 1

    asyncio.run(run())


def test_a_place_before_an_erasure_is_said_to_be_gone() -> None:
    """Asking for an erased past state tells me where the session was erased; a rewind to it gives an empty history."""

    async def run() -> None:
        session = await lived(MemoryLog())
        seq = (await session.erase(by="owner")).seq
        with pytest.raises(InputError, match=f"was erased at {seq}, and what it was before is gone"):
            await session.history(at=3)
        last = await session.append({"role": "user", "content": "again"})
        for at in (seq, last, seq, last):
            assert len((await session.history(at=at)).items) == at - seq
        await session.rewind(3)
        assert (await session.history()).items == ()

    asyncio.run(run())


def test_erasing_twice_writes_one_tombstone() -> None:
    """Repeating an erasure removes what is left and writes nothing, unless something was said since."""

    async def run() -> None:
        log = MemoryLog()
        session = await lived(log)
        first = await session.erase(by="owner")
        again = await session.erase(by="somebody else")
        assert (again.seq, again.events) == (first.seq, 0)
        await session.append({"role": "user", "content": "more"})
        third = await session.erase(by="a third")
        assert (third.seq, third.events) == (first.seq + 2, 2)
        (stone,) = [recorded async for recorded in log.read(session.key)]
        assert isinstance(stone.event.data, SessionErased)
        assert stone.event.data.by == "a third"

    asyncio.run(run())


def test_forks_are_erased_with_their_parent_or_not_at_all() -> None:
    """A fork inherits what its parent says: the parent is erased with all that descend from it, or refused."""

    async def run() -> None:
        log = MemoryLog()
        session = await lived(log)
        child = await session.fork("child")
        grandchild = await child.fork("grandchild")
        await grandchild.append({"role": "user", "content": "own"})
        other = await lived(log, "other")
        with pytest.raises(InputError, match=r"2 inherit what 's' says: 'child', 'grandchild'; erase them with it"):
            await session.erase(by="owner")
        assert len((await session.history()).items) > 0
        with pytest.raises(InputError, match="1 inherit"):
            await child.erase(by="owner")
        await session.erase(by="owner", forks=True)
        for one in (session, child, grandchild):
            assert (await one.history()).items == ()
            assert (await verify(log, one.key)).ok
        assert len((await other.history()).items) > 0
        await session.erase(by="owner")  # what was erased inherits nothing

    asyncio.run(run())


class _Unreadable(LogProxy):
    """Refuse to read what lies before a tombstone, as a log without the key, or with damage."""

    def __init__(self, log: MemoryLog, error: Exception) -> None:
        super().__init__(log)
        self.error = error
        self.erased = False

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append."""
        recorded = await super().append(key, drafts, expected=expected, are_new=are_new)
        self.erased = self.erased or any(isinstance(draft.data, SessionErased) for draft in drafts)
        return recorded

    async def read(self, key: SessionKey, *, after: int = 0, until: int | None = None) -> Any:
        """Give the first event, then fail."""
        async for recorded in super().read(key, after=after, until=until):
            yield recorded
            if not self.erased:
                raise self.error


@pytest.mark.parametrize(
    "error", [SealError("no key", key="k"), CorruptLogError("lost", session="s", seq=2)], ids=["sealed", "damaged"]
)
def test_what_nobody_can_read_any_more_can_be_erased(error: Exception) -> None:
    """A session whose key was lost, or that is damaged, is erased all the same, and goes on with its own window."""

    async def run() -> None:
        log = MemoryLog()
        key = (await lived(log)).key
        session = await Client(_Unreadable(log, error), HandClock("again")).existing("s")
        seq = (await log.head(key)).seq
        found = await session.erase(by="owner")
        assert (found.seq, found.events) == (seq + 1, seq)
        assert await session.append({"role": "user", "content": "again"}) == seq + 2
        history = await session.history()
        assert [int(item.id[1:]) > 30 for item in history.items] == [True]
        assert (await verify(log, key)).ok

    asyncio.run(run())


def test_an_erasure_names_who_asked() -> None:
    """Nobody erases without saying who asks; a session that does not exist cannot be erased."""

    async def run() -> None:
        log = MemoryLog()
        session = await lived(log)
        with pytest.raises(InputError, match="expected who asks"):
            await session.erase(by="")
        nobody = Session(log, HandClock("n"), SessionKey(tenant="default", session="nobody"), actor="a")
        with pytest.raises(InputError, match="there is none named 'nobody'"):
            await nobody.erase(by="owner")

    asyncio.run(run())


def test_a_worker_that_holds_the_session_starts_anew() -> None:
    """A worker that had the session in its memory when it was erased writes nothing of before, and goes on with it."""

    async def run() -> None:
        log = MemoryLog()
        session = await lived(log)
        worker = worker_on(log, "holder")
        await worker.drain()
        for _ in range(3):
            await session.append({"role": "user", "content": "UNSEEN " + OUTPUT})
        await session.erase(by="owner")
        for _ in range(30):
            await session.append({"role": "user", "content": OUTPUT})
        await worker.drain()
        assert worker.damaged == {}
        assert (await outcome(log, session.key)).version > 1
        stored = b"".join([recorded.body async for recorded in log.read(session.key)])
        published = await log.load_history(session.key)
        assert published is not None
        assert b"UNSEEN" not in stored + published.body

    asyncio.run(run())


class _Between(LogProxy):
    """Let somebody act once, before the first append to one session."""

    def __init__(self, log: Log, key: SessionKey, act: Callable[[], Awaitable[object]]) -> None:
        super().__init__(log)
        self._key = key
        self._acts = [act]

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append, after the other has acted if it is time."""
        if key == self._key and self._acts:
            await self._acts.pop()()
        return await super().append(key, drafts, expected=expected, are_new=are_new)


def test_a_fork_of_what_is_being_erased_is_refused_and_holds_nothing() -> None:
    """If my session's parent is erased while I fork it, I am told so, and the fork is empty, not unreadable."""

    async def run() -> None:
        log = MemoryLog()
        session = await lived(log)
        child = SessionKey(session.key.tenant, "child")
        between = _Between(log, child, lambda: session.erase(by="owner"))
        mine = await Client(between, HandClock("mine")).existing("s")
        with pytest.raises(InputError, match="was erased while it was forked"):
            await mine.fork("child")
        assert (await (await Client(log, HandClock("later")).existing("child")).history()).items == ()
        assert (await verify(log, child)).ok

    asyncio.run(run())


@pytest.mark.parametrize("forks", [False, True])
def test_a_fork_made_during_the_erasure_is_not_missed(*, forks: bool) -> None:
    """A fork that was made after I had looked for forks is erased with its parent, or named: it can be read no more."""

    async def run() -> None:
        log = MemoryLog()
        session = await lived(log)

        async def fork() -> None:
            forked = await session.fork("child")
            await forked.append({"role": "user", "content": "own"})

        between = _Between(log, session.key, fork)
        mine = await Client(between, HandClock("mine")).existing("s")
        if forks:
            await mine.erase(by="owner", forks=True)
        else:
            with pytest.raises(InputError, match=r"erased.*1 forked from it meanwhile.*'child'"):
                await mine.erase(by="owner")
            await mine.erase(by="owner", forks=True)
        assert (await session.history()).items == ()
        child = await Client(log, HandClock("later")).existing("child")
        assert (await child.history()).items == ()
        assert (await verify(log, child.key)).ok

    asyncio.run(run())
