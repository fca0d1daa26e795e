"""What truncation drops is named in the history, so that a model knows what to ask for."""

import re

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.laws.settings import law
from tests.laws.stories import Story

import retold
from retold.errors import FloorError
from retold.events import ItemAppended, ItemExtended, Message, Text, Window
from retold.policy import carry_out, limits_of
from retold.policy.presets import PRESETS
from retold.policy.summary import read_summary

_NAMED = re.compile(r"Left out to fit: (.*); the log has each whole\.")
_BRIEFLY = re.compile(r'<retold-summary id="s1" entries="\d+">\n(i[-i0-9, ]+)\n</retold-summary>')
_LONG = (Text("word " * 200),)


def _said(number: int, words: int) -> dict[str, str]:
    role = "user" if number % 3 == 0 else "assistant"
    return {"role": role, "content": f"Step {number}: " + " ".join(f"word{number}of{nth}" for nth in range(words))}


def _ids(named: str) -> set[int]:
    runs = [re.findall(r"i(\d+)", run) for run in named.split(", ")]
    return {number for run in runs for number in range(int(run[0]), int(run[-1]) + 1)}


@law(60)
@given(st.integers(6, 40), st.integers(1, 120), st.integers(120, 900))
def test_what_was_dropped_is_named_and_can_be_had_back(length: int, words: int, budget: int) -> None:
    """Of all that left without a summary I am told the ids, within my budget, and each gives the original."""
    messages = [{"role": "system", "content": "Rule. " * 60}, *(_said(number, words) for number in range(length))]
    try:
        done = retold.compact(messages, budget_tokens=budget)
    except FloorError:
        return
    notes = [found for one in done.messages if (found := _NAMED.search(str(one["content"])))]
    assume(done.receipt.dropped)
    assert done.tokens <= budget
    assert len(notes) <= 1
    for note in notes:
        dropped = {int(item.removeprefix("i")) for item in done.receipt.dropped}
        assert dropped <= _ids(note[1])
        assert all(done.restore(f"i{number}") == [messages[number - 1]] for number in dropped)


def test_where_there_is_room_for_little_the_ids_are_told_alone() -> None:
    """A few tokens too little for the whole note, I am told the ids alone; that note too is known again."""
    messages = [{"role": "system", "content": "Rule. " * 60}, *(_said(number, 60) for number in range(5))]
    asked = {"role": "user", "content": "Go on."}
    alone = retold.count_request([messages[0], asked]).counted.upper
    done = retold.compact([*messages, asked], budget_tokens=alone + 30)
    assert [messages[0], asked] == [done.messages[0], done.messages[-1]]
    (note,) = done.messages[1:-1]
    found = _BRIEFLY.fullmatch(note["content"])
    assert found is not None
    assert _ids(found[1]) == {2, 3, 4, 5, 6}
    assert read_summary(Message(role="user", content=(Text(note["content"]),))) == (1, ())


def test_a_note_is_known_again_and_is_not_what_the_user_said() -> None:
    """The next compaction takes it for a summary without a word: it stays nobody's request, and leaves as one does."""
    said = [_said(number, 40) for number in range(30)]
    messages = [{"role": "system", "content": "Rule. " * 60}, *said, {"role": "user", "content": "Go on."}]
    once = retold.compact(messages, budget_tokens=240)
    (note,) = [one for one in once.messages if _NAMED.search(str(one["content"]))]
    assert note["role"] == "user"
    assert read_summary(Message(role="user", content=(Text(note["content"]),))) == (1, ())
    assert once.messages[-1] == messages[-1]
    again = retold.compact([*once.messages, _said(31, 60), {"role": "user", "content": "And on."}], budget_tokens=240)
    assert again.tokens <= 240
    assert sum("Left out to fit" in str(one["content"]) for one in again.messages) == 1
    assert {"role": "user", "content": "And on."} in again.messages


def test_what_is_added_to_an_item_that_left_changes_nothing() -> None:
    """A text that grows while its beginning is summarised away is whole in the log, and the history stays as it is."""
    story = Story(Window(hard_limit=3_000, pre_rot=2_000))
    asked, answered = Message(role="user", content=(Text("Go on."),)), Message(role="assistant", content=_LONG)
    for number in range(12):
        story.write(ItemAppended(item=asked if number % 4 == 0 else answered))
    context = story.context
    replacement = carry_out(context, limits_of(context.window, preset=PRESETS["codex"]))
    for fact in replacement.facts:
        story.write(fact)
    assert story.context.entries[-1].form == "summary"
    story.write(ItemExtended(text=" and more"))
    assert story.context.entries == replacement.entries
