"""What a model is shown of its history, and when it is told to compress it: once at each threshold, not each turn."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law
from tests.laws.stories import Move, Story, whole_stories

from retold.errors import InputError
from retold.events import Form, ItemAppended, Text, ToolCall, ToolResult, Window
from retold.fold import history_of
from retold.policy.compressing import Range, movable_runs, plan_compression
from retold.policy.nudging import Style, guidance, nudge_of, thresholds
from retold.policy.viewing import LINES_MAX, view_of

STYLES: tuple[Style, ...] = ("lazy", "balanced", "aggressive")
WINDOW = Window(hard_limit=12_000, pre_rot=10_000)


@law(60)
@given(whole_stories())
def test_every_entry_is_shown_with_its_id_and_size(story: Story) -> None:
    """I see every entry of the history, in order, and the sizes add up to what is used of the window."""
    context = story.context
    view = view_of(context)
    assert [line.item for line in view.lines] == [entry.item.id for entry in context.entries]
    rounded = sum(line.tokens for line in view.lines) - (context.tokens.upper - 3)
    assert -len(view.lines) <= rounded <= 0  # an estimate's upper bound is rounded once for each, or once for all
    assert view.used_tokens >= context.tokens.upper
    assert view.left_tokens == max(0, context.window.input_limit - view.used_tokens)
    ids = re.findall(r"^([ics]\d+)\b", view.listing(), flags=re.MULTILINE)
    assert ids == [line.item for line in view.lines]
    assert view == view_of(context)


@law(60)
@given(whole_stories(), st.sampled_from(["chat", "responses", "anthropic"]))
def test_the_status_is_short_and_changes_nothing_before_it(story: Story, form: Form) -> None:
    """A status is one short message at the end: what comes before it is the history as it is sent without it."""
    history = history_of(story.context)
    sent = history.as_form(form)
    view = view_of(story.context, nudge=nudge_of(story.context))
    status = view.as_message(form)
    assert status["role"] == "user"
    assert len(view.status) < 2_000
    assert [*history.as_form(form), status][:-1] == sent


@law(60)
@given(whole_stories())
def test_what_is_said_to_be_compressible_is(story: Story) -> None:
    """Each range that a view offers can be compressed as it stands, and together they are all that may go."""
    context = story.context
    ids = [entry.item.id for entry in context.entries]
    runs = movable_runs(context, 0, len(ids) - 1)
    assert {at for run in runs for at in run} == {
        at for at, line in enumerate(view_of(context).lines) if not line.stays
    }
    for run in runs:
        with pytest.raises(InputError, match="take less than the entries"):
            plan_compression(context, [Range(ids[run.start], ids[run.stop - 1], ("long " * 20_000,))])


def _turn(story: Story, size: int) -> None:
    """Let the model call a tool that answers with *size* words."""
    story.tell([Move("call", 3)])
    story.answer("word " * size)


@pytest.mark.parametrize("style", STYLES)
def test_a_nudge_comes_once_for_each_threshold(style: Style) -> None:
    """As a history grows turn by turn, each threshold is told of in the first request above it, and not again."""
    story, told = Story(WINDOW), list[str]()
    story.say("user", "Go.")
    for _ in range(100):
        assert nudge_of(story.context, style) == nudge_of(story.context, style)
        if (nudge := nudge_of(story.context, style)) is not None:
            told.append(nudge)
        _turn(story, 90)
    shares = [int(match[1]) for text in told if (match := re.search(r"passed (\d+)%", text))]
    assert shares == [round(share * 100) for share in thresholds(style)]
    assert [text for text in told if "without you" in text] == told[-1:]


def test_a_history_that_shrank_and_grew_is_told_of_again() -> None:
    """After a compression the same threshold is crossed anew, and told of anew."""
    story = Story(WINDOW)
    story.say("user", "Go.")
    seen: list[bool] = []
    for step in range(30):
        seen.append(nudge_of(story.context) is not None)
        _turn(story, 400)
        if step == 16:
            ids = [entry.item.id for entry in story.context.entries]
            run = movable_runs(story.context, 0, len(ids) - 5)[0]
            story.write(plan_compression(story.context, [Range(ids[run.start], ids[run.stop - 1], ("done",))]).edited)
    first = seen.index(True)
    assert first < 16
    assert True in seen[18:]


def test_a_leap_over_several_thresholds_is_one_nudge() -> None:
    """A result that passes two thresholds at once is told of once, by the higher."""
    story = Story(WINDOW)
    story.say("user", "Go.")
    _turn(story, 6_700)
    assert "passed 80%" in (nudge_of(story.context) or "")
    _turn(story, 5)
    assert nudge_of(story.context) is None


def test_parallel_calls_that_came_one_by_one_are_one_request() -> None:
    """Results that come between the calls of one response do not hide that a threshold was crossed in it."""
    story = Story(WINDOW)
    story.say("user", "Go.")
    for number in range(3):
        call = ToolCall(call_id=f"c{number}", name="read", arguments="{}", group="one#3")
        result = ToolResult(call_id=f"c{number}", content=(Text("word " * (5_000 if number == 0 else 20)),))
        story.write(ItemAppended(item=call), ItemAppended(item=result))
    assert "passed 60%" in (nudge_of(story.context) or "")
    assert view_of(story.context).new == 6


def test_a_large_history_is_listed_in_bounds_and_in_full_on_request() -> None:
    """Of a thousand entries a listing shows the largest and sums up the rest; a part of it is shown in full."""
    story = Story(Window(hard_limit=400_000))
    for number in range(1_000):
        story.say("assistant", "word " * (200 if number % 50 == 7 else 2))
    view = view_of(story.context)
    lines = view.listing().splitlines()
    assert len(lines) <= 2 * LINES_MAX + 2
    assert any(line.startswith("i8 assistant 20") for line in lines)
    summed = [line for line in lines if "small entries" in line]
    assert summed
    first, last = summed[0].split(":")[0].split(" to ")
    part = view.listing(first, last).splitlines()[1:]
    assert len(part) == int(last[1:]) - int(first[1:]) + 1


@pytest.mark.parametrize("style", STYLES)
def test_the_guidance_names_the_tools_and_differs_by_style(style: Style) -> None:
    """The text for the system prompt tells the model when to compress, by which tools, and that nothing is lost."""
    text = guidance(style)
    assert all(name in text for name in ("show_history", "compress_history", "decompress_history", "restore_item"))
    assert [text == guidance(other) for other in STYLES].count(True) == 1


def test_a_style_that_there_is_not_is_refused() -> None:
    """A misspelt style is refused by the names that there are."""
    wrong: Any = "bold"
    for call in (guidance, thresholds):
        with pytest.raises(InputError, match="lazy, balanced, aggressive, got 'bold'"):
            call(wrong)
