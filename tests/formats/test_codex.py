"""Rollouts of the Codex CLI."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from retold.events.facts import HistoryEdited, ItemAppended, UsageReported
from retold.events.items import Item, Message, Opaque, Reasoning, Text, ToolCall, ToolResult, plain_text
from retold.formats import Imported, Start
from retold.formats.codex import LEGACY_USER_BYTES

Import = Callable[..., list[Imported]]
Facts = Callable[[list[Imported]], list[Any]]
Items = Callable[[list[Imported]], list[Item]]
Told = Callable[[list[Imported]], list[tuple[int, str]]]


def _record(kind: str, **payload: Any) -> dict[str, Any]:
    return {"timestamp": "2026-01-01T00:00:00Z", "type": kind, "payload": payload}


def _meta(session: str = "s-1") -> dict[str, Any]:
    return _record("session_meta", id=session)


def _said(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def _item(**payload: Any) -> dict[str, Any]:
    return _record("response_item", **payload)


def _call(call_id: str) -> dict[str, Any]:
    return _item(type="function_call", call_id=call_id, name="exec_command", arguments="{}")


def _output(call_id: str) -> dict[str, Any]:
    return _item(type="function_call_output", call_id=call_id, output="done")


def _usage(tokens: int, **more: Any) -> dict[str, Any]:
    last = {"input_tokens": tokens, "cached_input_tokens": 3, "output_tokens": 2, "total_tokens": tokens + 2}
    return _record("event_msg", type="token_count", info={"last_token_usage": last, "total_token_usage": more or last})


def _texts(items: tuple[Item, ...]) -> list[str]:
    return [plain_text(item.content) for item in items if isinstance(item, Message)]


def test_only_response_items_are_the_models_context(import_records: Import, items_of: Items, errors_of: Told) -> None:
    """The events that repeat them for the screen are passed over in silence."""
    imported = import_records(
        _meta(),
        _record("turn_context", model="gpt-x"),
        _record("event_msg", type="user_message", message="hi"),
        _item(**_said("user", "hi")),
        _record("event_msg", type="agent_message", message="hello"),
        _item(**_said("assistant", "hello")),
        _record("world_state", full=True),
        _item(type="ghost_snapshot", ghost_commit={}),
    )
    assert items_of(imported) == [
        Message(role="user", content=(Text("hi"),)),
        Message(role="assistant", content=(Text("hello"),)),
    ]
    assert errors_of(imported) == []


def test_the_first_session_meta_names_the_session(import_records: Import) -> None:
    """A resumed or forked rollout holds several; it is still one session."""
    imported = import_records(_meta("s-1"), _meta("s-2"), _item(**_said("user", "hi")))
    assert [one for one in imported if isinstance(one, Start)] == [Start("s-1", "codex")]


def test_a_rollout_without_session_meta_is_named_for_its_file(import_records: Import) -> None:
    """A file whose head was cut off is imported under its own name."""
    imported = import_records(_item(**_said("user", "hi")), name="/home/me/rollout-7.jsonl")
    assert imported[0] == Start("rollout-7", "codex")


def test_items_of_one_response_share_a_group(import_records: Import, items_of: Items) -> None:
    """Reasoning, text and parallel calls stay together; a response of one item needs no group."""
    reasoning = {"type": "reasoning", "summary": [], "encrypted_content": "x"}
    imported = import_records(
        _meta(), _item(**reasoning), _call("a"), _call("b"), _output("a"), _output("b"), _call("c"), _output("c")
    )
    groups = [item.group for item in items_of(imported)]
    assert groups == ["response-2", "response-2", "response-2", None, None, None, None]
    kinds = [type(item) for item in items_of(imported)]
    assert kinds[:4] == [Reasoning, ToolCall, ToolCall, ToolResult]


def test_a_token_count_ends_a_response(import_records: Import, items_of: Items) -> None:
    """Two responses without a result between them are still two."""
    imported = import_records(_meta(), _item(**_said("assistant", "a")), _usage(10), _item(**_said("assistant", "b")))
    assert [item.group for item in items_of(imported)] == [None, None]


def test_the_last_item_of_a_file_is_imported(import_records: Import, items_of: Items) -> None:
    """A session that ends on a call that never got its result keeps the call."""
    imported = import_records(_meta(), _item(**_said("user", "go")), _call("a"))
    assert isinstance(items_of(imported)[-1], ToolCall)


def test_hosted_tool_calls_are_opaque(import_records: Import, items_of: Items) -> None:
    """What only OpenAI's own tools read is kept as it came."""
    imported = import_records(_meta(), _item(type="web_search_call", status="completed"))
    (opaque,) = items_of(imported)
    assert isinstance(opaque, Opaque)
    assert json.loads(opaque.body) == {"type": "web_search_call", "status": "completed"}


def test_a_compaction_replaces_everything_before_it(import_records: Import, facts_of: Facts) -> None:
    """The replacement history is what Codex sent from then on."""
    summary = {"type": "compaction", "encrypted_content": "gAAA"}
    imported = import_records(
        _meta(),
        _item(**_said("user", "old")),
        _record("compacted", message="", replacement_history=[_said("user", "kept"), summary]),
        _item(**_said("user", "new")),
    )
    edited = facts_of(imported)[1]
    assert isinstance(edited, HistoryEdited)
    assert (edited.first, edited.last, edited.reason) == (None, None, "compacted by codex")
    assert _texts(edited.items) == ["kept"]
    assert isinstance(edited.items[1], Opaque)


def test_a_legacy_compaction_is_rebuilt_from_the_users_messages(import_records: Import, facts_of: Facts) -> None:
    """Old rollouts hold the summary only; Codex put the user's own messages before it, newest within a budget."""
    old, new = "o" * LEGACY_USER_BYTES, "new"
    imported = import_records(
        _meta(),
        _item(**_said("user", "<environment_context>cwd</environment_context>")),
        _item(**_said("user", old)),
        _item(**_said("assistant", "answer")),
        _item(**_said("user", new)),
        _record("compacted", message="summary"),
    )
    edited = facts_of(imported)[-1]
    assert _texts(edited.items) == [new, "summary"]


def test_a_rollback_takes_the_last_turns_out_of_the_history(import_records: Import, facts_of: Facts) -> None:
    """Going back two turns cuts at the second last message that the user wrote."""
    imported = import_records(
        _meta(),
        _item(**_said("user", "one")),
        _item(**_said("assistant", "1")),
        _item(**_said("user", "two")),
        _item(**_said("user", "# AGENTS.md instructions for here")),
        _item(**_said("user", "three")),
        _record("event_msg", type="thread_rolled_back", num_turns=2),
    )
    assert facts_of(imported)[-1] == HistoryEdited(items=(), first="i3", reason="rolled back in codex")


def test_a_rollback_after_a_compaction_counts_the_replacement(import_records: Import, facts_of: Facts) -> None:
    """Items that a compaction put are numbered with the others, and its summary is no turn."""
    imported = import_records(
        _meta(),
        _item(**_said("user", "one")),
        _record("compacted", message="sum", replacement_history=[_said("user", "one"), _said("user", "sum")]),
        _record("event_msg", type="thread_rolled_back", num_turns=1),
    )
    assert facts_of(imported)[-1].first == "i2"


def test_usage_is_the_last_requests_and_is_reported_once(import_records: Import, facts_of: Facts) -> None:
    """Totals add up over requests, repeats are the same request, an estimate after a compaction is none."""
    imported = import_records(
        _meta(),
        _record("turn_context", model="gpt-x"),
        _record("event_msg", type="token_count", info=None),
        _usage(10),
        _usage(10),
        _usage(20),
        _usage(0, total_tokens=500),
    )
    assert facts_of(imported) == [
        UsageReported(input_tokens=10, output_tokens=2, cached_tokens=3, model="gpt-x"),
        UsageReported(input_tokens=20, output_tokens=2, cached_tokens=3, model="gpt-x"),
    ]


@pytest.mark.parametrize(
    "output",
    ["text", [{"type": "input_text", "text": "text"}], {"content": "text", "success": False}],
)
def test_an_output_may_be_a_string_a_list_or_an_object(import_records: Import, items_of: Items, output: Any) -> None:
    """Codex wrote results in three ways over time; each is text to the model."""
    imported = import_records(_meta(), _item(type="function_call_output", call_id="a", output=output))
    (result,) = items_of(imported)
    assert isinstance(result, ToolResult)
    assert plain_text(result.content) == "text"


def test_bad_records_are_named_and_the_rest_is_imported(
    import_records: Import, facts_of: Facts, errors_of: Told
) -> None:
    """An unknown type, a payload that is none and a call without arguments each give one error on their line."""
    imported = import_records(
        _meta(),
        _record("of_tomorrow"),
        {"type": "response_item", "payload": "s3cret"},
        _item(type="function_call", call_id="a", name="s3cret", arguments=None),
        _record("compacted", replacement_history=["s3cret", _said("user", "kept")]),
        _record("event_msg", type="thread_rolled_back", num_turns="s3cret"),
        _item(**_said("user", "hi")),
    )
    errors = errors_of(imported)
    assert [line for line, _ in errors] == [2, 3, 4, 5, 6]
    assert "'of_tomorrow'" in errors[0][1]
    assert "s3cret" not in str(errors)
    assert [type(fact) for fact in facts_of(imported)] == [HistoryEdited, ItemAppended]


def test_the_same_rollout_gives_the_same_facts(import_records: Import) -> None:
    """Importing again can be recognised, because nothing depends on when it happens."""
    records = [_meta(), _item(**_said("user", "hi")), _call("a"), _call("b"), _output("a"), _usage(5)]
    assert import_records(*records) == import_records(*records)


def test_a_rollback_before_any_turn_changes_nothing(import_records: Import, facts_of: Facts) -> None:
    """There is nothing to take back from a session in which the user said nothing yet."""
    assert facts_of(import_records(_meta(), _record("event_msg", type="thread_rolled_back", num_turns=1))) == []


def test_a_compaction_forgets_the_turns_before_it(import_records: Import, facts_of: Facts) -> None:
    """A rollback cuts at a turn that is still in the history, never at one that a compaction replaced."""
    imported = import_records(
        _meta(),
        _item(**_said("user", "one")),
        _record("compacted", message="", replacement_history=[_said("user", "kept")]),
        _record("event_msg", type="thread_rolled_back", num_turns=5),
    )
    assert facts_of(imported)[-1].first == "i2"


def test_a_message_between_agents_is_noted(import_records: Import, notes_of: Told) -> None:
    """How early Codex worded it to the model is not recorded."""
    imported = import_records(_meta(), _record("inter_agent_communication", content="s3cret"))
    assert [line for line, _ in notes_of(imported)] == [2]
