"""Laws of requests: whatever the history, its messages are such that a provider takes them."""

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.logs import HandClock
from tests.laws.settings import law
from tests.laws.stories import CHANGED, SAID, WORKED, Story, stories

from retold.client import Client
from retold.client.importing import import_transcript, read_lines
from retold.events import Form, Item, Message, Reasoning, Text, ToolCall, ToolResult
from retold.fold import history_of
from retold.formats import complete, render, to_items
from retold.log import MemoryLog
from retold.policy.bonds import atoms
from retold.replay import history_at

_SESSION = Path("/work/shared/data/claude-code")
_IDS = st.sampled_from(["a", "b", "c"])
_GROUPS = st.none() | st.sampled_from(["m1", "m2", "m3#2"])
_ITEMS: st.SearchStrategy[list[Item]] = st.lists(
    st.one_of(
        st.builds(Message, role=st.sampled_from(["user", "assistant"]), content=st.just((Text("t"),)), group=_GROUPS),
        st.builds(ToolCall, call_id=_IDS, name=st.just("f"), arguments=st.just("{}"), group=_GROUPS),
        st.builds(ToolResult, call_id=_IDS, content=st.just((Text("r"),))),
        st.builds(Reasoning, text=st.just("hm"), form=st.just("anthropic"), body=st.just('{"type":"thinking"}')),
    ),
    max_size=12,
)


def _chat_turns(messages: Iterable[dict[str, Any]]) -> list[tuple[list[str], list[str]]]:
    """Return the calls of each message with the results that follow it before anything else."""
    turns: list[tuple[list[str], list[str]]] = []
    for message in messages:
        if message["role"] == "tool":
            turns[-1][1].append(message["tool_call_id"])
        else:
            turns.append(([call["id"] for call in message.get("tool_calls", [])], []))
    return turns


def _anthropic_turns(messages: Iterable[dict[str, Any]]) -> list[tuple[list[str], list[str]]]:
    turns: list[tuple[list[str], list[str]]] = [([], [])]
    for message in messages:
        blocks = message["content"] if isinstance(message["content"], list) else []
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        assert all(block["type"] == "tool_result" for block in blocks[: len(results)])
        turns[-1][1].extend(results)
        if not results or len(blocks) > len(results) or message["role"] == "assistant":
            turns.append(([block["id"] for block in blocks if block["type"] == "tool_use"], []))
        else:
            turns.append(([], []))
    return turns


def _is_sendable(messages: list[dict[str, Any]], form: Form) -> bool:
    """Return whether every call has one result directly after its message, but the last message's, which may wait."""
    turns = _chat_turns(messages) if form == "chat" else _anthropic_turns(messages)
    while turns and turns[-1] == ([], []):
        turns.pop()
    done = all(sorted(calls) == sorted(results) for calls, results in turns[:-1])
    return done and all(len(set(results)) == len(results) and set(results) <= set(calls) for calls, results in turns)


@law(300)
@given(_ITEMS, st.sampled_from(["chat", "anthropic"]))
def test_any_items_are_written_as_a_request_that_a_provider_takes(items: list[Item], form: Form) -> None:
    """However calls, results and words came to stand, each call I send has its one result directly after it."""
    messages = render(complete(items, form), form)
    assert _is_sendable(messages, form), json.dumps(messages)


@law(80)
@given(stories(*SAID, *CHANGED, *WORKED, at_most=50))
def test_any_session_is_written_as_a_request_that_a_provider_takes(story: Story) -> None:
    """Edited, rewound, compacted or as it came, a history can be sent to either provider."""
    history = history_of(story.context)
    for form in ("chat", "anthropic"):
        assert _is_sendable(history.as_form(form), form)


@pytest.mark.parametrize("form", ["chat", "anthropic"])
def test_nothing_that_was_said_is_lost_on_the_way(form: Form) -> None:
    """Putting results after their calls leaves out no call, no result and no word."""
    items: list[Item] = [
        ToolCall(call_id="a", name="f", arguments="{}", group="m1"),
        ToolResult(call_id="a", content=(Text("first"),)),
        Message(role="assistant", content=(Text("meanwhile"),)),
        ToolCall(call_id="b", name="f", arguments="{}", group="m1"),
        ToolResult(call_id="b", content=(Text("second"),)),
        ToolResult(call_id="a", content=(Text("again"),)),
    ]
    written = json.dumps(render(complete(items, form), form))
    for said in ("first", "meanwhile", "second", "again"):
        assert said in written


def test_a_message_between_parallel_calls_does_not_part_them_from_their_results() -> None:
    """Responses items that call, speak, call and then answer both are written so that chat and Anthropic take them."""
    words: list[Item] = [
        ToolCall(call_id="a", name="f", arguments="{}"),
        Message(role="assistant", content=(Text("meanwhile"),)),
        ToolCall(call_id="b", name="f", arguments="{}"),
        ToolResult(call_id="a", content=(Text("ra"),)),
        ToolResult(call_id="b", content=(Text("rb"),)),
    ]
    assert _is_sendable(render(words, "chat"), "chat")
    assert _is_sendable(render(words, "anthropic"), "anthropic")
    assert len(render(words, "responses")) == 5


@pytest.mark.parametrize("form", ["chat", "responses", "anthropic"])
def test_a_call_that_was_left_without_a_result_is_answered_once_something_follows(form: Form) -> None:
    """After a rewind into a call my next message can be sent; while a call still waits, nothing is made up."""
    call = ToolCall(call_id="a", name="f", arguments="{}")
    after = Message(role="user", content=(Text("next"),))
    assert "no result was recorded" in json.dumps(render(complete([call, after], form), form))
    assert "no result was recorded" not in json.dumps(render(complete([after, call], form), form))


def test_an_identical_message_is_a_second_message() -> None:
    """Two neighbouring messages with the same words and reasoning stay two."""
    chat = {"role": "assistant", "content": "x", "reasoning_content": "r"}
    blocks = [{"type": "text", "text": "same"}, {"type": "thinking", "thinking": "t", "signature": "s"}]
    anthropic = {"role": "assistant", "content": blocks}
    assert render([*to_items(chat, form="chat")] * 2, "chat") == [chat] * 2
    assert render([*to_items(anthropic, form="anthropic")] * 2, "anthropic") == [anthropic] * 2


def test_the_same_call_made_twice_under_one_id_stays_two_calls() -> None:
    """A provider that numbers its calls anew in each response is understood."""
    call = {"id": "call_0", "type": "function", "function": {"name": "poll", "arguments": "{}"}}
    asked: dict[str, Any] = {"role": "assistant", "content": "…", "tool_calls": [call]}
    messages = [asked, {"role": "tool", "tool_call_id": "call_0", "content": "not yet"}] * 3
    items = [item for message in messages for item in to_items(message, form="chat")]
    assert render(items, "chat") == messages


@pytest.mark.skipif(not _SESSION.is_dir(), reason="no transcripts here")
def test_a_real_session_that_answers_between_the_calls_of_one_response_can_be_sent() -> None:
    """Claude Code writes call, result, call, result under one message id: they are one response, and stay together."""
    path = next(_SESSION.rglob("45ba035c-93ee-46e8-b83c-9d8a3a1cb05b.jsonl"))

    async def run() -> None:
        log = MemoryLog()
        (report, *_) = await import_transcript(Client(log, HandClock()), read_lines(path), name=path.name)
        assert report.session is not None
        history = await history_at(log, report.session)
        assert _is_sendable(history.as_chat(), "chat")
        assert _is_sendable(history.as_anthropic(), "anthropic")
        together = {at: number for number, atom in enumerate(atoms(history.entries)) for at in atom}
        first: dict[str, int] = {}
        for at, item in enumerate(history.items):
            if item.group is not None:
                assert together[first.setdefault(item.group, at)] == together[at]

    asyncio.run(run())
