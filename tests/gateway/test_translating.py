"""What is carried over from one form to another, and what comes back."""

import json
from typing import Any

import pytest

from retold.errors import InputError
from retold.events import Form
from retold.gateway.faults import Fault
from retold.gateway.translating import translation

_TOOLS: Any = [
    {"type": "function", "name": "read_file", "description": "Read.", "parameters": {"type": "object"}},
    {"type": "custom", "name": "apply_patch", "description": "Patch."},
    {"type": "namespace", "name": "mcp__git", "tools": [{"type": "function", "name": "log", "parameters": {}}]},
    {"type": "web_search"},
]
_INPUT: Any = [
    {"type": "message", "role": "developer", "content": "Never touch main."},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Mend it."}]},
    {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"},
    {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": "*** Begin"},
    {"type": "function_call", "call_id": "c2", "name": "log", "namespace": "mcp__git", "arguments": "{}"},
    {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"},
    {"type": "function_call_output", "call_id": "c2", "output": "none"},
    {"type": "message", "role": "developer", "content": "The time is up."},
]


def _way(body: Any, *, client: Form = "responses", upstream: Form = "chat") -> Any:
    return translation(body, client=client, upstream=upstream, reply_id="resp_1", created=1)


def test_codex_s_request_becomes_a_chat_request() -> None:
    """Instructions come first and as one; tools become functions; each call has its result directly after it."""
    body = {"model": "m", "instructions": "Be brief.", "input": _INPUT, "tools": _TOOLS, "stream": True}
    sent = _way({**body, "max_output_tokens": 9, "reasoning": {"effort": "low"}}).body
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool", "tool"]
    assert sent["messages"][0]["content"] == "Be brief.\n\nNever touch main.\n\nThe time is up."
    calls = [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in sent["messages"][2]["tool_calls"]
    ]
    assert calls == [("c1", "apply_patch", '{"input":"*** Begin"}'), ("c2", "mcp__git__log", "{}")]
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["read_file", "apply_patch", "mcp__git__log"]
    assert (sent["max_tokens"], sent["reasoning_effort"]) == (9, "low")
    assert sent["stream_options"] == {"include_usage": True}


def test_tools_that_stand_in_the_conversation_are_tools() -> None:
    """Codex lists them in an item where the model takes it so; another upstream is told them as tools."""
    listing = {"type": "additional_tools", "role": "developer", "tools": _TOOLS}
    sent = _way({"model": "m", "input": [listing, *_INPUT]}).body
    assert len(sent["tools"]) == 3


@pytest.mark.parametrize("upstream", ["chat", "anthropic"])
def test_calls_come_back_as_the_client_knows_its_tools(upstream: Form) -> None:
    """A custom tool gets its free text, a tool of a name space its own name."""
    way = _way({"model": "m", "input": _INPUT, "tools": _TOOLS}, upstream=upstream)
    patch: Any = {"input": "*** End"}
    if upstream == "chat":
        calls = [("c3", "apply_patch", patch), ("c4", "mcp__git__log", {})]
        functions = [
            {"id": one, "function": {"name": name, "arguments": json.dumps(given)}} for one, name, given in calls
        ]
        answer: Any = {
            "choices": [{"message": {"content": None, "tool_calls": functions}, "finish_reason": "tool_calls"}]
        }
    else:
        blocks = [("c3", "apply_patch", patch), ("c4", "mcp__git__log", {})]
        content = [{"type": "tool_use", "id": one, "name": name, "input": given} for one, name, given in blocks]
        answer = {"content": content, "stop_reason": "tool_use"}
    custom, function = way.whole(answer)["output"]
    assert (custom["type"], custom["name"], custom["input"]) == ("custom_tool_call", "apply_patch", "*** End")
    assert (function["type"], function["name"], function["namespace"]) == ("function_call", "log", "mcp__git")


@pytest.mark.parametrize("client", ["chat", "anthropic"])
def test_every_form_becomes_a_responses_request(client: Form) -> None:
    """Instructions, tools, choice and limits arrive; nothing is stored at the provider."""
    function = {"name": "f", "description": "F.", "parameters": {"type": "object"}}
    body: Any = {
        "chat": {
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
        },
        "anthropic": {
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [{"role": "user", "content": "Why?"}],
            "tools": [{"name": "f", "description": "F.", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "tool", "name": "f"},
        },
    }[client]
    sent = _way({"model": "m", "max_tokens": 9, **body}, client=client, upstream="responses").body
    assert sent["instructions"] == "Be brief."
    assert [item["role"] for item in sent["input"]] == ["user"]
    assert sent["tools"][0]["name"] == "f"
    assert sent["tool_choice"] == {"type": "function", "name": "f"}
    assert (sent["max_output_tokens"], sent["store"]) == (9, False)


def test_what_cannot_be_carried_over_is_refused() -> None:
    """A stored conversation, and a compaction that only its provider reads."""
    with pytest.raises(InputError, match="previous_response_id"):
        _way({"model": "m", "input": "Go on.", "previous_response_id": "r1"})
    with pytest.raises(Fault, match="does not open"):
        _way({"model": "m", "input": [{"type": "compaction", "encrypted_content": "gAAAA"}]})
