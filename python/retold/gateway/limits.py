"""What the gateway takes: how much, how many at once, and how long a client may take to say it. Plain ASGI."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Final, TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retold.errors import RetoldError
from retold.events import Form
from retold.gateway.faults import Fault, error_body, fault_of
from retold.ports import Clock

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

BODY_BYTES_MAX: Final = 64 * 1024 * 1024
"""Twice what Anthropic takes; requests with many pictures come near."""
REQUESTS_MAX: Final = 512
"""At once; each holds a body and a connection to the upstream."""
BODY_S: Final = 60.0
"""How long a client may be silent while it sends its request."""
RETRY_S: Final = 1
"""When it is worth another try, where too many are being answered."""
ID_HEADER: Final = b"x-request-id"


class Limits(Struct, frozen=True):
    """Hold what a gateway takes; see the constants."""

    body_bytes_max: int = BODY_BYTES_MAX
    requests_max: int = REQUESTS_MAX
    body_s: float = BODY_S


def form_of(path: str) -> Form:
    """Return the form that clients of *path* speak, for errors."""
    return "anthropic" if "/messages" in path else "responses" if "/responses" in path else "chat"


def fault_response(fault: Fault, *, form: Form, request_id: str) -> Response:
    """Return *fault* as a response of *form*."""
    headers = {} if fault.retry_after_s is None else {"retry-after": str(fault.retry_after_s)}
    body = msgspec.json.encode(error_body(form, fault, request_id=request_id))
    return Response(body, fault.status, headers=headers, media_type="application/json")


class Guarded:
    """Answer at most so many requests at once, give each an id, and turn what is raised into answers."""

    def __init__(self, app: ASGIApp, *, limits: Limits, clock: Clock) -> None:
        """Stand before *app*."""
        self._app = app
        self._limits = limits
        self._clock = clock
        self.active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http"
        request_id = scope.setdefault("state", {})["request_id"] = f"req_{self._clock.new_id().replace('-', '')}"
        answered = False

        async def sending(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                if all(name.lower() != ID_HEADER for name, _ in message["headers"]):
                    message["headers"] = [*message["headers"], (ID_HEADER, request_id.encode())]
            await send(message)

        if self.active >= self._limits.requests_max:
            fault = Fault(429, "too many requests at once", code="rate_limit_exceeded", retry_after_s=RETRY_S)
            await self._refuse(fault, scope, receive, sending)
            return
        self.active += 1
        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            _log.debug("request %s: the client has gone", request_id)
        except Exception as error:  # noqa: BLE001 - the edge: what it says may hold what was said, so it is not told
            if not answered:
                await self._refuse(_answer_to(error, request_id), scope, receive, sending)
            else:
                _log.warning("request %s broke off: %s", request_id, type(error).__name__)
        finally:
            self.active -= 1

    async def _refuse(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        response = fault_response(fault, form=form_of(scope["path"]), request_id=scope["state"]["request_id"])
        await response(scope, receive, send)


def _answer_to(error: Exception, request_id: str) -> Fault:
    match error:
        case Fault():
            return error
        case RetoldError():
            return fault_of(error)
        case _:
            _log.error("request %s failed: %s", request_id, type(error).__name__)
            return Fault(500, "the gateway failed", code="internal_error")


async def read_body(request: Request, limits: Limits) -> bytes:
    """Return the body of *request*.

    Raises:
        Fault: if it is too long, or the client is silent for too long.
        ClientDisconnect: if the client leaves.
    """
    too_large = Fault(
        413, f"expected a body of at most {limits.body_bytes_max} bytes, got more", code="request_too_large"
    )
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > limits.body_bytes_max:
        raise too_large
    held = bytearray()
    chunks = request.stream()
    while True:
        try:
            async with asyncio.timeout(limits.body_s):
                data = await anext(chunks, None)
        except TimeoutError:
            raise Fault(408, "the request did not come in time", code="request_timeout") from None
        if data is None:
            return bytes(held)
        held += data
        if len(held) > limits.body_bytes_max:
            raise too_large


async def unless_gone(receive: Receive, work: Awaitable[_T]) -> _T:
    """Return what *work* gives; where the client leaves before, cancel it.

    Raises:
        ClientDisconnect: if the client has left.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(receive())
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
        await asyncio.wait({task, gone})
