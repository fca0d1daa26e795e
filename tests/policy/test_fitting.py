"""A summary fills its budget: long lines are shortened in the middle before any line leaves, and it is never empty."""

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law
from tests.laws.stories import Story
from tests.laws.texts import BLOB, CHINESE, OUTPUT, PROSE, WORD

import retold
from retold.errors import FloorError
from retold.events import SummaryField
from retold.fold import count_item
from retold.policy import SummarizeSpan, Summary, choose, replace
from retold.policy.fitting import within_budget
from retold.policy.limits import limits_within
from retold.policy.summary import FIELDS, summary_message
from retold.tokens import encoding

_VOCABULARY = encoding("o200k_base")
_LINES = st.one_of(
    st.sampled_from([PROSE, WORD, BLOB, CHINESE * 4, OUTPUT, "short", "x"]).map(lambda text: " ".join(text.split())),
    st.integers(1, 200).map(lambda number: f"line {number} of a plan that goes on " + "and on " * (number // 4)),
)
_FIELDS = st.lists(st.lists(_LINES, max_size=12), min_size=len(FIELDS), max_size=len(FIELDS)).map(
    lambda sections: [SummaryField(name=name, lines=tuple(lines)) for name, lines in zip(FIELDS, sections, strict=True)]
)


def _size(fields: list[SummaryField]) -> int:
    return count_item(summary_message(fields, item_id="s1", covers=["i2", "i3"]), _VOCABULARY).upper


def _within(fields: list[SummaryField], budget_tokens: int) -> list[SummaryField]:
    return list(
        within_budget(fields, budget_tokens=budget_tokens, encoding=_VOCABULARY, item_id="s1", covers=["i2", "i3"])
    )


@law(150)
@given(_FIELDS, st.integers(1, 3_000))
def test_a_summary_is_within_its_budget_and_fills_it(fields: list[SummaryField], budget: int) -> None:
    """A summary is never above its budget; one that had to be shortened leaves no more than a line's worth unused.

    And a few tokens for each line that was cut: what is left of it may take fewer than the parts that were kept.
    """
    fitted = _within(fields, budget)
    assert fitted == _within(fields, budget)
    if fitted == fields:
        return
    words = any(field.lines for field in fitted)
    assert _size(fitted) <= budget or not words
    cut = sum(" … " in line for field in fitted for line in field.lines)
    assert budget - _size(fitted) <= 80 + 4 * cut


@law(80)
@given(_FIELDS, st.integers(200, 3_000))
def test_a_shortened_line_keeps_its_head_and_its_tail(fields: list[SummaryField], budget: int) -> None:
    """Lines stay in their order and word for word, but for the middle of those that are too long."""
    for before, after in zip(fields, _within(fields, budget), strict=True):
        rest = list(before.lines)
        for line in after.lines:
            head, _, tail = line.partition(" … ")
            at = next(at for at, one in enumerate(rest) if one.startswith(head) and one.endswith(tail))
            del rest[: at + 1]


def test_long_lines_are_shortened_before_short_ones_leave() -> None:
    """A long request takes what the other lines leave of the budget, not their place."""
    goal = SummaryField(name="goal", lines=("first " + "and then " * 2_000 + "last",))
    facts = SummaryField(name="facts", lines=tuple(f"fact {number}" for number in range(30)))
    fitted = _within([goal, facts], 600)
    assert fitted[1] == facts
    assert fitted[0].lines[0].startswith("first and then")
    assert fitted[0].lines[0].endswith("and then last")
    assert 580 <= _size(fitted) <= 600


@pytest.mark.parametrize("joint", [" ", "\n"], ids=["one line", "many lines"])
@pytest.mark.parametrize(("budget", "words"), [(1_000, 400), (2_000, 900), (4_000, 2_500), (20_000, 12_000)])
def test_a_message_too_large_to_stay_fills_the_summary(budget: int, words: int, joint: str) -> None:
    """What I asked for in a message that is too large is still there, as much of it as half of my budget takes."""
    chance = random.Random(3)

    def text(count: int) -> str:
        return joint.join(" ".join(f"word{chance.randrange(3_000)}" for _ in range(20)) for _ in range(count // 20))

    said = [{"role": "assistant", "content": text(words // 2)} for _ in range(3)]
    asked = {"role": "user", "content": f"Goal: migrate billing to Postgres 17. {text(words)} By Friday."}
    result = retold.compact([asked, *said, {"role": "user", "content": "go on"}], budget_tokens=budget)
    assert result.tier == "summary"
    shown = result.messages[0]["content"]
    assert "migrate billing to Postgres 17" in shown
    assert "By Friday." in shown
    assert budget * 2 // 5 <= result.tokens <= budget


_STEPS: list[dict[str, Any]] = [
    {"role": "user", "content": "The certificate of host alpha-7 expired on 3 May; renew it. " * 60},
    {"role": "assistant", "content": "ok"},
    {"role": "user", "content": "Line about bug 3.\n" * 200},
    {"role": "assistant", "content": "ok"},
    {"role": "user", "content": "go on"},
]


@law(60)
@given(st.integers(20, 2_500), st.integers(0, 4))
def test_no_summary_is_without_text(budget: int, first: int) -> None:
    """However small my budget is, no message is replaced by a summary that says nothing; a note names what left."""
    try:
        messages = retold.compact(_STEPS[first:], budget_tokens=budget).messages
    except FloorError:
        return
    for shown in json.dumps(messages).split("<retold-summary ")[1:]:
        assert re.search(r"\\n- \w|Left out to fit: i1(-i\d)?;", shown)


@pytest.mark.parametrize("lines", [(), ("",), (" \n ",)], ids=["no line", "an empty one", "a blank one"])
def test_a_summary_that_says_nothing_is_refused(lines: tuple[str, ...]) -> None:
    """A summarizer that returns no words does not get its summary into the history: the next step is taken."""
    story = Story()
    for _ in range(4):
        story.say("assistant", PROSE * 3)
    story.say("user", "go on")
    context = story.context
    decision = choose(context, limits_within(context.tokens.upper // 2))
    assert isinstance(decision, SummarizeSpan)
    said = Summary(fields=(SummaryField(name="goal", lines=lines),), summarizer="model")
    assert replace(context, decision, summary=said) is None
