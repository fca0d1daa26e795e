"""What was rewound, or never forked, is nowhere in what comes later: every item is marked, and bytes are searched."""

import asyncio
import re
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.laws.lives import WINDOW, long_life, said
from tests.laws.logs import FailingLog, HandClock, Killed, LogProxy, drained, outcome, read, worker_on, write
from tests.laws.settings import law
from tests.laws.stories import KEY, SAID, Move, long_story, moves

from retold.client import Client
from retold.events import Fact, ItemAppended, Message, Reasoning, SessionKey, SessionOpened, Text, ToolCall, ToolResult
from retold.fold import encode_context
from retold.log import MemoryLog
from retold.ports import Published, Snapshot
from retold.replay import load

_MARK = re.compile(rb"mark\d{4}x")


def _marked(facts: Sequence[Fact], *, first: int = 0) -> list[Fact]:
    """Return *facts* with a mark of its own in each line of each item's text."""
    return [_with_mark(fact, f"mark{number:04}x") for number, fact in enumerate(facts, start=first)]


def _with_mark(fact: Fact, mark: str) -> Fact:
    if not isinstance(fact, ItemAppended):
        return fact
    item = fact.item
    if isinstance(item, Message | ToolResult):
        parts = tuple(
            Text(part.text.replace(". ", f". {mark} ").replace("\n", f"\n{mark} ") + f" {mark}")
            if isinstance(part, Text)
            else part
            for part in item.content
        )
        item = structs.replace(item, content=(Text(f"Must keep {mark}."), *parts))
    elif isinstance(item, ToolCall) and item.kind == "function":
        item = structs.replace(item, arguments=f'{{"path": "src/{mark}.py"}}')
    elif isinstance(item, Reasoning) and item.body is None:
        item = structs.replace(item, text=f"{item.text} {mark}")
    return ItemAppended(item=item)


def _marks(bodies: Sequence[bytes]) -> set[bytes]:
    return {mark for body in bodies for mark in _MARK.findall(body)}


class _Kept(LogProxy):
    """Remember every projection that is written."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log)
        self.written: list[bytes] = []

    async def save_snapshot(self, key: SessionKey, snapshot: Snapshot) -> None:
        """Remember, and save."""
        self.written.append(snapshot.body)
        await super().save_snapshot(key, snapshot)

    async def publish_history(self, key: SessionKey, published: Published) -> bool:
        """Remember what readers find from now on, and publish."""
        written = await super().publish_history(key, published)
        found = await self.inner.load_history(key)
        self.written.append(b"" if found is None else found.body)
        return written


async def _told(facts: Sequence[Fact], drains: Sequence[bool], *, dies_at: int) -> MemoryLog:
    """Tell *facts* with a worker that comes by where *drains* says, and at the end dies at one of its effects."""
    log, clock = MemoryLog(), HandClock()
    worker = worker_on(log)
    for nth, fact in enumerate(facts):
        await write(log, KEY, [fact], clock=clock)
        if drains[nth % len(drains)]:
            await worker.drain()
    await drained(worker_on(FailingLog(log, at=dies_at, after=True, error=Killed()), "dying"))
    return log


async def _go_on(log: _Kept, key: SessionKey, facts: Sequence[Fact], drains: Sequence[bool]) -> list[bytes]:
    """Tell *facts* after what happened, and return all that is written and read from then on."""
    worker, clock = worker_on(log, "successor"), HandClock("later")
    begun = (await log.head(key)).seq
    for nth, fact in enumerate(facts):
        await write(log, key, [fact], clock=clock)
        if drains[nth % len(drains)]:
            await worker.drain()
    await worker.drain()
    assert not worker.damaged
    assert (await outcome(log, key)).tokens <= WINDOW.input_limit
    states = [await load(log, key, at=seq) for seq in range(begun, (await log.head(key)).seq + 1)]
    found = await log.load_history(key)
    assert found is not None
    events = [recorded.body for recorded in (await read(log, key))[begun - 1 :]]
    return [*log.written, *events, *(encode_context(state) for state in states), found.body]


_LIFE = _marked(long_life(seed=5, length=50))
_LATER = _marked(said(long_story(11, length=40, verbs=("user", "say", "think", "call", "result")))[1:], first=5_000)
_DRAINS = st.lists(st.booleans(), min_size=2, max_size=9)


@law(9)
@given(to=st.floats(0.05, 0.98), drains=_DRAINS, dies_at=st.integers(1, 12), then=moves(*SAID, at_most=12))
def test_no_text_that_was_rewound_is_in_anything_later(
    *, to: float, drains: list[bool], dies_at: int, then: list[Move]
) -> None:
    """Whatever I rewind, and whatever the worker had made of it, none of its text is sent, kept or published again."""

    async def run() -> None:
        log = _Kept(await _told(_LIFE, drains, dies_at=dies_at))
        to_seq = max(1, int(to * (await log.head(KEY)).seq))
        left = _marks([recorded.body for recorded in (await read(log, KEY))[:to_seq]])
        rewound = _marks([recorded.body for recorded in await read(log, KEY)]) - left
        session = await Client(log, HandClock("mine")).existing(KEY.session, tenant=KEY.tenant)
        await session.rewind(to_seq)
        published = await log.load_history(KEY)
        assert (published is not None) == ((await load(log, KEY)).tokens.upper <= WINDOW.input_limit)
        assert published is None or not _marks([published.body]) & rewound
        mine = [*_marked(said(then)[1:], first=7_000), *_LATER]
        later = _marks(await _go_on(log, KEY, mine, drains))
        assert not later & rewound
        assert {mark for mark in later if mark >= b"mark5000x"}

    asyncio.run(run())


@law(6)
@given(at=st.floats(0.05, 0.98), drains=_DRAINS)
def test_nothing_that_came_after_the_fork_point_is_in_the_fork(*, at: float, drains: list[bool]) -> None:
    """A fork holds nothing of what its parent said, or its parent's worker made of it, after they parted."""

    async def run() -> None:
        log = _Kept(await _told(_LIFE, drains, dies_at=1_000_000))
        seq = max(1, int(at * (await log.head(KEY)).seq))
        events = [recorded.body for recorded in await read(log, KEY)]
        after = _marks(events) - _marks(events[:seq])
        forked = await Client(log, HandClock("mine")).fork(KEY.session, "child", at=seq, tenant=KEY.tenant)
        assert not _marks(await _go_on(log, forked.key, _LATER, drains)) & after

    asyncio.run(run())


def test_marks_are_found_where_they_are() -> None:
    """The search that these laws rest on finds what a summary quotes, and what a snapshot and a reader are given."""

    async def run() -> None:
        log = await _told(_LIFE, [True], dies_at=1_000_000)
        context = await load(log, KEY)
        assert isinstance(_LIFE[0], SessionOpened)
        assert context.summary
        assert _marks([repr(context.summary).encode()])
        found = await log.load_history(KEY)
        assert found is not None
        assert len(_marks([found.body])) > 3
        assert len(_marks([encode_context(context)])) > 10

    asyncio.run(run())
