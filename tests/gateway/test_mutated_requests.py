"""Whatever a client sends, it is answered: never with a 500, and always in its own form."""

import asyncio
import copy
import json
import os
import random
from typing import Any

import httpx2
import pytest
from tests.gateway.running import gateway
from tests.gateway.test_compactions import CONVERSATION

from retold.events import Form

MUTATIONS = int(os.environ.get("RETOLD_HTTP_MUTATIONS", "150"))

_FUNCTION = {"name": "f", "description": "F.", "parameters": {"type": "object"}}
_REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/responses": {
        "model": "m",
        "instructions": "Be brief.",
        "input": CONVERSATION,
        "tools": [{"type": "function", **_FUNCTION}, {"type": "custom", "name": "g"}],
        "tool_choice": {"type": "function", "name": "f"},
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
    },
    "/v1/responses/compact": {"model": "m", "input": CONVERSATION, "instructions": "Be brief."},
    "/v1/chat/completions": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Why?"}]},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "FAILED"},
        ],
        "tools": [{"type": "function", "function": _FUNCTION}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "stop": ["x"],
    },
    "/v1/messages": {
        "model": "m",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "FAILED"}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "thinking": {"type": "enabled", "budget_tokens": 2_000},
    },
}
_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e308,
    2**70,
    "",
    "x" * 999,
    "\ud800",
    [],
    {},
    [[]],
    [None],
    {"type": 7},
    ["a"],
)


def _paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([at] if at else []), *(path for key, held in inner for path in _paths(held, (*at, key)))]


def _mutated(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    body = copy.deepcopy(body)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        path = chance.choice(_paths(body))
        held: Any = body
        for key in path[:-1]:
            held = held[key]
        if chance.random() < 0.25:
            del held[path[-1]]
        elif chance.random() < 0.2 and isinstance(held, list):
            held.append(held[path[-1]])
        else:
            held[path[-1]] = chance.choice(_VALUES)
    return body


@pytest.mark.slow
@pytest.mark.parametrize("form", ["responses", "chat", "anthropic"])
def test_no_request_makes_the_gateway_fail(form: Form) -> None:
    """A changed request is answered, or refused with a 4xx that says why; what is sent on is JSON."""

    async def run() -> None:
        chance = random.Random(11)
        async with gateway("calls", "ok", form=form) as (url, upstream), httpx2.AsyncClient(timeout=30) as client:
            for number in range(MUTATIONS):
                path = chance.choice(sorted(_REQUESTS))
                content = json.dumps(_mutated(_REQUESTS[path], chance))
                told = await client.post(f"{url}{path}", content=content)
                assert told.status_code < 500, (number, path, content, told.text)
                if told.status_code >= 400:
                    error = told.json()["error"]
                    assert error["message"], content
                    assert ("request_id" in told.json()) == (path == "/v1/messages")
            assert upstream.requests

    asyncio.run(run())
