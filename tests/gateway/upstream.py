"""An upstream that does what a script says: a real HTTP server on a loopback port that speaks the three forms.

Each request takes the next step of the script; the last one repeats. What came in is kept for the test to look at.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from tests.loopback import Request, json_bytes, listening, read_request

WORDS = ("The ", "build ", "fails ", "in ", "Ünï", "cödé", ".")
ARGUMENTS = ('{"path": ', '"a.py"}')
THOUGHT = "Let me look."
COMMAND = '{"cmd": "echo hello"}'
FULL_TOKENS = 19_000
"""What the steps ``tool`` and ``high`` say that the prompt took: more than the test lets Codex's window hold."""

FLOOD = b": " + b"x" * 65_532 + b"\n\n"
FLOOD_BYTES = 64 * 1024 * 1024
"""How long the answer to the step ``flood`` is: more than sockets hold."""


class Upstream:
    """Answer requests by a script; see `_answer` for its words."""

    def __init__(self, script: Sequence[str], *, chunks: int = 0) -> None:
        """Follow *script*; *chunks*: how many words an answer has (0: `WORDS`)."""
        self.requests: list[Request] = []
        self.url = ""
        self.asked = asyncio.Event()
        self.lost = asyncio.Event()
        self.flooded_bytes = 0
        self.words: dict[str, Sequence[str]] = {}
        """What a step says that a test has words for."""
        self._script = list(script)
        self._words = WORDS if not chunks else ("word ",) * chunks

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        while True:
            await self._take(await read_request(reader), reader, writer)

    async def _take(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        step = self._script[min(len(self.requests), len(self._script) - 1)]
        self.requests.append(request)
        self.asked.set()
        await self._answer(step, request, reader, writer)

    async def _answer(
        self, step: str, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        match step:
            case "hang" | "drip":
                writer.write(_head(200, "text/event-stream") + _chunk(b": slow\n\n") if step == "drip" else b"")
                await reader.read(1)  # the other side has nothing to say: it ends when it leaves
                self.lost.set()
                raise ConnectionError
            case "last":
                events = stream_of(form_of(request.path), "ok", self._words)
                writer.write(_head(200, "text/event-stream") + _chunk(b"".join(events)))
                await reader.read(1)  # the end of the stream never comes
                self.lost.set()
                raise ConnectionError
            case "flood":
                writer.write(_head(200, "text/event-stream"))
                while self.flooded_bytes < FLOOD_BYTES:
                    writer.write(_chunk(FLOOD))
                    await writer.drain()
                    self.flooded_bytes += len(FLOOD)
                writer.write(b"0\r\n\r\n")
            case "reset":
                writer.transport.abort()
                raise ConnectionError
            case "half":
                events = stream_of(form_of(request.path), step, self._words)
                writer.write(_head(200, "text/event-stream") + _chunk(b"".join(events[: len(events) // 2])))
                await writer.drain()
                raise ConnectionError
            case _:
                await self._whole_answer(step, request, writer)
        await writer.drain()

    async def _whole_answer(self, step: str, request: Request, writer: asyncio.StreamWriter) -> None:
        form = form_of(request.path)
        if step == "garbage":
            writer.write(_whole(200, b"<html>502 Bad Gateway</html>"))
        elif step.isdecimal() or step == "overflow":
            writer.write(_whole(*error_of(form, step)))
        elif request.method == "GET":
            writer.write(_whole(200, json_bytes({"object": "list", "data": [{"id": "m", "object": "model"}]})))
        elif request.path.endswith("/compact"):
            item = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA-sealed"}
            head = {"id": "resp_1", "object": "response.compaction", "created_at": 1}
            writer.write(_whole(200, json_bytes({**head, "output": [item], "usage": _usage("responses")})))
        elif request.body.get("stream"):
            writer.write(_head(200, "text/event-stream"))
            for event in stream_of(form, step, self.words.get(step, self._words)):
                writer.write(_chunk(event))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        else:
            writer.write(_whole(200, json_bytes(whole_of(form, step, self.words.get(step, self._words)))))


def form_of(path: str) -> str:
    """Return the form of *path*."""
    return "anthropic" if "messages" in path else "chat" if "chat" in path else "responses"


def error_of(form: str, step: str) -> tuple[int, bytes]:
    """Return status and body of an error."""
    status = 400 if step == "overflow" else int(step)
    message = "Your input exceeds the context window of this model." if step == "overflow" else "as the script says"
    code = "context_length_exceeded" if step == "overflow" else "some_error"
    if form == "anthropic":
        return status, json_bytes({"type": "error", "error": {"type": "api_error", "message": message}})
    return status, json_bytes({"error": {"message": message, "type": "server_error", "param": None, "code": code}})


def _usage(form: str) -> dict[str, Any]:
    if form == "chat":
        details = {"cached_tokens": 4}
        return {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "prompt_tokens_details": details}
    if form == "anthropic":
        return {"input_tokens": 7, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0, "output_tokens": 7}
    return {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 18,
    }


def whole_of(form: str, step: str, words: Sequence[str]) -> dict[str, Any]:
    """Return a whole answer: text, or with the step ``calls`` reasoning and two parallel calls; ``empty``: nothing."""
    text, calls = "" if step in ("empty", "calls") else "".join(words), step == "calls"
    if form == "chat":
        message: dict[str, Any] = {"role": "assistant", "content": text or None}
        if calls:
            message |= {"reasoning_content": THOUGHT, "tool_calls": [_chat_call(n, "".join(ARGUMENTS)) for n in (0, 1)]}
        reason = "tool_calls" if calls else "length" if step == "length" else "stop"
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "m-1",
            "choices": [choice],
            "usage": _usage(form),
        }
    if form == "anthropic":
        content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        if calls:
            content = [{"type": "thinking", "thinking": THOUGHT, "signature": "s"}]
            content += [
                {"type": "tool_use", "id": f"call_{n}", "name": "read_file", "input": {"path": "a.py"}} for n in (0, 1)
            ]
        stop = "tool_use" if calls else "max_tokens" if step == "length" else "end_turn"
        head = {"id": "m1", "type": "message", "role": "assistant", "model": "m-1", "stop_sequence": None}
        return {**head, "content": content, "stop_reason": stop, "usage": _usage(form)}
    return _response(
        [item for item in _items(text, calls=calls) if item], "incomplete" if step == "length" else "completed"
    )


def _chat_call(index: int, arguments: str) -> dict[str, Any]:
    return {"id": f"call_{index}", "type": "function", "function": {"name": "read_file", "arguments": arguments}}


def _items(text: str, *, calls: bool) -> list[dict[str, Any]]:
    if calls:
        thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": THOUGHT}]}
        head = {"type": "function_call", "status": "completed", "name": "read_file", "arguments": "".join(ARGUMENTS)}
        return [thought, *({**head, "id": f"fc_{n}", "call_id": f"call_{n}"} for n in (0, 1))]
    content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    return [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}]


def _command() -> dict[str, Any]:
    """Return a call of the tool by which Codex runs a command."""
    head = {"type": "function_call", "id": f"fc_{next(_numbers)}", "call_id": f"call_{next(_numbers)}"}
    return {**head, "status": "completed", "name": "exec_command", "arguments": COMMAND}


_numbers = count()


def _response(output: list[dict[str, Any]], status: str) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "error": None,
        "model": "m-1",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": _usage("responses"),
    }


def stream_of(form: str, step: str, words: Sequence[str]) -> list[bytes]:
    """Return the events of an answer as a stream."""
    words = () if step in ("empty", "calls") else words
    match form:
        case "chat":
            return _chat_stream(step, words)
        case "anthropic":
            return _anthropic_stream(step, words)
        case _:
            return _responses_stream(step, words)


def _chat_stream(step: str, words: Sequence[str]) -> list[bytes]:
    def event(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-1"}
        return b"data: " + json_bytes({**head, "choices": [choice]}) + b"\n\n"

    events = [event({"role": "assistant", "content": ""}), *(event({"content": word}) for word in words)]
    if step == "calls":
        events += [event({"reasoning_content": THOUGHT})]
        events += [event({"tool_calls": [{"index": n, **_chat_call(n, "")}]}) for n in (0, 1)]
        parts = [(n, part) for part in ARGUMENTS for n in (0, 1)]
        events += [event({"tool_calls": [{"index": n, "function": {"arguments": part}}]}) for n, part in parts]
    events.append(event({}, "tool_calls" if step == "calls" else "length" if step == "length" else "stop"))
    last = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-1", "choices": []}
    return [*events, b"data: " + json_bytes({**last, "usage": _usage("chat")}) + b"\n\n", b"data: [DONE]\n\n"]


def _named(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\n".encode() + b"data: " + json_bytes({"type": kind, **fields}) + b"\n\n"


def _anthropic_stream(step: str, words: Sequence[str]) -> list[bytes]:
    usage = {**_usage("anthropic"), "output_tokens": 1}
    head = {"id": "m1", "type": "message", "role": "assistant", "model": "m-1", "content": []}
    events = [_named("message_start", message={**head, "stop_reason": None, "stop_sequence": None, "usage": usage})]

    def block(index: int, start: dict[str, Any], deltas: list[dict[str, Any]]) -> None:
        events.append(_named("content_block_start", index=index, content_block=start))
        events.extend(_named("content_block_delta", index=index, delta=delta) for delta in deltas)
        events.append(_named("content_block_stop", index=index))

    if words:
        block(0, {"type": "text", "text": ""}, [{"type": "text_delta", "text": word} for word in words])
    if step == "calls":
        thinking = [{"type": "thinking_delta", "thinking": THOUGHT}, {"type": "signature_delta", "signature": "s"}]
        block(0, {"type": "thinking", "thinking": "", "signature": ""}, thinking)
        for n in (0, 1):
            parts = [{"type": "input_json_delta", "partial_json": part} for part in ARGUMENTS]
            block(1 + n, {"type": "tool_use", "id": f"call_{n}", "name": "read_file", "input": {}}, parts)
    stop = "tool_use" if step == "calls" else "max_tokens" if step == "length" else "end_turn"
    delta = {"stop_reason": stop, "stop_sequence": None}
    return [*events, _named("message_delta", delta=delta, usage={"output_tokens": 7}), _named("message_stop")]


def _responses_stream(step: str, words: Sequence[str]) -> list[bytes]:
    events: list[tuple[str, dict[str, Any]]] = [("response.created", {"response": _response([], "in_progress")})]
    items = [_command()] if step == "tool" else _items("".join(words), calls=step == "calls")
    for at, item in enumerate(items):
        where = {"item_id": item["id"], "output_index": at}
        blanks: dict[str, Any] = {"content": [], "arguments": "", "summary": []}
        empty = {**item, **{name: blank for name, blank in blanks.items() if name in item}}
        events.append(("response.output_item.added", {"output_index": at, "item": empty}))
        if item["type"] == "message":
            part = {"type": "output_text", "text": "", "annotations": []}
            events.append(("response.content_part.added", {**where, "content_index": 0, "part": part}))
            delta = {**where, "content_index": 0, "logprobs": []}
            events += [("response.output_text.delta", {**delta, "delta": word}) for word in words]
        elif item["type"] == "reasoning":
            events.append(("response.reasoning_summary_text.delta", {**where, "summary_index": 0, "delta": THOUGHT}))
        else:
            parts = ARGUMENTS if step == "calls" else (item["arguments"],)
            events += [("response.function_call_arguments.delta", {**where, "delta": part}) for part in parts]
        events.append(("response.output_item.done", {"output_index": at, "item": item}))
    status = "incomplete" if step == "length" else "completed"
    response = _response(items, status)
    if step in ("tool", "high"):
        response["usage"] |= {"input_tokens": FULL_TOKENS, "total_tokens": FULL_TOKENS + 7}
    events.append((f"response.{status}", {"response": response}))
    return [_named(kind, sequence_number=number, **fields) for number, (kind, fields) in enumerate(events)]


def _head(status: int, kind: str) -> bytes:
    lines = (f"HTTP/1.1 {status} Scripted", f"content-type: {kind}", "transfer-encoding: chunked", "x-request-id: up-1")
    return "\r\n".join([*lines, "", ""]).encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _whole(status: int, body: bytes) -> bytes:
    lines = (f"HTTP/1.1 {status} Scripted", "content-type: application/json", f"content-length: {len(body)}")
    return "\r\n".join([*lines, "x-request-id: up-1", "retry-after-ms: 1", "", ""]).encode() + body


@asynccontextmanager
async def scripted(*script: str, chunks: int = 0) -> AsyncGenerator[Upstream, None]:
    """Run an upstream on a free loopback port, until the block ends."""
    upstream = Upstream(script or ("ok",), chunks=chunks)
    async with listening(upstream.serve) as upstream.url:
        yield upstream
