"""An erasure is for good: no rewind brings back what was erased."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law
from tests.laws.stories import CHANGED, SAID, WORKED, Story, stories

from retold.events import (
    ItemAppended,
    ItemExtended,
    Message,
    SessionClosed,
    SessionErased,
    SessionOpened,
    SessionRewound,
    Text,
    UsageReported,
)
from retold.fold import PRIMING, Builder, Tokens, advance, encode_context, fold


def _rewound(story: Story, *, erased_seq: int, to: int) -> None:
    story.write(SessionRewound(to_seq=1 + to % len(story.events)))
    context = story.context
    assert context.erased
    assert all(entry.seq > erased_seq for entry in context.entries)


@law(60)
@given(
    stories(*SAID, *CHANGED, *WORKED),
    stories(*SAID, "extend", "pin", "rewind"),
    st.lists(st.integers(0, 99), min_size=1, max_size=3),
)
def test_no_rewind_brings_back_what_was_erased(before: Story, after: Story, back: list[int]) -> None:
    """However often and to whatever place I rewind, what was erased stays away, and that it was erased is on record."""
    story = before
    story.write(SessionErased(by="owner"))
    erased_seq = len(story.events)
    for recorded in after.events:
        if isinstance(recorded.event.data, ItemAppended):
            story.write(recorded.event.data)
    for to in back:
        _rewound(story, erased_seq=erased_seq, to=to)
    assert encode_context(fold(story.events)) == encode_context(story.context)


@pytest.mark.parametrize("to_seq", [2, 3, 4])
def test_a_rewind_to_before_an_erasure_gives_an_empty_history(to_seq: int) -> None:
    """A rewind to an erased place gives nothing of it: no item, no pin, no size; the session goes on from there."""
    story = Story()
    story.say("user", "secret")
    story.tell([])
    story.say("system", "rules")
    story.say("user", "more")
    story.write(SessionErased(by="owner"), SessionRewound(to_seq=to_seq))
    context = story.context
    assert (context.entries, context.pinned, context.summary) == ((), (), ())
    assert context.tokens == Tokens(reconstructed=PRIMING)
    story.write(ItemAppended(item=Message(role="user", content=(Text("after"),))))
    assert [entry.item.id for entry in story.context.entries] == ["i4"]
    assert encode_context(fold(story.events)) == encode_context(story.context)


@law(60)
@given(stories(*SAID, *CHANGED, *WORKED), st.lists(st.integers(0, 99), max_size=2), stories(*SAID, "extend", "pin"))
def test_a_fold_from_the_tombstone_on_is_the_fold_of_everything(before: Story, back: list[int], after: Story) -> None:
    """An erased session has the same state, byte for byte, whether what came before the tombstone is there or gone."""
    story, state = before, before.context
    opened = SessionOpened(window=state.window, policy=state.policy, encoding=state.encoding)
    erased = SessionErased(by="owner", opened=opened, next_item=state.next_item, version=state.version)
    story.write(erased)
    tombstone = len(story.events)
    for recorded in after.events:
        if isinstance(recorded.event.data, ItemAppended | ItemExtended):
            story.write(recorded.event.data)
    for to in back:
        story.write(SessionRewound(to_seq=1 + to % len(story.events)))
    for end in range(tombstone, len(story.events) + 1):
        left = story.events[tombstone - 1 : end]
        assert encode_context(fold(left)) == encode_context(fold(story.events[:end]))
        builder = Builder()
        for at, recorded in enumerate(left):
            advance(builder, recorded, earlier=left[: at + 1])
        assert encode_context(builder.freeze()) == encode_context(fold(left))


def test_an_erasure_holds_from_a_snapshot_on() -> None:
    """A fold that goes on from a state before the erasure comes to the same as one from the first event."""
    story = Story()
    story.say("user", "secret")
    story.write(SessionErased(by="owner"), SessionRewound(to_seq=2))
    base = Builder.resume(fold(story.events[:2])).freeze()
    resumed = fold(story.events[2:], base=base)
    assert resumed.entries == ()
    assert encode_context(resumed) == encode_context(fold(story.events))


def test_a_rewind_returns_what_was_reported_and_whether_it_was_closed() -> None:
    """Usage and closing belong to the history that they were said of: a rewind returns them as they were there."""
    story = Story()
    story.write(UsageReported(input_tokens=10))
    story.write(UsageReported(input_tokens=99), SessionClosed(reason="done"))
    closed = [story.context.closed]
    for to_seq in (2, 4):
        story.write(SessionRewound(to_seq=to_seq))
        closed.append(story.context.closed)
        assert story.context.usage == UsageReported(input_tokens=10 if to_seq == 2 else 99)
    assert closed == [True, False, True]
