"""Turns as events: what a request adds to its session, what was answered, and what is sent where a request is too long.

Rules:
- A request holds the whole conversation again. What is new in it stands after what was recorded last; where that is not
  in it, the client has compacted or rewritten its history, and what was never recorded is new. Nothing is recorded
  twice, and nothing that the log holds is taken out.
- Instructions that stand beside the messages (`instructions`, Anthropic's `system`) are the session's first item. What
  they become later is not recorded: Claude Code writes a number of the request into its own, and no compaction takes
  system text out. What is sent in place of a request that is too long has the request's own, once.
- Summaries, ours and the client's own, are no words of anybody's: they are not recorded.
- An answer passes by as it comes, and is read when it has ended: nobody waits for that, nor for the log.
- An agent never fails for the log: a turn that cannot be recorded is sent all the same.
"""

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import chain
from typing import Any, Final

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from retold.client import Client, Session
from retold.errors import RetoldError, UnavailableError
from retold.events import Form, Item, Message, Opaque, Reasoning, ToolCall, ToolResult, Window, plain_text
from retold.formats import complete, render, to_items
from retold.formats.json_text import read_extra, write_extra
from retold.formats.models import encoding_of
from retold.gateway.compacting import ENCODING
from retold.gateway.compactions import KINDS, TRIGGER
from retold.gateway.handoff import CODEX_SUMMARY
from retold.gateway.relay import Asked, header
from retold.gateway.reply import Reply, Usage
from retold.gateway.requests import instructions_of, messages_of
from retold.gateway.sse import Splitter, read_event
from retold.gateway.translating import pieces_of, reader_of
from retold.gateway.upstream import ANSWER_BYTES_MAX, json_object
from retold.policy.compacting import list_context
from retold.policy.summary import read_summary

_log = logging.getLogger(__name__)

SESSIONS_MAX: Final = 4_096
"""So many sessions are remembered; what was recorded of others is read from the log."""
LOG_S: Final = 5.0
"""How long the log may take for one turn."""
HISTORY_S: Final = 2.0
"""How long a worker may take to compact a session whose request is too long; then it is compacted here."""

_INSTRUCTIONS: Final = "instructions"
"""The section of an item's `extra` that says so."""
_FORMS: Final[tuple[Form, ...]] = ("responses", "anthropic")
_HEADERS: Final = ("x-retold-session", "session-id", "session_id", "x-claude-code-session-id", "conversation_id")
_NAMED: Final = re.compile(r"[A-Za-z0-9_=-]{1,128}\Z")
_CLAUDE_USER: Final = re.compile(r"session_([0-9a-f-]{36})")


def session_of(asked: Asked, body: Mapping[str, Any]) -> str | None:
    """Return the name of the session that a request belongs to; None where it does not say."""
    metadata = body.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    found = _CLAUDE_USER.search(user) if isinstance(user, str) else None
    named = header(asked.headers, *_HEADERS) or body.get("prompt_cache_key") or (found and found[1])
    if not isinstance(named, str) or not named:
        return None
    return named if _NAMED.match(named) else sha256(named.encode("utf-8", "replace")).hexdigest()[:32]


class _Known(Struct):
    """Hold what is known of one session.

    Attributes:
        seen: digests of what was recorded, in order, but for the instructions.
        is_told: whether those are recorded.
        lock: held by who is writing.
    """

    seen: list[str]
    is_told: bool
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Turn:
    """Hear one answer, and have it recorded once it has ended; a `retold.gateway.relay.Tap`."""

    def __init__(self, recorder: "Recorder", session: Session, known: _Known, form: Form) -> None:
        """Record to *session* by *recorder* what is heard in *form*."""
        self._recorder = recorder
        self._session = session
        self._known = known
        self._asked = len(known.seen)
        self._form: Form = form
        self._heard: list[bytes] = []
        self._size = 0

    def hear(self, data: bytes) -> None:
        """Keep *data*, what the answer grows by."""
        self._size += len(data)
        if self._size <= ANSWER_BYTES_MAX:
            self._heard.append(data)

    def end(self, *, is_stream: bool) -> None:
        """Have what was heard recorded, if it is a whole answer."""
        self._recorder.spawn(self._record(is_stream=is_stream))

    async def _record(self, *, is_stream: bool) -> None:
        if self._size > ANSWER_BYTES_MAX:
            _log.warning("an answer is not recorded: it is longer than %d bytes", ANSWER_BYTES_MAX)
            return
        try:
            async with asyncio.timeout(LOG_S), self._known.lock:
                reply, items = await asyncio.to_thread(_read_answer, self._heard, self._form, is_stream=is_stream)
                if reply.is_whole:
                    await self._append(items, reply.usage, model=reply.model)
        except Exception as error:  # noqa: BLE001 - the edge of a task: what it says may hold what was said
            _log.warning("an answer is not recorded: %s", type(error).__name__)

    async def _append(self, items: Sequence[Item], usage: Usage | None, *, model: str) -> None:
        """Append *items* and *usage*; not what the client, quick to answer, has sent back and so recorded since."""
        since = set(self._known.seen[self._asked :])
        new = [item for item in items if digest(item) not in since]
        if new:
            await self._session.append_many(new)
            self._known.seen += map(digest, new)
        if usage is not None and usage.input_tokens:
            await self._session.report_usage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cached_tokens=min(usage.cached_tokens, usage.input_tokens),
                model=model,
            )


def _read_answer(chunks: Sequence[bytes], form: Form, *, is_stream: bool) -> tuple[Reply, list[Item]]:
    """Return what the answer *chunks* says, and its items; those of a Responses answer as they came, with blocks."""
    reply = Reply()
    output: list[dict[str, Any]] = []
    with suppress(UnavailableError, KeyError):
        if is_stream:
            _read_events(chunks, form, reply, output)
        else:
            value = json_object(b"".join(chunks), decode=msgspec.json.decode) or {}
            for piece in pieces_of(value, form):
                reply.add(piece)
            if form == "responses":
                output += [item for item in value["output"] if isinstance(item, dict)]
    return reply, _items(output, "responses") if output else reply.items()


def _read_events(chunks: Sequence[bytes], form: Form, reply: Reply, output: list[dict[str, Any]]) -> None:
    splitter, reader = Splitter(), reader_of(form)
    for text in chain(chain.from_iterable(map(splitter.feed, chunks)), splitter.rest()):
        if form == "responses" and '"response.output_item.done"' in text:
            item = read_event(text).get("item")
            output += [item] if isinstance(item, dict) else []
        for piece in reader.read(text):
            reply.add(piece)
    for piece in reader.end():
        reply.add(piece)


class Recorder:
    """Record the turns of one tenant."""

    def __init__(self, client: Client, *, tenant: str, window: Window) -> None:
        """Record by *client*; new sessions have *window*."""
        self._client = client
        self._tenant = tenant
        self._window = window
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._writing: set[asyncio.Task[None]] = set()

    async def asked(
        self, asked: Asked, body: dict[str, Any], *, heard: Form
    ) -> tuple[Turn | None, list[dict[str, Any]] | None]:
        """Record what the request *body* adds; return what hears its answer in the form *heard*.

        Beside it, the messages to send in the place of those of a request that is larger than the session's window.
        """
        name = session_of(asked, body)
        if name is None:
            return None, None
        try:
            async with asyncio.timeout(LOG_S + HISTORY_S):
                return await self._asked(name, asked.form, body, heard=heard)
        except (RetoldError, TimeoutError) as error:
            _log.warning("request %s is not recorded: %s", asked.request_id, type(error).__name__)
            return None, None

    async def _asked(
        self, name: str, form: Form, body: dict[str, Any], *, heard: Form
    ) -> tuple[Turn, list[dict[str, Any]] | None]:
        model = body["model"] if isinstance(body.get("model"), str) else ""
        encoding = encoding_of(model) or ENCODING
        session = await self._client.session(name, tenant=self._tenant, window=self._window, encoding=encoding)
        known = await self._state(name, session)
        told = [_marked(item, form) for item in instructions_of(body, form)]
        items = _items(messages_of(body, form), form)
        async with known.lock:
            await self._add(session, known, told, items)
        turn = Turn(self, session, known, heard)
        size = await asyncio.to_thread(lambda: list_context([*told, *items], 1, encoding).tokens.upper)
        if size <= self._window.input_limit:
            return turn, None
        history = await session.history(timeout=HISTORY_S)
        sent = [item for item in history.items if not _is_marked(item)]
        return turn, render(complete(sent, form), form, model=model)

    async def _add(self, session: Session, known: _Known, told: Sequence[Item], items: Sequence[Item]) -> None:
        first = [] if known.is_told or known.seen else told
        new = new_items(items, known.seen)
        if first or new:
            await session.append_many([*first, *new])
            known.seen += map(digest, new)
            known.is_told = known.is_told or bool(first)

    async def _state(self, name: str, session: Session) -> _Known:
        known = self._known.get(name)
        if known is None:
            items = (await session.history()).items
            seen = [digest(item) for item in items if not _is_marked(item)]
            known = self._known.setdefault(name, _Known(seen=seen, is_told=len(seen) < len(items)))
        self._known.move_to_end(name)
        while len(self._known) > SESSIONS_MAX:
            self._known.popitem(last=False)
        return known

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Have *work* done beside the requests: a client that has its answer may leave."""
        task = asyncio.create_task(work)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def drain(self) -> None:
        """Wait until every answer that was heard is recorded, or was given up."""
        await asyncio.gather(*self._writing)


def _marked(item: Item, form: Form) -> Item:
    """Return the instructions *item* of a request of *form*, known as such when they are read back."""
    assert isinstance(item, Message)
    return replace(item, extra=write_extra(form, **{_INSTRUCTIONS: True}))


def _is_marked(item: Item) -> bool:
    """Return whether *item* was said beside the messages, and so stands in every request by itself."""
    if not isinstance(item, Message) or item.role != "system":
        return False
    return any(read_extra(item.extra, form).get(_INSTRUCTIONS) is True for form in _FORMS)


def _items(messages: Iterable[Mapping[str, Any]], form: Form) -> list[Item]:
    """Return what *messages* say; not what a client or a gateway put there of itself."""
    passed_over = (*KINDS, TRIGGER)
    said = (message for message in messages if message.get("type") not in passed_over)
    return [item for message in said for item in to_items(message, form=form) if not _is_summary(item)]


def _is_summary(item: Item) -> bool:
    if not isinstance(item, Message) or item.role != "user":
        return False
    return read_summary(item) is not None or plain_text(item.content).startswith(CODEX_SUMMARY)


def new_items(items: Sequence[Item], seen: Sequence[str]) -> list[Item]:
    """Return which of *items* are new to a session of which *seen* was recorded. O(items)."""
    digests = [digest(item) for item in items]
    if list(digests[: len(seen)]) == list(seen):
        return list(items[len(seen) :])
    if seen and seen[-1] in digests:
        last = len(digests) - 1 - digests[::-1].index(seen[-1])
        return list(items[last + 1 :])
    held = set(seen)
    return [item for item, found in zip(items, digests, strict=True) if found not in held]


def digest(item: Item) -> str:
    """Return what tells *item* from others, however it was sent: a client sends back less than it was answered."""
    match item:
        case Message():
            told = ["message", item.role, plain_text(item.content), *_blocks(item)]
        case ToolCall():
            told = ["call", item.call_id]
        case ToolResult():
            told = ["result", item.call_id]
        case Reasoning():
            told = ["reasoning", item.text]
        case Opaque():
            told = [item.kind, item.body]
    return sha256("\0".join(told).encode("utf-8", "replace")).hexdigest()


def _blocks(message: Message) -> list[str]:
    return [part.body for part in message.content if not hasattr(part, "text")]
