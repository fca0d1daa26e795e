"""Rollouts of the Codex CLI: JSON Lines of ``{"timestamp", "type", "payload"}``.

- The model's context is the `response_item` records; `event_msg` repeats them for the screen and is read only for
  `token_count` and `thread_rolled_back`.
- `session_meta` repeats on resume, and a fork copies its parent's: the first one names the session.
- A `compacted` record's `replacement_history` replaces everything before it. A legacy one without: the user's own
  messages since the compaction before, newest first within `LEGACY_USER_BYTES`, then the summary as a user message,
  as Codex rebuilt it (a message that does not fit ends the walk; the newest is always kept whole; images are not kept).
- `thread_rolled_back` takes the last user turns out of the history. They stay in the log.
- The rollout does not say which items one response produced. A run of reasoning, assistant's text and calls that no
  other context record or token count interrupts is one response here, and shares a group.
- Usage is `last_token_usage` (the totals add up over requests); what repeats the record before it, and the estimates
  that Codex writes after a compaction (input 0), are skipped.

A rollback names where it cuts as the fold does: the n-th item of a session, those of edits counted too, is ``i<n>``.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec.structs import replace

from retold.errors import InputError
from retold.events.facts import HistoryEdited, ItemAppended, UsageReported
from retold.events.items import Item, Message, Opaque, Text, ToolResult, plain_text
from retold.formats.lines import Happened, Imported, Problem, Record, Start
from retold.formats.responses import read_message
from retold.formats.sessions import session_name, shown, stem_of

RECORD_TYPES: Final = frozenset(
    {
        "session_meta",
        "response_item",
        "compacted",
        "event_msg",
        "turn_context",
        "world_state",
        "inter_agent_communication",
        "inter_agent_communication_metadata",
        "realtime_item",
        "retained_context",
        "security_risk_score",
        "token_usage_record",
    }
)
"""Every record that Codex is known to write (0.50 to 0.169)."""

LEGACY_USER_BYTES: Final = 80_000
"""Codex's 20,000 tokens for user messages, at its own estimate of 4 bytes each."""

_NOT_CONTEXT: Final = frozenset({"ghost_snapshot", "compaction_trigger", "other"})
"""Response items that Codex itself takes out before it sends the history."""
_INJECTED: Final = (
    "<environment_context>",
    "<user_instructions>",
    "# AGENTS.md instructions",
    "<turn_aborted>",
    "<INSTRUCTIONS>",
    "<skill>",
    "<subagent_notification>",
    "<user_shell_command>",
)
"""How user messages begin that Codex wrote itself; they are no turns of the user's."""


def injected_kind(message: Message) -> str:
    """Return how a *message* of the user's begins that Codex wrote itself; empty for what the user said."""
    text = plain_text(message.content)
    return next((start for start in _INJECTED if text.startswith(start)), "")


def read_codex(records: Iterable[Record | Problem], *, name: str) -> Iterator[Imported]:
    """Yield what happened in a Codex rollout, record by record.

    Holds one item, the names of the user's turns and, for legacy compactions, `LEGACY_USER_BYTES` of the user's words.
    """
    rollout = _Rollout(name)
    for record in records:
        yield from [record] if isinstance(record, Problem) else rollout.read(record)
    yield from rollout.release()


class _Rollout:
    """Follow one rollout: the session's name, the response that is being read, the user's turns, the last usage."""

    def __init__(self, name: str) -> None:
        self._name = stem_of(name)
        self._started = False
        self._count = 0
        self._held: Happened | None = None
        self._group: str | None = None
        self._turns: list[str] = []
        self._spoken: deque[Message] = deque()
        self._usage: Any = None
        self._model = ""

    def read(self, record: Record) -> Iterator[Imported]:
        """Yield what one record says."""
        kind = record.value.get("type") if isinstance(record.value, dict) else None
        payload = record.value.get("payload") if isinstance(record.value, dict) else None
        if kind not in RECORD_TYPES:
            yield Problem(record.line, f"expected a Codex record, got type {shown(kind)}")
        elif not isinstance(payload, dict):
            yield Problem(record.line, f"expected an object in the payload of {shown(kind)}")
        else:
            yield from self._read_payload(record.line, kind, payload)

    def _read_payload(self, line: int, kind: str, payload: dict[str, Any]) -> Iterator[Imported]:
        match kind:
            case "session_meta":
                yield from self._start(payload.get("id"))
            case "response_item":
                yield from self._append(line, payload)
            case "compacted":
                yield from self.release()
                yield from self._compact(line, payload)
            case "event_msg":
                yield from self._read_event(line, payload)
            case "turn_context":
                model = payload.get("model")
                self._model = model if isinstance(model, str) else self._model
            case "inter_agent_communication":
                reason = "a message between agents is not imported: its wording to the model is not recorded"
                yield Problem(line, reason, "note")
            case _:
                return

    def _start(self, own: Any) -> Iterator[Start]:
        if not self._started:
            self._started = True
            yield Start(session_name(own if isinstance(own, str) and own else self._name), "codex")

    def _append(self, line: int, payload: dict[str, Any]) -> Iterator[Imported]:
        yield from self._start(None)
        if payload.get("type") in _NOT_CONTEXT:
            return
        try:
            (item,) = read_message(payload)
        except InputError as error:
            yield Problem(line, str(error))
            return
        self._count += 1
        self._listen(item, f"i{self._count}")
        if _ends_response(item):
            yield from self.release()
            yield Happened(line, ItemAppended(item))
        else:
            yield from self._extend_response(line, item)

    def _extend_response(self, line: int, item: Item) -> Iterator[Imported]:
        """Hold the first item of a response back until it is known whether a second shares its group."""
        if self._group is None:
            self._group = f"response-{line}"
            self._held = Happened(line, ItemAppended(item))
            return
        if self._held is not None and isinstance(self._held.fact, ItemAppended):
            first = replace(self._held.fact.item, group=self._group)
            yield Happened(self._held.line, ItemAppended(first))
            self._held = None
        yield Happened(line, ItemAppended(replace(item, group=self._group)))

    def release(self) -> Iterator[Imported]:
        """End the response that is being read; yield what was held back of it."""
        if self._held is not None:
            yield self._held
        self._held, self._group = None, None

    def _listen(self, item: Item, item_id: str) -> None:
        """Remember a user's turn: where it starts, and for a legacy compaction what it said."""
        if not (isinstance(item, Message) and item.role == "user"):
            return
        text = plain_text(item.content)
        if injected_kind(item):
            return
        self._turns.append(item_id)
        self._spoken.append(replace(item, content=(Text(text),), extra=None))
        size_bytes = sum(len(plain_text(message.content).encode()) for message in self._spoken)
        while size_bytes > LEGACY_USER_BYTES and len(self._spoken) > 1:
            size_bytes -= len(plain_text(self._spoken.popleft().content).encode())

    def _compact(self, line: int, payload: dict[str, Any]) -> Iterator[Imported]:
        yield from self._start(None)
        history, summary = payload.get("replacement_history"), payload.get("message")
        text = summary if isinstance(summary, str) else ""
        items: list[Item] = []
        if isinstance(history, list):
            for index, raw in enumerate(history):
                try:
                    items += _read_replacement(raw)
                except InputError as error:
                    yield Problem(line, f"replacement_history[{index}]: {error}")
        else:
            items = [*self._spoken, Message(role="user", content=(Text(text),))]
        self._turns.clear()
        self._spoken.clear()
        for item in items:
            self._count += 1
            if not (isinstance(item, Message) and plain_text(item.content) == text):
                self._listen(item, f"i{self._count}")
        yield Happened(line, HistoryEdited(items=tuple(items), reason="compacted by codex"))

    def _read_event(self, line: int, payload: dict[str, Any]) -> Iterator[Imported]:
        kind = payload.get("type")
        if kind == "token_count":
            yield from self.release()
            yield from self._report(line, payload.get("info"))
        elif kind == "thread_rolled_back":
            yield from self.release()
            yield from self._roll_back(line, payload.get("num_turns"))

    def _report(self, line: int, info: Any) -> Iterator[Imported]:
        last = info.get("last_token_usage") if isinstance(info, dict) else None
        if not isinstance(last, dict) or info == self._usage:
            return
        self._usage = info
        usage = _usage_of(last, model=self._model)
        if usage.input_tokens > 0:
            yield from self._start(None)
            yield Happened(line, usage)

    def _roll_back(self, line: int, count: Any) -> Iterator[Imported]:
        if not isinstance(count, int) or count < 1:
            yield Problem(line, "expected a number of turns in thread_rolled_back")
            return
        if self._turns:
            first = self._turns[-count:][0]
            del self._turns[-count:]
            for _ in range(min(count, len(self._spoken))):
                self._spoken.pop()
            yield Happened(line, HistoryEdited(items=(), first=first, reason="rolled back in codex"))


def _read_replacement(raw: Any) -> tuple[Item, ...]:
    if not isinstance(raw, dict):
        raise InputError("expected an object")
    return () if raw.get("type") in _NOT_CONTEXT else read_message(raw)


def _ends_response(item: Item) -> bool:
    """Tell whether *item* comes from outside the model and so ends the response before it."""
    if isinstance(item, Message):
        return item.role != "assistant"
    if isinstance(item, Opaque):
        return not item.kind.endswith("_call")
    return isinstance(item, ToolResult)


def _usage_of(last: Mapping[str, Any], *, model: str) -> UsageReported:
    def tokens(name: str) -> int:
        value = last.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

    return UsageReported(
        input_tokens=tokens("input_tokens"),
        output_tokens=tokens("output_tokens"),
        cached_tokens=tokens("cached_input_tokens"),
        model=model,
    )
