"""What does not fit a session's state is refused with the sequence named, never repaired in silence."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs
from tests.laws.stories import KEY, Move, Story, long_story

from retold.errors import CorruptLogError
from retold.events import (
    EditedRange,
    Fact,
    HistoryDecompressed,
    HistoryEdited,
    HistoryReplaced,
    ItemAppended,
    ItemExtended,
    ItemPinned,
    ItemRestored,
    ItemsOffloaded,
    Keep,
    Message,
    Offload,
    Opaque,
    Place,
    SessionOpened,
    SessionRewound,
    Text,
    Window,
)
from retold.fold import (
    PRIMING,
    Builder,
    Tokens,
    decode_context,
    decode_history,
    encode_context,
    encode_history,
    fold,
    history_of,
)
from retold.policy import carry_out
from retold.policy.limits import limits_within

_MESSAGE = Message(role="user", content=(Text("x"),), id="i1")


def _told() -> Story:
    return Story().tell(long_story(2, length=30, verbs=("user", "say", "call", "result")))


def _refused(story: Story, fact: Fact) -> CorruptLogError:
    with pytest.raises(CorruptLogError) as error:
        story.write(fact)
    assert error.value.seq == len(story.events)
    assert error.value.session == KEY.session
    return error.value


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda fact: structs.replace(fact, hash="0" * 64), "hash does not match"),
        (lambda fact: structs.replace(fact, version=fact.version + 1), "expected version 1, got 2"),
        (lambda fact: structs.replace(fact, version=0), "expected version 1, got 0"),
        (lambda fact: structs.replace(fact, body=(Keep(first="i1", last="i999"),)), "'i999' is not in it"),
        (lambda fact: structs.replace(fact, body=(Place(item="s9"),)), "'s9' is not in it"),
        (lambda fact: structs.replace(fact, body=fact.body[:-1]), "hash does not match"),
        (lambda fact: structs.replace(fact, base_seq=3), "is not in it"),
    ],
    ids=["hash", "newer", "older", "unknown-kept", "unknown-placed", "shorter", "other-base"],
)
def test_a_replacement_that_the_events_do_not_give_is_refused(
    change: Callable[[HistoryReplaced], HistoryReplaced], reason: str
) -> None:
    """A recorded compaction that says something else than its events is never applied."""
    story = _told()
    replacement = carry_out(story.context, limits_within(story.context.tokens.upper // 2))
    story.write(*replacement.facts[:-1])
    assert reason in _refused(story, change(replacement.replaced)).reason


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (ItemPinned(item="i999"), "'i999' is not in it"),
        (HistoryEdited(items=(), first="i999"), "'i999' is not in it"),
        (HistoryEdited(items=(), first="i9", last="i2"), "first item comes before its last"),
        (ItemsOffloaded(plan="p", base_seq=2, items=(Offload("i999", _MESSAGE, "", 2, 1),)), "'i999' is not in it"),
        (ItemRestored(item=_MESSAGE), "the original of offloaded item 'i1'"),
        (ItemRestored(item=structs.replace(_MESSAGE, id="i999")), "'i999' is not in it"),
        (SessionOpened(window=Window(hard_limit=1)), "about an open session, got SessionOpened"),
        (SessionRewound(to_seq=0), "expected a rewind to sequence 1 to"),
        (SessionRewound(to_seq=10_000), "expected a rewind to sequence 1 to"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_a_fact_about_what_is_not_there_is_refused(fact: Fact, reason: str) -> None:
    """An event that names an item or a sequence that the session does not have is refused at its place."""
    assert reason in _refused(_told(), fact).reason


def test_a_restore_of_something_else_is_refused() -> None:
    """Only the very original comes back in an offloaded item's place."""
    story = Story(Window(hard_limit=30_000, pre_rot=10_000))
    story.tell([Move("user", 0), *[Move("call", 12), Move("result", 4)] * 8, Move("request", 0), Move("compact", 1)])
    placeholder = next(entry for entry in story.context.entries if entry.form == "placeholder")
    forged = structs.replace(placeholder.item, id=placeholder.item.id)
    assert "the original of offloaded item" in _refused(story, ItemRestored(item=forged)).reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"block": "c999"}, "'c999' is not in it"),
        ({"block": "i1"}, "the originals of compressed block 'i1'"),
        ({"originals": ()}, "the originals of compressed block"),
        ({"behind": "i999"}, "'i"),
    ],
    ids=["no-block", "an-item", "less", "nowhere"],
)
def test_a_block_opens_to_nothing_else(change: dict[str, Any], reason: str) -> None:
    """Only the very originals come back in a block's place, and only behind what is there."""
    story = Story(Window(hard_limit=30_000)).tell([*[Move("say", number) for number in range(6)], Move("compress", 1)])
    (block,) = [entry.item.id for entry in story.context.entries if entry.form == "compressed"]
    originals, _ = story.covered[block]
    fact = HistoryDecompressed(block=block, originals=originals)
    assert reason in _refused(story, structs.replace(fact, **change)).reason


@pytest.mark.parametrize(("first", "last"), [("i2", "i4"), ("i1", "i1")], ids=["over", "before"])
def test_ranges_of_an_edit_that_are_out_of_order_are_refused(first: str, last: str) -> None:
    """Two ranges of one edit that overlap, or stand the wrong way round, are no edit of a sound log."""
    story = Story().tell([Move("say", number) for number in range(6)])
    more = (EditedRange(items=(), first=first, last=last),)
    assert "none over another" in _refused(story, HistoryEdited(items=(), first="i2", last="i3", more=more)).reason


def test_an_extension_without_an_open_item_is_refused() -> None:
    """Text cannot be added to nothing, nor to a block that only its provider understands."""
    assert "open item" in _refused(Story(), ItemExtended(text="x")).reason
    story = Story()
    story.write(ItemAppended(item=Opaque(form="responses", kind="compaction", body="{}")))
    assert "open item" in _refused(story, ItemExtended(text="x")).reason


def test_a_session_starts_with_its_opening() -> None:
    """A session whose first event is lost is refused, and one without events has no state."""
    story = _told()
    with pytest.raises(CorruptLogError, match="expected SessionOpened first") as error:
        fold(story.events[1:])
    assert error.value.seq == 1
    with pytest.raises(CorruptLogError, match="it has none"):
        Builder().freeze()


def test_a_vocabulary_that_is_not_known_is_refused() -> None:
    """A session counted by a vocabulary that this release does not have is refused at its opening, not miscounted."""
    opened = structs.replace(
        _told().events[0].event, data=SessionOpened(window=Window(hard_limit=1), encoding="of_tomorrow")
    )
    with pytest.raises(CorruptLogError, match="of_tomorrow") as error:
        fold([structs.replace(_told().events[0], event=opened)])
    assert error.value.seq == 1


def test_a_snapshot_of_something_else_is_refused() -> None:
    """Bytes that are no state, or the state of another session, are never gone on from."""
    body = encode_context(_told().context)
    for damaged in (b"", b"{}", b"\xff", body[:-1], body.replace(b'"session":"story"', b'"session":"other"')):
        with pytest.raises(CorruptLogError):
            decode_context(damaged, key=KEY)


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        (Tokens(exact=10**6), "the sum of its entries, got 1000003"),
        (Tokens(exact=-1), "item 0: expected three numbers"),
    ],
    ids=["larger", "negative"],
)
def test_a_snapshot_whose_sizes_do_not_add_up_is_refused(tokens: Tokens, reason: str) -> None:
    """A size that is not the sum of what it is the size of is never decided on."""
    context = _told().context
    entries = (structs.replace(context.entries[0], tokens=tokens), *context.entries[1:])
    larger = structs.replace(context, tokens=tokens + Tokens(reconstructed=PRIMING))
    damaged = larger if tokens.exact > 0 else structs.replace(context, entries=entries)
    with pytest.raises(CorruptLogError, match=reason):
        decode_context(encode_context(damaged), key=KEY)


def test_a_published_history_with_another_text_is_refused() -> None:
    """A published history of which one word was changed does not give its hash."""
    body = encode_history(history_of(_told().context))
    assert decode_history(body, key=KEY) == history_of(_told().context)
    for damaged in (b"", b"\xff", body.replace(b'"text":"', b'"text":"!', 1)):
        with pytest.raises(CorruptLogError):
            decode_history(damaged, key=KEY)


def test_a_published_history_of_another_session_is_refused() -> None:
    """What was published for one session is never given out as another's, though nothing in it was changed."""
    history = history_of(_told().context)
    assert history.key == KEY
    for other in (structs.replace(KEY, tenant="other"), structs.replace(KEY, session="other")):
        with pytest.raises(CorruptLogError, match="belongs to another session"):
            decode_history(encode_history(history), key=other)


@pytest.mark.parametrize("pieces", [1, 2, 7, 40])
def test_a_text_streamed_in_pieces_is_the_text_appended_at_once(pieces: int) -> None:
    """However a text arrives, its count and its bytes are those of the whole."""
    whole = "请不要修改 the schema. 👨\u200d👩\u200d👧 x" * 20 + "x" * 500
    size = -(-len(whole) // pieces)
    at_once, streamed = Story(), Story()
    at_once.say("assistant", whole)
    streamed.say("assistant", whole[:size])
    for at in range(size, len(whole), size):
        streamed.write(ItemExtended(text=whole[at : at + size]))
    assert streamed.context.tokens == at_once.context.tokens
    assert history_of(streamed.context).hash == history_of(at_once.context).hash


def test_an_edited_or_cut_item_can_still_be_streamed_to() -> None:
    """An agent that streams on after an edit of its newest item damages nothing."""
    story = Story()
    story.write(HistoryEdited(items=(Message(role="assistant", content=(Text("so far"),)),)))
    story.write(ItemExtended(text=", and on"))
    assert story.context.entries[-1].item == Message(role="assistant", content=(Text("so far, and on"),), id="i1")
