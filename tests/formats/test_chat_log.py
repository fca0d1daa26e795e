"""Stored messages: lines, lists, conversations."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from retold.events.items import Item, Message, Text, ToolCall, ToolResult
from retold.formats import Imported
from retold.formats.chat_log import UNDECIDED_MAX
from retold.formats.sessions import session_name

Import = Callable[..., list[Imported]]
Items = Callable[[list[Imported]], list[Item]]
Told = Callable[[list[Imported]], list[tuple[int, str]]]
Starts = Callable[[list[Imported]], list[tuple[str, str]]]

_HI = {"role": "user", "content": "hi"}
_TOOL = {"role": "tool", "tool_call_id": "a", "content": "x"}


def _file(value: Any, indent: int | None = None) -> bytes:
    return json.dumps(value, indent=indent).encode()


def test_messages_one_a_line_are_one_session(import_records: Import, items_of: Items, starts_of: Starts) -> None:
    """A log of messages is named for its file."""
    imported = import_records(_HI, {"role": "assistant", "content": "hello"}, name="dir/my-log.jsonl")
    assert starts_of(imported) == [("my-log", "chat")]
    assert len(items_of(imported)) == 2


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("wrap", [lambda messages: messages, lambda messages: {"messages": messages}])
def test_a_document_holds_a_conversation(
    import_bytes: Import, items_of: Items, starts_of: Starts, indent: int | None, wrap: Callable[[Any], Any]
) -> None:
    """A list of messages, bare or in a request body, on one line or on many, is one session."""
    imported = import_bytes(_file(wrap([_HI, _TOOL]), indent), name="a.json")
    assert starts_of(imported) == [("a", "chat")]
    assert items_of(imported) == [
        Message(role="user", content=(Text("hi"),)),
        ToolResult(call_id="a", content=(Text("x"),)),
    ]


def test_conversations_one_a_line_are_sessions(import_records: Import, starts_of: Starts) -> None:
    """Each line of a fine-tuning file is a session; those without an id are told apart by number."""
    imported = import_records({"messages": [_HI]}, {"messages": [_HI]}, {"id": "x", "messages": [_HI]}, name="f.jsonl")
    assert [name for name, _ in starts_of(imported)] == ["f", "f-2", "f-x"]


def test_a_list_of_tasks_gives_a_session_each(import_bytes: Import, starts_of: Starts, items_of: Items) -> None:
    """Benchmarks store one trajectory a task and trial."""
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    trajectory = [_HI, {"role": "assistant", "content": None, "tool_calls": [call]}, _TOOL]
    tasks = [{"task_id": 2, "trial": trial, "traj": trajectory} for trial in (0, 1)]
    imported = import_bytes(_file(tasks), name="tau.json")
    assert starts_of(imported) == [("tau-2-0", "chat"), ("tau-2-1", "chat")]
    assert sum(isinstance(item, ToolCall) for item in items_of(imported)) == 2


def test_a_request_body_keeps_its_system_prompt(import_bytes: Import, items_of: Items, starts_of: Starts) -> None:
    """Anthropic's system parameter is the first message of the session."""
    thinking = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "x"}]}
    imported = import_bytes(_file({"model": "m", "system": "be kind", "messages": [_HI, thinking]}))
    assert starts_of(imported)[0][1] == "anthropic"
    assert items_of(imported)[0] == Message(role="system", content=(Text("be kind"),))


def test_a_responses_request_is_read(import_bytes: Import, items_of: Items, starts_of: Starts) -> None:
    """Its instructions are the developer's word, its input the items."""
    body = {"instructions": "be brief", "input": [_HI, {"type": "compaction", "encrypted_content": "x"}]}
    imported = import_bytes(_file(body))
    assert starts_of(imported)[0][1] == "responses"
    assert [type(item).__name__ for item in items_of(imported)] == ["Message", "Message", "Opaque"]


def test_the_form_shows_late_and_decides_for_all(import_records: Import, starts_of: Starts) -> None:
    """Plain messages before the first tool call are of the form that the call shows."""
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": {}}]}
    assert starts_of(import_records(*[_HI] * 50, use))[0][1] == "anthropic"


def test_what_never_shows_its_form_is_chat(import_records: Import, starts_of: Starts, items_of: Items) -> None:
    """Only so many messages are held to find out."""
    imported = import_records(*[_HI] * (UNDECIDED_MAX + 1), {"type": "function_call", "call_id": "a"})
    assert starts_of(imported)[0][1] == "chat"
    assert len(items_of(imported)) == UNDECIDED_MAX + 1


def test_a_bad_message_is_named_by_its_place(import_bytes: Import, errors_of: Told, items_of: Items) -> None:
    """In a document, the path says which message is wrong; the others are imported."""
    wrong = {"role": "user", "content": [{"type": "text", "text": 3}]}
    imported = import_bytes(_file({"messages": [_HI, wrong, "s3cret", _HI]}, 1))
    assert errors_of(imported) == [
        (1, "[1]: expected a string at content[0].text, got a number"),
        (1, "expected a message at [2], got a string"),
    ]
    assert len(items_of(imported)) == 2


def test_a_conversation_among_others_that_holds_none_is_an_error(import_records: Import, errors_of: Told) -> None:
    """One bad line does not cost the others."""
    imported = import_records({"messages": [_HI]}, {"n": 1}, {"messages": [_HI]})
    assert [line for line, _ in errors_of(imported)] == [2]


def test_swe_agents_list_of_one_call_id_is_understood(import_records: Import, items_of: Items) -> None:
    """SWE-agent writes the id of a result's call in a list."""
    imported = import_records({"role": "tool", "content": "x", "tool_call_ids": ["a"]})
    (result,) = items_of(imported)
    assert isinstance(result, ToolResult)
    assert result.call_id == "a"


def test_session_names_are_safe_short_and_distinct() -> None:
    """A name is a token of a subject: no dots, no spaces, at most 128 characters; long names keep apart."""
    assert session_name("a", "", "b=c") == "a-b=c"
    assert session_name("a b.c", "", "é").startswith("a_b_c-_-")
    names = [session_name(stem) for stem in ("日本", "中文", "é", "_", "x y", "x_y", "x.y", "\udcff", "\udcfe")]
    assert len(set(names)) == len(names)
    assert all(set(name) <= set("_xy-0123456789abcdef") for name in names)
    one, other = session_name("x" * 200 + "1"), session_name("x" * 200 + "2")
    assert len(one) == len(other) == 128
    assert one != other
    assert session_name("") == "session"


def test_a_bad_line_between_conversations_costs_one_line(import_bytes: Import, errors_of: Told) -> None:
    """The sessions around a malformed line are imported."""
    line = _file({"messages": [_HI]}) + b"\n"
    imported = import_bytes(line + b"{\n" + line, name="f")
    assert [number for number, _ in errors_of(imported)] == [2]


def test_a_bad_element_of_a_list_is_named_by_its_place(import_bytes: Import, errors_of: Told) -> None:
    """A list of messages may hold something else; the others are imported."""
    assert errors_of(import_bytes(_file([_HI, 7]))) == [(1, "expected an object at [1], got a number")]


def test_messages_without_a_type_or_role_field_are_named(import_bytes: Import, errors_of: Told) -> None:
    """A list of messages that starts with something else is no conversation."""
    ((line, reason),) = errors_of(import_bytes(_file({"messages": ["s3cret"]})))
    assert line == 1
    assert "no known kind" in reason
