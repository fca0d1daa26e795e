"""A provider that does what a script says: a real HTTP server on a loopback port that speaks the providers' forms.

It answers Responses, Chat Completions, Messages and the compaction of both providers. Each request takes the next step
of the script; the last one repeats. What came in is kept for the test to look at.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from msgspec import Struct

RECORD = {
    "goal": ["Mend the payment service."],
    "constraints": [],
    "decisions": ["Retries are keyed by payment id, because the bank does not check for repeats."],
    "files": [],
    "errors": [],
    "open_work": ["Run the slow tests."],
    "last_step": ["Read the log of the last failure."],
    "facts": ["The failing build is 4711."],
}
"""What a model answers that does as it is told."""

SEALED = "gAAAA-sealed-Ünïcode-" + "x" * 400
"""What a block holds."""

USED = {"input_tokens": 1_000_000, "output_tokens": 321}


class Request(Struct):
    """Hold what one request was: its path, its headers, its body as it came, and as JSON."""

    path: str
    headers: dict[str, str]
    raw: str
    body: dict[str, Any]


class Provider:
    """Answer requests by a script; see `reply_to` for its words."""

    def __init__(self, script: Sequence[str], *, takes_bytes: int = 0, record: dict[str, Any] | None = None) -> None:
        """Follow *script*; refuse bodies of more than *takes_bytes* (0: any) as too long."""
        self.requests: list[Request] = []
        self.url = ""
        self._script = list(script)
        self._takes_bytes = takes_bytes
        self._record = RECORD if record is None else record

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's one request."""
        try:
            request = await _read(reader)
            step = self._script[min(len(self.requests), len(self._script) - 1)]
            self.requests.append(request)
            if self._takes_bytes and len(request.raw) > self._takes_bytes:
                step = "overflow"
            elif _lacks_tools(request):
                step = "400"
            await self._answer(step, request, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, step: str, request: Request, writer: asyncio.StreamWriter) -> None:
        match step:
            case "hang":
                await asyncio.Event().wait()
            case "reset":
                writer.transport.abort()
            case "drip":
                await _drip(writer)
            case _:
                status, headers, body = reply_to(step, request, self._record)
                await _send(writer, status, headers, body)


def reply_to(step: str, request: Request, record: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer to *request* that *step* names."""
    if step.isdecimal():
        error = {"error": {"type": "error", "code": "some_error", "message": "as the script says"}, "type": "error"}
        return int(step), {"retry-after-ms": "1", "retry-after": "1"}, _json(error)
    if step == "hour":
        return 429, {"retry-after": "3600"}, _json(_overflow(request))
    if step == "overflow":
        return 400, {}, _json(_overflow(request))
    return 200, {}, _NONSENSE.get(step) or _answer_of(step, request, record)


_NONSENSE = {"garbage": b"<html>502 Bad Gateway</html>", "other-json": b'{"hello": ["world"]}'}


def _answer_of(step: str, request: Request, record: dict[str, Any]) -> bytes:
    if _is_compaction(request):
        return _compaction(step, request)
    written = _written(step, record)
    if request.path.endswith("/messages"):
        return _json(_messages(step, written))
    return _json(_chat(step, written) if request.path.endswith("/completions") else _responses(step, written))


def _written(step: str, record: dict[str, Any]) -> Any:
    """Return the record that a step writes; all steps but these write the same."""
    nothing: dict[str, list[str]] = {name: [] for name in record}
    written: dict[str, Any] = {
        "empty": nothing,
        "inflated": {**record, "facts": [f"Fact {n} is of no use to anyone at all." for n in range(9_000)]},
        "other-shape": {"summary": "It went well."},
        "short": {**nothing, "facts": ["Build 4711 fails."]},
    }
    return written.get(step, record)


def _is_compaction(request: Request) -> bool:
    body = request.body
    triggered = any(
        item.get("type") == "compaction_trigger" for item in body.get("input", []) if isinstance(item, dict)
    )
    return request.path.endswith("/compact") or triggered or "compaction" in body or "context_management" in body


def _lacks_tools(request: Request) -> bool:
    """Return whether Anthropic would refuse *request*: it shows calls and results, and defines no tools."""
    contents = [message["content"] for message in request.body.get("messages", [])]
    kinds = {block["type"] for content in contents if isinstance(content, list) for block in content}
    is_anthropic = request.path.endswith("/messages")
    return is_anthropic and not kinds.isdisjoint(("tool_use", "tool_result")) and not request.body.get("tools")


def block_of(form: str, *, content: str = json.dumps(SEALED)) -> str:
    """Return a compaction of *form* as it is sent: with the white space and the escapes of a writer of its own."""
    if form == "anthropic":
        return f'{{ "type":"compaction", "content":{content}, "signature":"s1g\\/n" }}'
    return f'{{ "id":"cmp_1", "type":"compaction", "encrypted_content":{content} }}'


def _compaction(step: str, request: Request) -> bytes:
    anthropic = request.path.endswith("/messages")
    content = {"null": "null", "empty": '""'}.get(step, json.dumps(SEALED))
    if anthropic:
        block = block_of("anthropic", content=content)
        blocks = {"two": f"{block},{block}", "none": '{"type":"text","text":"done"}'}.get(step, block)
        stop = "max_tokens" if step == "truncated" else "compaction"
        told = f'"stop_reason":"{stop}","usage":{json.dumps(USED)}'
        return f'{{"type":"message","role":"assistant","content":[{blocks}],{told}}}'.encode()
    user = '{"type":"message","role":"user","content":[{"type":"input_text","text":"again"}]}'
    block = block_of("responses", content=content)
    blocks = {"two": f"{user},{block},{block}", "none": user}.get(step, f"{user},{block}")
    status = "incomplete" if step == "truncated" else "completed"
    return f'{{"object":"response","status":"{status}","output":[{blocks}],"usage":{json.dumps(USED)}}}'.encode()


def _overflow(request: Request) -> dict[str, Any]:
    if request.path.endswith("/messages"):
        return {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}}
    return {"error": {"code": "context_length_exceeded", "message": "Too long.", "type": "invalid_request_error"}}


def _responses(step: str, written: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"type": "message", "role": "assistant"}
    outputs: dict[str, list[dict[str, Any]]] = {
        "null": [{**message, "content": None}],
        "nothing": [],
        "refused": [{**message, "content": [{"type": "refusal", "refusal": "I cannot."}]}],
        "tool-only": [{"type": "function_call", "name": "rm", "arguments": "{}", "call_id": "c"}],
        "reasoning-only": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}],
    }
    text = [{**message, "content": [{"type": "output_text", "text": json.dumps(written, ensure_ascii=False)}]}]
    cut = step == "truncated"
    return {
        "object": "response",
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": outputs.get(step, text),
        "usage": _used(step),
    }


def _chat(step: str, written: Any) -> dict[str, Any]:
    call = {"id": "c", "type": "function", "function": {"name": "rm", "arguments": "{}"}}
    messages: dict[str, dict[str, Any]] = {
        "null": {"content": None},
        "nothing": {"content": ""},
        "refused": {"content": None, "refusal": "I cannot."},
        "tool-only": {"content": None, "tool_calls": [call]},
        "reasoning-only": {"content": None, "reasoning_content": "hm"},
    }
    message = messages.get(step, {"content": json.dumps(written, ensure_ascii=False)})
    finish = "length" if step == "truncated" else "stop"
    used = _used(step)
    return {
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}],
        "usage": {"prompt_tokens": used["input_tokens"], "completion_tokens": used["output_tokens"]},
    }


def _messages(step: str, written: Any) -> dict[str, Any]:
    contents: dict[str, Any] = {
        "null": [{"type": "text", "text": ""}],
        "nothing": [],
        "refused": [],
        "tool-only": [{"type": "tool_use", "id": "t", "name": "rm", "input": {}}],
        "reasoning-only": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
    }
    stops = {"refused": "refusal", "truncated": "max_tokens"}
    record = [{"type": "tool_use", "id": "t", "name": "record", "input": written}]
    return {
        "type": "message",
        "role": "assistant",
        "content": contents.get(step, record),
        "stop_reason": stops.get(step, "tool_use"),
        "usage": _used(step),
    }


def _used(step: str) -> dict[str, int]:
    return {**USED, "input_tokens": 10} if step == "cut-input" else USED


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    raw = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
    return Request(path=head[0].split(" ")[1].partition("?")[0], headers=headers, raw=raw, body=json.loads(raw or "{}"))


async def _send(writer: asyncio.StreamWriter, status: int, headers: dict[str, str], body: bytes) -> None:
    told = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close", **headers}
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in told.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()


async def _drip(writer: asyncio.StreamWriter) -> None:
    """Send a blank now and then, for ever: no read is ever late, the answer never comes."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\n \r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


@asynccontextmanager
async def provider(
    *script: str, takes_bytes: int = 0, record: dict[str, Any] | None = None
) -> AsyncGenerator[Provider, None]:
    """Run a provider on a free loopback port, until the block ends."""
    fake = Provider(script or ("ok",), takes_bytes=takes_bytes, record=record)
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.CancelledError):
            await fake.serve(reader, writer)

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield fake
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
