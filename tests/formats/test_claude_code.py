"""Transcripts of Claude Code."""

from collections.abc import Callable
from typing import Any

import pytest

from retold.events.facts import HistoryEdited, ItemAppended, UsageReported
from retold.events.items import Item, Message, Reasoning, Text, ToolCall, ToolResult, plain_text
from retold.formats import Happened, Imported, Start, claude_code

Import = Callable[..., list[Imported]]
Facts = Callable[[list[Imported]], list[Any]]
Items = Callable[[list[Imported]], list[Item]]
Told = Callable[[list[Imported]], list[tuple[int, str]]]
Starts = Callable[[list[Imported]], list[tuple[str, str]]]


def _user(uuid: str, content: Any, **more: Any) -> dict[str, Any]:
    return {
        "type": "user",
        "uuid": uuid,
        "sessionId": "s-1",
        "message": {"role": "user", "content": content},
        **more,
    }


def _block(uuid: str, message_id: str, block: dict[str, Any], *, output: int = 5, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 2, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 400}
    message = {
        "id": message_id,
        "role": "assistant",
        "model": "claude-x",
        "content": [block],
        "usage": usage | {"output_tokens": output},
    }
    return {"type": "assistant", "uuid": uuid, "sessionId": "s-1", "message": message, **more}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _use(call_id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "Bash", "input": {"command": "ls"}}


def _result(uuid: str, call_id: str) -> dict[str, Any]:
    return _user(uuid, [{"type": "tool_result", "tool_use_id": call_id, "content": "done"}], toolUseResult={"x": 1})


def _said(items: list[Item]) -> list[str]:
    return [plain_text(item.content) for item in items if isinstance(item, Message | ToolResult)]


_BOUNDARY = {"type": "system", "subtype": "compact_boundary", "uuid": "b", "sessionId": "s-1"}


def test_blocks_of_one_message_share_its_id_as_group(import_records: Import, items_of: Items) -> None:
    """Claude Code writes a line for each block; together they are one response."""
    imported = import_records(
        _user("1", "go"),
        _block("2", "msg_1", {"type": "thinking", "thinking": "hm", "signature": "Ep=="}),
        _block("3", "msg_1", _text("I look")),
        _block("4", "msg_1", _use("a")),
        _result("5", "a"),
    )
    items = items_of(imported)
    assert [type(item) for item in items] == [Message, Reasoning, Message, ToolCall, ToolResult]
    assert [item.group for item in items] == [None, "msg_1", "msg_1", "msg_1", None]


def test_usage_is_reported_once_for_each_message(import_records: Import, facts_of: Facts) -> None:
    """Its repeats on every line must not be summed; the last line knows how much the model wrote."""
    imported = import_records(
        _user("1", "go"),
        _block("2", "msg_1", _text("a"), output=1),
        _block("3", "msg_1", _use("a"), output=7),
        _result("4", "a"),
        _block("5", "msg_1", _use("b"), output=7),
        _block("6", "msg_2", _text("b"), output=9),
    )
    usages = [fact for fact in facts_of(imported) if isinstance(fact, UsageReported)]
    assert usages == [
        UsageReported(input_tokens=432, output_tokens=7, cached_tokens=400, model="claude-x"),
        UsageReported(input_tokens=432, output_tokens=9, cached_tokens=400, model="claude-x"),
    ]
    kinds = [type(fact) for fact in facts_of(imported)]
    assert kinds[:5] == [ItemAppended, ItemAppended, ItemAppended, UsageReported, ItemAppended]


def test_the_summary_of_a_compaction_replaces_everything(import_records: Import, facts_of: Facts) -> None:
    """From then on Claude Code sends the summary in place of what came before."""
    imported = import_records(
        _user("1", "old"),
        _BOUNDARY,
        _user("2", "the summary", isCompactSummary=True, isVisibleInTranscriptOnly=True),
        _user("3", "new"),
    )
    edited = facts_of(imported)[1]
    assert edited == HistoryEdited(
        items=(Message(role="user", content=(Text("the summary"),)),), reason="compacted by claude code"
    )


def test_a_compaction_keeps_its_preserved_segment(import_records: Import, facts_of: Facts) -> None:
    """What the boundary preserves stays after the summary: only what came before it is replaced."""
    metadata = {"preservedSegment": {"headUuid": "3", "anchorUuid": "b", "tailUuid": "3"}}
    imported = import_records(
        _user("1", "old"),
        _user("2", [_text("older"), {"type": "tool_result", "tool_use_id": "x"}]),
        _user("3", "kept"),
        {**_BOUNDARY, "compactMetadata": metadata},
        _user("4", "the summary", isCompactSummary=True),
    )
    edited = facts_of(imported)[-1]
    assert (edited.first, edited.last) == (None, "i3")


def test_a_segment_that_cannot_be_found_is_noted(import_records: Import, facts_of: Facts, notes_of: Told) -> None:
    """A boundary may name a record that the file no longer holds; then the summary replaces everything, with a note."""
    imported = import_records(
        _user("1", "old"),
        {**_BOUNDARY, "compactMetadata": {"preservedSegment": {"headUuid": "gone"}}},
        _user("2", "the summary", isCompactSummary=True),
    )
    assert facts_of(imported)[-1].last is None
    assert [line for line, _ in notes_of(imported)] == [3]


def test_a_microcompaction_is_noted_and_changes_nothing(
    import_records: Import, items_of: Items, notes_of: Told
) -> None:
    """Old results were cleared in words that the transcript does not hold."""
    imported = import_records(_user("1", "a"), {"type": "system", "subtype": "microcompact_boundary", "sessionId": "s"})
    assert len(items_of(imported)) == 1
    assert "microcompaction" in notes_of(imported)[0][1]


def test_sidechains_are_sessions_of_their_own(import_records: Import, starts_of: Starts) -> None:
    """A subagent's words are never part of its parent's history; each session starts once."""
    imported = import_records(
        _user("1", "main"),
        _user("2", "side a", isSidechain=True, agentId="a1"),
        _user("3", "main again"),
        _user("4", "side b", isSidechain=True, parentUuid=None),
        _user("5", "side b again", isSidechain=True, parentUuid="4"),
        _user("6", "side a again", isSidechain=True, agentId="a1"),
    )
    assert starts_of(imported) == [("s-1", "claude-code"), ("s-1-a1", "claude-code"), ("s-1-4", "claude-code")]
    told: dict[str, list[str]] = {}
    for one in imported:
        if isinstance(one, Start):
            said = told.setdefault(one.session, [])
        elif isinstance(one, Happened) and isinstance(one.fact, ItemAppended):
            said += _said([one.fact.item])
    assert told == {
        "s-1": ["main", "main again"],
        "s-1-a1": ["side a", "side a again"],
        "s-1-4": ["side b", "side b again"],
    }


def test_too_much_of_other_agents_is_an_error(
    import_records: Import, errors_of: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held for sidechains has a limit, and going over it is said, line by line."""
    monkeypatch.setattr(claude_code, "HELD_FACTS_MAX", 1)
    side = [_user(str(n), "side", isSidechain=True, agentId="a") for n in range(2, 5)]
    imported = import_records(_user("1", "main"), *side)
    assert [line for line, _ in errors_of(imported)] == [3, 4]


def test_meta_messages_are_sent_to_the_model_and_imported(import_records: Import, items_of: Items) -> None:
    """Caveats and skill texts are part of what the model read."""
    assert len(items_of(import_records(_user("1", "caveat", isMeta=True)))) == 1


def test_what_is_shown_only_is_not_imported(import_records: Import, items_of: Items, notes_of: Told) -> None:
    """Errors of the API and messages for the transcript were never sent to the model."""
    imported = import_records(
        _user("1", "a"),
        _block("2", "m", _text("API Error"), isApiErrorMessage=True),
        _user("3", "shown", isVisibleInTranscriptOnly=True),
        {"type": "progress", "uuid": "4", "data": {}},
        {"type": "summary", "summary": "x", "leafUuid": "1"},
        {"type": "system", "subtype": "turn_duration", "uuid": "5"},
    )
    assert _said(items_of(imported)) == ["a"]
    assert [line for line, _ in notes_of(imported)] == [2, 3]


def test_attachments_are_noted_once_a_type(import_records: Import, items_of: Items, notes_of: Told) -> None:
    """How a reminder was worded to the model is not in the file, so it is not made up."""
    reminder = {"type": "attachment", "uuid": "r", "attachment": {"type": "todo_reminder", "content": []}}
    imported = import_records(_user("1", "a"), reminder, reminder, {**reminder, "attachment": {"type": "file"}})
    assert len(items_of(imported)) == 1
    assert [line for line, _ in notes_of(imported)] == [2, 4]


def test_what_the_user_typed_meanwhile_is_a_message(import_records: Import, items_of: Items) -> None:
    """A queued command reaches the model between two tool calls; it is the user's word."""
    queued = {"type": "attachment", "uuid": "2", "attachment": {"type": "queued_command", "prompt": "stop"}}
    assert _said(items_of(import_records(_user("1", "a"), queued))) == ["a", "stop"]


def test_a_branch_is_imported_and_a_copy_is_not(import_records: Import, items_of: Items, notes_of: Told) -> None:
    """An abandoned branch was a real exchange; a record that a resume wrote again was not."""
    imported = import_records(
        _user("1", "a"),
        _user("2", "first try", parentUuid="1"),
        _user("3", "second try", parentUuid="1"),
        _user("3", "second try", parentUuid="1"),
    )
    assert _said(items_of(imported)) == ["a", "first try", "second try"]
    assert [line for line, _ in notes_of(imported)] == [4]


def test_bookkeeping_of_a_message_is_no_part_of_its_items(import_records: Import, items_of: Items) -> None:
    """The id, the model and the usage of a response are not sent back to the API."""
    (item,) = items_of(import_records(_block("1", "msg_1", _text("hi"))))
    assert item == Message(
        role="assistant", content=(Text("hi"),), group="msg_1", extra='{"anthropic":{"content":"parts"}}'
    )


def test_bad_records_are_named_and_the_rest_is_imported(
    import_records: Import, items_of: Items, errors_of: Told
) -> None:
    """An unknown type, a message that is none and a call without an id each give one error on their line."""
    imported = import_records(
        _user("1", "a"),
        {"type": "of-tomorrow", "uuid": "2"},
        {"type": "s3cret text with spaces", "uuid": "3"},
        {"type": "user", "uuid": "4", "message": "s3cret"},
        _block("5", "m", {"type": "tool_use", "name": "s3cret", "input": {}}),
        _user("6", "b"),
    )
    errors = errors_of(imported)
    assert [line for line, _ in errors] == [2, 3, 4, 5]
    assert "'of-tomorrow'" in errors[0][1]
    assert "at content[0].id, got nothing" in errors[3][1]
    assert "s3cret" not in str(errors)
    assert _said(items_of(imported)) == ["a", "b"]


def test_a_file_of_bookkeeping_only_says_that_it_holds_no_messages(
    import_records: Import, starts_of: Starts, notes_of: Told
) -> None:
    """Claude Code leaves such files; they are no error and no session."""
    imported = import_records({"type": "summary", "summary": "x", "leafUuid": "1"})
    assert starts_of(imported) == []
    assert notes_of(imported) == [(1, "the transcript holds no messages")]


def test_an_export_with_loglines_is_read_too(import_bytes: Import, starts_of: Starts, items_of: Items) -> None:
    """Claude Code on the web exports its records in one JSON document."""
    body = b'{\n "loglines": [\n  {"type": "user", "message": {"role": "user", "content": "hi"}}\n ]\n}\n'
    imported = import_bytes(body, name="web-export.json")
    assert starts_of(imported) == [("web-export", "claude-code")]
    assert _said(items_of(imported)) == ["hi"]


def test_a_second_compaction_counts_the_first_summary(import_records: Import, facts_of: Facts) -> None:
    """Items are numbered as the log numbers them: a summary is one of them."""
    metadata = {"preservedSegment": {"headUuid": "4"}}
    imported = import_records(
        _user("1", "old"),
        _user("2", "first summary", isCompactSummary=True),
        _user("3", "middle"),
        _user("4", "kept"),
        {**_BOUNDARY, "compactMetadata": metadata},
        _user("5", "second summary", isCompactSummary=True),
    )
    assert facts_of(imported)[-1].last == "i3"


def test_a_message_without_usage_reports_none(import_records: Import, facts_of: Facts) -> None:
    """Synthetic messages cost nothing, and nothing is made up."""
    message = {"id": "m", "role": "assistant", "content": [_text("No response requested.")]}
    imported = import_records({"type": "assistant", "uuid": "1", "message": message})
    assert [type(fact) for fact in facts_of(imported)] == [ItemAppended]
