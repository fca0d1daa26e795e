"""Functions of one's own in a compaction of messages: summaries and placeholders."""

from typing import Any

import pytest
from msgspec import structs
from tests.laws.texts import PROSE

import retold
from retold.errors import InputError
from retold.events import Item, Message, SummaryField, Text, ToolResult


def _chat(turns: int, words: int = 3) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROSE}]
    for number in range(turns):
        call = {"id": f"c{number}", "type": "function", "function": {"name": "read", "arguments": "{}"}}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": f"{number} " + PROSE * words})
    return [*messages, {"role": "user", "content": "Go on."}]


def _giving(written: Any) -> Any:
    return lambda *_: written


def test_a_function_of_my_own_writes_the_summary() -> None:
    """I give a function, and what it says stands in the history; a text, lines by section or fields will do."""
    for written in (
        "All was read.",
        {"goal": ["All was read."]},
        [SummaryField(name="goal", lines=("All was read.",))],
    ):
        result = retold.compact(_chat(30), budget_tokens=1_500, policy="codex", summarizer=_giving(written))
        assert "All was read." in str(result.messages)
        assert result.summarizer == "<lambda>"


@pytest.mark.parametrize("wrong", ["", "   ", None, 5, [], {"gaol": ["x"]}, ValueError("secret")])
def test_a_function_that_fails_costs_no_history(wrong: object) -> None:
    """If my function raises, or returns nothing or nonsense, the summary is extracted, and I am told who wrote it."""

    def write(*_: object) -> Any:
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    result = retold.compact(_chat(30), budget_tokens=1_500, policy="codex", summarizer=write)
    assert result.summarizer == "extractive"
    assert result.messages[-1] == {"role": "user", "content": "Go on."}


def test_placeholders_of_my_own_stand_in_place() -> None:
    """I may put another item in a placeholder's place, or keep the original; what cannot stand there is refused."""
    messages = _chat(30, words=8)

    def short(item: Item, placeholder: Item) -> Item | None:
        if isinstance(item, ToolResult) and item.call_id == "c0":
            return None
        if isinstance(placeholder, ToolResult):
            return structs.replace(placeholder, content=(Text("(gone)"),))
        return placeholder

    result = retold.compact(messages, budget_tokens=3_500, stand_in=short)
    contents = [message["content"] for message in result.messages if message["role"] == "tool"]
    assert contents[0] == messages[3]["content"]
    assert contents.count("(gone)") > 10
    with pytest.raises(InputError, match="expected the id of item i4 in its place, got another"):
        retold.compact(messages, budget_tokens=3_500, stand_in=lambda _, other: structs.replace(other, id="i9"))
    with pytest.raises(InputError, match="expected a ToolResult in the place of item i4, got Message"):
        retold.compact(messages, budget_tokens=3_500, stand_in=lambda *_: Message(role="user"))


@pytest.mark.parametrize("wrong", ["gone", ("gone",), (Text(5),), (Text("\ud800"),)])  # type: ignore[arg-type]
def test_a_placeholder_that_no_item_can_hold_is_refused(wrong: Any) -> None:
    """Content of the wrong type, or text that UTF-8 cannot carry, is refused by name, before anything is counted."""
    with pytest.raises(InputError, match="expected text and parts in the place of item i4"):
        retold.compact(
            _chat(30, words=8), budget_tokens=3_500, stand_in=lambda _, other: structs.replace(other, content=wrong)
        )


async def _later(*_: object) -> str:
    return "All was read."


class _Model:
    async def __call__(self, *_: object) -> str:
        return "All was read."


@pytest.mark.parametrize("wrong", ["openai:model-1", 5, _later, _Model(), lambda *_: _later(), object()], ids=repr)
def test_what_cannot_write_here_is_refused(wrong: Any) -> None:
    """A model's name, or a function that is awaited, is not silently replaced: I am told that a worker takes it."""
    with pytest.raises(InputError, match="plain function"):
        retold.compact(_chat(30), budget_tokens=1_500, policy="codex", summarizer=wrong)


@pytest.mark.parametrize("wrong", ["short", 5, _later, _Model()], ids=repr)
def test_what_cannot_stand_in_is_refused(wrong: Any) -> None:
    """The same holds for what is to put an item in a placeholder's place."""
    with pytest.raises(InputError, match="expected"):
        retold.compact(_chat(30, words=8), budget_tokens=6_000, stand_in=wrong)
