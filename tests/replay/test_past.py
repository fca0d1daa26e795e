"""Laws of the past: a warm state is the state, to the byte, wherever one comes from and whatever was erased since."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from tests.laws.logs import HandClock, read, worker_on, write
from tests.laws.settings import law
from tests.laws.stories import KEY, Story, long_story, whole_stories

from retold.errors import CorruptLogError, InputError
from retold.events import Recorded, SessionErased
from retold.fold import Context, encode_context, fold
from retold.log import MemoryLog
from retold.ports import snapshot_of
from retold.replay import Past, history_at, load, seq_at


async def _logged(events: list[Recorded]) -> MemoryLog:
    log, clock = MemoryLog(), HandClock()
    for recorded in events:
        await write(log, KEY, [recorded.event.data], clock=clock)
    return log


def _states(events: list[Recorded]) -> list[Context]:
    return [fold(events[:at]) for at in range(1, len(events) + 1)]


@law(50)
@given(whole_stories())
def test_a_snapshot_and_its_tail_give_the_full_fold_at_every_event(story: Story) -> None:
    """Of 50 sessions, every state is the full fold's to the byte: cold from snapshots, warm, and asked for twice."""

    async def run() -> None:
        log = await _logged(story.events)
        states = _states(await read(log, KEY))
        for state in states[::5]:
            await log.save_snapshot(KEY, snapshot_of(state))
        past, small = Past(log), Past(log, bytes_max=20_000)
        for at in [*range(len(states), 0, -3), *range(1, len(states) + 1)]:
            whole = encode_context(states[at - 1])
            for reader in (Past(log, bytes_max=0), past, small, past):
                assert encode_context(await reader.state(KEY, at)) == whole
        assert small.kept_bytes <= 20_000
        assert past.kept_bytes > 0

    asyncio.run(run())


@law(15)
@given(whole_stories())
def test_a_warmed_session_is_read_no_more(story: Story) -> None:
    """Once a session is warm, I have any of its states though the log has lost its events."""

    async def run() -> None:
        log = await _logged(story.events)
        states = _states(await read(log, KEY))
        past = Past(log)
        assert await past.warm(KEY) == len(states)
        for seq in range(2, len(states)):
            log.lose(KEY, seq)
        for at, state in enumerate(states, start=1):
            assert encode_context(await past.state(KEY, at)) == encode_context(state)

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(3))
def test_a_time_and_an_item_are_found_from_snapshots_as_from_the_events(seed: int) -> None:
    """For every time and item I get the same place whether the log has snapshots or none, warm or cold."""

    async def run() -> None:
        told = long_story(seed, length=60, verbs=("user", "say", "call", "result", "edit", "rewind", "compact"))
        log, bare = await _logged(Story().tell(told).events), await _logged(Story().tell(told).events)
        states = _states(await read(log, KEY))
        for state in states[::7]:
            await log.save_snapshot(KEY, snapshot_of(state))
        past = Past(log)
        await past.warm(KEY)
        for state in states:
            assert state.latest is not None
            for moment in (state.latest, state.latest + timedelta(microseconds=1)):
                assert await past.seq_at(KEY, moment) == await seq_at(bare, KEY, moment) == state.seq
        ids = {entry.item.id: state.seq for state in reversed(states) for entry in state.entries}
        assert len(ids) > 10
        for name, seq in ids.items():
            assert await seq_at(log, KEY, name) == await seq_at(bare, KEY, name) == seq
            assert any(entry.item.id == name for entry in (await history_at(log, KEY, name)).entries)
        for name in ("i0", "i99999", "s0", "s999"):
            with pytest.raises(InputError, match="expected the id of an item"):
                await seq_at(log, KEY, name)

    asyncio.run(run())


def test_an_erasure_by_another_empties_what_was_warm() -> None:
    """When somebody else erased the session, what this process held of it is dropped."""

    async def run() -> None:
        log = await _logged(Story().tell(long_story(1, length=30)).events)
        past = Past(log)
        await past.warm(KEY)
        assert (await past.state(KEY, 3)).seq == 3
        log.lose(KEY, 2)
        assert (await past.state(KEY, 3)).seq == 3
        await write(log, KEY, [SessionErased(by="owner", reason="asked")], clock=HandClock("other"))
        with pytest.raises(CorruptLogError):
            await past.state(KEY, 3)

    asyncio.run(run())


def test_a_worker_that_comes_late_keeps_snapshots_all_along() -> None:
    """An imported session of hundreds of events has a snapshot every few dozen, each as the events give it."""

    async def run() -> None:
        log = await _logged(Story().tell(long_story(5, length=400, verbs=("user", "say", "call", "result"))).events)
        await worker_on(log).drain()
        events = await read(log, KEY)
        kept = [snapshot async for snapshot in log.snapshots(KEY)]
        seqs = [0, *(snapshot.seq for snapshot in kept), len(events)]
        assert max(later - earlier for earlier, later in pairwise(seqs)) <= 130
        for snapshot in kept:
            assert snapshot == snapshot_of(fold(events[: snapshot.seq]))
        summaries = [entry for entry in fold(events).entries if entry.form == "summary"]
        assert summaries
        for summary in summaries:
            seq = await seq_at(log, KEY, summary.item.id)
            assert summary in fold(events[:seq]).entries
            assert summary not in fold(events[: seq - 1]).entries

    asyncio.run(run())


def _said(length: int) -> Story:
    return Story().tell(long_story(2, length=length, verbs=("user", "say")))


def test_a_time_before_the_session_is_refused_warm_as_cold() -> None:
    """No event is that early, whether the first ones are read again or held warm."""

    async def run() -> None:
        log = await _logged(_said(10).events)
        first, past = (await read(log, KEY))[0].event.at, Past(log)
        await past.warm(KEY)
        for reader in (Past(log, bytes_max=0), past):
            with pytest.raises(InputError, match="at or after the session's first event"):
                await reader.seq_at(KEY, first - timedelta(microseconds=1))
            assert await reader.seq_at(KEY, first) == 1

    asyncio.run(run())


def test_short_stretches_within_a_long_one_hide_nothing() -> None:
    """I read a session while it grows, then all of it: every state is there, those after the old ends too."""

    async def run() -> None:
        events = _said(90).events
        assert len(events) > 80
        log, clock = await _logged(events[:10]), HandClock("on")
        past = Past(log)
        await past.state(KEY, 10)
        await write(log, KEY, [recorded.event.data for recorded in events[10:12]], clock=clock)
        await past.state(KEY, 12)
        await write(log, KEY, [recorded.event.data for recorded in events[12:]], clock=clock)
        await past.warm(KEY)
        for at, state in enumerate(_states(await read(log, KEY)), start=1):
            assert encode_context(await past.state(KEY, at)) == encode_context(state)

    asyncio.run(run())


def test_what_does_not_fit_is_not_kept_and_read_all_the_same() -> None:
    """A bound below one stretch costs reading anew each time, and nothing else."""

    async def run() -> None:
        log = await _logged(_said(200).events)
        past = Past(log, bytes_max=1)
        for _ in range(2):
            assert await past.warm(KEY) == len(await read(log, KEY))
            assert (await past.state(KEY, 70)).seq == 70
        assert past.kept_bytes == 0

    asyncio.run(run())


def test_damage_that_came_later_hides_no_earlier_state() -> None:
    """Where a later event is lost, a warm reader has the states before it, as a cold one has."""

    async def run() -> None:
        log = await _logged(_said(20).events)
        past, end = Past(log), len(await read(log, KEY))
        await past.warm(KEY)
        await write(log, KEY, [recorded.event.data for recorded in _said(5).events[1:]], clock=HandClock("more"))
        log.lose(KEY, end + 1)
        for at in (3, end):
            assert encode_context(await past.state(KEY, at)) == encode_context(await load(log, KEY, at=at))
        with pytest.raises(CorruptLogError):
            await past.state(KEY, end + 1)

    asyncio.run(run())
