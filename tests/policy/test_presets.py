"""The presets: each does what the system that it is named after is documented to do, within Retold's invariants."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.laws.stories import Move, Story
from tests.laws.texts import PROSE

import retold
from retold.errors import FloorError, InputError
from retold.events import (
    CompactionFailed,
    CompactionRequested,
    HistoryReplaced,
    ItemAppended,
    ItemsOffloaded,
    Message,
    Opaque,
    Policy,
    Reasoning,
    SessionOpened,
    SummaryWritten,
    Text,
    ToolCall,
    ToolResult,
    Tuning,
    Window,
    WindowChanged,
    plain_text,
)
from retold.fold import Builder, item_hash
from retold.policy import PRESETS, check_tuning, decide, limits_for

WINDOW = Window(hard_limit=12_500, pre_rot=10_000, reserve=500)
POLICIES: Sequence[Policy] = tuple(PRESETS)


def _story(policy: Policy, *, window: Window = WINDOW, tuning: Tuning | None = None) -> Story:
    story = Story(window, policy=policy)
    if tuning is not None:
        story.events.clear()
        story.builder = Builder()
        story.write(SessionOpened(window=window, policy=policy, tuning=tuning))
    story.say("system", "Answer in English.")
    story.say("user", "Count the lines of every file, please.")
    return story


def _work(story: Story, number: int, tokens: int = 400) -> None:
    """Let a tool be called, whose result takes about *tokens*, and be spoken about."""
    call = ToolCall(call_id=f"call_{number}", name="wc", arguments=f'{{"path":"src/{number}.py"}}')
    result = ToolResult(
        call_id=f"call_{number}", content=(Text(f"line of {number}: value {number}\n" * (tokens // 9)),)
    )
    for item in (Reasoning(text="Let me count.", form="chat"), call, result):
        story.write(ItemAppended(item=item))
    story.say("assistant", f"File {number} is counted.")


def _until(story: Story, tokens: int) -> int:
    """Work on until the history takes *tokens*; return how often."""
    number = 0
    while story.context.tokens.upper < tokens:
        _work(story, number)
        number += 1
    return number


def _replaced(story: Story) -> list[HistoryReplaced]:
    return [one.event.data for one in story.events if isinstance(one.event.data, HistoryReplaced)]


def _forms(story: Story) -> list[str]:
    return [entry.form for entry in story.context.entries]


@pytest.mark.parametrize("policy", POLICIES)
def test_below_its_threshold_no_policy_acts(policy: Policy) -> None:
    """As long as my history is small, it is sent as it is."""
    story = _story(policy)
    _until(story, 7_000)
    assert decide(story.context, WINDOW) is None


# ---- AG-Kit ----------------------------------------------------------------------------------------------------------


def test_agkit_offloads_everything_but_the_newest_at_eighty_percent() -> None:
    """At 80% all old items leave reversibly, at once, and the newest stay as they are."""
    story = _story("agkit")
    _until(story, 8_000)
    before = story.context.entries
    story.tell([Move("compact", 1)])
    (replaced,) = _replaced(story)
    assert replaced.tier == "offload"
    after = story.context.entries
    assert after[-5:] == before[-5:]
    big = [entry for entry in before[:-5] if isinstance(entry.item, ToolResult)]
    assert [entry.form for entry in after if entry.item.id in {one.item.id for one in big}] == ["placeholder"] * len(
        big
    )


def test_agkit_keeps_as_many_of_the_newest_as_i_say() -> None:
    """`keep_recent` of my own counts, in a session and in a list of messages."""
    story = _story("agkit", tuning=Tuning(keep_recent=17))
    _until(story, 8_000)
    before = story.context.entries
    story.tell([Move("compact", 1)])
    assert story.context.entries[-17:] == before[-17:]
    assert story.context.entries[-19:] != before[-19:]


def test_what_agkit_offloads_is_recovered_exactly() -> None:
    """Each original of a reversible compaction comes back byte for byte, messages and reasoning too."""
    story = _story("agkit")
    story.say("assistant", PROSE * 8)
    story.say("user", PROSE * 8)
    story.say("user", "And now the rest.")
    originals = {entry.item.id: entry.item for entry in story.context.entries}
    _until(story, 8_000)
    originals |= {entry.item.id: entry.item for entry in story.context.entries}
    story.tell([Move("compact", 1)])
    offloaded = next(one.event.data for one in story.events if isinstance(one.event.data, ItemsOffloaded)).items
    assert {"i3", "i4"} <= {offload.item for offload in offloaded}
    for offload in offloaded:
        assert offload.sha256 == item_hash(originals[offload.item])
    for number in range(len(offloaded)):
        story.tell([Move("restore", number)])
    assert [entry.item for entry in story.context.entries] == [originals[e.item.id] for e in story.context.entries]


def test_agkit_summarises_from_ninety_five_percent_on() -> None:
    """At 95% a structured summary stands for everything but the newest items, whatever offloading would gain."""
    story = _story("agkit")
    _work(story, 0)
    story.say("user", "Go on with the others.")
    _until(story, 9_600)
    before = story.context.entries
    story.tell([Move("compact", 1)])
    (replaced,) = _replaced(story)
    (written,) = [one.event.data for one in story.events if isinstance(one.event.data, SummaryWritten)]
    assert replaced.tier == "summary"
    assert story.context.entries[-5:] == before[-5:]
    assert {"goal", "files", "last_step"} <= {field.name for field in written.fields if field.lines}


def test_agkit_goes_on_to_the_summary_where_offloading_gains_too_little() -> None:
    """Where reversible compaction would free 5% of the threshold or less, a summary is written at once."""
    story = _story("agkit")
    while story.context.tokens.upper < 8_000:
        story.say("assistant", "I am looking at one more of these files now. " * 9)  # each too short to be offloaded
    story.tell([Move("compact", 1)])
    assert [replaced.tier for replaced in _replaced(story)] == ["summary"]


# ---- Codex ---------------------------------------------------------------------------------------------------------


def test_codex_keeps_what_the_user_said_and_one_summary() -> None:
    """After a compaction my history is the instructions, what I said, and a summary in place of all else."""
    story = _story("codex")
    _until(story, 9_000)
    story.say("user", "Now the tests, too.")
    _until(story, 10_100)
    story.tell([Move("compact", 1)])
    (replaced,) = _replaced(story)
    items = [entry.item for entry in story.context.entries]
    assert replaced.tier == "summary"
    assert [item.role for item in items if isinstance(item, Message)] == ["system", "user", "user", "user"]
    assert _forms(story) == ["whole", "whole", "whole", "summary"]


def test_codex_summarises_before_the_message_that_came_last() -> None:
    """Compacted where a message of mine came last, the summary stands before it: it is what is to be answered."""
    story = _story("codex")
    _until(story, 9_990)
    story.say("user", "Now the tests, too.")
    story.tell([Move("compact", 1)])
    assert _forms(story) == ["whole", "whole", "summary", "whole"]


def test_codex_cuts_the_message_that_crosses_the_budget() -> None:
    """The newest 20,000 tokens of what I said stay; the message across the border keeps its head and its tail."""
    window = Window(hard_limit=100_000)
    story = _story("codex", window=window)
    story.say("user", "OLDEST " + PROSE * 80)
    story.say("user", "HEAD " + PROSE * 600 + " TAIL")
    story.say("assistant", "Well.")
    story.say("user", "NEWER " + PROSE * 600)
    _until(story, 90_500)
    story.say("user", "And now?")
    story.tell([Move("compact", 1)])
    said = [entry for entry in story.context.entries if isinstance(entry.item, Message) and entry.item.role == "user"]
    texts = [plain_text(item.content) for item in (entry.item for entry in said) if isinstance(item, Message)]
    kept = [entry for entry in said if entry.form != "summary"]
    assert [entry.form for entry in kept] == ["cut", "whole", "whole"]
    assert texts[0].startswith("HEAD ")
    assert texts[0].endswith(" TAIL")
    assert "[Retold: cut here" in texts[0]
    assert 19_000 < sum(entry.tokens.upper for entry in kept) <= 20_000
    assert _replaced(story)[0].receipt.cut == (kept[0].item.id,)


def test_codex_never_repeats_an_earlier_summary() -> None:
    """However often it compacts, there is one summary, built on the one before, and no user message comes twice."""
    story = _story("codex")
    for _ in range(3):
        _until(story, 10_100)
        story.tell([Move("compact", 1)])
    assert len(_replaced(story)) == 3
    assert _forms(story).count("summary") == 1
    ids = [entry.item.id for entry in story.context.entries]
    assert len(set(ids)) == len(ids)


def test_codex_acts_at_ninety_percent_and_a_setting_only_lowers_it() -> None:
    """The trigger is 90% of the window, or what I set if that is less."""
    sizes = [
        Window(hard_limit=272_000),
        Window(hard_limit=272_000, pre_rot=50_000),
        Window(hard_limit=272_000, pre_rot=270_000),
    ]
    assert [limits_for(_story("codex", window=window).context).offload_at for window in sizes] == [
        244_800,
        50_000,
        244_800,
    ]


# ---- agent, manual, tuning -----------------------------------------------------------------------------------------


def test_agent_leaves_the_history_to_the_model_until_it_cannot_be_sent() -> None:
    """With policy `agent` nothing is compacted behind the model's back, and what is sent fits all the same."""
    story = _story("agent", window=Window(hard_limit=12_500, pre_rot=5_000, reserve=500))
    _until(story, 11_000)
    story.tell([Move("compact", 1)])
    assert _replaced(story) == []
    _until(story, 12_000)
    story.tell([Move("compact", 1)])
    assert story.context.tokens.upper < 8_000


@pytest.mark.parametrize("policy", POLICIES)
def test_a_manual_session_is_compacted_on_request_only(policy: Policy) -> None:
    """With manual compaction, size alone does nothing; asked for, it is done."""
    story = _story(policy, tuning=Tuning(manual=True))
    _until(story, 12_400)
    assert decide(story.context, WINDOW) is None
    story.write(CompactionRequested())
    story.tell([Move("compact", 1)])
    assert len(_replaced(story)) == 1


@pytest.mark.parametrize(
    "tuning",
    [
        Tuning(keep_recent=-1),
        Tuning(offload_percent=101),
        Tuning(summary_percent=-1),
        Tuning(offload_percent=90, summary_percent=80),
    ],
)
def test_a_tuning_out_of_range_is_refused(tuning: Tuning) -> None:
    """A percentage above 100, or thresholds the wrong way round, are refused with what was expected."""
    with pytest.raises(InputError, match="expected"):
        check_tuning(tuning)


def test_thresholds_of_my_own_count() -> None:
    """A session may act earlier than its preset."""
    story = _story("agkit", tuning=Tuning(offload_percent=40, summary_percent=50))
    limits = limits_for(story.context)
    assert (limits.offload_at, limits.summary_at, limits.target) == (4_000, 5_000, 4_000)


# ---- another window ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_a_smaller_window_compacts_at_once(policy: Policy) -> None:
    """Going on with a model of a smaller window, what does not fit there is compacted before the next request."""
    story = _story(policy)
    _until(story, 7_500)
    story.write(WindowChanged(window=Window(hard_limit=5_000)))
    story.tell([Move("compact", 1)])
    assert len(_replaced(story)) == 1
    assert story.context.tokens.upper <= 4_500


def test_a_larger_window_changes_nothing() -> None:
    """Going on with a model of a larger window, my history stays as it is."""
    story = _story("ladder")
    _until(story, 7_900)
    before = story.context.entries
    story.write(WindowChanged(window=Window(hard_limit=200_000)))
    story.tell([Move("compact", 1)])
    assert story.context.entries == before


def test_another_models_vocabulary_counts_from_there_on() -> None:
    """With a model that counts otherwise, every item is counted anew by its vocabulary."""
    story = _story("ladder")
    _work(story, 1)
    story.write(WindowChanged(window=WINDOW, encoding="cl100k_base"))
    fresh = _story("ladder")
    fresh.events.clear()
    fresh.builder = Builder()
    fresh.write(SessionOpened(window=WINDOW, encoding="cl100k_base"))
    fresh.say("system", "Answer in English.")
    fresh.say("user", "Count the lines of every file, please.")
    _work(fresh, 1)
    assert [entry.tokens for entry in story.context.entries] == [entry.tokens for entry in fresh.context.entries]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_fixed_part_larger_than_the_window_is_named(policy: Policy) -> None:
    """If my instructions alone are larger than the new window, I am told the size that cannot be made smaller."""
    story = _story(policy)
    story.say("system", PROSE * 160)
    floor = story.context.tokens.upper
    story.write(WindowChanged(window=Window(hard_limit=2_000)))
    with pytest.raises(FloorError):
        decide(story.context, Window(hard_limit=2_000))
    story.tell([Move("compact", 1)])
    (failed,) = [one.event.data for one in story.events if isinstance(one.event.data, CompactionFailed)]
    assert str(floor)[:2] in failed.reason


# ---- messages ------------------------------------------------------------------------------------------------------


def _chat(turns: int, words: int = 3) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROSE}]
    for number in range(turns):
        call = {"id": f"c{number}", "type": "function", "function": {"name": "read", "arguments": "{}"}}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": f"{number} " + PROSE * words})
    return [*messages, {"role": "user", "content": "Go on."}]


@pytest.mark.parametrize("policy", POLICIES)
def test_messages_are_compacted_by_every_preset(policy: Policy) -> None:
    """`retold.compact` takes each preset's name, and its result fits and begins and ends alike."""
    messages = _chat(30)
    result = retold.compact(messages, budget_tokens=2_500, policy=policy)
    assert result.tokens <= 2_500
    assert result.messages[0] == messages[0]
    assert result.messages[-1] == messages[-1]


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    """A name that is none is refused, naming the presets."""
    with pytest.raises(InputError, match="ladder, agkit, codex, codex-remote, agent, got 'best'"):
        retold.compact(_chat(1), budget_tokens=100, policy="best")  # type: ignore[arg-type]


def test_a_providers_block_is_never_offloaded() -> None:
    """What only the provider can read stays as it is, or is summarised; it never gets a placeholder."""
    story = _story("agkit")
    story.write(ItemAppended(item=Opaque(form="responses", kind="compaction", body='{"type":"compaction"}')))
    _until(story, 8_000)
    story.tell([Move("compact", 1)])
    assert [entry.form for entry in story.context.entries if isinstance(entry.item, Opaque)] == ["whole"]
