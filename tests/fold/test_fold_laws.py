"""Laws of the fold: what is so depends on the events alone, however they are read."""

from collections.abc import Iterable
from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.laws.settings import law
from tests.laws.stories import KEY, SAID, WORKED, Move, Story, long_story, stories, whole_stories

from retold.events import CompactionFailed, HistoryReplaced, ItemRestored, ItemsOffloaded, SessionRewound, Window
from retold.fold import (
    DUE_SHARE,
    INEFFECTIVE_GAIN,
    PRIMING,
    Builder,
    Calibration,
    Context,
    Entry,
    Tokens,
    advance,
    count_item,
    decode_context,
    encode_context,
    fold,
    history_hash,
    history_of,
    in_decision_order,
    item_hash,
    reaches_before,
    replacement_of,
    returns_to,
)
from retold.policy import carry_out, limits_of, plan_id
from retold.tokens import encoding


def _sum(entries: Iterable[Entry]) -> Tokens:
    """Return the size of a request that holds *entries*, added up one by one, without the ledger."""
    return sum((entry.tokens for entry in entries), Tokens(reconstructed=PRIMING))


def _until(seq: int, entries: Iterable[Entry]) -> Iterable[Entry]:
    return takewhile(lambda entry: entry.seq <= seq, entries)


def _projection(context: Context) -> tuple[str, int, int, Tokens, int, Calibration]:
    return (
        history_hash(context.entries),
        context.version,
        context.base_seq,
        context.tokens,
        context.settled_tokens,
        context.calibration,
    )


@law(60)
@given(whole_stories())
def test_a_session_folded_in_two_parts_at_any_event_is_the_session_folded_at_once(story: Story) -> None:
    """Wherever a snapshot was taken, going on from it gives the state that reading everything gives, byte for byte."""
    whole = encode_context(fold(story.events))
    builder = Builder()
    for at, recorded in enumerate(story.events, start=1):
        advance(builder, recorded, earlier=story.events)
        later = story.events[at:]
        if not reaches_before(later, at):
            snapshot = encode_context(builder.freeze())
            assert encode_context(fold(later, base=decode_context(snapshot, key=KEY))) == whole


@law(60)
@given(whole_stories())
def test_folding_twice_gives_equal_bytes(story: Story) -> None:
    """Replaying my session gives the same bytes every time."""
    assert (
        encode_context(fold(story.events)) == encode_context(fold(list(story.events))) == encode_context(story.context)
    )


@law(150)
@given(whole_stories())
def test_decision_order_and_log_order_give_the_same_history(story: Story) -> None:
    """However late a worker wrote its result, I am sent the history that I would have been sent at once."""
    rewound = max((one.event.seq for one in story.events if returns_to(one) is not None), default=0)
    start = fold(story.events[:rewound]) if rewound else None
    in_order = fold(in_decision_order(story.events[rewound:]), base=start)
    assert _projection(in_order) == _projection(story.context)
    assert in_order.entries == story.context.entries


@law(60)
@given(whole_stories())
def test_every_count_equals_a_recount_from_scratch(story: Story) -> None:
    """The sizes that decisions are made on are those that counting everything again gives."""
    builder = Builder()
    for recorded in story.events:
        advance(builder, recorded, earlier=story.events)
        context = builder.freeze()
        assert context.tokens == builder.outline.tokens == _sum(context.entries)
        assert builder.upper_tokens == context.tokens.upper
    vocabulary = encoding(story.context.encoding)
    for entry in story.context.entries:
        assert entry.tokens == count_item(entry.item, vocabulary)


@law(60)
@given(whole_stories())
def test_ids_in_a_history_are_unique(story: Story) -> None:
    """An item's id means one item of my history."""
    ids = [entry.item.id for entry in story.context.entries]
    assert len(set(ids)) == len(ids)
    assert all(ids)


@law(60)
@given(whole_stories())
def test_every_replacement_is_what_its_receipt_and_hash_say(story: Story) -> None:
    """Every replacement history can be derived again from the events before it."""
    for at, recorded in enumerate(story.events, start=1):
        fact = recorded.event.data
        if isinstance(fact, HistoryReplaced):
            replacement = replacement_of(fold(story.events[:at]))
            assert replacement.hash == fact.hash
            assert replacement.counted == _sum(replacement.entries)
            assert replacement.tokens == fact.receipt.tokens_after
            assert (replacement.version, replacement.base_seq) == (fact.version, fact.base_seq)


@law(60)
@given(whole_stories())
def test_what_a_compaction_or_a_failure_is_judged_by_is_the_size_at_its_base(story: Story) -> None:
    """A compaction counts as ineffective by what it freed of the history that it replaced, a failure always."""
    for at, recorded in enumerate(story.events, start=1):
        fact = recorded.event.data
        if not isinstance(fact, HistoryReplaced | CompactionFailed):
            continue
        earlier, now = fold(story.events[: at - 1]), fold(story.events[:at])
        before = _sum(_until(fact.base_seq, earlier.entries)).upper
        after = before if isinstance(fact, CompactionFailed) else fact.receipt.tokens_after
        size = fact.due_tokens / DUE_SHARE if fact.due_tokens else now.window.pre_rot_tokens
        tried = before - after < INEFFECTIVE_GAIN * size
        is_due = before >= (fact.due_tokens or int(DUE_SHARE * size))
        assert now.settled_tokens == after
        assert now.ineffective == (earlier.ineffective + is_due if tried else 0)


@law(60)
@given(stories(*SAID, *WORKED, "extend", "pin"), st.integers(1, 60))
def test_a_rewind_gives_the_history_of_the_past(story: Story, to: int) -> None:
    """When I rewind, I am sent what I was sent then; the version goes on, and new items get new ids."""
    to = 1 + to % len(story.events)
    past = fold(story.events[:to])
    before = story.context
    story.write(SessionRewound(to_seq=to))
    now = story.context
    assert now.entries == past.entries
    assert now.tokens == past.tokens
    assert now.pinned == past.pinned
    assert now.version == before.version + 1
    assert now.next_item == before.next_item
    assert now.plan is None


def test_many_rewinds_take_time_in_proportion() -> None:
    """A session that was rewound a hundred times is folded as fast as any."""
    story = Story()
    for _ in range(100):
        story.tell([Move("user", 0), Move("user", 2), Move("rewind", 1)])
    assert len(fold(story.events).entries) == 100


@law(60)
@given(whole_stories())
def test_restoring_everything_offloaded_gives_the_originals_again(story: Story) -> None:
    """Whatever was offloaded can be had back, and is then what it was."""
    for at, recorded in enumerate(story.events, start=1):
        fact = recorded.event.data
        if not isinstance(fact, ItemsOffloaded):
            continue
        before = fold(story.events[: at - 1])
        told = story.fork(at + 1)
        for offload in fact.items:
            original = story.originals[offload.sha256]
            assert item_hash(original) == offload.sha256
            told.write(ItemRestored(item=original))
        assert told.context.entries == tuple(
            structs.replace(entry, form="whole") if entry.item.id in {item.item for item in fact.items} else entry
            for entry in before.entries
        )
        assert history_of(told.context).hash == history_of(before).hash


def test_a_failure_that_comes_late_is_judged_by_the_size_that_was_tried() -> None:
    """What I append while a worker fails does not count as tried."""
    story = Story().tell(long_story(3, length=20, verbs=("user", "say", "call", "result")))
    tried = story.context
    story.tell([Move("user", 2), Move("say", 3)])
    assert story.context.tokens.upper > tried.tokens.upper
    story.write(CompactionFailed(plan=plan_id(tried), base_seq=tried.seq, reason="no"))
    assert story.context.settled_tokens == tried.tokens.upper


def test_a_compaction_that_frees_enough_ends_a_run_of_failures() -> None:
    """After a compaction that helped, the loop is as if none had failed."""
    story = Story(Window(hard_limit=4_000, pre_rot=3_000))
    while story.context.tokens.upper < story.context.window.pre_rot_tokens:
        story.tell([Move("user", 2), Move("call", 12), Move("result", 4)])
    for failures in (1, 2):
        base = story.context
        story.write(CompactionFailed(plan=plan_id(base), base_seq=base.seq, reason="no"))
        assert story.context.ineffective == failures
    story.write(*carry_out(story.context, limits_of(story.context.window)).facts)
    assert (story.context.version, story.context.ineffective) == (1, 0)
