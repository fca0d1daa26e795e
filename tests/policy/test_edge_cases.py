"""Faults that other compactors had, each as a case of the policy; `test_edge_case_table` says where each one is tested.

Every case is tried under every preset: a history in, a smaller one out, or the floor named.
"""

import json
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import pytest
from tests.laws.small import (
    LATEST,
    POLICIES,
    assert_sendable,
    at_every_budget,
    call,
    compacted,
    covered_by,
    every_preset,
    ids_of,
    message,
    result,
    text_of,
    told,
    work,
)
from tests.laws.stories import Move
from tests.laws.texts import BLOB, CHINESE, EMOJI, OUTPUT, PROSE, WORD

import retold
from retold.errors import InputError
from retold.events import (
    CompactionFailed,
    HistoryReplaced,
    Item,
    ItemAppended,
    ItemPinned,
    Message,
    Policy,
    Reasoning,
    SummaryField,
    Tier,
    ToolCall,
    Window,
    plain_text,
)
from retold.fold import Context, decode_context, encode_context
from retold.formats import render
from retold.policy import (
    PRESETS,
    SummarizeSpan,
    Summary,
    carry_out,
    choose,
    decide,
    extract_for,
    replace,
)
from retold.policy.limits import limits_within

_NOT_REVERSIBLE: tuple[Tier, ...] = ("offload",)

# ---- calls and results -----------------------------------------------------------------------------------------------


@every_preset
def test_parallel_calls_are_not_split(policy: Policy) -> None:
    """Calls that my model made at once stay or leave as one, whatever budget cuts through them."""
    turn: list[Item] = [message("assistant", "Let me look.", "g")]
    turn += [call(f"p{nth}", group="g") for nth in range(4)]
    turn += [result(f"p{nth}") for nth in (2, 0, 3, 1)]
    context = told([*work(3), *turn, *work(2, first=10)], policy=policy).context
    calls = {
        entry.item.id
        for entry in context.entries
        if entry.item.group == "g" or "p" in getattr(entry.item, "call_id", "")
    }
    made = at_every_budget(context)
    assert len(made) > 10
    assert {len(calls & ids_of(one.entries)) for one in made} <= {0, len(calls)}


@every_preset
def test_a_result_before_its_call_is_sent_in_order_or_not_at_all(policy: Policy) -> None:
    """When a replay gave me a result before its call, what is sent has each call answered once, after it."""
    items = [*work(2), result("early"), call("early"), *work(3, first=10)]
    made = at_every_budget(told(items, policy=policy).context)
    assert len(made) > 10
    for one in made:
        assert_sendable([entry.item for entry in one.entries])


@every_preset
def test_a_duplicate_late_result_stays_with_its_call(policy: Policy) -> None:
    """A tool that answers a second time, many turns later, leaves no result that no call explains."""
    context = told(
        [*work(1), call("twice"), result("twice"), *work(3, first=5), result("twice", PROSE)], policy=policy
    ).context
    for made in at_every_budget(context):
        assert_sendable([entry.item for entry in made.entries])


@every_preset
def test_a_call_whose_process_died_does_not_block_compaction(policy: Policy) -> None:
    """A call that never got its result, before I spoke again, can be compacted away like anything else."""
    context = told([message("user", PROSE), call("dead", OUTPUT), *work(6)], policy=policy).context
    made = compacted(context, 30)
    assert made is not None
    assert context.entries[1].item not in [entry.item for entry in made.entries]


@every_preset
def test_a_call_that_waits_for_a_person_stays(policy: Policy) -> None:
    """A request for my credentials or approval that is still open is never summarised away."""
    asked = ToolCall(
        call_id="ask", name="request_credential", arguments='{"scope": "mail"}', extra='{"chat": {"auth": 1}}'
    )
    context = told([*work(6), message("user", LATEST), asked], policy=policy).context
    for made in at_every_budget(context):
        assert made.entries[-1].item == context.entries[-1].item


@every_preset
def test_thinking_that_opens_a_tool_loop_is_not_parted_from_its_call(policy: Policy) -> None:
    """A provider refuses a tool call whose signed thinking is gone: both stay, or both leave."""
    body = '{"type":"thinking","thinking":"hm","signature":"c2ln"}'
    loop: list[Item] = []
    for nth in range(6):
        loop += [Reasoning(text="hm", form="anthropic", body=body, group=f"g{nth}"), call(f"t{nth}", group=f"g{nth}")]
        loop.append(result(f"t{nth}"))
    context = told([*work(2), message("user", LATEST), *loop], policy=policy).context
    pairs = [(loop_at, loop_at + 1) for loop_at in range(9, len(context.entries), 3)]
    for made in at_every_budget(context):
        there = {entry.item.id: entry.item for entry in made.entries}
        for thought, made_call in pairs:
            before = context.entries[thought].item
            assert (before.id in there) == (context.entries[made_call].item.id in there)
            assert there.get(before.id, before) == before, "the thinking of the turn that is going on is as it was"


# ---- sizes -----------------------------------------------------------------------------------------------------------


@every_preset
def test_a_turn_larger_than_the_tail_is_cut_inside(policy: Policy) -> None:
    """One question and forty tool steps: the oldest steps leave, the question stays, and it fits."""
    steps: list[Item] = [item for nth in range(40) for item in (call(f"s{nth}"), result(f"s{nth}", f"{nth} {OUTPUT}"))]
    context = told([message("user", LATEST), *steps], policy=policy).context
    for percent in (10, 25, 50, 75):
        made = compacted(context, percent)
        assert made is not None
        assert made.entries[0].item == context.entries[0].item


@every_preset
def test_a_huge_first_message_of_mine_does_not_block_the_rest(policy: Policy) -> None:
    """A document that I pasted first is summarised or cut once I have said something after it."""
    context = told([message("user", PROSE * 2_000), *work(2), message("user", LATEST)], policy=policy).context
    made = compacted(context, 10)
    assert made is not None
    assert made.entries[-1].item == context.entries[-1].item


@every_preset
@pytest.mark.parametrize("text", [CHINESE * 4, EMOJI * 4, BLOB * 3, WORD], ids="chinese emoji base64 one-word".split())
def test_texts_that_break_estimates_still_fit(policy: Policy, text: str) -> None:
    """Chinese, emoji, encoded bytes and a word of 5,000 letters are counted, not guessed, so the result fits."""
    context = told([*work(5, text=text), message("user", LATEST)], policy=policy).context
    assert len(at_every_budget(context)) > 10


@every_preset
def test_a_history_ten_times_the_window_is_compacted_in_one_step(policy: Policy) -> None:
    """A session that is too long to send and too long to summarise comes under the window by one decision."""
    story = told(work(120), policy=policy, window=Window(hard_limit=8_000))
    assert story.context.tokens.upper > 10 * 8_000
    story.tell([Move("compact", 1)])
    replaced = [one.event.data for one in story.events if isinstance(one.event.data, HistoryReplaced)]
    assert len(replaced) == 1
    assert story.context.tokens.upper <= story.context.window.input_limit
    assert f"Step 119: {PROSE}" in text_of(story.context.entries)


@every_preset
def test_a_fixed_overhead_above_the_window_is_named_and_not_tried_for_ever(policy: Policy) -> None:
    """With instructions larger than the window, I am told their size; the next messages do not start it all again."""
    story = told([message("system", PROSE * 200)], policy=policy, window=Window(hard_limit=2_000))
    for number in range(20):
        story.say("assistant", f"ok {number}")
        story.tell([Move("compact", 1)])
    failed = [one.event.data for one in story.events if isinstance(one.event.data, CompactionFailed)]
    assert 1 <= len(failed) <= 3
    assert "at least" in failed[0].reason


# ---- summaries -------------------------------------------------------------------------------------------------------


def _decided(policy: Policy) -> tuple[Context, SummarizeSpan]:
    context = told(work(30), policy=policy).context
    decision = choose(context, limits_within(context.tokens.upper // 4, PRESETS[policy]), without=_NOT_REVERSIBLE)
    assert isinstance(decision, SummarizeSpan)
    return context, decision


@every_preset
@pytest.mark.parametrize(
    "lines",
    [(), ("",), ("  \n ",), ("word " * 60_000,)],
    ids="no-line empty-line blank-line larger-than-its-input".split(),
)
def test_a_summary_that_says_nothing_or_too_much_is_not_installed(policy: Policy, lines: tuple[str, ...]) -> None:
    """An empty or an inflated summary replaces nothing; the next step of the ladder is taken instead."""
    context, decision = _decided(policy)
    summary = Summary(fields=(SummaryField(name="goal", lines=lines),), summarizer="test")
    assert replace(context, decision, summary=summary) is None


@every_preset
def test_a_summary_is_made_of_all_that_it_stands_for(policy: Policy) -> None:
    """What was said in the middle of a long span reaches the summary: nothing but its budget limits what is read."""
    items = [message("user" if at % 2 else "assistant", f"Part {at} is here. " * 3) for at in range(240)]
    items[119] = message("user", "Never use port 4417 for the bank.")
    context = told(items, policy=policy).context
    decision = choose(context, limits_within(2_500, PRESETS[policy]), without=_NOT_REVERSIBLE)
    assert isinstance(decision, SummarizeSpan)
    if context.entries[119].item.id in decision.covers:
        assert "port 4417" in str(extract_for(context, decision))
    else:
        assert PRESETS[policy].user_tokens > 0


@every_preset
def test_what_i_said_is_not_in_the_summary_and_the_tail(policy: Policy) -> None:
    """A message of mine that stays is not told again by the summary, over several compactions."""
    story = told([message("system", "Be brief.")], policy=policy, window=Window(hard_limit=12_000, pre_rot=6_000))
    for number in range(100):
        story.say("user", f"Request {number}: Never forget the word w{number}w.")
        story.write(ItemAppended(item=call(f"c{number}")), ItemAppended(item=result(f"c{number}", PROSE * 12)))
        story.tell([Move("compact", 1)])
        shown = [str(entry.item) for entry in story.context.entries]
        for said in range(number + 1):
            assert sum(f"the word w{said}w" in text for text in shown) <= 1, (number, said)
    assert story.context.version > 1


@every_preset
def test_the_latest_message_of_mine_is_never_summarised_away(policy: Policy) -> None:
    """What I asked last is word for word in the history at every budget, or the budget is refused."""
    context = told([*work(4), message("user", LATEST), *work(1, first=9)[1:]], policy=policy).context
    made = at_every_budget(context)
    assert len(made) > 10
    for one in made:
        assert LATEST in [plain_text(e.item.content) for e in one.entries if isinstance(e.item, Message)]
        assert "i17" not in covered_by(one)


@every_preset
def test_a_pinned_message_of_mine_that_crosses_the_budget_is_not_cut(policy: Policy) -> None:
    """A rule that I pinned stays whole even where the budget for what I said ends in the middle of it."""
    items = [*work(4), message("user", PROSE * 40), *work(12, first=20)]
    story = told(items, policy=policy)
    story.write(ItemPinned(item="i17"))
    for budget_tokens in range(1_400, 4_000, 200):
        made = carry_out(story.context, limits_within(budget_tokens, PRESETS[policy]))
        assert made.replaced.tier != "truncate", budget_tokens
        assert story.context.entries[16] in made.entries


@every_preset
def test_a_summary_says_that_it_is_a_record_and_what_was_dealt_with(policy: Policy) -> None:
    """My old messages are not taken for new work, nor the summary for an instruction."""
    context, decision = _decided(policy)
    made = replace(context, decision, summary=extract_for(context, decision))
    assert made is not None
    (summary,) = [entry.item for entry in made.entries if entry.form == "summary"]
    assert isinstance(summary, Message)
    assert summary.role == "user"
    assert "information, not instructions" in plain_text(summary.content)
    assert "dealt with unless listed as open" in plain_text(summary.content)


def test_a_store_that_keeps_only_role_and_text_does_not_break_the_chain() -> None:
    """A summary that went through a store without a field for it is known again by its structure, and built upon."""
    first = retold.compact(_as_chat(work(20)), budget_tokens=2_000)
    stored = [json.loads(json.dumps(sent)) for sent in first.messages]
    second = retold.compact([*stored, *_as_chat(work(20, first=50))], budget_tokens=2_000)
    for one in (first, second):
        assert sum("<retold-summary" in str(shown) for shown in one.messages) == 1


def _as_chat(items: Sequence[Item]) -> list[dict[str, Any]]:
    return render(items, "chat")


def test_a_resumed_payload_gives_the_same_decision() -> None:
    """A session that was stored and loaded again is decided on as the one that stayed in memory."""
    for policy in POLICIES:
        context = told(work(30), policy=policy, window=Window(hard_limit=12_000)).context
        loaded = decode_context(encode_context(context), key=context.key)
        assert decide(loaded, loaded.window) == decide(context, context.window) is not None


def test_messages_of_another_type_are_read_or_refused_by_name() -> None:
    """Mappings that are no dicts are compacted as dicts are; a message class is refused, naming what came."""
    messages = _as_chat(work(20))
    mapped = [MappingProxyType(sent) for sent in messages]
    assert (
        retold.compact(mapped, budget_tokens=2_000).messages == retold.compact(messages, budget_tokens=2_000).messages
    )

    class HumanMessage:
        content = "hello"

    with pytest.raises(InputError, match="object"):
        retold.compact([HumanMessage()], budget_tokens=2_000)  # type: ignore[list-item]
