"""A real HTTP server for a test, on a loopback port: requests as they came, answered by whatever a test puts there."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from msgspec import Struct

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Request(Struct):
    """Hold what one request was: its headers in small letters, its body as it came, and as JSON; {} if it is none."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    raw: bytes
    body: dict[str, Any]


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Return the next request of a connection; raises `asyncio.IncompleteReadError` at its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = head[0].split(" ")
    path, _, query = target.partition("?")
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        body = {}
    held = body if isinstance(body, dict) else {}
    return Request(method=method, path=path, query=query, headers=headers, raw=raw, body=held)


def json_bytes(value: Any) -> bytes:
    """Return *value* as JSON."""
    return json.dumps(value, ensure_ascii=False).encode()


@asynccontextmanager
async def listening(serve: Serve) -> AsyncGenerator[str, None]:
    """Answer connections by *serve* until the block ends, and give the address; a connection ends when *serve* does."""
    tasks: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):  # the client has gone
                await serve(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
