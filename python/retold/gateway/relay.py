"""One request of a model, to the upstream and back.

Rules:
- Where nothing has to change, bytes pass through unread, both ways.
- An upstream's error passes through with its status: with its body where client and upstream speak one form, else in
  the client's own shape.
- What breaks off breaks off for the client, too: a stream without its end is repeated by every client, one that
  was ended for it would be taken for the whole answer.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from time import time
from typing import Any, Final, Protocol

import aiohttp
import msgspec
from msgspec import Struct
from starlette.types import Send

from retold.errors import InputError, UnavailableError
from retold.events import Form
from retold.gateway.answering import EVENTS, JSON, send_stream, send_whole
from retold.gateway.faults import Fault, error_body
from retold.gateway.translating import Translation, message_in, translation
from retold.gateway.upstream import (
    PATHS,
    Upstream,
    answered_headers,
    is_stream,
    json_object,
    sent_headers,
    whole_body,
)

_ID_HEADERS: Final = ("x-request-id", "request-id", "retry-after", "retry-after-ms")
"""What of an answer's head is told where its body is written anew."""


class Asked(Struct, frozen=True):
    """Hold one request of a client's.

    Attributes:
        path: below the version, as ``/responses``.
        body: as it came, or as it is to be sent.
        request_id: ours.
    """

    form: Form
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    request_id: str


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a request's *body* is.

    Raises:
        InputError: if it is none.
    """
    value = json_object(body, decode=msgspec.json.decode)
    if value is None:
        raise InputError("expected a JSON object as the body, got something else")
    return value


class Tap(Protocol):
    """Hear an answer that passes by."""

    def hear(self, data: bytes) -> None:
        """Take what the answer grows by, or all of it."""
        ...

    def end(self, *, is_stream: bool) -> None:
        """Learn that there is no more, whole or broken off; the answer came as events if *is_stream*."""
        ...


async def pass_on(upstream: Upstream, asked: Asked, send: Send, *, tap: Tap | None = None) -> None:
    """Send *asked* as it is, and its answer as it comes; *tap* hears the answer.

    Raises:
        Fault: if there is no answer.
    """
    headers = sent_headers(asked.headers, client=asked.form, upstream=asked.form)
    _keep_type(headers, asked)
    body = None if asked.method in ("GET", "HEAD") else asked.body
    async with upstream.ask(asked.method, asked.path, headers=headers, body=body, query=asked.query) as answer:
        told = answered_headers(answer)
        tap = tap if answer.status == 200 else None
        if is_stream(answer):
            with _listening(tap):
                await send_stream(send, _heard(answer, tap), status=answer.status, headers=told)
            return
        whole = await _whole(answer, tap)
        await send_whole(send, whole, status=answer.status, headers=told)


def _keep_type(headers: Any, asked: Asked) -> None:
    for name, value in asked.headers:
        if name.lower() == "content-type":
            headers["content-type"] = value


def _heard(answer: aiohttp.ClientResponse, tap: Tap | None) -> AsyncIterator[bytes]:
    """Return the pieces of *answer*, each as all that has come by then; *tap* hears them on their way."""
    chunks = answer.content.iter_any()
    return chunks if tap is None else _tapped(chunks, tap)


async def _tapped(chunks: AsyncIterator[bytes], tap: Tap) -> AsyncIterator[bytes]:
    async for data in chunks:
        tap.hear(data)
        yield data


@contextmanager
def _listening(tap: Tap | None) -> Iterator[None]:
    """Tell *tap* when the block ends that its stream has: whole, broken off or left by the client."""
    try:
        yield
    finally:
        if tap is not None:
            tap.end(is_stream=True)


async def _whole(answer: aiohttp.ClientResponse, tap: Tap | None = None) -> bytes:
    try:
        whole = await whole_body(answer)
    except UnavailableError as error:
        raise Fault(502, str(error), code="upstream_error") from None
    if tap is not None:
        tap.hear(whole)
        tap.end(is_stream=False)
    return whole


async def translate(
    upstream: Upstream, asked: Asked, body: dict[str, Any], send: Send, *, reply_id: str, tap: Tap | None = None
) -> None:
    """Send the request *body* in the upstream's form, and its answer in the client's; *tap* hears the upstream.

    Raises:
        InputError: if it cannot be carried over.
        Fault: if there is no answer, or one that is an error or none at all.
    """
    form = upstream.place.form
    way = translation(body, client=asked.form, upstream=form, reply_id=reply_id, created=int(time()))
    headers = sent_headers(asked.headers, client=asked.form, upstream=form)
    content = msgspec.json.encode(way.body)
    async with upstream.ask("POST", PATHS[form], headers=headers, body=content) as answer:
        kept = [(name, answer.headers[name]) for name in _ID_HEADERS if name in answer.headers]
        if answer.status != 200:
            fault = _fault(answer.status, await _whole(answer))
            told = msgspec.json.encode(error_body(asked.form, fault, request_id=asked.request_id))
            await send_whole(send, told, status=fault.status, headers=[*JSON, *kept])
        elif way.ask.is_streamed and is_stream(answer):
            with _listening(tap):
                await send_stream(send, way.stream(_heard(answer, tap)), headers=[*EVENTS, *kept])
        else:
            written = _written(way, await _whole(answer, tap))
            await send_whole(send, written, headers=[*JSON, *kept])


def _fault(status: int, body: bytes) -> Fault:
    message, code = message_in(json_object(body, decode=msgspec.json.decode))
    return Fault(status, message or f"the upstream answered with status {status}", code=code or "upstream_error")


def _written(way: Translation, body: bytes) -> bytes:
    value = json_object(body, decode=msgspec.json.decode)
    if value is None:
        raise Fault(502, "the upstream answered with something that is no JSON object", code="upstream_error")
    try:
        return msgspec.json.encode(way.whole(value))
    except UnavailableError as error:
        raise Fault(502, str(error), code="upstream_error") from None


def header(headers: Iterable[tuple[str, str]], *names: str) -> str | None:
    """Return the value of the first of *names* that is among *headers*."""
    held = {name.lower(): value for name, value in headers}
    return next((held[name] for name in names if held.get(name)), None)
