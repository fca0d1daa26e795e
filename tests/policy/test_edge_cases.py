"""Faults that other compactors had, each as a case of the policy; `test_edge_case_table` says where each one is tested.

Every case is tried under every preset: a history in, a smaller one out, or the floor named.
"""

import json
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import pytest
from msgspec import structs
from tests.laws.promises import Made, breaches
from tests.laws.stories import Move, Story
from tests.laws.texts import BLOB, CHINESE, EMOJI, OUTPUT, PROSE, WORD

import retold
from retold.errors import FloorError, InputError
from retold.events import (
    CompactionFailed,
    HistoryReplaced,
    Item,
    ItemAppended,
    ItemExtended,
    ItemPinned,
    ItemRestored,
    Message,
    Opaque,
    Policy,
    Reasoning,
    Role,
    SessionRewound,
    SummaryField,
    SummaryWritten,
    Text,
    ToolCall,
    ToolResult,
    UsageReported,
    Window,
    WindowChanged,
    plain_text,
)
from retold.fold import Context, Entry, Tokens, decode_context, encode_context, history_of, item_hash
from retold.policy import (
    PRESETS,
    Replacement,
    SummarizeSpan,
    Summary,
    carry_out,
    choose,
    decide,
    extract_for,
    limits_for,
    limits_of,
    replace,
)
from retold.policy.limits import limits_within

_POLICIES = sorted(PRESETS)
_every_preset = pytest.mark.parametrize("policy", _POLICIES)
_LATEST = "And now run the tests once more, please."


def _message(role: Role, text: str, group: str | None = None) -> Message:
    return Message(role=role, content=(Text(text),), group=group)


def _call(name: str, arguments: str = '{"path": "src/a.py"}', group: str | None = None) -> ToolCall:
    return ToolCall(call_id=name, name="read", arguments=arguments, group=group)


def _result(name: str, text: str = OUTPUT) -> ToolResult:
    return ToolResult(call_id=name, content=(Text(text),))


def _told(items: Sequence[Item], *, policy: Policy = "ladder", window: Window | None = None) -> Story:
    story = Story(window or Window(hard_limit=1_000_000), policy=policy)
    story.write(*(ItemAppended(item=item) for item in items))
    return story


def _work(turns: int, *, text: str = OUTPUT, first: int = 0) -> list[Item]:
    """Return so many turns of the user's, a call, its result and an answer."""
    items: list[Item] = []
    for number in range(first, first + turns):
        items += [
            _message("user", f"Step {number}: {PROSE}"),
            _call(f"c{number}"),
            _result(f"c{number}", f"{number} {text}"),
        ]
        items.append(_message("assistant", f"Step {number} is done. {PROSE}"))
    return items


def _compacted(context: Context, percent: int) -> Replacement | None:
    """Compact *context* to *percent* of its size, all promises kept; None where a floor is named instead."""
    limits = limits_within(max(1, context.tokens.upper * percent // 100), PRESETS[context.policy])
    try:
        made = carry_out(context, limits)
    except FloorError:
        return None
    assert breaches(Made(before=context, limits=limits, replaced=made.replaced, entries=made.entries)) == []
    return made


def _at_every_budget(context: Context) -> list[Replacement]:
    made = [_compacted(context, percent) for percent in range(5, 100, 5)]
    return [one for one in made if one is not None]


def _ids(entries: Sequence[Entry]) -> set[str]:
    return {entry.item.id for entry in entries}


def _texts(entries: Sequence[Entry]) -> str:
    return "\n".join(str(entry.item) for entry in entries)


def _covers(made: Replacement) -> set[str]:
    return {item_id for fact in made.facts if isinstance(fact, SummaryWritten) for item_id in fact.covers}


# ---- calls and results ---------------------------------------------------------------------------------------------


@_every_preset
def test_parallel_calls_are_not_split(policy: Policy) -> None:
    """Calls that my model made at once stay or leave as one, whatever budget cuts through them."""
    turn: list[Item] = [_message("assistant", "Let me look.", "g")]
    turn += [_call(f"p{nth}", group="g") for nth in range(4)]
    turn += [_result(f"p{nth}") for nth in (2, 0, 3, 1)]
    context = _told([*_work(3), *turn, *_work(2, first=10)], policy=policy).context
    calls = {
        entry.item.id
        for entry in context.entries
        if entry.item.group == "g" or "p" in getattr(entry.item, "call_id", "")
    }
    made = _at_every_budget(context)
    assert len(made) > 10
    assert {len(calls & _ids(one.entries)) for one in made} <= {0, len(calls)}


@_every_preset
def test_a_result_before_its_call_is_sent_in_order_or_not_at_all(policy: Policy) -> None:
    """When a replay gave me a result before its call, what is sent has each call answered once, after it."""
    items = [*_work(2), _result("early"), _call("early"), *_work(3, first=10)]
    made = _at_every_budget(_told(items, policy=policy).context)
    assert len(made) > 10
    for one in made:
        _assert_sendable([entry.item for entry in one.entries])


def _assert_sendable(items: Sequence[Item]) -> None:
    """A provider takes a result only after its call, and every call but the last ones with a result."""
    messages = retold.formats.render(retold.formats.complete(items, "chat"), "chat")
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
            continue
        assert waiting == [], "a call without its result"
        waiting = [call["id"] for call in message.get("tool_calls", [])]


@_every_preset
def test_a_duplicate_late_result_stays_with_its_call(policy: Policy) -> None:
    """A tool that answers a second time, many turns later, leaves no result that no call explains."""
    context = _told(
        [*_work(1), _call("twice"), _result("twice"), *_work(3, first=5), _result("twice", PROSE)], policy=policy
    ).context
    for made in _at_every_budget(context):
        _assert_sendable([entry.item for entry in made.entries])


@_every_preset
def test_a_call_whose_process_died_does_not_block_compaction(policy: Policy) -> None:
    """A call that never got its result, before I spoke again, can be compacted away like anything else."""
    context = _told([_message("user", PROSE), _call("dead", OUTPUT), *_work(6)], policy=policy).context
    made = _compacted(context, 30)
    assert made is not None
    assert context.entries[1].item not in [entry.item for entry in made.entries]


@_every_preset
def test_a_call_that_waits_for_a_person_stays(policy: Policy) -> None:
    """A request for my credentials or approval that is still open is never summarised away."""
    asked = ToolCall(
        call_id="ask", name="request_credential", arguments='{"scope": "mail"}', extra='{"chat": {"auth": 1}}'
    )
    context = _told([*_work(6), _message("user", _LATEST), asked], policy=policy).context
    for made in _at_every_budget(context):
        assert made.entries[-1].item == context.entries[-1].item


@_every_preset
def test_thinking_that_opens_a_tool_loop_is_not_parted_from_its_call(policy: Policy) -> None:
    """A provider refuses a tool call whose signed thinking is gone: both stay, or both leave."""
    body = '{"type":"thinking","thinking":"hm","signature":"c2ln"}'
    loop: list[Item] = []
    for nth in range(6):
        loop += [Reasoning(text="hm", form="anthropic", body=body, group=f"g{nth}"), _call(f"t{nth}", group=f"g{nth}")]
        loop.append(_result(f"t{nth}"))
    context = _told([*_work(2), _message("user", _LATEST), *loop], policy=policy).context
    pairs = [(loop_at, loop_at + 1) for loop_at in range(9, len(context.entries), 3)]
    for made in _at_every_budget(context):
        there = {entry.item.id: entry.item for entry in made.entries}
        for thought, call in pairs:
            before = context.entries[thought].item
            assert (before.id in there) == (context.entries[call].item.id in there)
            assert there.get(before.id, before) == before, "the thinking of the turn that is going on is as it was"


# ---- sizes ---------------------------------------------------------------------------------------------------------


@_every_preset
def test_a_turn_larger_than_the_tail_is_cut_inside(policy: Policy) -> None:
    """One question and forty tool steps: the oldest steps leave, the question stays, and it fits."""
    steps: list[Item] = [
        item for nth in range(40) for item in (_call(f"s{nth}"), _result(f"s{nth}", f"{nth} {OUTPUT}"))
    ]
    context = _told([_message("user", _LATEST), *steps], policy=policy).context
    for percent in (10, 25, 50, 75):
        made = _compacted(context, percent)
        assert made is not None
        assert made.entries[0].item == context.entries[0].item


@_every_preset
def test_a_huge_first_message_of_mine_does_not_block_the_rest(policy: Policy) -> None:
    """A document that I pasted first is summarised or cut once I have said something after it."""
    context = _told([_message("user", PROSE * 2_000), *_work(2), _message("user", _LATEST)], policy=policy).context
    made = _compacted(context, 10)
    assert made is not None
    assert made.entries[-1].item == context.entries[-1].item


@_every_preset
@pytest.mark.parametrize("text", [CHINESE * 4, EMOJI * 4, BLOB * 3, WORD], ids="chinese emoji base64 one-word".split())
def test_texts_that_break_estimates_still_fit(policy: Policy, text: str) -> None:
    """Chinese, emoji, encoded bytes and a word of 5,000 letters are counted, not guessed, so the result fits."""
    context = _told([*_work(5, text=text), _message("user", _LATEST)], policy=policy).context
    assert len(_at_every_budget(context)) > 10


@_every_preset
def test_a_history_ten_times_the_window_is_compacted_in_one_step(policy: Policy) -> None:
    """A session that is too long to send and too long to summarise comes under the window by one decision."""
    story = _told(_work(120), policy=policy, window=Window(hard_limit=8_000))
    assert story.context.tokens.upper > 10 * 8_000
    story.tell([Move("compact", 1)])
    replaced = [one.event.data for one in story.events if isinstance(one.event.data, HistoryReplaced)]
    assert len(replaced) == 1
    assert story.context.tokens.upper <= story.context.window.input_limit
    assert f"Step 119: {PROSE}" in _texts(story.context.entries)


@_every_preset
def test_a_fixed_overhead_above_the_window_is_named_and_not_tried_for_ever(policy: Policy) -> None:
    """With instructions larger than the window, I am told their size; the next messages do not start it all again."""
    story = _told([_message("system", PROSE * 200)], policy=policy, window=Window(hard_limit=2_000))
    for number in range(20):
        story.say("assistant", f"ok {number}")
        story.tell([Move("compact", 1)])
    failed = [one.event.data for one in story.events if isinstance(one.event.data, CompactionFailed)]
    assert 1 <= len(failed) <= 3
    assert "at least" in failed[0].reason


# ---- summaries -----------------------------------------------------------------------------------------------------


def _decided(policy: Policy) -> tuple[Context, SummarizeSpan]:
    context = _told(_work(30), policy=policy).context
    decision = choose(context, limits_within(context.tokens.upper // 4, PRESETS[policy]), without=("offload",))
    assert isinstance(decision, SummarizeSpan)
    return context, decision


@_every_preset
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


@_every_preset
def test_a_summary_is_made_of_all_that_it_stands_for(policy: Policy) -> None:
    """What was said in the middle of a long span reaches the summary: nothing but its budget limits what is read."""
    items = [_message("user" if at % 2 else "assistant", f"Part {at} is here. " * 3) for at in range(240)]
    items[119] = _message("user", "Never use port 4417 for the bank.")
    context = _told(items, policy=policy).context
    decision = choose(context, limits_within(2_500, PRESETS[policy]), without=("offload",))
    assert isinstance(decision, SummarizeSpan)
    if context.entries[119].item.id in decision.covers:
        assert "port 4417" in str(extract_for(context, decision))
    else:
        assert PRESETS[policy].user_tokens > 0


@_every_preset
def test_what_i_said_is_not_in_the_summary_and_the_tail(policy: Policy) -> None:
    """A message of mine that stays is not told again by the summary, over several compactions."""
    story = _told([_message("system", "Be brief.")], policy=policy, window=Window(hard_limit=12_000, pre_rot=6_000))
    for number in range(60):
        story.say("user", f"Request {number}: Never forget the word w{number}w.")
        story.write(ItemAppended(item=_call(f"c{number}")), ItemAppended(item=_result(f"c{number}", PROSE * 12)))
        story.tell([Move("compact", 1)])
        shown = [str(entry.item) for entry in story.context.entries]
        for said in range(number + 1):
            assert sum(f"the word w{said}w" in text for text in shown) <= 1, (number, said)
    assert story.context.version > 1


@_every_preset
def test_the_latest_message_of_mine_is_never_summarised_away(policy: Policy) -> None:
    """What I asked last is word for word in the history at every budget, or the budget is refused."""
    context = _told([*_work(4), _message("user", _LATEST), *_work(1, first=9)[1:]], policy=policy).context
    made = _at_every_budget(context)
    assert len(made) > 10
    for one in made:
        assert _LATEST in [plain_text(e.item.content) for e in one.entries if isinstance(e.item, Message)]
        assert "i17" not in _covers(one)


@_every_preset
def test_a_pinned_message_of_mine_that_crosses_the_budget_is_not_cut(policy: Policy) -> None:
    """A rule that I pinned stays whole even where the budget for what I said ends in the middle of it."""
    items = [*_work(4), _message("user", PROSE * 40), *_work(12, first=20)]
    story = _told(items, policy=policy)
    story.write(ItemPinned(item="i17"))
    for budget_tokens in range(1_400, 4_000, 200):
        made = carry_out(story.context, limits_within(budget_tokens, PRESETS[policy]))
        assert made.replaced.tier != "truncate", budget_tokens
        assert story.context.entries[16] in made.entries


@_every_preset
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
    first = retold.compact(_as_chat(_work(20)), budget_tokens=2_000)
    stored = [json.loads(json.dumps(message)) for message in first.messages]
    second = retold.compact([*stored, *_as_chat(_work(20, first=50))], budget_tokens=2_000)
    for compacted in (first, second):
        assert sum("<retold-summary" in str(message) for message in compacted.messages) == 1


def _as_chat(items: Sequence[Item]) -> list[dict[str, Any]]:
    return retold.formats.render(items, "chat")


def test_a_resumed_payload_gives_the_same_decision() -> None:
    """A session that was stored and loaded again is decided on as the one that stayed in memory."""
    for policy in _POLICIES:
        context = _told(_work(30), policy=policy, window=Window(hard_limit=12_000)).context
        loaded = decode_context(encode_context(context), key=context.key)
        assert decide(loaded, loaded.window) == decide(context, context.window) is not None


def test_messages_of_another_type_are_read_or_refused_by_name() -> None:
    """Mappings that are no dicts are compacted as dicts are; a message class is refused, naming what came."""
    messages = _as_chat(_work(20))
    mapped = [MappingProxyType(message) for message in messages]
    assert (
        retold.compact(mapped, budget_tokens=2_000).messages == retold.compact(messages, budget_tokens=2_000).messages
    )

    class HumanMessage:
        content = "hello"

    with pytest.raises(InputError, match="object"):
        retold.compact([HumanMessage()], budget_tokens=2_000)  # type: ignore[list-item]


# ---- what a provider reports ---------------------------------------------------------------------------------------


def _small(policy: Policy) -> Story:
    """Return a session of about 10,000 tokens under a window of 100,000."""
    return _told(_work(10), policy=policy, window=Window(hard_limit=100_000))


def _steps(story: Story, reports: Callable[[int], int]) -> int:
    """Let a provider report twenty steps, each by what *reports* makes of its size; return how many were compacted."""
    for number in range(20):
        story.write(*(ItemAppended(item=item) for item in _work(1, text=PROSE, first=100 + number)))
        story.write(UsageReported(input_tokens=reports(story.context.tokens.upper)))
        story.tell([Move("compact", 1)])
    return story.context.version


@_every_preset
def test_usage_summed_over_passes_starts_no_compaction(policy: Policy) -> None:
    """A framework that adds up the prompts of a turn's passes does not make me lose a history that fits."""
    assert _steps(_small(policy), lambda size: 3 * size) == 0


@_every_preset
def test_usage_of_a_subagent_is_not_the_parent_s(policy: Policy) -> None:
    """A subagent's large prompts, reported into my session between my own, start no compaction of mine."""
    sizes = iter([0, 60_000] * 20)
    assert _steps(_small(policy), lambda size: next(sizes) or size) == 0


@_every_preset
def test_usage_from_before_the_last_compaction_does_not_start_another(policy: Policy) -> None:
    """A report of the request before a compaction, which comes in late, says nothing of the history after it."""
    story = _told(_work(60), policy=policy, window=Window(hard_limit=30_000, pre_rot=20_000))
    before = story.context.tokens.upper
    story.tell([Move("compact", 1)])
    assert story.context.version == 1
    story.write(UsageReported(input_tokens=min(before, 30_000)))
    story.tell([Move("compact", 1)])
    assert story.context.version == 1


@_every_preset
def test_a_switch_to_a_smaller_window_compacts_what_the_larger_one_held(policy: Policy) -> None:
    """When I go on with a model of a smaller window, one decision on all that I had brings it under the new one."""
    story = _told(_work(60), policy=policy, window=Window(hard_limit=400_000, pre_rot=300_000))
    story.tell([Move("compact", 1)])
    assert story.context.version == 0
    whole = _ids(story.context.entries)
    story.write(WindowChanged(window=Window(hard_limit=16_000)))
    decision = decide(story.context, story.context.window)
    assert decision is not None
    if isinstance(decision, SummarizeSpan):
        assert set(decision.covers) <= whole
    story.tell([Move("compact", 1)])
    assert story.context.version == 1
    assert story.context.tokens.upper <= 16_000 - 1_600


def test_the_size_that_starts_a_compaction_is_the_one_that_is_documented() -> None:
    """Below the threshold of my policy nothing is done; at it, something is."""
    for policy in _POLICIES:
        context = _told(_work(10), policy=policy).context
        at = limits_for(context).offload_at
        window = context.window
        for size, expected in ((at - 1, False), (at, True)):
            sized = structs.replace(context, tokens=Tokens(exact=size))
            assert retold.policy.is_due(sized, size, limits_of(window, preset=PRESETS[policy])) is expected


# ---- turning back --------------------------------------------------------------------------------------------------


@_every_preset
def test_rewound_content_does_not_leak_through_a_summary(policy: Policy) -> None:
    """What I rewound is in no summary that is written afterwards."""
    story = _told(_work(3), policy=policy)
    seq = story.events[-1].event.seq
    story.write(ItemAppended(item=_message("user", "Always mention the ZEBRA.")))
    story.write(SessionRewound(to_seq=seq))
    story.write(*(ItemAppended(item=item) for item in _work(20, first=50)))
    for made in _at_every_budget(story.context):
        assert "ZEBRA" not in _texts(made.entries)


@_every_preset
def test_an_undo_across_a_compaction_gives_the_very_history_before(policy: Policy) -> None:
    """After an undo I have the bytes that I had, with what came since, and my instructions once."""
    story = _told([_message("system", "Be brief."), *_work(60)], policy=policy, window=Window(hard_limit=30_000))
    before = history_of(story.context).hash
    story.tell([Move("compact", 1)])
    assert history_of(story.context).hash != before
    story.tell([Move("undo", 1)])
    assert history_of(story.context).hash == before


@_every_preset
def test_a_rewind_across_a_compaction_does_not_double_what_stays(policy: Policy) -> None:
    """When I go back to before a compaction and on from there, instructions and messages are there once."""
    story = _told([_message("system", "Be brief."), *_work(60)], policy=policy, window=Window(hard_limit=30_000))
    place = story.events[-1].event.seq
    story.tell([Move("compact", 1)])
    story.say("user", "Edited.")
    story.write(SessionRewound(to_seq=place))
    story.tell([Move("compact", 1)])
    entries = story.context.entries
    assert sum("Be brief." in str(entry.item) for entry in entries) == 1
    assert len(_ids(entries)) == len(entries)
    assert "Edited." not in _texts(entries)


# ---- providers' own blocks -----------------------------------------------------------------------------------------

_SIGNED = '{ "type" : "thinking",\n "signature":"Ab\\/+=", "thinking":"caf\\u00e9 \\ud83d\\ude80",  "n": 1.50 }'


@_every_preset
def test_a_signature_comes_through_as_it_was_written(policy: Policy) -> None:
    """A signed block is kept byte for byte, through compaction, storing, offloading and coming back."""
    signed = Reasoning(text="café", form="anthropic", body=_SIGNED)
    items: list[Item] = [
        _message("user", PROSE),
        signed,
        _call("a"),
        _result("a"),
        *_work(6),
        _message("user", _LATEST),
    ]
    items += [signed, _call("b")]
    story = _told(items, policy=policy, window=Window(hard_limit=4_000))
    original = story.context.entries[1].item
    story.tell([Move("compact", 1)])
    loaded = decode_context(encode_context(story.context), key=story.context.key)
    last = [entry.item for entry in loaded.entries if isinstance(entry.item, Reasoning)][-1]
    assert last.body == _SIGNED
    for entry in story.context.entries:
        if entry.original == item_hash(original):
            story.write(ItemRestored(item=story.originals[entry.original]))
            assert original in [one.item for one in story.context.entries]


@_every_preset
def test_an_empty_compaction_block_of_a_provider_replaces_nothing(policy: Policy) -> None:
    """A provider's block whose content is null stands for nothing: what came before it stays in the history."""
    null = Opaque(form="anthropic", kind="compaction", body='{"type":"compaction","content":null}')
    context = _told([*_work(3), null, *_work(1, first=9)], policy=policy).context
    assert len(context.entries) == 17
    made = _compacted(context, 60)
    assert made is not None
    assert null.body in [entry.item.body for entry in made.entries if isinstance(entry.item, Opaque)]


@_every_preset
def test_a_compaction_event_does_not_repeat_the_history(policy: Policy) -> None:
    """What a compaction writes is a small part of what it compacted, images included, so my log does not grow by it."""
    story = _told(_work(120), policy=policy, window=Window(hard_limit=60_000))
    image = Opaque(form="responses", kind="image_generation_call", body='{"type":"x","result":"' + "A" * 200_000 + '"}')
    story.write(ItemAppended(item=image), ItemAppended(item=_message("user", _LATEST)))
    held = len(encode_context(story.context))
    story.tell([Move("compact", 1)])
    written = [one for one in story.events if isinstance(one.event.data, HistoryReplaced)]
    assert len(written) == 1
    assert len(written[0].body) < held / 20


def test_streamed_text_counts_before_the_turn_ends() -> None:
    """A reply that streams past the threshold makes a compaction due although no report of it has come."""
    story = _told(_work(2), window=Window(hard_limit=8_000))
    story.say("assistant", "So: ")
    for _ in range(40):
        story.write(ItemExtended(text=OUTPUT))
    story.tell([Move("compact", 1)])
    assert story.context.tokens.upper <= story.context.window.input_limit
