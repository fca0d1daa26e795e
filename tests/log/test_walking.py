"""Walks: whatever they kept on the way, and however many rewinds there are, they give the fold, at a bounded cost."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Sequence

import pytest
from hypothesis import given
from tests.laws.lives import user
from tests.laws.logs import HandClock, LogProxy, read, write
from tests.laws.settings import law
from tests.laws.stories import KEY, Story, whole_stories

from retold.events import Fact, Recorded, SessionKey, SessionRewound
from retold.fold import Context, encode_context, fold
from retold.log import MemoryLog, walking
from retold.log.walking import Walk


async def _logged(facts: Sequence[Fact]) -> MemoryLog:
    log, clock = MemoryLog(), HandClock()
    opened = Story().tell([]).events[0].event.data
    for fact in (opened, *facts):
        await write(log, KEY, [fact], clock=clock)
    return log


@law(30)
@given(whole_stories())
def test_a_walk_that_keeps_few_states_gives_the_fold(story: Story) -> None:
    """With hardly a state kept for rewinds, every state on the way is what folding all gives."""

    async def run() -> None:
        log = await _logged([recorded.event.data for recorded in story.events[1:]])
        events = await read(log, KEY)
        walk = Walk(log, KEY)
        for at, recorded in enumerate(events, start=1):
            await walk.take(recorded)
            assert encode_context(walk.builder.freeze()) == encode_context(fold(events[:at]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walking, "STEP_EVENTS", 1)
        patch.setattr(walking, "KEPT_MAX", 4)
        asyncio.run(run())


def test_a_walk_keeps_a_bounded_number_of_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """Following a session for ever takes no more memory than its state does."""
    monkeypatch.setattr(walking, "STEP_EVENTS", 1)

    async def run() -> None:
        log = await _logged([user(f"{number}") for number in range(300)])
        events = await read(log, KEY)
        gc.collect()
        before = _contexts()
        walk = Walk(log, KEY)
        for recorded in events:
            await walk.take(recorded)
        assert _contexts() - before < 100

    asyncio.run(run())


class _Counted(LogProxy):
    """Count the events that are read."""

    events = 0

    async def read(
        self, key: SessionKey, *, after: int = 0, until: int | None = None
    ) -> AsyncGenerator[Recorded, None]:
        """Pass on, and count."""
        async for recorded in super().read(key, after=after, until=until):
            self.events += 1
            yield recorded


def test_a_rewind_reads_what_it_returns_to_and_no_other_rewind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where many rewinds lie between, a rewind to a place before them reads only the few events up to there."""
    monkeypatch.setattr(walking, "STEP_EVENTS", 4)

    async def run() -> None:
        facts: list[Fact] = [user(f"{number}") for number in range(60)]
        for number in range(20):
            facts += [SessionRewound(to_seq=1), *(user(f"{number} {more}") for more in range(10))]
        log = _Counted(await _logged([*facts, SessionRewound(to_seq=50)]))
        *events, last = await read(log, KEY)
        walk = Walk(log, KEY)
        for recorded in events:
            await walk.take(recorded)
        log.events = 0
        await walk.take(last)
        assert log.events <= 10
        assert encode_context(walk.builder.freeze()) == encode_context(fold([*events, last]))

    asyncio.run(run())


def _contexts() -> int:
    return sum(isinstance(one, Context) for one in gc.get_objects())
