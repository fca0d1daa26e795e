"""Wrong messages: the error says what was expected, what came and where, and never quotes the text."""

from typing import Any

import pytest

from retold.errors import InputError
from retold.events.items import Form, Message, Opaque, Text
from retold.formats import detect_form, detect_forms, render, to_items

_SECRET = "s3cret"  # noqa: S105 - stands for a user's text


@pytest.mark.parametrize(
    ("form", "message", "path", "came"),
    [
        ("chat", {"role": "user", "content": 7}, "content", "a number"),
        ("chat", {"role": "user"}, "content", "nothing"),
        ("chat", {"role": 1, "content": _SECRET}, "role", "a number"),
        ("chat", {"role": "user", "content": [{"type": "text", "text": None}]}, "content[0].text", "null"),
        ("chat", {"role": "user", "content": [_SECRET]}, "content[0]", "a string"),
        ("chat", {"role": "tool", "content": _SECRET}, "tool_call_id", "nothing"),
        ("chat", {"role": "assistant", "tool_calls": [{"id": "a"}]}, "tool_calls[0].function", "nothing"),
        ("chat", {"role": "assistant", "tool_calls": _SECRET}, "tool_calls", "a string"),
        (
            "chat",
            {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": [], "arguments": ""}}]},
            "tool_calls[0].function.name",
            "a list",
        ),
        ("chat", {"role": "assistant", "content": "x", "reasoning": 5}, "reasoning", "a number"),
        ("responses", {"type": "function_call", "call_id": "a", "name": "b"}, "arguments", "nothing"),
        ("responses", {"type": "function_call_output", "call_id": "a", "output": None}, "output", "null"),
        ("responses", {"type": "message", "role": "user", "content": None}, "content", "null"),
        ("anthropic", {"role": "user", "content": [{"type": "text", "text": True}]}, "content[0].text", "a boolean"),
        ("anthropic", {"role": "user", "content": [{"text": _SECRET}]}, "content[0].type", "nothing"),
        (
            "anthropic",
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": _SECRET}]},
            "content[0].input",
            "a string",
        ),
        (
            "anthropic",
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "is_error": "no"}]},
            "content[0].is_error",
            "a string",
        ),
        (
            "anthropic",
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": 3}]}]},
            "content[0].content[0].type",
            "a number",
        ),
    ],
)
def test_a_wrong_shape_is_named_by_its_path_and_kind(form: Form, message: dict[str, Any], path: str, came: str) -> None:
    """Whoever built the message learns which field to fix, and no text of theirs lands in a log."""
    with pytest.raises(InputError) as raised:
        to_items(message, form=form)
    assert f"at {path}, got {came}" in str(raised.value)
    assert _SECRET not in str(raised.value)


def test_a_call_of_an_unknown_type_is_refused() -> None:
    """A call is a function's or a custom tool's; what it says instead is not quoted."""
    with pytest.raises(InputError, match=r"expected tool_calls\[0\].type to be function or custom"):
        to_items({"role": "assistant", "tool_calls": [{"id": "a", "type": _SECRET}]})


@pytest.mark.parametrize("form", ["chat", "responses", "anthropic"])
def test_an_unknown_role_is_refused_without_quoting_it(form: Form) -> None:
    """Roles are a closed set."""
    with pytest.raises(InputError, match="expected role to be") as raised:
        to_items({"role": _SECRET, "content": "hi"}, form=form)
    assert _SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"role": "user", "content": "a\ud800"}, "content"),
        ({"role": "user", "content": [{"type": "text", "text": "\udfff"}]}, r"content\[0\].text"),
        (
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": {"k": "\ud800"}}]},
            r"content\[0\].input",
        ),
        ({"role": "user", "content": "hi", "\ud800": 1}, r"\?"),
        ({"role": "assistant", "content": None, "x": {"input": ["fine", "\ud800"]}}, "x.input"),
    ],
)
def test_a_lone_surrogate_is_refused_by_its_path(message: dict[str, Any], path: str) -> None:
    """UTF-8 cannot carry half a character; a tool's own keys are not named, for they may be anybody's text."""
    with pytest.raises(InputError, match=f"at {path}, got a lone surrogate"):
        to_items(message)


def test_an_emoji_is_no_lone_surrogate() -> None:
    """Characters beyond the first 65,536 are text like any other."""
    assert to_items({"role": "user", "content": "😀"}) == (Message(role="user", content=(Text("😀"),)),)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    """A message is JSON; a Python object in it is a mistake of the caller's."""
    with pytest.raises(InputError, match="expected JSON values"):
        to_items({"role": "user", "content": "hi", "x": value})


def test_nesting_without_end_is_refused() -> None:
    """A message that is nested too deep is an error of the input, not a crash."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InputError, match="nested too deep"):
        to_items({"role": "user", "content": "hi", "x": deep})


@pytest.mark.parametrize(
    ("message", "form"),
    [
        ({"role": "user", "content": "hi"}, "chat"),
        ({"role": "tool", "tool_call_id": "a", "content": "x"}, "chat"),
        ({"role": "assistant", "content": None, "tool_calls": []}, "chat"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}, "chat"),
        ({"type": "message", "role": "user", "content": "hi"}, "responses"),
        ({"role": "user", "content": [{"type": "input_text", "text": "hi"}]}, "responses"),
        ({"type": "function_call", "call_id": "a", "name": "b", "arguments": "{}"}, "responses"),
        ({"type": "compaction", "encrypted_content": "x"}, "responses"),
        ({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]}, "anthropic"),
        ({"role": "assistant", "content": [{"type": "thinking", "thinking": "x"}]}, "anthropic"),
        ({"type": "message", "role": "assistant", "content": [], "stop_reason": "end_turn"}, "anthropic"),
    ],
)
def test_the_form_is_told_by_fields_and_part_types(message: dict[str, Any], form: Form) -> None:
    """A message that is certainly of one form is recognised; what could be any is chat."""
    assert detect_form(message) == form


def test_a_list_takes_the_form_of_its_one_certain_message() -> None:
    """Plain messages say nothing about the form; the first tool call does."""
    plain = {"role": "user", "content": "hi"}
    assert detect_forms([plain, {"type": "function_call"}]) == "responses"
    assert detect_forms([plain, {"role": "assistant", "content": [{"type": "tool_use"}]}]) == "anthropic"
    assert detect_forms([plain]) == "chat"
    assert detect_forms([]) == "chat"


def test_a_list_of_two_forms_is_refused() -> None:
    """A history is sent to one provider, so it is of one form."""
    with pytest.raises(InputError, match=r"got chat and, at \[1\], responses"):
        detect_forms([{"role": "tool"}, {"type": "function_call"}])


@pytest.mark.parametrize("message", [{}, {"content": "hi"}, {"role": None}])
def test_what_is_no_message_is_refused(message: dict[str, Any]) -> None:
    """Without a role or a type nobody can say what it is."""
    with pytest.raises(InputError, match="expected a message with a role or a type"):
        detect_form(message)


def test_a_message_that_is_no_object_is_refused() -> None:
    """A list of strings is no list of messages."""
    with pytest.raises(InputError, match="expected an object at the message, got a string"):
        detect_forms(["hi"])  # type: ignore[list-item]


@pytest.mark.parametrize(
    "item",
    [
        Opaque(form="chat", kind="x", body="{"),
        Opaque(form="chat", kind="x", body="[]"),
        Message(role="user", extra="NaN"),
    ],
)
def test_an_item_whose_json_is_broken_is_refused(item: Opaque | Message) -> None:
    """Items that callers build by hand are checked when they are written."""
    with pytest.raises(InputError, match="expected"):
        render([item], "chat")


@pytest.mark.parametrize("mark", [{"cache_control": {"type": "ephemeral"}}, {"citations": []}])
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_marked_text_of_anthropics_keeps_its_marks(role: str, mark: dict[str, Any]) -> None:
    """A lone message of texts with cache marks or citations is Anthropic's, and comes back with them."""
    message = {"role": role, "content": [{"type": "text", "text": "a", **mark}, {"type": "text", "text": "b"}]}
    assert render(to_items(message), "anthropic") == [message]


def test_a_chat_conversation_may_carry_cache_marks() -> None:
    """Gateways take cache marks in chat form: messages that are certainly chat decide for the list."""
    marked = {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}
    assert detect_forms([marked, {"role": "tool", "tool_call_id": "c", "content": "x"}]) == "chat"
    assert detect_forms([marked, {"role": "assistant", "content": "x"}]) == "anthropic"
    assert detect_form({**marked, "role": "system"}) == "chat"
