"""Appends that failed, and were stored all the same: repeated, they are there once."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.laws.logs import FailingLog, HandClock, LogProxy

from retold.client import Session
from retold.errors import UnavailableError
from retold.events import Draft, Recorded, SessionKey, Window
from retold.log import MemoryLog
from retold.ports import Log
from retold.wiring import client_of

_SAID = {"role": "user", "content": "yes"}
_OTHER = {"role": "user", "content": "no"}


class _HangingLog(LogProxy):
    """Store, and never say so, the first time that something is appended."""

    appends = 0

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append."""
        recorded = await super().append(key, drafts, expected=expected, are_new=are_new)
        self.appends += 1
        if self.appends == 1:
            await asyncio.get_running_loop().create_future()
        return recorded


async def _session(inner: Log, log: Log) -> Session:
    """Return a session that is opened in *inner* and written to by *log*."""
    await client_of(inner).session("s", window=Window(hard_limit=16_000))
    return Session(log, HandClock(), SessionKey("default", "s"), actor="agent")


async def _texts(session: Session) -> list[str]:
    return [str(message["content"]) for message in (await session.history()).as_chat()]


@pytest.mark.parametrize("after", [False, True], ids=["not-stored", "stored"])
@pytest.mark.parametrize("expected", [None, 1])
def test_an_append_that_failed_and_is_repeated_is_there_once(*, after: bool, expected: int | None) -> None:
    """Where I am told to repeat a call, I repeat it, and need not know whether the first one was stored."""

    async def run() -> None:
        inner = MemoryLog()
        session = await _session(inner, FailingLog(inner, at=1, after=after, error=UnavailableError("away")))
        with pytest.raises(UnavailableError):
            await session.append(_SAID, expected=expected)
        assert await session.append(_SAID, expected=expected) == 2
        assert await session.append(_SAID) == 3
        assert await _texts(session) == ["yes", "yes"]

    asyncio.run(run())


def test_an_append_that_was_cancelled_and_is_repeated_is_there_once() -> None:
    """A deadline of mine around an append leaves no second copy behind."""

    async def run() -> None:
        inner = MemoryLog()
        session = await _session(inner, _HangingLog(inner))
        appending = asyncio.create_task(session.append(_SAID))
        while (await inner.head(session.key)).seq < 2:  # noqa: ASYNC110 - the log says nothing
            await asyncio.sleep(0)
        appending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await appending
        assert await session.append(_SAID) == 2
        assert await _texts(session) == ["yes"]

    asyncio.run(run())


def test_the_same_words_said_later_are_said_again() -> None:
    """Where I let a failed append be and went on, the same words are new words."""

    async def run() -> None:
        inner = MemoryLog()
        session = await _session(inner, FailingLog(inner, at=1, after=True, error=UnavailableError("away")))
        with pytest.raises(UnavailableError):
            await session.append(_SAID)
        await session.append(_OTHER)
        await session.append(_SAID)
        assert await _texts(session) == ["yes", "no", "yes"]

    asyncio.run(run())


def test_several_that_failed_together_are_repeated_one_by_one() -> None:
    """Appends that failed at once may be repeated in any order."""

    async def run() -> None:
        inner = MemoryLog()
        failing = FailingLog(inner, at=1, after=True, error=UnavailableError("away"))
        session = await _session(inner, FailingLog(failing, at=2, after=True, error=UnavailableError("away")))
        failed = await asyncio.gather(session.append(_SAID), session.append(_OTHER), return_exceptions=True)
        assert [type(one) for one in failed] == [UnavailableError, UnavailableError]
        await session.append(_OTHER)
        await session.append(_SAID)
        assert await _texts(session) == ["yes", "no"]

    asyncio.run(run())
