"""Answers as ASGI messages: whole, or as a stream."""

from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import msgspec
from starlette.types import Send

JSON: Final = (("content-type", "application/json"),)
EVENTS: Final = (("content-type", "text/event-stream"), ("cache-control", "no-cache"))

Headers = Iterable[tuple[str, str]]


def raw(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return *headers* as ASGI has them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]


async def send_whole(send: Send, body: bytes, *, status: int = 200, headers: Headers = JSON) -> None:
    """Send *body* as a whole answer."""
    told = [*raw(headers), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})


async def send_json(send: Send, value: Any, *, headers: Headers = JSON) -> None:
    """Send *value* as JSON."""
    await send_whole(send, msgspec.json.encode(value), headers=headers)


async def send_stream(
    send: Send, chunks: AsyncIterator[bytes], *, status: int = 200, headers: Headers = EVENTS
) -> None:
    """Send *chunks* as they come. Where they end with an error, the client's connection ends without an end mark."""
    await send({"type": "http.response.start", "status": status, "headers": raw(headers)})
    async for data in chunks:
        await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
