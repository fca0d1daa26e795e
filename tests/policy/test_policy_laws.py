"""Laws of the policy: whatever the conversation, a compaction keeps what must be kept and comes under its target."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.promises import bundles, must_stay
from tests.laws.settings import law
from tests.laws.stories import SAID, WORKED, Move, Story, long_story, stories, whole_stories
from tests.laws.texts import BLOB, CHINESE, OUTPUT, PROSE, WORD

from retold.errors import FloorError
from retold.events import (
    CompactionRequested,
    HistoryReplaced,
    ItemsOffloaded,
    Message,
    Opaque,
    Reasoning,
    Role,
    SummaryWritten,
    ToolCall,
    ToolResult,
    Window,
)
from retold.fold import Context, Entry, Tokens, encode_context, item_hash
from retold.formats import render
from retold.policy import PRESETS, Limits, Replacement, carry_out, choose, decide, limits_of, replace
from retold.policy.limits import limits_within

_CONVERSATIONS = stories(*SAID, "pin", "extend", "edit", "compact", at_least=15, at_most=50)
_SHARES = st.integers(5, 99)
"""A budget, in per cent of what the conversation takes."""


def _compacted(story: Story, percent: int) -> tuple[Context, Limits, Replacement | FloorError]:
    """Compact the story to *percent* of its size by its policy, or say which floor is in the way."""
    context = story.context
    limits = limits_within(max(1, context.tokens.upper * percent // 100), PRESETS[context.policy])
    try:
        return context, limits, carry_out(context, limits)
    except FloorError as floor:
        return context, limits, floor


@law(80)
@given(_CONVERSATIONS, _SHARES)
def test_the_same_conversation_gives_the_same_decision(story: Story, percent: int) -> None:
    """What is decided depends on my conversation and the budget alone, and deciding changes neither."""
    before = encode_context(story.context)
    first, second = (_compacted(story, percent)[2] for _ in range(2))
    assert encode_context(story.context) == before
    if isinstance(first, Replacement):
        assert first == second
    else:
        assert str(first) == str(second)


@law(80)
@given(_CONVERSATIONS, _SHARES)
def test_the_result_fits_its_budget_or_the_floor_is_named(story: Story, percent: int) -> None:
    """A compacted history fits the budget; if it cannot, I am told the size that what must be kept takes."""
    context, limits, result = _compacted(story, percent)
    if isinstance(result, FloorError):
        assert result.budget_tokens == limits.ceiling
        assert result.floor_tokens > limits.ceiling
        assert result.floor_tokens <= context.tokens.upper
        return
    size = sum((entry.tokens for entry in result.entries), Tokens()).upper + 3
    assert size == result.replaced.receipt.tokens_after
    assert size <= result.replaced.receipt.target_tokens
    assert size <= limits.ceiling
    assert size < context.tokens.upper


@law(80)
@given(_CONVERSATIONS, _SHARES)
def test_a_named_floor_is_enough(story: Story, percent: int) -> None:
    """When I raise the budget to the floor that I was told, the history fits."""
    context, _, result = _compacted(story, percent)
    if isinstance(result, FloorError) and result.floor_tokens < context.tokens.upper:
        carried = carry_out(context, limits_within(result.floor_tokens, PRESETS[context.policy]))
        assert carried.replaced.receipt.tokens_after <= result.floor_tokens


@law(80)
@given(_CONVERSATIONS, _SHARES)
def test_calls_are_never_parted_from_their_results_nor_from_each_other(story: Story, percent: int) -> None:
    """A call, its results and the calls made in parallel with it all stay or all leave; a provider takes the rest."""
    context, _, result = _compacted(story, percent)
    if isinstance(result, FloorError):
        return
    after = {entry.item.id for entry in result.entries}
    for bundle in bundles(context.entries):
        assert bundle <= after or bundle.isdisjoint(after), (bundle, bundle & after)


@law(80)
@given(_CONVERSATIONS, _SHARES)
def test_pins_instructions_and_the_latest_user_message_stay_word_for_word(story: Story, percent: int) -> None:
    """What I pinned, what the system was told and what I asked last are byte for byte what they were, in order."""
    context, _, result = _compacted(story, percent)
    if isinstance(result, FloorError):
        return
    must = must_stay(context)
    ids = {entry.item.id for entry in must}
    stayed = [entry.item for entry in result.entries if entry.item.id in ids]
    assert stayed == [entry.item for entry in must]


@law(80)
@given(_CONVERSATIONS, _SHARES)
def test_what_stays_keeps_its_order(story: Story, percent: int) -> None:
    """A compaction takes entries away or shortens them; it never moves them."""
    context, _, result = _compacted(story, percent)
    if isinstance(result, FloorError):
        return
    place = {entry.item.id: at for at, entry in enumerate(context.entries)}
    places = [place[entry.item.id] for entry in result.entries if entry.item.id in place]
    assert places == sorted(places)


@law(80)
@given(_CONVERSATIONS, _SHARES)
def test_the_receipt_adds_up(story: Story, percent: int) -> None:
    """The receipt accounts for every entry once, and each pin in it is in the history with that hash."""
    context, _, result = _compacted(story, percent)
    if isinstance(result, FloorError):
        return
    receipt, entries = result.replaced.receipt, result.entries
    gone = [*receipt.offloaded, *receipt.summarised, *receipt.dropped, *receipt.cut]
    assert len(set(gone)) == len(gone)
    assert receipt.kept + len(gone) == len(context.entries)
    before = {entry.item.id: entry.item for entry in context.entries}
    assert receipt.kept == sum(1 for entry in entries if before.get(entry.item.id) == entry.item)
    assert set(gone) <= set(before)
    now = {entry.item.id: item_hash(entry.item) for entry in entries}
    assert all(now[pin.item] == pin.sha256 for pin in receipt.pins)
    prefix = receipt.prefix_kept
    assert [entry.item for entry in entries[:prefix]] == [entry.item for entry in context.entries[:prefix]]
    assert receipt.tokens_before == context.tokens.upper


@law(80)
@given(_CONVERSATIONS, _SHARES)
def test_a_summary_never_stands_for_whatmust_stay(story: Story, percent: int) -> None:
    """No pin, no instruction, no latest user message is among the entries that a summary stands for."""
    context, _, result = _compacted(story, percent)
    if isinstance(result, FloorError):
        return
    for fact in result.facts:
        if isinstance(fact, SummaryWritten):
            assert set(fact.covers).isdisjoint(entry.item.id for entry in must_stay(context))


@law(80)
@given(_CONVERSATIONS, _SHARES)
def test_a_placeholder_names_its_item_and_has_the_originals_hash(story: Story, percent: int) -> None:
    """Each placeholder tells me the id to restore; it is the same call, and its original is the one I had."""
    context, _, result = _compacted(story, percent)
    if isinstance(result, FloorError):
        return
    before = {entry.item.id: entry.item for entry in context.entries}
    for fact in result.facts:
        for offload in fact.items if isinstance(fact, ItemsOffloaded) else ():
            original, placeholder = before[offload.item], offload.placeholder
            assert type(placeholder) is type(original)
            assert placeholder.id == original.id
            if isinstance(original, Reasoning):
                assert all(render((placeholder,), form) == [] for form in ("chat", "responses", "anthropic"))
            else:
                assert f"restore item {offload.item} " in str(placeholder)
            if isinstance(original, ToolCall | ToolResult) and isinstance(placeholder, ToolCall | ToolResult):
                assert placeholder.call_id == original.call_id
            assert offload.sha256 == item_hash(original)
            assert offload.tokens_after < offload.tokens_before


@law(80)
@given(stories(*SAID, "pin", "compact", at_most=50))
def test_a_call_that_waits_for_its_result_stays(story: Story) -> None:
    """A compaction while tools run keeps their calls, so that the results find them."""
    last_user = max(
        (at for at, entry in enumerate(story.context.entries) if entry.item.id.startswith("i") and _is_user(entry)),
        default=-1,
    )
    answered = {entry.item.call_id for entry in story.context.entries if isinstance(entry.item, ToolResult)}
    waiting = {
        entry.item
        for entry in story.context.entries[last_user + 1 :]
        if isinstance(entry.item, ToolCall) and entry.item.call_id not in answered
    }
    result = _compacted(story, 40)[2]
    if isinstance(result, Replacement):
        assert waiting <= {entry.item for entry in result.entries if isinstance(entry.item, ToolCall)}


def _is_user(entry: Entry) -> bool:
    return isinstance(entry.item, Message) and entry.item.role == "user" and entry.form != "summary"


@law(100)
@given(whole_stories())
def test_a_history_that_does_not_grow_is_not_compacted_again(story: Story) -> None:
    """There is no compaction loop: after a few steps without new text, nothing more is decided."""
    for _ in range(4):
        context = story.context
        try:
            if decide(context, context.window) is None:
                return
        except FloorError:
            pass
        written = len(story.events)
        story.decided_seq = 0
        story.tell([Move("usage", 1), Move("compact", 1)])
        assert len(story.events) > written + 1
    raise AssertionError("still compacting")


@law(100)
@given(stories(*SAID, *WORKED, "extend", at_most=60))
def test_what_a_worker_decides_fits_the_window_or_fails_by_name(story: Story) -> None:
    """Every compaction that the worker wrote came out smaller, and under the window's input limit."""
    for recorded in story.events:
        fact = recorded.event.data
        if isinstance(fact, HistoryReplaced):
            assert fact.receipt.tokens_after < fact.receipt.tokens_before
            assert fact.receipt.tokens_after <= story.context.window.input_limit
            assert fact.receipt.tokens_after <= fact.receipt.target_tokens


@law(60)
@given(stories(*SAID, *WORKED, at_least=20, at_most=60), st.integers(1, 110))
def test_a_target_that_was_asked_for_is_met_or_named_as_missed(story: Story, percent: int) -> None:
    """A compaction that I ask for aims at the size that I name; the receipt says the target that it came under."""
    story.say("assistant", WORD)
    target = story.context.tokens.upper * percent // 100
    story.write(CompactionRequested(target_tokens=target))
    context = story.context
    try:
        receipt = carry_out(context, limits_of(context.window)).replaced.receipt
    except FloorError:
        return
    assert receipt.tokens_after <= receipt.target_tokens
    assert receipt.target_tokens == min(target, context.window.input_limit) or receipt.cut or receipt.dropped


@law(60)
@given(_CONVERSATIONS)
def test_a_cheaper_step_that_is_enough_is_taken_first(story: Story) -> None:
    """Nothing is summarised where offloading would have done, and nothing is cut where a summary would have done."""
    context = story.context
    limits = limits_of(context.window)
    try:
        decision = choose(context, limits)
    except FloorError:
        return
    if replace(context, decision) is None if isinstance(decision, ItemsOffloaded) else False:
        raise AssertionError("an offload that frees nothing was chosen")


@pytest.mark.parametrize(
    "text",
    [CHINESE * 40, WORD * 4, BLOB * 6, PROSE * 200, OUTPUT * 10, ""],
    ids="chinese word blob prose output empty".split(),
)
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_one_giant_message_is_cut_or_named_as_the_floor(text: str, role: Role) -> None:
    """One message larger than the window is cut if it is not mine, and named as the floor if it is my last."""
    story = Story(Window(hard_limit=3_000, reserve=100))
    story.say(role, text)
    context = story.context
    limits = limits_within(1_000)
    if context.tokens.upper <= 1_000:
        return
    if role == "user":
        with pytest.raises(FloorError) as floor:
            carry_out(context, limits)
        assert floor.value.floor_tokens == context.tokens.upper
    else:
        assert carry_out(context, limits).replaced.receipt.tokens_after <= 1_000


def test_a_fixed_overhead_above_the_window_is_named() -> None:
    """If the system prompt alone is larger than the window, I am told its size instead of a loop of compactions."""
    story = Story(Window(hard_limit=500, reserve=50))
    story.say("system", PROSE * 60)
    story.say("user", "hello")
    with pytest.raises(FloorError) as floor:
        decide(story.context, story.context.window)
    assert floor.value.floor_tokens == story.context.tokens.upper
    assert floor.value.budget_tokens == 450


def test_an_empty_session_is_left_alone() -> None:
    """A session without a message is never compacted, not even when asked for."""
    story = Story()
    story.tell([Move("request", 0)])
    assert decide(story.context, story.context.window) is None


def test_a_late_second_result_does_not_lose_its_call() -> None:
    """A tool that answered twice, the second time much later, leaves no result without its call."""
    for seed in range(40):
        story = Story().tell(long_story(seed, length=40, verbs=("call", "result", "late", "late", "user", "say")))
        context, _, result = _compacted(story, 50)
        if isinstance(result, FloorError):
            continue
        after = {entry.item.id for entry in result.entries}
        assert all(bundle <= after or bundle.isdisjoint(after) for bundle in bundles(context.entries))
        assert not any(isinstance(entry.item, Opaque) for entry in result.entries)
