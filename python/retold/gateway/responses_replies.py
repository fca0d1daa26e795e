"""Answers of the Responses API: read, whole or as a stream, and written."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from retold.errors import InputError, UnavailableError
from retold.formats.json_text import read_json
from retold.gateway.reply import Argued, Began, Broke, Call, Called, Ended, Piece, Reason, Reply, Said, Thought, Usage
from retold.gateway.requests import Tool
from retold.gateway.sse import read_event, write_event
from retold.gateway.untyped import count_in, text_in
from retold.gateway.usages import read_usage, write_usage

_GROWING: Final[Mapping[Any, type[Said] | type[Thought]]] = {
    "response.output_text.delta": Said,
    "response.refusal.delta": Said,
    "response.reasoning_summary_text.delta": Thought,
    "response.reasoning_text.delta": Thought,
}
_INCOMPLETE: Final[Mapping[Reason, str]] = {"length": "max_output_tokens", "filter": "content_filter"}


def read_whole(body: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield the pieces of the whole answer *body*.

    Raises:
        UnavailableError: if it is no answer.
    """
    output = body.get("output")
    if not isinstance(output, list):
        raise UnavailableError("expected an answer with output, the server sent none")
    yield Began(id=text_in(body.get("id")), model=text_in(body.get("model")))
    for index, item in enumerate(item for item in output if isinstance(item, dict)):
        yield from _item(item, index)
    yield from _ended(body)


def _item(item: Mapping[str, Any], index: int) -> Iterator[Piece]:
    match item.get("type"):
        case "message":
            for part in _parts(item.get("content")):
                yield Said(text_in(part.get("text")) or text_in(part.get("refusal")))
        case "reasoning":
            for part in _parts(item.get("summary")) or _parts(item.get("content")):
                yield Thought(text_in(part.get("text")))
        case "function_call":
            yield Called(index, text_in(item.get("call_id")), text_in(item.get("name")))
            yield Argued(index, text_in(item.get("arguments")))
        case _:
            pass


def _ended(body: Mapping[str, Any]) -> Iterator[Piece]:
    if body.get("status") == "failed":
        error = body.get("error")
        told = error if isinstance(error, dict) else {}
        yield Broke(text_in(told.get("message")), code=text_in(told.get("code")) or "upstream_error")
        return
    details = body.get("incomplete_details")
    why = details.get("reason") if isinstance(details, dict) else None
    found: Reason = next((reason for reason, told in _INCOMPLETE.items() if told == why), "stop")
    output = body.get("output")
    calls = any(isinstance(item, dict) and item.get("type") == "function_call" for item in output or [])
    yield Ended(reason="calls" if calls and found == "stop" else found, usage=_usage(body.get("usage")))


class Reader:
    """Read a stream, event by event."""

    def __init__(self) -> None:
        self._argued: set[int] = set()

    def read(self, text: str) -> Iterator[Piece]:
        """Yield the pieces of the event whose data is *text*.

        Raises:
            UnavailableError: if it is no event of this form.
        """
        event = read_event(text)
        response = event.get("response")
        held = response if isinstance(response, dict) else {}
        index = count_in(event.get("output_index"))
        match event.get("type"):
            case "response.created":
                yield Began(id=text_in(held.get("id")), model=text_in(held.get("model")))
            case kind if kind in _GROWING:
                yield _GROWING[kind](text_in(event.get("delta")))
            case "response.output_item.added":
                yield from _call_begun(event.get("item"), index)
            case "response.function_call_arguments.delta":
                self._argued.add(index)
                yield Argued(index, text_in(event.get("delta")))
            case "response.function_call_arguments.done" if index not in self._argued:
                yield Argued(index, text_in(event.get("arguments")))
            case "response.completed" | "response.incomplete" | "response.failed":
                yield from _ended(held)
            case "error":
                yield Broke(text_in(event.get("message")), code=text_in(event.get("code")) or "upstream_error")
            case _:
                pass

    def end(self) -> Iterator[Piece]:
        """Yield nothing: this form says its end itself."""
        yield from ()


def _call_begun(item: Any, index: int) -> Iterator[Piece]:
    if isinstance(item, dict) and item.get("type") == "function_call":
        yield Called(index, text_in(item.get("call_id")), text_in(item.get("name")))


def _parts(value: Any) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _usage(value: Any) -> Usage | None:
    return read_usage(value, given="input", made="output")


def response_of(
    *, response_id: str, model: str, created: int, output: list[dict[str, Any]], status: str, usage: Usage | None
) -> dict[str, Any]:
    """Return a response object with *output*; *created* is in Unix seconds."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": None if usage is None else usage_of(usage),
    }


def usage_of(usage: Usage) -> dict[str, Any]:
    """Return *usage* as this form has it."""
    return write_usage(usage, given="input", made="output")


class Names(Struct, frozen=True):
    """Tell by which names and kinds the client knows its tools."""

    tools: Mapping[str, Tool]

    def item(self, call: Call, *, item_id: str, status: str) -> dict[str, Any]:
        """Return *call* as an item of the client's: of its kind, in its name space."""
        tool = self.tools.get(call.name)
        name = call.name if tool is None else tool.name
        head: dict[str, Any] = {"id": item_id, "call_id": call.call_id, "name": name}
        if tool is not None and tool.space:
            head["namespace"] = tool.space
        if self.is_custom(call.name):
            return {"type": "custom_tool_call", "status": status, "input": free_text(call.arguments), **head}
        return {"type": "function_call", "status": status, "arguments": call.arguments, **head}

    def is_custom(self, name: str) -> bool:
        """Return whether the tool *name* takes free text."""
        tool = self.tools.get(name)
        return tool is not None and tool.is_custom


def free_text(arguments: str) -> str:
    """Return the input of a custom tool that was called as a function with *arguments*."""
    try:
        value = read_json(arguments, what="a call's arguments") if arguments else {}
    except InputError:
        return arguments
    text = value.get("input") if isinstance(value, dict) else None
    return text if isinstance(text, str) else arguments


def write_whole(reply: Reply, names: Names, *, created: int) -> dict[str, Any]:
    """Return *reply* as a whole answer, made at *created* (Unix seconds)."""
    output = [_written(what, reply, names, at, status="completed") for at, what in enumerate(reply.order)]
    return _finished(reply, output, created=created)


def _finished(reply: Reply, output: list[dict[str, Any]], *, created: int) -> dict[str, Any]:
    why = _INCOMPLETE.get(reply.reason)
    whole = response_of(
        response_id=reply.id,
        model=reply.model,
        created=created,
        output=output,
        status="completed" if why is None else "incomplete",
        usage=reply.usage or Usage(),
    )
    return whole if why is None else {**whole, "incomplete_details": {"reason": why}}


def _written(what: str | int, reply: Reply, names: Names, at: int, *, status: str) -> dict[str, Any]:
    """Return the part *what* of *reply*, the one at position *at*, as it is now."""
    stem = reply.id.removeprefix("resp_")
    if what == "thought":
        summary = [{"type": "summary_text", "text": reply.thought}] if reply.thought else []
        return {"type": "reasoning", "id": f"rs_{stem}_{at}", "summary": summary}
    if what == "said":
        content = [{"type": "output_text", "text": reply.said, "annotations": []}] if reply.said else []
        return {"type": "message", "id": f"msg_{stem}_{at}", "status": status, "role": "assistant", "content": content}
    assert isinstance(what, int)
    return names.item(reply.calls[what], item_id=f"fc_{stem}_{at}", status=status)


class Writer:
    """Write a stream, piece by piece."""

    def __init__(self, names: Names, *, fallback_id: str, model: str, created: int) -> None:
        """Write an answer made at *created*; *fallback_id* and *model* stand where the provider says nothing."""
        self._names = names
        self._created = created
        self._reply = Reply(id=fallback_id, model=model)
        self._number = 0

    def write(self, piece: Piece) -> bytes:
        """Return the events that say *piece*."""
        reply = self._reply
        match piece:
            case Began():
                reply.model = piece.model or reply.model
                opening = {**_finished(Reply(id=reply.id, model=reply.model), [], created=self._created)}
                opening |= {"status": "in_progress", "usage": None}
                return self._event("response.created", response=opening) + self._event(
                    "response.in_progress", response=opening
                )
            case Ended():
                reply.add(piece)
                return self._end()
            case Broke():
                failed = _finished(reply, [], created=self._created)
                failed |= {"status": "failed", "error": {"code": piece.code, "message": piece.message}}
                return self._event("response.failed", response=failed)
            case _:
                return self._grown(piece)

    def _grown(self, piece: Said | Thought | Called | Argued) -> bytes:
        reply, known = self._reply, len(self._reply.order)
        if isinstance(piece, Called | Argued):
            what: str | int = piece.index
        else:
            what = "said" if isinstance(piece, Said) else "thought"
        opened = b""
        if what not in reply.order:
            reply.add(piece if isinstance(piece, Called) else type(piece)(text=""))  # type: ignore[call-arg]
            opened = self._opened(what, known)
        if isinstance(piece, Called):
            return opened
        reply.add(piece)
        return opened + self._delta(what, piece.text)

    def _opened(self, what: str | int, at: int) -> bytes:
        item = _written(what, self._reply, self._names, at, status="in_progress")
        opened = self._event("response.output_item.added", output_index=at, item=item)
        where: dict[str, Any] = {"item_id": item["id"], "output_index": at}
        if what == "said":
            part = {"type": "output_text", "text": "", "annotations": []}
            opened += self._event("response.content_part.added", **where, content_index=0, part=part)
        elif what == "thought":
            part = {"type": "summary_text", "text": ""}
            opened += self._event("response.reasoning_summary_part.added", **where, summary_index=0, part=part)
        return opened

    def _where(self, what: str | int) -> dict[str, Any]:
        at = self._reply.order.index(what)
        return {"item_id": _written(what, self._reply, self._names, at, status="")["id"], "output_index": at}

    def _delta(self, what: str | int, text: str) -> bytes:
        if what == "said":
            return self._event(
                "response.output_text.delta", **self._where(what), content_index=0, delta=text, logprobs=[]
            )
        if what == "thought":
            kind = "response.reasoning_summary_text.delta"
            return self._event(kind, **self._where(what), summary_index=0, delta=text)
        assert isinstance(what, int)
        if self._names.is_custom(self._reply.calls[what].name):
            return b""  # its free text is known when the arguments are whole
        return self._event("response.function_call_arguments.delta", **self._where(what), delta=text)

    def _end(self) -> bytes:
        out, output = b"", []
        for at, what in enumerate(self._reply.order):
            item = _written(what, self._reply, self._names, at, status="completed")
            output.append(item)
            out += self._done(what, item, {"item_id": item["id"], "output_index": at})
            out += self._event("response.output_item.done", output_index=at, item=item)
        whole = _finished(self._reply, output, created=self._created)
        return out + self._event(f"response.{whole['status']}", response=whole)

    def _done(self, what: str | int, item: dict[str, Any], where: dict[str, Any]) -> bytes:
        if what == "said":
            part = {"type": "output_text", "text": self._reply.said, "annotations": []}
            told = self._event(
                "response.output_text.done", **where, content_index=0, text=self._reply.said, logprobs=[]
            )
            return told + self._event("response.content_part.done", **where, content_index=0, part=part)
        if what == "thought":
            part = {"type": "summary_text", "text": self._reply.thought}
            told = self._event(
                "response.reasoning_summary_text.done", **where, summary_index=0, text=self._reply.thought
            )
            return told + self._event("response.reasoning_summary_part.done", **where, summary_index=0, part=part)
        if item["type"] == "custom_tool_call":
            told = self._event("response.custom_tool_call_input.delta", **where, delta=item["input"])
            return told + self._event("response.custom_tool_call_input.done", **where, input=item["input"])
        return self._event(
            "response.function_call_arguments.done", **where, name=item["name"], arguments=item["arguments"]
        )

    def _event(self, kind: str, **fields: Any) -> bytes:
        number = self._number
        self._number += 1
        return write_event({"type": kind, "sequence_number": number, **fields}, name=kind)
