"""Laws of replay: any state that ever was is had again from a snapshot and its tail, and damage is found."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from msgspec import structs
from tests.laws.logs import HandClock, LogProxy, read, worker_on, write
from tests.laws.settings import law
from tests.laws.stories import KEY, Story, long_story, whole_stories

from retold.errors import CorruptLogError, InputError
from retold.events import HistoryReplaced, Recorded, SessionKey
from retold.fold import Context, encode_context, fold, history_of
from retold.log import MemoryLog
from retold.ports import Published, Snapshot, Unreadable
from retold.replay import at_time, history_at, load, verify

_START = datetime(2026, 1, 1, tzinfo=UTC)


async def _logged(story: Story) -> MemoryLog:
    """Write the story's facts to a log, one second after the other."""
    log, clock = MemoryLog(), HandClock()
    for recorded in story.events:
        await write(log, KEY, [recorded.event.data], clock=clock)
    return log


async def _worked() -> MemoryLog:
    """Return a log with a session that was compacted, published and snapshotted."""
    log, clock = MemoryLog(), HandClock()
    told = long_story(3, length=300, verbs=("user", "say", "call", "result", "think"))
    worker = worker_on(log)
    for at, recorded in enumerate(Story().tell(told).events):
        await write(log, KEY, [recorded.event.data], clock=clock)
        if at % 10 == 0:
            await worker.drain()
    await worker.drain()
    assert await log.load_snapshot(KEY) is not None
    assert await log.load_history(KEY) is not None
    return log


@law(25)
@given(whole_stories())
def test_the_state_at_any_event_is_the_fold_up_to_it(story: Story) -> None:
    """From whatever snapshots there are, I get the state after event k that folding k events gives, byte for byte."""

    async def run() -> None:
        log = await _logged(story)
        events = await read(log, KEY)
        states = [fold(events[:at]) for at in range(1, len(events) + 1)]
        for snapshot in states[::7]:
            await log.save_snapshot(KEY, Snapshot(seq=snapshot.seq, body=encode_context(snapshot)))
        for at, state in enumerate(states, start=1):
            assert encode_context(await load(log, KEY, at=at)) == encode_context(state)
            assert (await history_at(log, KEY, at)) == history_of(state)
        assert encode_context(await load(log, KEY)) == encode_context(states[-1])

    asyncio.run(run())


@law(25)
@given(whole_stories())
def test_a_state_that_i_hold_is_a_start_like_any_snapshot(story: Story) -> None:
    """Going on from a state that I read before gives what reading everything gives."""

    async def run() -> None:
        log = await _logged(story)
        whole = encode_context(await load(log, KEY))
        for at in range(1, len(story.events) + 1, 3):
            known = await load(log, KEY, at=at)
            assert encode_context(await load(log, KEY, base=known)) == whole

    asyncio.run(run())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"{",
        lambda _: b"\xff",
        lambda state: encode_context(structs.replace(state, head="0" * 64)),
        lambda state: encode_context(structs.replace(state, key=structs.replace(state.key, session="other"))),
    ],
    ids=["cut", "no-text", "of-another-log", "of-another-session"],
)
def test_a_spoiled_snapshot_is_passed_over(spoil: Callable[[Context], bytes]) -> None:
    """A snapshot that cannot be used costs time, never the truth."""

    async def run() -> None:
        log = await _logged(Story().tell(long_story(1, length=20)))
        events = await read(log, KEY)
        await log.save_snapshot(KEY, Snapshot(seq=9, body=spoil(fold(events[:9]))))
        assert encode_context(await load(log, KEY)) == encode_context(fold(events))

    asyncio.run(run())


def test_a_time_is_answered_by_the_last_event_before_it() -> None:
    """At a time I get the history as it was then, to the microsecond, in any zone; before the start, an error."""

    async def run() -> None:
        log = await _logged(Story().tell(long_story(1, length=20)))
        events = await read(log, KEY)
        for recorded in events:
            then = recorded.event.at
            for moment in (then, then + timedelta(milliseconds=999), then.astimezone(timezone(timedelta(hours=8)))):
                assert await at_time(log, KEY, moment) == recorded.event.seq
            assert await at_time(log, KEY, then.replace(tzinfo=None)) == recorded.event.seq
            assert (await history_at(log, KEY, then)).seq == recorded.event.seq
        assert await at_time(log, KEY, _START + timedelta(days=900)) == events[-1].event.seq
        with pytest.raises(InputError, match="at or after the session's first event"):
            await at_time(log, KEY, _START)

    asyncio.run(run())


@pytest.mark.parametrize(("at", "message"), [(0, "1 or more"), (-3, "1 or more"), (999, "ends before it")])
def test_a_sequence_that_the_session_does_not_have_is_refused(at: int, message: str) -> None:
    """Asking for an event that is not there says which there are."""

    async def run() -> None:
        log = await _logged(Story().tell(long_story(1, length=5)))
        with pytest.raises(InputError, match=message):
            await load(log, KEY, at=at)

    asyncio.run(run())


def test_a_session_that_does_not_exist_is_refused_by_name() -> None:
    """Asking for a session that nobody opened names it."""

    async def run() -> None:
        for at in (None, 1):
            with pytest.raises(InputError, match="none named 'story'"):
                await load(MemoryLog(), KEY, at=at)
        with pytest.raises(InputError):
            await at_time(MemoryLog(), KEY, _START)
        assert (await verify(MemoryLog(), KEY)).events == 0

    asyncio.run(run())


def test_a_whole_session_verifies() -> None:
    """What the worker wrote proves itself: events, replacements, the snapshot and the published history."""

    async def run() -> None:
        log = await _worked()
        verdict = await verify(log, KEY)
        events = await read(log, KEY)
        assert verdict.ok
        assert verdict.events == len(events)
        assert verdict.replacements == sum(isinstance(one.event.data, HistoryReplaced) for one in events) > 1
        assert verdict.snapshots == len([one async for one in log.snapshots(KEY)]) > 0
        assert verdict.published

    asyncio.run(run())


class _Spoiled(LogProxy):
    """Show another snapshot or another published history than the log holds."""

    def __init__(
        self,
        log: MemoryLog,
        *,
        snapshot: Callable[[Snapshot], Snapshot] = lambda snapshot: snapshot,
        published: Callable[[Published], Published] = lambda published: published,
    ) -> None:
        super().__init__(log)
        self._snapshot = snapshot
        self._published = published

    async def snapshots(self, key: SessionKey) -> AsyncGenerator[Snapshot | Unreadable, None]:
        """Show the spoiled ones."""
        async for found in self.inner.snapshots(key):
            yield found if isinstance(found, Unreadable) else self._snapshot(found)

    async def load_history(self, key: SessionKey) -> Published | None:
        """Show the spoiled one."""
        found = await self.inner.load_history(key)
        return None if found is None else self._published(found)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda one: structs.replace(one, body=one.body.replace(b'"version":', b'"version":1', 1)), "snapshot differs"),
        (lambda one: structs.replace(one, body=one.body.replace(b"the", b"teh", 1)), "snapshot differs"),
        (lambda one: structs.replace(one, seq=10_000), "missing: the session reached 10000 once"),
    ],
    ids=["number", "text", "later"],
)
def test_verify_finds_a_spoiled_snapshot(spoil: Callable[[Snapshot], Snapshot], reason: str) -> None:
    """A snapshot with one byte changed, or of events that are not there, is found."""

    async def run() -> None:
        verdict = await verify(_Spoiled(await _worked(), snapshot=spoil), KEY)
        assert not verdict.ok
        assert reason in verdict.reason

    asyncio.run(run())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda one: structs.replace(one, hash="0" * 64), "not what the events give"),
        (lambda one: structs.replace(one, version=one.version + 1), "not what the events give"),
        (lambda one: structs.replace(one, body=one.body.replace(b"the", b"teh", 1)), "not what the events give"),
        (lambda one: structs.replace(one, seq=one.seq - 1), "not what the events give"),
        (lambda one: structs.replace(one, seq=10_000), "missing: the session reached 10000 once"),
    ],
    ids=["hash", "version", "body", "place", "later"],
)
def test_verify_finds_a_wrong_published_history(spoil: Callable[[Published], Published], reason: str) -> None:
    """A published history that the events do not give is found, also if only its text was changed."""

    async def run() -> None:
        verdict = await verify(_Spoiled(await _worked(), published=spoil), KEY)
        assert not verdict.ok
        assert reason in verdict.reason

    asyncio.run(run())


def _lost(seq: int) -> Callable[[MemoryLog], Awaitable[int]]:
    async def lose(log: MemoryLog) -> int:
        last = (await log.head(KEY)).seq
        lost = seq if seq > 0 else last + seq
        log.lose(KEY, lost)
        return lost

    return lose


@pytest.mark.parametrize("seq", [1, 2, 50, 0], ids=["first", "second", "middle", "last"])
def test_verify_finds_a_lost_event(seq: int) -> None:
    """A lost event is named by its sequence, wherever it stood; nobody is shown a history without it."""

    async def run() -> None:
        log = await _worked()
        lost = await _lost(seq)(log)
        verdict = await verify(log, KEY)
        assert verdict.damaged_seq == lost
        assert verdict.events == lost - 1
        with pytest.raises(CorruptLogError) as error:
            await load(log, KEY, at=lost)
        assert error.value.seq <= lost

    asyncio.run(run())


class _Rewritten(LogProxy):
    """Show the log with one event exchanged for another, the chain after it made to fit."""

    def __init__(self, log: MemoryLog, events: list[Recorded]) -> None:
        super().__init__(log)
        self._events = events

    async def read(
        self, key: SessionKey, *, after: int = 0, until: int | None = None
    ) -> AsyncGenerator[Recorded, None]:
        """Show the exchanged events."""
        assert key == KEY
        for recorded in self._events[after:until]:
            yield recorded


def test_verify_finds_a_forged_replacement() -> None:
    """A replacement whose hash its events do not give is found at its place, though its chain fits."""

    async def run() -> None:
        log = await _worked()
        events = await read(log, KEY)
        at = next(at for at, one in enumerate(events) if isinstance(one.event.data, HistoryReplaced))
        forged = structs.replace(events[at].event.data, hash="0" * 64)
        events[at] = structs.replace(events[at], event=structs.replace(events[at].event, data=forged))
        verdict = await verify(_Rewritten(log, events), KEY)
        assert verdict.damaged_seq == at + 1
        assert "hash does not match" in verdict.reason

    asyncio.run(run())
