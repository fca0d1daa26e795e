"""The files that the OpenHands SDK keeps of a conversation: one JSON file an event, and the conversation's state.

Its package asks for Python 3.12, so they are written here as its source writes them: `events/event-00007-<id>.json`,
the fields of MessageEvent, ActionEvent, ObservationEvent and Condensation, those that are None left out, compact JSON.
An action's arguments stand twice, parsed and as the model wrote them, as there. Left out, in its favour: its log of
requests to the model, thoughts, risk and summary of an action, and what its own tools say beside a result's text.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from retold.cli.bench_changes import State
from retold.cli.bench_session import Message

_START: Final = datetime(2026, 1, 1, tzinfo=UTC)


def write_events(folder: Path, turns: Sequence[State], states: Sequence[State]) -> None:
    """Write into *folder* what each turn said, and a condensation wherever a state lost messages.

    *states* are those after each turn. A condensation names what left and carries the texts that came in its place.
    """
    (folder / "events").mkdir(parents=True)
    (folder / "base_state.json").write_bytes(_json({"id": str(UUID(int=0)), "execution_status": "idle"}))
    writer = _Writer(folder / "events")
    present: list[Message] = []
    for turn, state in zip(turns, states, strict=True):
        said = [*present, *turn]
        for message in turn:
            writer.write(_event(message), of=message)
        if list(state) != said:
            writer.condense([one for one in said if one not in state], [one for one in state if one not in said])
        present = list(state)


class _Writer:
    def __init__(self, events: Path) -> None:
        self._events = events
        self._number = 0
        self._ids: dict[str, str] = {}

    def write(self, fields: dict[str, Any], *, of: Message | None = None) -> None:
        """Write one event; remember it as that of message *of*."""
        number = str(UUID(int=self._number + (7 << 76), version=4))
        if of is not None:
            self._ids[json.dumps(of)] = number
        stamp = (_START + timedelta(seconds=self._number, microseconds=1)).replace(tzinfo=None).isoformat()
        name = f"event-{self._number:05d}-{number}.json"
        (self._events / name).write_bytes(_json({"id": number, "timestamp": stamp} | fields))
        self._number += 1

    def condense(self, gone: State, new: State) -> None:
        """Write that the messages *gone* left, and what stands for them."""
        ids = [self._ids[text] for text in map(json.dumps, gone) if text in self._ids]
        text = "\n".join(_said(message) for message in new)
        fields = {"forgotten_event_ids": ids, "summary": text, "summary_offset": 1, "llm_response_id": "x" * 36}
        self.write({"source": "environment"} | fields | {"kind": "Condensation"})


def _event(message: Message) -> dict[str, Any]:
    texts = [{"cache_prompt": False, "type": "text", "text": message["content"] or ""}]
    if message["role"] == "tool":
        named = {"tool_name": "run_tests", "tool_call_id": message["tool_call_id"]}
        held = {"content": texts, "is_error": False, "kind": "TerminalObservation"}
        link = {"action_id": str(UUID(int=0)), "kind": "ObservationEvent"}
        return {"source": "environment"} | named | {"observation": held} | link
    if message.get("tool_calls"):
        call = message["tool_calls"][0]
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        return {
            "source": "agent",
            "thought": [],
            "thinking_blocks": [],
            "action": json.loads(arguments) | {"kind": "TerminalAction"},
            "tool_name": name,
            "tool_call_id": call["id"],
            "tool_call": {"id": call["id"], "name": name, "arguments": arguments, "origin": "completion"},
            "llm_response_id": str(UUID(int=0)),
            "kind": "ActionEvent",
        }
    source = "user" if message["role"] == "user" else "agent"
    held = {"role": message["role"], "content": texts, "thinking_blocks": []}
    return {
        "source": source,
        "llm_message": held,
        "activated_skills": [],
        "extended_content": [],
        "kind": "MessageEvent",
    }


def _said(message: Message) -> str:
    calls = message.get("tool_calls") or ()
    return (message["content"] or "") + "".join(call["function"]["arguments"] for call in calls)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
