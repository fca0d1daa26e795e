"""A session played again: every event once, in order, at its pace, on into the present."""

import asyncio
from contextlib import aclosing

import pytest
from tests.laws.logs import HandClock, read, write
from tests.laws.stories import KEY, Story, long_story

from retold.errors import InputError
from retold.events import HistoryReplaced, ItemAppended, Message, Text
from retold.fold import fold
from retold.log import MemoryLog
from retold.replay import Frame, Part, play

_VERBS = ("user", "say", "call", "result", "edit", "rewind", "compact", "extend")


async def _logged(length: int = 60) -> MemoryLog:
    log, clock = MemoryLog(), HandClock()
    for recorded in Story().tell(long_story(2, length=length, verbs=_VERBS)).events:
        await write(log, KEY, [recorded.event.data], clock=clock)
    return log


async def _played(log: MemoryLog, part: Part) -> list[Frame]:
    return [frame async for frame in play(log, KEY, part)]


def test_each_frame_is_the_state_after_its_event() -> None:
    """Played from the start or from any place, each frame has the size and version that a fold gives there."""

    async def run() -> None:
        log = await _logged()
        events = await read(log, KEY)
        for start in (None, 1, 7, len(events) - 1, len(events)):
            frames = await _played(log, Part(start=start))
            assert [frame.recorded for frame in frames] == events[start or 0 :]
            for frame in frames:
                state = fold(events[: frame.seq])
                assert (frame.tokens, frame.state.version) == (state.tokens.upper, state.version)
                assert frame.charged_tokens == state.calibration.charged(state.tokens.upper)

    asyncio.run(run())


def test_a_play_ends_where_it_was_told_to() -> None:
    """It ends with a sequence, a time, an item, or the first compaction after where it began."""

    async def run() -> None:
        log = await _logged()
        events = await read(log, KEY)
        assert [frame.seq for frame in await _played(log, Part(to=5))] == [1, 2, 3, 4, 5]
        assert (await _played(log, Part(to=events[8].event.at)))[-1].seq == 9
        assert isinstance((await _played(log, Part(to="i3")))[-1].recorded.event.data, ItemAppended)
        compactions = [one.event.seq for one in events if isinstance(one.event.data, HistoryReplaced)]
        assert len(compactions) > 1
        first = await _played(log, Part(until_compaction=True))
        assert first[-1].seq == compactions[0]
        assert first[-1].compaction is not None
        again = await _played(log, Part(start=compactions[0], until_compaction=True))
        assert again[-1].seq == compactions[1]

    asyncio.run(run())


def test_a_play_keeps_the_recorded_pace() -> None:
    """At ten times the speed, a second between two events is a tenth of one; a clock that went back costs nothing."""

    async def run() -> None:
        log, pauses = MemoryLog(), list[float]()
        clock = HandClock()
        for recorded in Story().tell(long_story(1, length=6)).events:
            await write(log, KEY, [recorded.event.data], clock=clock)
        await write(log, KEY, [ItemAppended(Message(role="user", content=(Text("x"),)))], clock=HandClock("back"))

        async def sleep(pause_s: float) -> None:
            pauses.append(pause_s)

        frames = [frame async for frame in play(log, KEY, speed=10.0, sleep=sleep)]
        assert pauses == [pytest.approx(0.1)] * (len(frames) - 2)

    asyncio.run(run())


def test_a_followed_play_goes_on_into_the_present_without_a_gap() -> None:
    """What is appended while I play comes next, each event once."""

    async def run() -> None:
        log = await _logged(20)
        end = (await log.head(KEY)).seq
        got: list[int] = []
        clock = HandClock("later")
        async with aclosing(play(log, KEY, Part(follow=True, to=end + 6))) as frames, asyncio.timeout(30):
            async for frame in frames:
                got.append(frame.seq)
                if frame.seq in (3, end, end + 2):
                    said = [ItemAppended(Message(role="user", content=(Text("more"),)))] * 2
                    await write(log, KEY, said, clock=clock)
        assert got == list(range(1, end + 7))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("part", "speed", "message"),
    [
        (Part(to=999), None, "ends before it"),
        (Part(start=999), None, "ends before it"),
        (Part(to=0), None, "1 or more"),
        (Part(), 0.0, "speed above 0"),
        (Part(), -1.0, "speed above 0"),
    ],
)
def test_a_play_that_cannot_be_is_refused(part: Part, speed: float | None, message: str) -> None:
    """A place that is not there, and a speed that goes nowhere, are named."""

    async def run() -> None:
        log = await _logged(5)
        with pytest.raises(InputError, match=message):
            [frame async for frame in play(log, KEY, part, speed=speed)]

    asyncio.run(run())


@pytest.mark.parametrize("follow", [False, True])
def test_a_play_that_ends_before_it_starts_is_refused(follow: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """An end before the start is told of, followed or not; where they are the same place, nothing is played."""

    async def run() -> None:
        log = await _logged(20)
        with pytest.raises(InputError, match="end at or after the start, sequence 4, got sequence 2"):
            await _played(log, Part(start=4, to=2, follow=follow))
        assert await asyncio.wait_for(_played(log, Part(start=4, to=4, follow=follow)), 30) == []

    asyncio.run(run())


def test_a_session_that_is_not_there_is_named() -> None:
    """Playing what nobody opened says so."""

    async def run() -> None:
        with pytest.raises(InputError, match="none named 'story'"):
            await _played(MemoryLog(), Part())

    asyncio.run(run())
