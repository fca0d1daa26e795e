"""Laws of the undo: the history is as if the compaction had not happened, and the loop does not start over."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs
from tests.laws.settings import law
from tests.laws.stories import BRANCHED, CHANGED, KEY, SAID, WORKED, Move, Story, moves, stories, whole_stories

from retold.errors import CorruptLogError
from retold.events import CompactionUndone, HistoryReplaced, SessionRewound, SessionTagged
from retold.fold import Context, Entry, decode_context, encode_context, fold, history_hash
from retold.policy import is_due, limits_of

_GROWN = ("extend", "pin")


def _compactions(story: Story) -> list[int]:
    return [one.event.seq for one in story.events if isinstance(one.event.data, HistoryReplaced)]


def _unplaced(context: Context) -> list[Entry]:
    return [structs.replace(entry, seq=0) for entry in context.entries]


@law(80)
@given(stories(*SAID, *WORKED, *_GROWN, at_least=20, at_most=45), moves(*SAID, *_GROWN, "restore", at_most=8))
def test_an_undo_gives_what_would_be_had_the_compaction_not_happened(story: Story, later: list[Move]) -> None:
    """What I appended after a compaction stays, what it took away returns byte for byte, in its place."""
    compactions = _compactions(story)
    assume(compactions)
    seq = compactions[-1]
    without, done = story.fork(seq - 1), story.fork(seq)
    assert done.context.compacted_seq == seq
    for told in (without, done):
        told.waiting, told.answered = [], []
    done.tell([move for move in later if move.verb not in ("call", "result", "late")])
    for recorded in done.events[seq:]:
        if type(recorded.event.data).__name__ not in ("ItemRestored", "ItemPinned"):
            without.write(recorded.event.data)
    done.write(CompactionUndone(seq=seq))
    assert _unplaced(done.context) == _unplaced(without.context)
    assert history_hash(done.context.entries) == history_hash(without.context.entries)
    assert done.context.tokens == without.context.tokens
    assert done.context.summary == without.context.summary


@law(60)
@given(stories(*SAID, *WORKED, at_least=25, at_most=50))
def test_undone_to_the_first_compaction_every_original_is_back(story: Story) -> None:
    """When I undo compaction after compaction, nothing is left of any, and every item is what I appended."""
    assume(_compactions(story))
    version = story.context.version
    for seq in reversed(_compactions(story)):
        assert story.context.compacted_seq == seq
        story.write(CompactionUndone(seq=seq))
        version += 1
        assert (story.context.version, story.context.base_seq) == (version, story.events[-1].event.seq)
    assert story.context.compacted_seq == 0
    assert all(entry.form == "whole" for entry in story.context.entries)
    assert [entry.item.id for entry in story.context.entries] == [
        f"i{number}" for number in range(1, story.context.next_item)
    ]


@law(60)
@given(stories(*SAID, *CHANGED, *WORKED, at_least=10, at_most=50))
def test_after_an_undo_the_loop_does_not_start_over(story: Story) -> None:
    """What I undid is not done again where it stands, unless the history cannot be sent as it is."""
    story.tell([Move("undo", 0)])
    context = story.context
    assume(isinstance(story.events[-1].event.data, CompactionUndone))
    limits = limits_of(context.window, context.calibration)
    size = context.tokens.upper
    assert is_due(context, size, limits) == (size > limits.ceiling)
    if limits.offload_at <= size <= limits.ceiling:
        grown = size + limits.least_gain - 1
        assert is_due(context, grown, limits) == (grown > limits.ceiling)
        assert is_due(context, size + 4 * max(1, limits.least_gain), limits)


@law(40)
@given(whole_stories())
def test_only_the_newest_compaction_can_be_undone(story: Story) -> None:
    """An undo of anything but the newest compaction is no state that a log can have; it is refused, by its place."""
    newest = story.context.compacted_seq
    at = story.events[-1].event.seq + 1
    for seq in {0, 1, 2, newest - 1, newest + 1, at, at + 1} - {newest}:
        with pytest.raises(CorruptLogError) as error:
            story.fork(at - 1).write(CompactionUndone(seq=seq))
        assert error.value.seq == at


@law(40)
@given(stories(*SAID, *WORKED, at_least=20, at_most=40), st.integers(1, 60))
def test_a_rewind_takes_the_undo_along(story: Story, to: int) -> None:
    """After a rewind the newest compaction is the one that was newest there."""
    to = 1 + to % len(story.events)
    past = fold(story.events[:to])
    story.write(SessionRewound(to_seq=to))
    assert story.context.compacted_seq == past.compacted_seq
    if past.compacted_seq:
        before = fold(story.events[: past.compacted_seq - 1])
        story.write(CompactionUndone(seq=past.compacted_seq))
        ids = [entry.item.id for entry in before.entries]
        assert [entry.item.id for entry in story.context.entries][: len(ids)] == ids


@pytest.mark.parametrize("place", [0, -1, 1_000])
def test_a_tag_of_no_place_of_the_session_is_refused(place: int) -> None:
    """A tag that stands for a place that the session did not have is no event of a sound log."""
    story = Story()
    with pytest.raises(CorruptLogError, match="a tag of a sequence 1 to 1"):
        story.write(SessionTagged(name="t", seq=place))


@law(40)
@given(stories(*SAID, *BRANCHED, *WORKED, "rewind", "edit", at_least=10, at_most=40))
def test_tags_are_what_was_said_of_them_last(story: Story) -> None:
    """A tag stands where it was put last, also after rewinds; one that was taken off stands nowhere."""
    said: dict[str, int] = {}
    for recorded in story.events:
        fact: Any = recorded.event.data
        if type(fact).__name__ == "SessionTagged":
            said[fact.name] = fact.seq
        elif type(fact).__name__ == "SessionUntagged":
            said.pop(fact.name, None)
    assert story.context.tags == said
    assert decode_context(encode_context(story.context), key=KEY).tags == said
