"""What a compaction did can be asked of the log, and is derived from the events, not believed."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from msgspec import structs
from tests.laws.logs import HandClock, write
from tests.laws.settings import law
from tests.laws.stories import KEY, SAID, WORKED, Story, long_story, stories

from retold.errors import InputError
from retold.events import (
    CompactionFailed,
    HistoryEdited,
    HistoryReplaced,
    Message,
    Receipt,
    Recorded,
    Text,
    session_key,
)
from retold.fold import PRIMING, fold
from retold.log import MemoryLog
from retold.replay import Explanation, NotMade, Version, explain_version, versions
from retold.replay.explaining import explain


async def _logged(events: Sequence[Recorded]) -> MemoryLog:
    log, clock = MemoryLog(), HandClock()
    for recorded in events:
        await write(log, KEY, [recorded.event.data], clock=clock)
    return log


def _explained(events: Sequence[Recorded], version: int | None = None) -> Explanation:
    async def run() -> Explanation:
        return await explain_version(await _logged(events), KEY, version)

    return asyncio.run(run())


def _changed(found: Explanation) -> int:
    summarised = 0 if found.summarised is None else found.summarised.entries
    return len(found.offloaded) + len(found.cut) + len(found.dropped) + summarised


@law(20)
@given(stories(*SAID, *WORKED, "extend", "edit", "pin", "rewind", "undo", at_least=20, at_most=45))
def test_every_compaction_is_accounted_for_to_the_token(story: Story) -> None:
    """Each compaction of my session is told with every entry it found, and its sizes add up to what the fold gives."""
    made = [one for one in story.events if isinstance(one.event.data, HistoryReplaced)]

    async def run() -> None:
        log = await _logged(story.events)
        listed = await versions(log, KEY)
        assert [one.seq for one in listed if isinstance(one, Version)] == [one.event.seq for one in made]
        for recorded in made[-2:]:
            fact = recorded.event.data
            assert isinstance(fact, HistoryReplaced)
            found = await explain_version(log, KEY, fact.version)
            assert (found.version, found.seq, found.base_seq) == (fact.version, recorded.event.seq, fact.base_seq)
            before = fold(story.events[: found.seq - 1])
            base = [entry for entry in before.entries if entry.seq <= fact.base_seq]
            assert found.kept + _changed(found) == len(base)
            told = (*found.offloaded, *found.cut, *found.dropped)
            rest = found.note_tokens if found.summarised is None else found.summarised.tokens_after
            after = found.kept_tokens + sum(one.tokens_after for one in told) + rest
            assert after + PRIMING == found.tokens_after
            assert found.pins_intact == found.pins
            assert found.is_newest == (fold(story.events).compacted_seq == found.seq)

    asyncio.run(run())


def _with_summary() -> Story:
    for seed in range(40):
        story = Story().tell(long_story(seed, length=60, verbs=("user", "say", "call", "result", "compact")))
        facts = [one.event.data for one in story.events]
        if any(isinstance(fact, HistoryReplaced) and fact.tier == "summary" for fact in facts):
            return story
    raise AssertionError("no story is summarised")


def test_a_pin_that_did_not_survive_is_counted_as_lost() -> None:
    """If the history has not what the receipt says was kept word for word, the explanation says so."""
    story = _with_summary()
    at = next(n for n, one in enumerate(story.events) if isinstance(one.event.data, HistoryReplaced))
    before, after = fold(story.events[:at]), fold(story.events[: at + 1])
    receipt = story.events[at].event.data
    assert isinstance(receipt, HistoryReplaced)
    assert receipt.receipt.pins
    lost = receipt.receipt.pins[0].item
    damaged = structs.replace(after, entries=tuple(one for one in after.entries if one.item.id != lost))
    events = story.events[: at + 1]
    assert explain(before, events, after, newest_seq=0).pins_intact == len(receipt.receipt.pins)
    assert explain(before, events, damaged, newest_seq=0).pins_intact == len(receipt.receipt.pins) - 1


def test_a_summary_is_told_with_what_it_stands_for() -> None:
    """I see which entries a summary stands for, where they came from, who wrote it and what its sections hold."""
    story = _with_summary()
    version = next(
        fact.version
        for fact in (one.event.data for one in story.events)
        if isinstance(fact, HistoryReplaced) and fact.tier == "summary"
    )
    found = _explained(story.events, version)
    summary = found.summarised
    assert summary is not None
    assert summary.item == (f"s{version}",)
    assert summary.summarizer == "extractive"
    assert any(field.lines for field in summary.fields)
    assert summary.seqs[0] <= summary.seqs[1] <= found.base_seq
    assert summary.times is not None
    assert summary.times[0] <= summary.times[1] < found.at
    assert sum(1 for _ in summary.ranges) <= summary.entries


def test_those_that_were_not_made_are_told_with_their_reason() -> None:
    """Before the newest compaction one failed: I am told where and why, and the list has both in order."""
    story = _with_summary()
    at = next(n for n, one in enumerate(story.events) if isinstance(one.event.data, HistoryReplaced))
    replaced = story.events[at].event.data
    assert isinstance(replaced, HistoryReplaced)
    start = next(n for n in range(at, 0, -1) if story.events[n].event.seq <= replaced.base_seq)
    told = Story()
    told.write(*(one.event.data for one in story.events[1 : start + 1]))
    told.write(CompactionFailed(plan="0", base_seq=start, reason="no room"))
    told.write(*(one.event.data for one in story.events[start + 1 : at + 1]))
    found = _explained(told.events)
    assert [(one.how, one.reason, one.seq) for one in found.not_made] == [("failed", "no room", start + 2)]

    async def run() -> None:
        listed = await versions(await _logged(told.events), KEY)
        assert [type(one) for one in listed[-2:]] == [NotMade, Version]

    asyncio.run(run())


def test_what_an_agent_compressed_is_told_too() -> None:
    """A history that the model compressed by itself is explained as an edit, with what its block stands for."""
    story = Story()
    for text in ("one", "two", "three"):
        story.say("assistant", text * 40)
    context = story.context
    ids = tuple(entry.item.id for entry in context.entries)
    receipt = Receipt(kept=1, tokens_before=context.tokens.upper, tokens_after=40, target_tokens=40, summarised=ids[:2])
    block = Message(role="assistant", content=(Text("I counted."),))
    story.write(HistoryEdited(items=(block,), first=ids[0], last=ids[1], receipt=receipt))
    found = _explained(story.events)
    assert (found.tier, found.kept, found.asked) == ("edit", 1, None)
    assert found.summarised is not None
    assert (found.summarised.ranges, found.summarised.item) == (((ids[0], ids[1]),), ("i4",))


def test_a_version_that_is_not_there_is_answered_with_those_that_are() -> None:
    """When I ask for a version that no compaction made, I am told which there are."""
    story = _with_summary()
    with pytest.raises(InputError, match=r"expected a version .* made, 1.*, got 999"):
        _explained(story.events, 999)
    with pytest.raises(InputError, match="has none"):
        _explained(story.events[:3])
    with pytest.raises(InputError, match="none named 'nobody'"):
        asyncio.run(explain_version(MemoryLog(), session_key("nobody")))
