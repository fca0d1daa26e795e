"""Transcripts of Claude Code: JSON Lines of records, linked by `parentUuid` into a tree.

- The model's context is the `user` and `assistant` records, in the order of the file. A retried prompt or an
  abandoned branch is in the file and is imported too: every item in, none lost. A record whose `uuid` came before is
  a copy and skipped.
- An assistant's message has one line for each content block, all with one `message.id`: that is their group. A result
  may stand between two calls of one message, as it does in the file. Usage repeats on every line and is reported
  once, when the next message begins; `input_tokens` then counts what was read from and written to the cache as well.
- `isMeta` records (caveats, skill texts) are sent to the model and imported. Results as Claude Code shows them
  (`toolUseResult`), its API errors (`isApiErrorMessage`) and what is visible in the transcript only are not.
- The summary after a `compact_boundary` replaces everything before it, except a `preservedSegment`, which stays after
  the summary. `microcompact_boundary` clears old results in the request, in words that are not recorded: a note says
  so.
- A sidechain is another agent's conversation: a session of its own, ``<session>-<agent>``, the agent named by `agentId`
  or, in old files, by the record that its chain starts at. The first agent of a file is read as the lines come; what
  happens to others between is held, up to `HELD_FACTS_MAX`, and follows at the end, one session after the other.
- Attachments are reminders that Claude Code words anew for each request, or shows to the user only: they are not
  imported, and a note names the type once. Only a `queued_command`, what the user typed while the agent worked,
  becomes a user message.

A compaction names where it cuts as the fold does: the n-th item of a session, those of edits counted too, is ``i<n>``.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec.structs import replace

from retold.errors import InputError
from retold.events.facts import HistoryEdited, ItemAppended, UsageReported
from retold.events.items import Item
from retold.formats.anthropic import read_message
from retold.formats.lines import Happened, Imported, Problem, Record, Start
from retold.formats.models import name_models
from retold.formats.sessions import session_name, shown, stem_of

RECORD_TYPES: Final = frozenset(
    {
        "user",
        "assistant",
        "system",
        "attachment",
        "agent-color",
        "agent-name",
        "agent-setting",
        "ai-title",
        "atis-latch",
        "bridge-session",
        "custom-title",
        "file-history-delta",
        "file-history-snapshot",
        "frame-link",
        "last-prompt",
        "mode",
        "permission-mode",
        "pr-link",
        "progress",
        "queue-operation",
        "relocated",
        "result",
        "started",
        "summary",
        "tag",
        "worktree-state",
    }
)
"""Every record that Claude Code is known to write (1.0 to 2.1.232); all but the first four are never model context."""

HELD_FACTS_MAX: Final = 100_000
"""How many facts of agents beside the first are held: a hundred times what one file of real sidechains has."""

_INPUT_TOKENS: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def read_claude_code(records: Iterable[Record | Problem], *, name: str) -> Iterator[Imported]:
    """Yield what happened in a Claude Code transcript, record by record; of the first agent it holds ids only.

    Each start names the session's model, for which a few facts are read ahead.
    """
    yield from name_models(_read(records, name))


def _read(records: Iterable[Record | Problem], name: str) -> Iterator[Imported]:
    transcript = _Transcript(name)
    for record in records:
        yield from [record] if isinstance(record, Problem) else transcript.read(record)
    yield from transcript.finish()


class _Agent:
    """Follow one agent's conversation: its session, its items' numbers, its usage, its next compaction."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.held: list[Happened] = []
        self._last: str | None = None
        self._count = 0
        self._before: dict[str, str | None] = {}
        self._keep_from: str | None = None
        self._message_id: str | None = None
        self._usage: Happened | None = None
        self._reported: set[str] = set()

    def append(self, line: int, uuid: str, items: tuple[Item, ...]) -> Iterator[Happened]:
        """Yield the *items* of one record; remember which item came before them."""
        self._before[uuid] = self._last
        for item in items:
            self._count += 1
            self._last = f"i{self._count}"
            yield Happened(line, ItemAppended(item))

    def preserve(self, head: Any) -> None:
        """Keep, at the next compaction, what came from the record *head* on; None keeps nothing."""
        self._keep_from = head if isinstance(head, str) else None

    def compact(self, line: int, items: tuple[Item, ...]) -> Iterator[Happened | Problem]:
        """Yield the edit that puts the summary's *items* in the place of what they summarise."""
        head, self._keep_from = self._keep_from, None
        last = self._before.get(head) if head is not None else None
        if head is not None and last is None:
            reason = "the segment that a compaction preserved was not found; its summary replaces everything"
            yield Problem(line, reason, "note")
        self._count += len(items)
        if last is None:
            self._last = f"i{self._count}"
        self._before.clear()
        yield Happened(line, HistoryEdited(items=items, last=last, reason="compacted by claude code"))

    def meet(self, line: int, message: dict[str, Any]) -> Iterator[Happened]:
        """Remember the usage of the assistant's *message*; yield that of the message before, once it is over."""
        own = message.get("id")
        if own != self._message_id:
            yield from self.report()
            self._message_id = own if isinstance(own, str) else None
        usage = _usage_of(message)
        if usage is not None and self._message_id not in self._reported:
            self._usage = Happened(line, usage)

    def report(self) -> Iterator[Happened]:
        """Yield the usage of the newest message, unless it was yielded before."""
        if self._usage is not None:
            yield self._usage
            self._reported.add(self._message_id or "")
        self._usage = None


class _Transcript:
    """Follow one file: its agents, the records that were read."""

    def __init__(self, name: str) -> None:
        self._name = stem_of(name)
        self._session: str | None = None
        self._agents: dict[str, _Agent] = {}
        self._first: _Agent | None = None
        self._held_count = 0
        self._chains: dict[str, str] = {}
        self._seen: set[str] = set()
        self._noted: set[str] = set()

    def read(self, record: Record) -> Iterator[Imported]:
        """Yield what one record says."""
        value, line = record.value, record.line
        kind = value.get("type") if isinstance(value, dict) else None
        if kind not in RECORD_TYPES:
            yield Problem(line, f"expected a Claude Code record, got type {shown(kind)}")
            return
        agent_name = self._agent_of(value)
        if kind in ("user", "assistant"):
            yield from self._read_message(line, value, agent_name)
        elif kind == "attachment":
            yield from self._read_attachment(line, value, agent_name)
        elif kind == "system":
            yield from self._read_system(line, value, agent_name)

    def finish(self) -> Iterator[Imported]:
        """Yield what is left when the file ends: the newest usage, and the other agents' sessions."""
        if self._first is None:
            yield Problem(1, "the transcript holds no messages", "note")
            return
        yield from self._first.report()
        for agent in self._agents.values():
            if agent is not self._first:
                yield Start(agent.session, "claude-code")
                yield from agent.held
                yield from agent.report()

    def _agent_of(self, value: dict[str, Any]) -> str:
        """Return the name of the agent whose record this is; empty for the main one."""
        if self._session is None and isinstance(value.get("sessionId"), str):
            self._session = value["sessionId"]
        if value.get("isSidechain") is not True:
            return ""
        if isinstance(value.get("agentId"), str):
            return str(value["agentId"])
        uuid = str(value.get("uuid", ""))
        root = self._chains.get(str(value.get("parentUuid")), uuid)
        self._chains[uuid] = root
        return root or "sidechain"

    def _enter(self, agent_name: str) -> Iterator[Start]:
        """Meet an agent; the first of the file starts at once."""
        if agent_name in self._agents:
            return
        agent = _Agent(session_name(self._session or self._name, agent_name))
        self._agents[agent_name] = agent
        if self._first is None:
            self._first = agent
            yield Start(agent.session, "claude-code")

    def _read_message(self, line: int, value: dict[str, Any], agent_name: str) -> Iterator[Imported]:
        problem = _why_not_context(value) or self._why_copy(value)
        if problem is not None:
            yield Problem(line, problem, "note")
            return
        try:
            items = _items_of(value.get("message"))
        except InputError as error:
            yield Problem(line, f"message: {error}")
            return
        yield from self._enter(agent_name)
        agent = self._agents[agent_name]
        for told in _tell(agent, line, value, items):
            if agent is self._first or isinstance(told, Problem):
                yield told
            else:
                yield from self._hold(agent, told)

    def _hold(self, agent: _Agent, told: Happened) -> Iterator[Problem]:
        self._held_count += 1
        if self._held_count <= HELD_FACTS_MAX:
            agent.held.append(told)
        else:
            reason = f"expected at most {HELD_FACTS_MAX} facts of other agents beside the first, got one more"
            yield Problem(told.line, reason)

    def _why_copy(self, value: dict[str, Any]) -> str | None:
        uuid = value.get("uuid")
        if not isinstance(uuid, str):
            return None
        if uuid in self._seen:
            return "a copy of a record that came before is skipped"
        self._seen.add(uuid)
        return None

    def _read_attachment(self, line: int, value: dict[str, Any], agent_name: str) -> Iterator[Imported]:
        held = value.get("attachment")
        kind = held.get("type") if isinstance(held, dict) else None
        if kind == "queued_command" and isinstance(held, dict):
            message = {"role": "user", "content": held.get("prompt")}
            typed = {"type": "user", "uuid": value.get("uuid"), "message": message}
            yield from self._read_message(line, typed, agent_name)
        elif shown(kind) not in self._noted:
            self._noted.add(shown(kind))
            yield Problem(
                line,
                f"attachments of type {shown(kind)} are not imported: their wording to the model is not recorded",
                "note",
            )

    def _read_system(self, line: int, value: dict[str, Any], agent_name: str) -> Iterator[Imported]:
        subtype = value.get("subtype")
        if subtype == "compact_boundary":
            yield from self._enter(agent_name)
            self._agents[agent_name].preserve(_preserved_head(value.get("compactMetadata")))
        elif subtype == "microcompact_boundary":
            reason = "a microcompaction cleared old tool results from the request; they stay in the history here"
            yield Problem(line, reason, "note")


def _tell(agent: _Agent, line: int, value: dict[str, Any], items: tuple[Item, ...]) -> Iterator[Happened | Problem]:
    """Yield what one record of *agent* says."""
    if value["type"] == "assistant":
        yield from agent.meet(line, value["message"])
    else:
        yield from agent.report()
    if value.get("isCompactSummary") is True:
        yield from agent.compact(line, items)
    else:
        yield from agent.append(line, str(value.get("uuid", "")), items)


def _preserved_head(metadata: Any) -> Any:
    segment = metadata.get("preservedSegment") if isinstance(metadata, dict) else None
    return segment.get("headUuid") if isinstance(segment, dict) else None


def _why_not_context(value: dict[str, Any]) -> str | None:
    """Return why the record is not sent to the model, or None if it is."""
    if value.get("isApiErrorMessage") is True:
        return "an API error that Claude Code shows as a message is not model context"
    if value.get("isVisibleInTranscriptOnly") is True and value.get("isCompactSummary") is not True:
        return "a message that is visible in the transcript only is not model context"
    return None


def _items_of(message: Any) -> tuple[Item, ...]:
    """Return the items of a record's message: its role and content are sent to the model, the rest is bookkeeping."""
    if not isinstance(message, dict):
        raise InputError("expected an object")
    items = read_message({"role": message.get("role"), "content": message.get("content")})
    own = message.get("id")
    return tuple(replace(item, group=own) for item in items) if isinstance(own, str) else items


def _usage_of(message: dict[str, Any]) -> UsageReported | None:
    usage = message.get("usage")
    counts = {key: value for key, value in usage.items() if isinstance(value, int)} if isinstance(usage, dict) else {}
    input_tokens = sum(counts.get(key, 0) for key in _INPUT_TOKENS)
    model = message.get("model")
    if input_tokens <= 0:
        return None
    return UsageReported(
        input_tokens=input_tokens,
        output_tokens=max(0, counts.get("output_tokens", 0)),
        cached_tokens=max(0, counts.get("cache_read_input_tokens", 0)),
        model=model if isinstance(model, str) else "",
    )
