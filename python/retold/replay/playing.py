"""Play a session again: its states one after the other, at the pace that it had, a multiple of that, or at once.

Followed, it goes on with what is appended: one read of the log, from the first event to the newest and on, so that
nothing falls between the past and the present.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime

from msgspec import Struct

from retold.errors import InputError
from retold.events import Recorded, SessionKey
from retold.fold import Context
from retold.log.walking import Walk
from retold.ports import Log
from retold.replay.explaining import Version, version_of
from retold.replay.past import Past
from retold.replay.places import At

PAUSE_S_MAX = 60.0
"""The longest pause between two events, whatever the speed: a night in between is no part of the play."""


class Frame(Struct, frozen=True):
    """Hold one event and what the state is after it.

    Attributes:
        recorded: the event.
        state: the state after it, its entries left out: window, version, plan, usage, calibration.
        tokens: the size of the history after it, upper bound.
        charged_tokens: the same as the provider counts it, as far as its reports have taught.
    """

    recorded: Recorded
    state: Context
    tokens: int
    charged_tokens: int

    @property
    def seq(self) -> int:
        """Return the event's sequence."""
        return self.recorded.event.seq

    @property
    def compaction(self) -> Version | None:
        """Return the compaction that the event is, by policy or by an agent, with its receipt; None if it is none."""
        return version_of(self.recorded, self.state.version)


class Part(Struct, frozen=True):
    """Say which part of a session is played.

    Attributes:
        start: the place to begin after; None begins with the first event.
        to: the place to end with; None is the newest event.
        until_compaction: whether it ends with the first compaction.
        follow: whether it goes on with what is appended after the newest event.
    """

    start: At | None = None
    to: At | None = None
    until_compaction: bool = False
    follow: bool = False


WHOLE = Part()
"""From the first event to the newest."""


async def play(
    log: Log,
    key: SessionKey,
    part: Part = WHOLE,
    *,
    speed: float | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncGenerator[Frame, None]:
    """Yield a frame for each event of *part*, in order.

    *speed* is how many seconds of the recorded time pass in one; None waits for nothing. Cost: one read of the events;
    memory: the state.

    Raises:
        InputError: if there is no such session, it does not reach where the part starts or, not followed, where it
            ends, it ends before it starts, or *speed* is not above 0.
        CorruptLogError: at the first event that is missing or damaged; those before were yielded.
    """
    if speed is not None and not speed > 0:
        raise InputError(f"expected a speed above 0, got {speed:g}")
    base = None if part.start is None else await Past(log, bytes_max=0).state(key, part.start)
    last = await _last(log, key, part)
    walk, pace = Walk(log, key, base=base), _Pace(speed, sleep)
    after = 0 if base is None else base.seq
    if last is not None and last < after:
        raise InputError(f"expected an end at or after the start, sequence {after}, got sequence {last}")
    if last == after:
        return  # followed, it would wait for an event that is not played
    events = log.follow(key, after=after) if part.follow else log.read(key, after=after, until=last)
    async with aclosing(events):
        async for recorded in events:
            if last is not None and recorded.event.seq > last:
                return
            await walk.take(recorded)
            await pace.wait(recorded.event.at)
            frame = _frame(walk, recorded)
            yield frame
            if frame.seq == last or (part.until_compaction and frame.compaction is not None):
                return


async def _last(log: Log, key: SessionKey, part: Part) -> int | None:
    """Return the sequence to end with; None for no end."""
    last = None if part.to is None else await Past(log, bytes_max=0).seq_at(key, part.to)
    end = (await log.head(key)).seq
    if end == 0:
        raise InputError(f"expected an existing session, there is none named {key.session!r}")
    if last is not None and last > end and not part.follow:
        raise InputError(f"expected a sequence of 1 to {end}, got {last}: session {key.session!r} ends before it")
    return last


def _frame(walk: Walk, recorded: Recorded) -> Frame:
    state, tokens = walk.builder.outline, walk.builder.upper_tokens
    return Frame(recorded=recorded, state=state, tokens=tokens, charged_tokens=state.calibration.charged(tokens))


class _Pace:
    """Wait between events as long as it took then, divided by the speed."""

    def __init__(self, speed: float | None, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._speed = speed
        self._sleep = sleep
        self._before: datetime | None = None

    async def wait(self, at: datetime) -> None:
        """Wait until the event of time *at* is due. A clock that went back waits for nothing."""
        before, self._before = self._before, at
        if self._speed is not None and before is not None and at > before:
            await self._sleep(min((at - before).total_seconds() / self._speed, PAUSE_S_MAX))
