"""Importing a transcript whose agent took turns back that a compaction had replaced."""

import asyncio
import json
from typing import Any

import pytest
from tests.laws.logs import HandClock

from retold.client import Client, import_transcript
from retold.events import session_key
from retold.fold import history_of
from retold.formats import split_lines
from retold.log import MemoryLog
from retold.replay import load, verify


def _record(kind: str, **payload: Any) -> dict[str, Any]:
    return {"timestamp": "2026-01-01T00:00:00Z", "type": kind, "payload": payload}


def _said(role: str, text: str) -> dict[str, Any]:
    kind = "input_text" if role == "user" else "output_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def _turn(text: str) -> list[dict[str, Any]]:
    asked = _record("response_item", **_said("user", text))
    return [
        asked,
        _record("event_msg", type="user_message", message=text),
        _record("response_item", **_said("assistant", "yes")),
    ]


def _rolled_back(num_turns: int) -> bytes:
    """Return a Codex transcript of two turns, a compaction that keeps both and adds a summary, a turn, a rollback."""
    history = [_said("user", text) for text in ("ask 0", "ask 1", "what was done")]
    records = [
        _record("session_meta", id="0198-a", timestamp="2026-01-01T00:00:00Z", cwd="/", cli_version="1"),
        *_turn("ask 0"),
        *_turn("ask 1"),
        _record("compacted", message="done", replacement_history=history),
        *_turn("ask 2"),
        _record("event_msg", type="thread_rolled_back", num_turns=num_turns),
    ]
    return "".join(json.dumps(record) + "\n" for record in records).encode()


@pytest.mark.parametrize(("num_turns", "left"), [(1, ["ask 0", "ask 1", "what was done"]), (3, ["ask 0"]), (4, [])])
def test_a_rollback_into_a_compacted_history_keeps_what_the_compaction_had_before(
    num_turns: int, left: list[str]
) -> None:
    """Taking back turns beyond a compaction does not bring back what the compaction had replaced."""

    async def run() -> None:
        log, key = MemoryLog(), session_key("s")
        for name in ("first", "again"):
            client = Client(log, HandClock(name))
            (report,) = await import_transcript(client, split_lines([_rolled_back(num_turns)]), name="a", session="s")
            assert report.ok
        assert report.appended == 0
        assert (await verify(log, key)).ok
        history = history_of(await load(log, key))
        assert [message["content"][0]["text"] for message in history.as_responses()] == left

    asyncio.run(run())
