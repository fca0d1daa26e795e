"""Laws of forks: a fork starts as its parent was, and from there each goes its own way."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.laws.lives import WINDOW, long_life, said
from tests.laws.logs import HandClock, LogProxy, Outcome, outcome, read, worker_on, write
from tests.laws.settings import law
from tests.laws.stories import KEY, SAID, Move, Story, long_story, moves, whole_stories

from retold.client import Client, Session
from retold.errors import CorruptLogError, InputError
from retold.events import (
    Fact,
    ForkPoint,
    Message,
    Recorded,
    SessionKey,
    SessionOpened,
    SessionRewound,
    Text,
    Window,
    session_key,
)
from retold.fold import Context, encode_context, history_of
from retold.log import MemoryLog
from retold.ports import Snapshot
from retold.replay import history_at, load, verify

CHILD = session_key("child", tenant="laws")


async def _logged(facts: Sequence[Fact], log: MemoryLog | None = None, key: SessionKey = KEY) -> MemoryLog:
    log = log or MemoryLog()
    clock = HandClock(f"{key.session}-{(await log.head(key)).seq}")
    for fact in facts:
        await write(log, key, [fact], clock=clock)
    return log


def _facts(story: Story) -> list[Fact]:
    return [recorded.event.data for recorded in story.events]


async def _fork(log: MemoryLog, at: int | None, name: str = "child", window: Window | None = None) -> Session:
    return await Client(log, HandClock(f"fork-{name}")).fork("story", name, at=at, tenant="laws", window=window)


def _inherited(context: Context) -> object:
    """Return what a fork takes over, wherever it counts its sequences from."""
    entries = [structs.replace(entry, seq=0) for entry in context.entries]
    fields = [structs.replace(field, seqs=()) for field in context.summary]
    kept = (context.tokens, context.pinned, context.next_item, context.calibration, context.usage, context.window)
    return entries, fields, kept, context.settled_tokens, context.ineffective, context.encoding, context.policy


@law(20)
@given(whole_stories(), moves(*SAID, at_least=1, at_most=6))
def test_a_fork_at_any_event_is_the_parent_as_it_was_then_and_goes_its_own_way(story: Story, later: list[Move]) -> None:
    """Wherever I fork, I start with the parent's state there; what either does later, the other never sees."""

    async def run() -> None:
        log = await _logged(_facts(story))
        before = await load(log, KEY)
        for at in range(1, len(story.events) + 1):
            past = await load(log, KEY, at=at)
            forked = await _fork(log, at, f"child{at}")
            start = await load(log, forked.key)
            assert _inherited(start) == _inherited(past)
            assert history_of(start).hash == history_of(past).hash == (await forked.history(at=1)).hash
            assert (start.seq, start.version, start.base_seq) == (1, past.version + 1, 1)
            assert (start.plan, start.staged, start.requested, start.closed) == (None, {}, None, False)
            assert [entry.seq for entry in start.entries] == [entry.seq - at for entry in past.entries]
        assert encode_context(await load(log, KEY)) == encode_context(before)
        key = session_key("child1", tenant="laws")
        await _logged(said(later)[1:], log, key)
        assert encode_context(await load(log, KEY)) == encode_context(before)

    asyncio.run(run())


@law(20)
@given(whole_stories(), st.integers(1, 60), st.integers(0, 40))
def test_a_fork_is_not_touched_by_what_becomes_of_its_parent(story: Story, at: int, then: int) -> None:
    """My fork stays what it is when its parent goes on, is edited, compacted, rewound or closed."""
    facts = _facts(story)
    at = 1 + at % len(facts)

    async def run() -> None:
        log = await _logged(facts[:at])
        forked = await _fork(log, None)
        start = encode_context(await load(log, forked.key))
        await _logged(facts[at:], log)
        await write(log, KEY, [SessionRewound(to_seq=1 + then % at)], clock=HandClock("rewind"))
        await forked.append({"role": "user", "content": "mine"})
        assert encode_context(await load(log, forked.key, at=1)) == start
        assert (await forked.history()).as_chat()[-1]["content"].endswith("mine")
        assert (await verify(log, forked.key)).ok

    asyncio.run(run())


@law(25)
@given(moves(*SAID, "extend", at_least=8, at_most=30), st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_a_chain_of_forks_has_the_history_that_one_session_would_have(told: list[Move], steps: list[int]) -> None:
    """However often I fork on the way, I am sent what I would have been sent in one session."""
    facts = said(told)

    async def run() -> None:
        alone = await load(await _logged(facts), KEY)
        log, at, key = await _logged(facts[:2]), 2, KEY
        for nth, step in enumerate(steps):
            forked = await Client(log, HandClock(f"f{nth}")).fork(key.session, f"c{nth}", tenant="laws")
            key = forked.key
            await _logged(facts[at : at + step], log, key)
            at += step
        await _logged(facts[at:], log, key)
        grown = await load(log, key)
        assert history_of(grown).hash == history_of(alone).hash
        assert (grown.tokens, grown.calibration, grown.next_item) == (alone.tokens, alone.calibration, alone.next_item)

    asyncio.run(run())


async def _lived_on(facts: Sequence[Fact], later: Sequence[Fact], drains: Sequence[bool], *, at: int) -> Outcome:
    """Fork a session that a worker has compacted, at *at*, and tell *later* in the fork with a worker now and then."""
    log = await _logged(facts)
    await worker_on(log, "parents").drain()
    await _fork(log, at)
    worker, clock = worker_on(log), HandClock("later")
    for nth, fact in enumerate(later):
        await write(log, CHILD, [fact], clock=clock)
        if drains[nth % len(drains)]:
            await worker.drain()
    await worker.drain()
    assert not worker.damaged
    return await outcome(log, CHILD)


@law(12)
@given(moves(*SAID, at_least=10, at_most=30), st.lists(st.booleans(), min_size=2, max_size=9), st.integers(2, 80))
def test_a_fork_is_compacted_like_any_session(later: list[Move], drains: list[bool], at: int) -> None:
    """A worker compacts my fork within its window, and when it came by changes nothing of the result."""
    facts, mine = long_life(length=45), said(later)[1:]

    async def run() -> None:
        always = await _lived_on(facts, mine, [True], at=at)
        assert always.tokens <= WINDOW.input_limit
        assert always.published is not None
        assert await _lived_on(facts, mine, [False], at=at) == always
        assert await _lived_on(facts, mine, drains, at=at) == always

    asyncio.run(run())


def test_a_fork_with_a_smaller_window_is_compacted_where_it_begins() -> None:
    """When I fork a long session for a smaller model, I am sent a history that fits it."""

    async def run() -> None:
        log = await _logged(long_life(length=40))
        await _fork(log, None, window=Window(hard_limit=2_500, reserve=200))
        worker = worker_on(log)
        await worker.drain()
        assert not worker.damaged
        ended = await outcome(log, CHILD)
        assert ended.tokens <= 2_300
        assert (await load(log, CHILD)).base_seq == 1
        assert (await load(log, KEY)).window == WINDOW

    asyncio.run(run())


@law(10)
@given(whole_stories(), st.integers(1, 60))
def test_any_state_of_a_fork_is_had_from_its_snapshots(story: Story, at: int) -> None:
    """From whatever snapshots there are of a fork and its parent, I get the state that reading everything gives."""
    facts = _facts(story)
    at = 1 + at % len(facts)

    async def run() -> None:
        log = await _logged(facts)
        forked = await _fork(log, at)
        await _logged(said([Move("user", 1), Move("say", 2), *long_story(at, length=10)])[1:], log, forked.key)
        last = (await log.head(forked.key)).seq
        states = [await load(log, forked.key, at=seq) for seq in range(1, last + 1)]
        await log.save_snapshot(KEY, Snapshot(seq=at, body=encode_context(await load(log, KEY, at=at))))
        for state in states[::4]:
            await log.save_snapshot(forked.key, Snapshot(seq=state.seq, body=encode_context(state)))
        for state in states:
            assert encode_context(await load(log, forked.key, at=state.seq)) == encode_context(state)
        verdict = await verify(log, forked.key)
        assert verdict.ok, verdict.reason
        assert (verdict.events, verdict.snapshots) == (last, len(states[::4]))

    asyncio.run(run())


def test_a_long_line_of_forks_is_read_to_its_root() -> None:
    """The twentieth fork of a fork says everything that was said since the first session."""

    async def run() -> None:
        log = await _logged([SessionOpened(window=WINDOW)])
        session = await Client(log, HandClock("a")).existing("story", tenant="laws")
        for number in range(20):
            await session.append({"role": "user", "content": f"said {number}"})
            session = await session.fork(f"fork{number}")
        said_there = [message["content"] for message in (await session.history()).as_chat()]
        assert said_there == [f"said {number}" for number in range(20)]
        verdict = await verify(log, session.key)
        assert verdict.ok

    asyncio.run(run())


class _Exchanged(LogProxy):
    """Show the parent with one event's text exchanged, its chain made to fit."""

    def __init__(self, log: MemoryLog, exchanged: MemoryLog) -> None:
        super().__init__(log)
        self._exchanged = exchanged

    async def read(self, key: SessionKey, *, after: int = 0, until: int | None = None):  # type: ignore[no-untyped-def]  # noqa: ANN202
        """Show the parent of the other log."""
        log = self._exchanged if key == KEY else self.inner
        async for recorded in log.read(key, after=after, until=until):
            yield recorded


def test_a_fork_is_bound_to_what_its_parent_was() -> None:
    """If somebody rewrites the parent's log, chain and all, my fork is not read on it, and verify says why."""

    async def run() -> None:
        facts = long_life(length=12)
        log = await _logged(facts)
        forked = await _fork(log, 8)
        message = Message(role="user", content=(Text("never said"),))
        forged = await _logged([*facts[:3], structs.replace(said([Move("user", 0)])[1], item=message), *facts[4:]])
        assert (await verify(forged, KEY)).ok
        shown = _Exchanged(log, forged)
        with pytest.raises(CorruptLogError, match="is not at 8 what it was then"):
            await load(shown, forked.key)
        verdict = await verify(shown, forked.key)
        assert (verdict.damaged_seq, verdict.ok) == (1, False)

    asyncio.run(run())


@pytest.mark.parametrize("lost", [1, 4, 8])
def test_damage_in_the_parent_is_damage_of_the_fork(lost: int) -> None:
    """A fork whose parent lost an event that it inherits is not shown without it; later events do not matter."""

    async def run() -> None:
        log = await _logged(long_life(length=12))
        forked = await _fork(log, 8)
        log.lose(KEY, 9)
        assert (await verify(log, forked.key)).ok
        log.lose(KEY, lost)
        with pytest.raises(CorruptLogError):
            await load(log, forked.key)
        verdict = await verify(log, forked.key)
        assert verdict.damaged_seq == 1
        assert f"'story' is damaged at sequence {lost}" in verdict.reason

    asyncio.run(run())


def test_a_fork_that_cannot_be_is_refused_and_nothing_is_recorded() -> None:
    """A name in use, a place that the parent does not have, and a parent that is not there are named."""

    async def run() -> None:
        log = await _logged(long_life(length=6))
        client = Client(log, HandClock("c"))
        for name, at, expected in (("story", 1, "there is a session 'story'"), ("b", 99, "ends before it")):
            with pytest.raises(InputError, match=expected):
                await client.fork("story", name, at=at, tenant="laws")
        with pytest.raises(InputError, match="none named 'nobody'"):
            await client.fork("nobody", "b", tenant="laws")
        with pytest.raises(InputError, match="a session name"):
            await client.fork("story", "b c", tenant="laws")
        with pytest.raises(InputError, match="hard_limit"):
            await client.fork("story", "b", tenant="laws", window=Window(hard_limit=0))
        assert [end.key for end in await client.sessions()] == [KEY]

    asyncio.run(run())


def test_a_session_opened_before_forks_could_be_proven_is_read_as_it_was() -> None:
    """A parent that an old log names without a hash is a remark: the session starts from nothing, as it did then."""

    async def run() -> None:
        opened = SessionOpened(window=WINDOW, parent=ForkPoint(session="gone", seq=7))
        log = await _logged([opened, *said([Move("user", 1)])[1:]])
        events: list[Recorded] = await read(log, KEY)
        assert b'"parent":{"session":"gone","seq":7}' in events[0].body
        assert len((await history_at(log, KEY)).items) == 1

    asyncio.run(run())


class _Counted(LogProxy):
    """Count how often events are read."""

    reads = 0

    def read(self, key: SessionKey, *, after: int = 0, until: int | None = None) -> AsyncGenerator[Recorded, None]:
        """Count, and pass on."""
        self.reads += 1
        return self.inner.read(key, after=after, until=until)


def test_forks_share_what_their_client_keeps_warm() -> None:
    """What a fork has read is kept with all else that the client keeps, and read once: it has no cache of its own."""

    async def run() -> None:
        log = _Counted(await _logged(long_life(length=20)))
        client = Client(log, HandClock("mine"))
        forked = await client.fork("story", "child", tenant="laws")
        await forked.append({"role": "user", "content": "go on"})
        before = await forked.history(at=2)
        log.reads = 0
        assert await (await client.existing("child", tenant="laws")).history(at=2) == before
        assert log.reads == 0

    asyncio.run(run())
