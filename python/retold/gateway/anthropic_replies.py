"""Answers of Anthropic Messages: read, whole or as a stream, and written."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from retold.errors import InputError, UnavailableError
from retold.formats.json_text import read_json, write_json
from retold.gateway.reply import Argued, Began, Broke, Call, Called, Ended, Piece, Reason, Reply, Said, Thought, Usage
from retold.gateway.sse import read_event, write_event
from retold.gateway.untyped import count_in, text_in

_READ: Final[Mapping[str, Reason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "calls",
    "refusal": "filter",
}
_WRITTEN: Final[Mapping[Reason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "calls": "tool_use",
    "filter": "refusal",
}


def read_whole(body: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield the pieces of the whole answer *body*.

    Raises:
        UnavailableError: if it is no answer.
    """
    content = body.get("content")
    if not isinstance(content, list):
        raise UnavailableError("expected an answer with content, the server sent none")
    yield Began(id=text_in(body.get("id")), model=text_in(body.get("model")))
    for index, block in enumerate(block for block in content if isinstance(block, dict)):
        match block.get("type"):
            case "text":
                yield Said(text_in(block.get("text")))
            case "thinking":
                yield Thought(text_in(block.get("thinking")))
            case "tool_use":
                yield Called(index, text_in(block.get("id")), text_in(block.get("name")))
                yield Argued(index, write_json(block.get("input", {})))
            case _:
                pass
    reason = _READ.get(text_in(body.get("stop_reason")), "stop")
    yield Ended(reason=reason, usage=_usage(body.get("usage"), Usage()))


class Reader:
    """Read a stream, event by event."""

    def __init__(self) -> None:
        self._usage = Usage()
        self._reason: Reason = "stop"

    def read(self, text: str) -> Iterator[Piece]:
        """Yield the pieces of the event whose data is *text*.

        Raises:
            UnavailableError: if it is no event of this form.
        """
        event = read_event(text)
        held = (event[name] for name in ("message", "delta", "error") if isinstance(event.get(name), dict))
        inner: dict[str, Any] = next(held, {})
        match event.get("type"):
            case "message_start":
                self._usage = _usage(inner.get("usage"), self._usage)
                yield Began(id=text_in(inner.get("id")), model=text_in(inner.get("model")))
            case "content_block_start":
                yield from _begun(event.get("content_block"), count_in(event.get("index")))
            case "content_block_delta":
                yield from _grown(inner, count_in(event.get("index")))
            case "message_delta":
                self._usage = _usage(event.get("usage"), self._usage)
                self._reason = _READ.get(text_in(inner.get("stop_reason")), "stop")
            case "message_stop":
                yield Ended(reason=self._reason, usage=self._usage)
            case "error":
                yield Broke(text_in(inner.get("message")), code=text_in(inner.get("type")) or "upstream_error")
            case _:
                pass

    def end(self) -> Iterator[Piece]:
        """Yield nothing: this form says its end itself."""
        yield from ()


def _begun(block: Any, index: int) -> Iterator[Piece]:
    if not isinstance(block, dict):
        return
    if block.get("type") == "tool_use":
        yield Called(index, text_in(block.get("id")), text_in(block.get("name")))
    elif text := text_in(block.get("text")):
        yield Said(text)


def _grown(delta: Mapping[str, Any], index: int) -> Iterator[Piece]:
    match delta.get("type"):
        case "text_delta":
            yield Said(text_in(delta.get("text")))
        case "thinking_delta":
            yield Thought(text_in(delta.get("thinking")))
        case "input_json_delta":
            yield Argued(index, text_in(delta.get("partial_json")))
        case _:
            pass


def _usage(value: Any, before: Usage) -> Usage:
    """Return what *value* says of usage, and *before* where it is silent; what came from a cache is input, too."""
    if not isinstance(value, dict):
        return before
    cached = count_in(value.get("cache_read_input_tokens"))
    given = count_in(value.get("input_tokens")) + count_in(value.get("cache_creation_input_tokens")) + cached
    return Usage(
        input_tokens=given or before.input_tokens,
        output_tokens=count_in(value.get("output_tokens")) or before.output_tokens,
        cached_tokens=cached or before.cached_tokens,
    )


def write_whole(reply: Reply) -> dict[str, Any]:
    """Return *reply* as a whole answer; reasoning is without a signature, for it has none."""
    content: list[dict[str, Any]] = []
    for what in reply.order:
        if what == "thought":
            content.append({"type": "thinking", "thinking": reply.thought, "signature": ""})
        elif what == "said":
            content.append({"type": "text", "text": reply.said})
        elif isinstance(what, int):
            call = reply.calls[what]
            content.append({"type": "tool_use", "id": call.call_id, "name": call.name, "input": _input(call)})
    return {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": _WRITTEN[reply.reason],
        "stop_sequence": None,
        "usage": _written_usage(reply.usage or Usage()),
    }


def _input(call: Call) -> Any:
    try:
        value = read_json(call.arguments or "{}", what="a call's arguments")
    except InputError:
        value = None
    return value if isinstance(value, dict) else {"arguments": call.arguments}


def _written_usage(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input_tokens - usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": 0,
    }


class Writer:
    """Write a stream, piece by piece. Blocks come one after the other here: calls after the first wait for the end."""

    def __init__(self, *, fallback_id: str, model: str) -> None:
        """Write an answer; *fallback_id* and *model* stand where the provider says nothing."""
        self._id = fallback_id
        self._model = model
        self._open: str | int | None = None
        self._blocks = 0
        self._first: int | None = None
        self._waiting: dict[int, Call] = {}

    def write(self, piece: Piece) -> bytes:
        """Return the events that say *piece*."""
        match piece:
            case Began():
                return self._begin(piece)
            case Said():
                return self._text("said", "text", piece.text)
            case Thought():
                return self._text("thought", "thinking", piece.text)
            case Called() | Argued():
                return self._call(piece) if isinstance(piece, Called) else self._argue(piece)
            case _:
                return self._end(piece)

    def _begin(self, piece: Began) -> bytes:
        empty = write_whole(Reply(id=piece.id or self._id, model=piece.model or self._model))
        return _event("message_start", message={**empty, "stop_reason": None})

    def _text(self, what: str, kind: str, text: str) -> bytes:
        opened = b""
        if self._open != what:
            empty = {"type": kind, kind: "", **({"signature": ""} if kind == "thinking" else {})}
            opened = self._opened(what, empty)
        return opened + self._delta({"type": f"{kind}_delta", kind: text})

    def _call(self, piece: Called) -> bytes:
        if self._first is not None:
            self._waiting[piece.index] = Call(call_id=piece.call_id, name=piece.name)
            return b""
        self._first = piece.index
        return self._opened(piece.index, {"type": "tool_use", "id": piece.call_id, "name": piece.name, "input": {}})

    def _argue(self, piece: Argued) -> bytes:
        if piece.index in self._waiting:
            self._waiting[piece.index].arguments += piece.text
            return b""
        return self._delta({"type": "input_json_delta", "partial_json": piece.text})

    def _opened(self, what: str | int, block: dict[str, Any]) -> bytes:
        closed = self._closed()
        self._open = what
        self._blocks += 1
        return closed + _event("content_block_start", index=self._blocks - 1, content_block=block)

    def _closed(self) -> bytes:
        return b"" if self._open is None else _event("content_block_stop", index=self._blocks - 1)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", index=self._blocks - 1, delta=delta)

    def _end(self, piece: Ended | Broke) -> bytes:
        if isinstance(piece, Broke):
            return _event("error", error={"type": "api_error", "message": piece.message})
        out = b""
        for index, call in self._waiting.items():
            out += self._opened(index, {"type": "tool_use", "id": call.call_id, "name": call.name, "input": {}})
            out += self._delta({"type": "input_json_delta", "partial_json": call.arguments})
        out += self._closed()
        stop = {"stop_reason": _WRITTEN[piece.reason], "stop_sequence": None}
        out += _event("message_delta", delta=stop, usage=_written_usage(piece.usage or Usage()))
        return out + _event("message_stop")


def _event(kind: str, **fields: Any) -> bytes:
    return write_event({"type": kind, **fields}, name=kind)
