"""The law of the formats: what is read from a message is written as the same message."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retold.events.items import Form
from retold.formats import render, to_items

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_OBJECT = st.dictionaries(_TEXT, _JSON, max_size=3)
_EXTRA = st.dictionaries(st.sampled_from(["x_one", "x_two"]), _JSON, max_size=2)


def _fields(required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> Any:
    """Return objects with the *required* fields, some of the *optional* ones, and fields that nobody knows."""
    known = st.fixed_dictionaries(required, optional=optional)
    return st.builds(lambda extra, held: {**extra, **held}, _EXTRA, known)


def _text_part(kind: str, **optional: st.SearchStrategy[Any]) -> Any:
    return _fields({"type": st.just(kind), "text": _TEXT}, **optional)


_CACHE = st.just({"type": "ephemeral"})

_CHAT_PART = _text_part("text") | _fields(
    {"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": _TEXT})}
)
_CHAT_CONTENT = _TEXT | st.lists(_CHAT_PART, max_size=3)
_CHAT_CALL = _fields(
    {
        "id": _TEXT,
        "type": st.just("function"),
        "function": _fields({"name": _TEXT, "arguments": _TEXT}),
    }
) | _fields({"id": _TEXT, "type": st.just("custom"), "custom": _fields({"name": _TEXT, "input": _TEXT})})
_CHAT = st.one_of(
    _fields(
        {"role": st.sampled_from(["system", "developer", "user"]), "content": _CHAT_CONTENT}, name=_TEXT | st.none()
    ),
    _fields(
        {"role": st.just("assistant"), "content": _CHAT_CONTENT | st.none()},
        tool_calls=st.lists(_CHAT_CALL, max_size=3) | st.none(),
        reasoning_content=_TEXT | st.none(),
        reasoning_details=st.lists(_OBJECT, max_size=2),
        refusal=st.none(),
        name=_TEXT,
    ),
    _fields(
        {"role": st.just("assistant"), "content": st.none()},
        function_call=_fields({"name": _TEXT, "arguments": _TEXT}),
    ),
    _fields(
        {"role": st.just("tool"), "tool_call_id": _TEXT, "content": _CHAT_CONTENT | st.none()},
        name=_TEXT,
    ),
    _fields({"role": st.just("function"), "name": _TEXT, "content": _TEXT}),
)

_RESPONSES_PART = (
    _text_part("input_text")
    | _text_part("output_text", annotations=st.lists(_OBJECT, max_size=1))
    | _fields({"type": st.just("input_image"), "image_url": _TEXT}, detail=_TEXT)
    | _fields({"type": st.just("refusal"), "refusal": _TEXT})
)
_RESPONSES_CONTENT = _TEXT | st.lists(_RESPONSES_PART, max_size=3)
_OUTPUT = _RESPONSES_CONTENT | _RESPONSES_PART | _fields({"content": _TEXT}, success=st.booleans())
_RESPONSES = st.one_of(
    _fields(
        {"role": st.sampled_from(["system", "developer", "user", "assistant"]), "content": _RESPONSES_CONTENT},
        type=st.just("message"),
        id=_TEXT,
        phase=_TEXT,
        status=_TEXT,
    ),
    _fields({"type": st.just("function_call"), "call_id": _TEXT, "name": _TEXT, "arguments": _TEXT}, id=_TEXT),
    _fields({"type": st.just("custom_tool_call"), "call_id": _TEXT, "name": _TEXT, "input": _TEXT}, status=_TEXT),
    _fields({"type": st.just("function_call_output"), "call_id": _TEXT, "output": _OUTPUT}, id=_TEXT),
    _fields({"type": st.just("custom_tool_call_output"), "call_id": _TEXT, "output": _OUTPUT}),
    _fields(
        {"type": st.just("reasoning"), "summary": st.lists(_text_part("summary_text"), max_size=2)},
        encrypted_content=_TEXT | st.none(),
        content=st.none(),
        id=_TEXT,
    ),
    _fields({"type": st.sampled_from(["compaction", "web_search_call", "of_tomorrow"])}, encrypted_content=_TEXT),
)

_BLOCK = st.one_of(
    _text_part("text", cache_control=_CACHE, citations=st.none()),
    _fields({"type": st.just("image"), "source": _OBJECT}),
    _fields({"type": st.just("document"), "source": _OBJECT}, title=_TEXT),
)
_TOOL_USE = _fields({"type": st.just("tool_use"), "id": _TEXT, "name": _TEXT, "input": _OBJECT}, caller=_OBJECT)
_THINKING = _fields({"type": st.just("thinking"), "thinking": _TEXT}, signature=_TEXT)
_REDACTED = _fields({"type": st.just("redacted_thinking"), "data": _TEXT})
_OPAQUE = _fields({"type": st.sampled_from(["compaction", "server_tool_use"])}, content=_TEXT)
_TOOL_RESULT = _fields(
    {"type": st.just("tool_result"), "tool_use_id": _TEXT},
    content=_TEXT | st.lists(_BLOCK, max_size=2) | st.none(),
    is_error=st.booleans(),
    cache_control=_CACHE,
)
_ANTHROPIC = st.one_of(
    _fields({"role": st.just("system"), "content": _TEXT | st.lists(_text_part("text"), max_size=2)}),
    _fields({"role": st.just("user"), "content": _TEXT | st.lists(_BLOCK | _TOOL_RESULT, max_size=4)}),
    _fields(
        {
            "role": st.just("assistant"),
            "content": _TEXT | st.lists(_BLOCK | _TOOL_USE | _THINKING | _REDACTED | _OPAQUE, max_size=4),
        },
        id=_TEXT,
        stop_reason=_TEXT,
        usage=_OBJECT,
    ),
)

_LAW = settings(derandomize=True, deadline=None, max_examples=150)


def _is_written_again(message: dict[str, Any], form: Form) -> None:
    items = to_items(message, form=form)
    assert render(items, form) == [message]
    assert {item.id for item in items} <= {""}
    assert len(items) == 1 or len({item.group for item in items} - {None}) == 1


@pytest.mark.slow
@_LAW
@given(_CHAT)
def test_a_chat_message_is_written_as_it_was_read(message: dict[str, Any]) -> None:
    """Whatever fields a Chat message has, known or not, writing its items gives the same message."""
    _is_written_again(message, "chat")


@pytest.mark.slow
@_LAW
@given(_RESPONSES)
def test_a_responses_item_is_written_as_it_was_read(message: dict[str, Any]) -> None:
    """Whatever fields a Responses item has, known or not, writing it gives the same item."""
    _is_written_again(message, "responses")


@pytest.mark.slow
@_LAW
@given(_ANTHROPIC)
def test_an_anthropic_message_is_written_as_it_was_read(message: dict[str, Any]) -> None:
    """Whatever blocks an Anthropic message has, in whatever order, writing its items gives the same message."""
    _is_written_again(message, "anthropic")


_ANY = st.one_of(
    st.tuples(st.just("chat"), _CHAT),
    st.tuples(st.just("responses"), _RESPONSES),
    st.tuples(st.just("anthropic"), _ANTHROPIC),
)


@pytest.mark.slow
@_LAW
@given(_ANY, st.sampled_from(["chat", "responses", "anthropic"]))
def test_every_item_can_be_written_in_every_form(source: tuple[Form, dict[str, Any]], form: Form) -> None:
    """Another form may leave something out, but writing in it never fails and gives JSON."""
    items = to_items(source[1], form=source[0])
    json.dumps(render(items, form), allow_nan=False).encode()


@pytest.mark.slow
@_LAW
@given(st.lists(_TEXT, min_size=1, max_size=3), _TEXT, st.sampled_from(["chat", "responses", "anthropic"]))
def test_calls_and_results_keep_their_text_through_every_form(ids: list[str], text: str, form: Form) -> None:
    """A call's id, name and arguments and its result's text are the same after a detour through another form."""
    calls = [
        {"id": one, "type": "function", "function": {"name": "look", "arguments": json.dumps({"at": text})}}
        for one in ids
    ]
    messages: list[dict[str, Any]] = [{"role": "assistant", "content": None, "tool_calls": calls}]
    messages += [{"role": "tool", "tool_call_id": one, "content": text} for one in ids]
    items = [item for message in messages for item in to_items(message, form="chat")]
    there = render(items, form)
    back = [item for message in there for item in to_items(message, form=form)]
    again = render(back, "chat")
    for call in again[0]["tool_calls"]:
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    for call in calls:
        call["function"]["arguments"] = {"at": text}  # type: ignore[index]
    assert again == messages
