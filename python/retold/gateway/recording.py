"""Turns as events: what a request adds to its session, what was answered, and what is sent where a request is too long.

Rules:
- A request holds the whole conversation again. What is new in it stands after what was recorded last; where that is not
  in it, the client has compacted or rewritten its history, and what was never recorded is new. Nothing is recorded
  twice, and nothing that the log holds is taken out.
- Summaries, ours and the client's own, are no words of anybody's: they are not recorded.
- An agent never waits for the log, and never fails for it: a turn that cannot be recorded is sent all the same.
"""

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from retold.client import Client, Session
from retold.errors import RetoldError, UnavailableError
from retold.events import Form, Item, Message, Opaque, Reasoning, ToolCall, ToolResult, Window, plain_text
from retold.formats import to_items
from retold.formats.models import encoding_of
from retold.gateway.compacting import ENCODING
from retold.gateway.compactions import KINDS, TRIGGER
from retold.gateway.handoff import CODEX_SUMMARY
from retold.gateway.relay import Asked, header
from retold.gateway.reply import Reply
from retold.gateway.requests import messages_of
from retold.gateway.sse import Splitter, read_event
from retold.gateway.translating import pieces_of, reader_of
from retold.gateway.upstream import json_object
from retold.policy.compacting import list_context
from retold.policy.summary import read_summary

_log = logging.getLogger(__name__)

SESSIONS_MAX: Final = 4_096
"""So many sessions are remembered; what was recorded of others is read from the log."""
LOG_S: Final = 5.0
"""How long the log may take for one turn."""
HISTORY_S: Final = 2.0
"""How long a worker may take to compact a session whose request is too long; then it is compacted here."""

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
    """Hold what is known of one session: digests of what was recorded, in order, and who is writing."""

    seen: list[str]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Turn:
    """Hear one answer, and record it when it is whole; a `retold.gateway.relay.Tap`."""

    def __init__(self, recorder: "Recorder", session: Session, known: _Known, form: Form) -> None:
        """Record to *session* by *recorder* what is heard in *form*."""
        self._recorder = recorder
        self._session = session
        self._known = known
        self._form: Form = form
        self._reply = Reply()
        self._output: list[dict[str, Any]] = []

    async def hear(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield *chunks* as they come."""
        splitter, reader = Splitter(), reader_of(self._form)
        is_read = True
        async for data in chunks:
            yield data
            try:
                for text in splitter.feed(data) if is_read else ():
                    self._take_output(text)
                    for piece in reader.read(text):
                        self._reply.add(piece)
            except (UnavailableError, KeyError):
                is_read = False
        for piece in reader.end():
            self._reply.add(piece)
        await self._record()

    async def hear_whole(self, body: bytes) -> None:
        """Take a whole answer."""
        value = json_object(body, decode=msgspec.json.decode)
        with suppress(UnavailableError):
            for piece in pieces_of(value or {}, self._form):
                self._reply.add(piece)
        if value is not None and self._form == "responses" and isinstance(value.get("output"), list):
            self._output = [item for item in value["output"] if isinstance(item, dict)]
        await self._record()

    def _take_output(self, text: str) -> None:
        """Keep the items of a Responses stream as they came: their reasoning is encrypted, and asked for again."""
        if self._form == "responses" and '"response.output_item.done"' in text:
            item = read_event(text).get("item")
            if isinstance(item, dict):
                self._output.append(item)

    async def _record(self) -> None:
        reply = self._reply
        if not reply.is_whole:
            return
        items = _items(self._output, "responses") if self._output else reply.items()
        await self._recorder.answered(self._session, self._known, items, reply)


class Recorder:
    """Record the turns of one tenant."""

    def __init__(self, client: Client, *, tenant: str, window: Window) -> None:
        """Record by *client*; new sessions have *window*."""
        self._client = client
        self._tenant = tenant
        self._window = window
        self._known: OrderedDict[str, _Known] = OrderedDict()

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
        items = _items(messages_of(body, form), form)
        async with known.lock:
            new = new_items(items, known.seen)
            if new:
                await session.append_many(new)
                known.seen += map(digest, new)
        turn = Turn(self, session, known, heard)
        size = await asyncio.to_thread(lambda: list_context(items, 1, encoding).tokens.upper)
        if size <= self._window.input_limit:
            return turn, None
        history = await session.history(timeout=HISTORY_S)
        return turn, history.as_form(form, model=model)

    async def _state(self, name: str, session: Session) -> _Known:
        known = self._known.get(name)
        if known is None:
            history = await session.history()
            known = self._known.setdefault(name, _Known(seen=[digest(item) for item in history.items]))
        self._known.move_to_end(name)
        while len(self._known) > SESSIONS_MAX:
            self._known.popitem(last=False)
        return known

    async def answered(self, session: Session, known: _Known, items: Sequence[Item], reply: Reply) -> None:
        """Record what was answered, and what it cost."""
        try:
            async with asyncio.timeout(LOG_S), known.lock:
                if items:
                    await session.append_many(items)
                    known.seen += map(digest, items)
                usage = reply.usage
                if usage is not None and usage.input_tokens:
                    await session.report_usage(
                        input_tokens=usage.input_tokens,
                        output_tokens=usage.output_tokens,
                        cached_tokens=min(usage.cached_tokens, usage.input_tokens),
                        model=reply.model,
                    )
        except (RetoldError, TimeoutError) as error:
            _log.warning("an answer is not recorded: %s", type(error).__name__)


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
