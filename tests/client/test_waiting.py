"""An agent reads what it wrote and can send it, whether a worker lives or not; and it can watch what replaces it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from tests.laws.lives import WINDOW, said
from tests.laws.logs import HandClock, worker_on, write
from tests.laws.promises import must_stay
from tests.laws.settings import law
from tests.laws.stories import KEY, SAID, Move, moves
from tests.laws.texts import PROSE

from retold.client import Client, Session
from retold.errors import FloorError, InputError, UnavailableError
from retold.events import Recorded, Window
from retold.fold import decode_history, encode_history, fold
from retold.log import MemoryLog
from retold.policy import fit_locally, is_sendable

_WINDOW = Window(hard_limit=2_000, pre_rot=1_500)
_LONG = {"role": "assistant", "content": PROSE * 20}
_SOON_S = 30
"""Far above what anything takes here: what does not come by then never comes."""


def _asked(number: int) -> dict[str, Any]:
    return {"role": "user", "content": f"Question {number}: {PROSE}"}


async def _grown(session: Session, turns: int = 8) -> int:
    """Append more than the window takes; return the last sequence."""
    return await session.append_many([message for turn in range(turns) for message in (_LONG, _asked(turn))])


@asynccontextmanager
async def _working(log: MemoryLog) -> AsyncIterator[None]:
    worker = asyncio.create_task(worker_on(log).run())
    try:
        yield
    finally:
        worker.cancel()
        await asyncio.wait({worker})


def test_a_dead_worker_blocks_nobody() -> None:
    """No worker has come by: what I get after the time-out fits, has my last message, and says where it is from."""

    async def run() -> None:
        session = await Client(MemoryLog(), HandClock()).session("s", window=_WINDOW)
        seq = await _grown(session)
        assert (await session.history()).tokens > _WINDOW.input_limit
        history = await session.history(at_least=seq, timeout=0.01)
        assert history.is_local
        assert history.seq == seq
        assert history.tokens <= _WINDOW.input_limit
        assert history.as_chat()[-1] == _asked(7)
        assert encode_history(await session.history(timeout=0)) == encode_history(history)
        assert decode_history(encode_history(history), key=session.key) == history
        assert (await session.history()).seq == seq  # nothing was recorded

    asyncio.run(run())


def test_a_worker_that_lives_is_waited_for() -> None:
    """With a worker beside me, I get what it recorded, as everybody else does."""

    async def run() -> None:
        log = MemoryLog()
        session = await Client(log, HandClock()).session("s", window=_WINDOW)
        async with _working(log):
            seq = await _grown(session)
            history = await session.history(at_least=seq, timeout=_SOON_S)
        assert not history.is_local
        assert history.version > 0
        assert history.seq > seq
        assert history.tokens <= _WINDOW.input_limit
        assert history == await session.history()

    asyncio.run(run())


def test_nobody_waits_for_what_is_not_needed() -> None:
    """A history that fits is there at once, whatever I would have waited."""

    async def run() -> None:
        session = await Client(MemoryLog(), HandClock()).session("s", window=_WINDOW)
        seq = await session.append(_asked(1))
        async with asyncio.timeout(_SOON_S):
            history = await session.history(at_least=seq, timeout=100 * _SOON_S)
        assert (history.seq, history.is_local) == (seq, False)

    asyncio.run(run())


def test_what_another_agent_is_about_to_write_is_waited_for() -> None:
    """I was told a sequence that is not there yet: it comes, or I am told that it did not."""

    async def run() -> None:
        client = Client(MemoryLog(), HandClock())
        session, other = await client.session("s"), await client.session("s")
        async with asyncio.timeout(_SOON_S):
            waiting = asyncio.create_task(session.history(at_least=2, timeout=_SOON_S))
            await asyncio.sleep(0)
            await other.append(_asked(1))
            assert (await waiting).seq == 2
            with pytest.raises(UnavailableError, match=r"to reach sequence 9 within 0\.01 s, it ends at 2"):
                await session.history(at_least=9, timeout=0.01)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"at": 1, "at_least": 1}, "got both"),
        ({"at": 1, "timeout": 1.0}, "got both"),
        ({"at_least": -1}, "expected a sequence from 0 on, got -1"),
        ({"at_least": True}, "expected a sequence from 0 on, got True"),
        ({"timeout": -1.0}, "expected a time-out of 0 s or more, got -1.0"),
        ({"timeout": float("nan")}, "expected a time-out of 0 s or more, got nan"),
    ],
)
def test_what_cannot_be_waited_for_is_refused(asked: dict[str, Any], told: str) -> None:
    """A wrong argument is named."""

    async def run() -> None:
        session = await Client(MemoryLog(), HandClock()).session("s")
        with pytest.raises(InputError, match=told):
            await session.history(**asked)

    asyncio.run(run())


def test_what_can_never_fit_is_named() -> None:
    """One message larger than the window: I learn the floor, not a time-out."""

    async def run() -> None:
        session = await Client(MemoryLog(), HandClock()).session("s", window=_WINDOW)
        await session.append({"role": "user", "content": PROSE * 200})
        with pytest.raises(FloorError):
            await session.history(timeout=0)

    asyncio.run(run())


@law(25)
@given(moves(*SAID, at_least=10, at_most=40))
def test_a_local_fit_keeps_what_every_compaction_keeps(told: list[Move]) -> None:
    """Wherever an agent asks without a worker: it fits, pins and the latest request stand, and twice gives the same."""
    log = MemoryLog()

    async def recorded() -> list[Recorded]:
        """Return what the log has of the story."""
        await write(log, KEY, said(told, window=WINDOW), clock=HandClock())
        return [one async for one in log.read(KEY)]

    context = fold(asyncio.run(recorded()))
    try:
        history = fit_locally(context)
    except FloorError:
        assert not is_sendable(context)
        return
    assert history.is_local is not is_sendable(context)
    assert history.tokens <= WINDOW.input_limit or is_sendable(context)
    assert {entry.item for entry in must_stay(context)} <= {entry.item for entry in history.entries}
    assert encode_history(fit_locally(context)) == encode_history(history)


def test_watching_gives_each_replacement_once() -> None:
    """I watch while a worker works: the newest history at once, then each new one, in order, as it was recorded."""

    async def run() -> None:
        log = MemoryLog()
        session = await Client(log, HandClock()).session("s", window=_WINDOW)
        async with _working(log), asyncio.timeout(_SOON_S):
            await _grown(session)
            async with aclosing(session.watch()) as histories:
                first = await anext(histories)
                assert first.version >= 1
                await _grown(session)
                second = await anext(histories)
                assert second.version == first.version + 1
                assert second == await session.history(at=second.seq)
                await session.undo()
                versions = [(await anext(histories)).version]
                while versions[-1] < second.version + 1:
                    versions.append((await anext(histories)).version)
                assert versions == list(range(versions[0], versions[-1] + 1))

    asyncio.run(run())


def test_watching_goes_on_after_what_was_seen() -> None:
    """I come back with the version that I have: nothing comes before there is a newer one."""

    async def run() -> None:
        log = MemoryLog()
        session = await Client(log, HandClock()).session("s", window=_WINDOW)
        await _grown(session)
        await worker_on(log).drain()
        seen = (await session.history()).version
        async with asyncio.timeout(_SOON_S), aclosing(session.watch(after=seen)) as histories:
            waiting = asyncio.ensure_future(anext(histories))
            await asyncio.sleep(0.01)
            assert not waiting.done()
            await session.undo()
            assert (await waiting).version == seen + 1

    asyncio.run(run())
