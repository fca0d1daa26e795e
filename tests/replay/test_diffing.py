"""Laws of the diff: it accounts for every item, token and line, and the ways back that it names lead back."""

import asyncio
from collections.abc import Sequence

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.laws.lives import long_life
from tests.laws.logs import HandClock, worker_on, write
from tests.laws.settings import law
from tests.laws.stories import KEY, Story, whole_stories

import retold
from retold.client import Client, Session
from retold.events import Fact
from retold.fold import PRIMING, Entry, History, fold, history_of
from retold.log import MemoryLog
from retold.replay import Diff, item_text


def _text_lines(entries: Sequence[Entry]) -> set[str]:
    texts = (item_text(entry.item) for entry in entries if entry.form != "placeholder")
    return {" ".join(line.split()) for text in texts for line in text.splitlines()} - {""}


def _sides(story: Story, a: int, b: int) -> tuple[History, History, Diff]:
    a, b = 1 + a % len(story.events), 1 + b % len(story.events)
    before, after = (history_of(fold(story.events[:seq])) for seq in (a, b))
    return before, after, retold.diff(before, after, story.events[a:b])


_PLACES = st.integers(0, 59)


@law(60)
@given(whole_stories(), _PLACES, _PLACES)
def test_every_item_and_every_token_is_accounted_for(story: Story, a: int, b: int) -> None:
    """What is in neither list is the same in both histories, and the tokens by kind add up to both sizes."""
    before, after, found = _sides(story, a, b)
    then = {entry.item.id: entry.item for entry in before.entries}
    now = {entry.item.id: entry.item for entry in after.entries}
    assert {one.item for one in found.removed} == then.keys() - now.keys()
    assert {one.item for one in found.added} == now.keys() - then.keys()
    assert {one.item for one in found.changed} == {item for item in then.keys() & now.keys() if then[item] != now[item]}
    for side, history in ((0, before), (1, after)):
        rounded = history.tokens - sum(sizes[side] for sizes in found.kinds.values()) - PRIMING
        assert rounded in range(len(history.entries) + 1)  # an upper bound is rounded down, for each item or for all


@law(60)
@given(whole_stories(), _PLACES, _PLACES)
def test_every_line_that_can_be_seen_no_more_is_named(story: Story, a: int, b: int) -> None:
    """A line of the first history is in the second, or what it was in is named among the lost; nothing else is."""
    before, after, found = _sides(story, a, b)
    lost = {one.item for one in found.lost}
    seen = _text_lines(after.entries)
    for entry in before.entries:
        if entry.form != "summary":
            assert (entry.item.id in lost) == bool(_text_lines([entry]) - seen - _summary_lines(after))
    assert all(one.seq == before.seq for one in found.lost)
    assert all(one.lines > 0 for one in found.lost)


def _summary_lines(history: History) -> set[str]:
    lines = _text_lines([entry for entry in history.entries if entry.form == "summary"])
    return {line.removeprefix("- ") for line in lines}


@law(40)
@given(whole_stories(), _PLACES)
def test_a_history_and_itself_differ_in_nothing(story: Story, a: int) -> None:
    """Where nothing happened, nothing is reported."""
    _, _, found = _sides(story, a, a)
    assert (found.added, found.removed, found.changed, found.lost, found.compactions) == ((), (), (), (), ())


async def _compacted(facts: Sequence[Fact]) -> tuple[MemoryLog, Session]:
    log, clock = MemoryLog(), HandClock()
    worker = worker_on(log)
    for fact in facts:
        await write(log, KEY, [fact], clock=clock)
        await worker.drain()
    return log, await Client(log, HandClock("mine")).existing(KEY.session, tenant=KEY.tenant)


@law(5)
@given(st.integers(20, 70), st.integers(1, 60))
def test_the_way_back_that_is_named_leads_back(length: int, since: int) -> None:
    """When I do what the diff says of something lost, restore, undo or rewind, I see it again."""

    async def run() -> None:
        log, session = await _compacted(long_life(seed=5, length=length))
        a = 1 + since % (await log.head(KEY)).seq
        found = await session.diff(a)
        assume(found.lost)
        for back in ("restore", "undo", "rewind", "history"):
            one = next((one for one in found.lost if one.back == back), None)
            if one is None:
                continue
            trial = await session.fork(f"trial-{back}") if back == "restore" else session
            if back == "restore":
                await trial.restore(one.item)
            elif back == "undo":
                await trial.undo()
            again = await (session.diff(a, other=trial) if back == "restore" else trial.diff(a))
            if back in ("restore", "undo"):
                assert (one.item, one.field) not in {(other.item, other.field) for other in again.lost}
            assert any(entry.item.id == one.item for entry in (await session.history(at=one.seq)).entries)

    asyncio.run(run())


def test_a_fork_and_its_parent_are_told_apart_by_what_was_said() -> None:
    """Both branches number on from the fork; an id that means two things is two items of the diff."""

    async def run() -> None:
        client = Client(MemoryLog(), HandClock())
        parent = await client.session("parent")
        await parent.append({"role": "user", "content": "both"})
        child = await parent.fork("child")
        await parent.append({"role": "user", "content": "only the parent"})
        await child.append({"role": "user", "content": "only the child"})
        found = await parent.diff(3, other=child)
        assert [(one.item, one.how) for one in found.removed] == [("i2", "elsewhere")]
        assert [(one.item, one.how) for one in found.added] == [("i2", "appended")]
        assert [(one.text, one.back) for one in found.lost] == [("only the parent", "history")]
        assert not (await parent.diff(2, 1, other=child)).added

    asyncio.run(run())


def test_compactions_are_told_across_a_fork() -> None:
    """From a place of the parent to one of its fork, the receipts of both are there, in order."""

    async def run() -> None:
        log, session = await _compacted(long_life(length=70))
        mine = await session.diff(2)
        assert len(mine.compactions) > 1
        child = await session.fork("child")
        found = await session.diff(2, other=child)
        assert found.compactions == mine.compactions
        assert (found.added, found.removed, found.lost) == (mine.added, mine.removed, mine.lost)
        assert {one.how for one in found.removed} <= {"summarised", "dropped"}
        assert all(one.into for one in found.removed if one.how == "summarised")
        await session.rewind(2)
        assert {one.how for one in (await session.diff((await log.head(KEY)).seq - 1)).removed} == {"rewound"}

    asyncio.run(run())
