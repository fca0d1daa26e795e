"""Answers of Chat Completions: read, whole or as a stream, and written."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from retold.errors import UnavailableError
from retold.gateway.reply import Argued, Began, Broke, Called, Ended, Piece, Reason, Reply, Said, Thought, Usage
from retold.gateway.sse import DONE, read_event, write_event
from retold.gateway.untyped import text_in
from retold.gateway.usages import read_usage, write_usage

_READ: Final[Mapping[str, Reason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "calls",
    "function_call": "calls",
    "content_filter": "filter",
}
_WRITTEN: Final[Mapping[Reason, str]] = {
    "stop": "stop",
    "length": "length",
    "calls": "tool_calls",
    "filter": "content_filter",
}


def read_whole(body: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield the pieces of the whole answer *body*.

    Raises:
        UnavailableError: if it is no answer.
    """
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise UnavailableError("expected an answer with a choice, the server sent none")
    yield Began(id=text_in(body.get("id")), model=text_in(body.get("model")))
    yield from _said(message)
    calls = message.get("tool_calls")
    for index, call in enumerate(calls if isinstance(calls, list) else []):
        yield from _call(call, index)
    yield Ended(reason=_READ.get(text_in(choice.get("finish_reason")), "stop"), usage=_usage(body.get("usage")))


def _said(delta: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield the reasoning and the text of a message, or of what it grows by; a refusal is said as well."""
    if thought := text_in(delta.get("reasoning_content")) or text_in(delta.get("reasoning")):
        yield Thought(thought)
    for name in ("content", "refusal"):
        if said := text_in(delta.get(name)):
            yield Said(said)


def _call(call: Any, index: int) -> Iterator[Piece]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return
    yield Called(index, text_in(call.get("id")) or f"call_{index}", text_in(function.get("name")))
    yield Argued(index, text_in(function.get("arguments")))


class Reader:
    """Read a stream, event by event."""

    def __init__(self) -> None:
        self._began = False
        self._calls: set[int] = set()
        self._reason: Reason | None = None
        self._usage: Usage | None = None

    def read(self, text: str) -> Iterator[Piece]:
        """Yield the pieces of the event whose data is *text*.

        Raises:
            UnavailableError: if it is no event of this form.
        """
        if text.strip() == "[DONE]":
            yield from self.end()
            return
        chunk = read_event(text)
        if isinstance(chunk.get("error"), dict | str):
            error = chunk["error"]
            yield Broke(text_in(error.get("message")) if isinstance(error, dict) else error)
            return
        if not self._began:
            self._began = True
            yield Began(id=text_in(chunk.get("id")), model=text_in(chunk.get("model")))
        self._usage = _usage(chunk.get("usage")) or self._usage
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if isinstance(choice, dict):
            yield from self._choice(choice)

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[Piece]:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            yield from _said(delta)
            calls = delta.get("tool_calls")
            for position, call in enumerate(calls if isinstance(calls, list) else []):
                yield from self._grown(call, position)
        if reason := text_in(choice.get("finish_reason")):
            self._reason = _READ.get(reason, "stop")

    def _grown(self, call: Any, position: int) -> Iterator[Piece]:
        if not isinstance(call, dict) or not isinstance(call.get("function", {}), dict):
            return
        index = call["index"] if isinstance(call.get("index"), int) else position
        function = call.get("function", {})
        if index not in self._calls:
            self._calls.add(index)
            yield Called(index, text_in(call.get("id")) or f"call_{index}", text_in(function.get("name")))
        if text := text_in(function.get("arguments")):
            yield Argued(index, text)

    def end(self) -> Iterator[Piece]:
        """Yield the end, once, if the stream has come to one."""
        if self._reason is not None:
            yield Ended(reason=self._reason, usage=self._usage)
            self._reason = None


def _usage(value: Any) -> Usage | None:
    return read_usage(value, given="prompt", made="completion")


def write_whole(reply: Reply, *, created: int) -> dict[str, Any]:
    """Return *reply* as a whole answer, made at *created* (Unix seconds)."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.said or None, "refusal": None}
    if reply.thought:
        message["reasoning_content"] = reply.thought
    if reply.calls:
        message["tool_calls"] = [
            {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in reply.calls.values()
        ]
    return {
        "id": reply.id,
        "object": "chat.completion",
        "created": created,
        "model": reply.model,
        "choices": [{"index": 0, "message": message, "finish_reason": _WRITTEN[reply.reason], "logprobs": None}],
        "usage": _written_usage(reply.usage or Usage()),
    }


def _written_usage(usage: Usage) -> dict[str, Any]:
    return write_usage(usage, given="prompt", made="completion")


class Writer:
    """Write a stream, piece by piece."""

    def __init__(self, *, fallback_id: str, model: str, created: int, with_usage: bool) -> None:
        """Write an answer made at *created*; *fallback_id* and *model* stand where the provider says nothing."""
        self._head: dict[str, Any] = {
            "id": fallback_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
        }
        self._with_usage = with_usage
        self._numbers: dict[int, int] = {}

    def write(self, piece: Piece) -> bytes:
        """Return the events that say *piece*."""
        match piece:
            case Began():
                self._head |= {name: value for name, value in (("id", piece.id), ("model", piece.model)) if value}
                return self._chunk({"role": "assistant", "content": ""})
            case Said():
                return self._chunk({"content": piece.text})
            case Thought():
                return self._chunk({"reasoning_content": piece.text})
            case Called() | Argued():
                number = self._numbers.setdefault(piece.index, len(self._numbers))  # here, calls alone are counted
                return self._chunk({"tool_calls": [_call_delta(piece, number)]})
            case _:
                return self._end(piece)

    def _end(self, piece: Ended | Broke) -> bytes:
        if isinstance(piece, Broke):
            error = {"message": piece.message, "type": "server_error", "param": None, "code": piece.code}
            return write_event({"error": error})
        usage = _written_usage(piece.usage or Usage())
        last = write_event({**self._head, "choices": [], "usage": usage}) if self._with_usage else b""
        return self._chunk({}, reason=_WRITTEN[piece.reason]) + last + DONE

    def _chunk(self, delta: dict[str, Any], *, reason: str | None = None) -> bytes:
        return write_event({**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def _call_delta(piece: Called | Argued, number: int) -> dict[str, Any]:
    if isinstance(piece, Argued):
        return {"index": number, "function": {"arguments": piece.text}}
    function = {"name": piece.name, "arguments": ""}
    return {"index": number, "id": piece.call_id, "type": "function", "function": function}
