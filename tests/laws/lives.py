"""Lives of a session: what agents say in it, and workers that come by, lag, or die."""

from collections.abc import Sequence

from tests.laws.logs import HandClock, Outcome, outcome, worker_on, write
from tests.laws.stories import KEY, Move, Story, long_story

from retold.events import Fact, ItemAppended, Message, Text, Window
from retold.log import MemoryLog

WINDOW = Window(hard_limit=8_000, pre_rot=5_000, reserve=800)


def said(told: Sequence[Move], window: Window = WINDOW) -> list[Fact]:
    """Return what agents say in a story, without a worker."""
    return [recorded.event.data for recorded in Story(window).tell(told).events]


def user(text: str) -> Fact:
    """Return a message of the user's."""
    return ItemAppended(item=Message(role="user", content=(Text(text),)))


def long_life(seed: int = 7, length: int = 60) -> list[Fact]:
    """Return what agents say in a session that is compacted several times."""
    return said(long_story(seed, length=length, verbs=("user", "say", "think", "call", "result")))


async def lived(facts: Sequence[Fact], drains: Sequence[bool]) -> Outcome:
    """Append *facts* one by one, with a worker that comes by where *drains* says, and at the end."""
    log, clock = MemoryLog(), HandClock()
    worker = worker_on(log)
    for at, fact in enumerate(facts):
        await write(log, KEY, [fact], clock=clock)
        if drains[at % len(drains)]:
            await worker.drain()
    await worker.drain()
    assert not worker.damaged
    return await outcome(log, KEY)
