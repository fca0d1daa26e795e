"""What the gateway takes: how much, how many at once, and how long a client may take to say it. Plain ASGI."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retold.errors import RetoldError
from retold.events import Form
from retold.gateway.answering import JSON, send_whole
from retold.gateway.faults import AGAIN, Fault, error_body, fault_of
from retold.ports import Clock

_log = logging.getLogger(__name__)

BODY_BYTES_MAX: Final = 64 * 1024 * 1024
"""Twice what Anthropic takes; requests with many pictures come near."""
REQUESTS_MAX: Final = 512
"""At once; each holds a body and a connection to the upstream."""
BODY_S: Final = 60.0
"""How long a client may be silent while it sends its request."""
ANSWER_S: Final = 600.0
"""How long the upstream may be silent: a model may think that long before its first word."""
ID_HEADER: Final = b"x-request-id"


class ClientGoneError(Exception):
    """Say that nobody waits for the answer any more."""


class Limits(Struct, frozen=True):
    """Hold what a gateway takes; see the constants."""

    body_bytes_max: int = BODY_BYTES_MAX
    requests_max: int = REQUESTS_MAX
    body_s: float = BODY_S
    answer_s: float = ANSWER_S


def form_of(path: str) -> Form:
    """Return the form that clients of *path* speak, for errors."""
    return "anthropic" if "/messages" in path else "responses" if "/responses" in path else "chat"


async def send_fault(send: Send, fault: Fault, *, form: Form, request_id: str) -> None:
    """Send *fault* as an answer of *form*."""
    body = msgspec.json.encode(error_body(form, fault, request_id=request_id))
    await send_whole(send, body, status=fault.status, headers=(*JSON, *fault.headers.items()))


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
            fault = Fault(429, "too many requests at once", code="rate_limit_exceeded", headers=AGAIN)
            await send_fault(sending, fault, form=form_of(scope["path"]), request_id=request_id)
            return
        self.active += 1
        try:
            await self._app(scope, receive, sending)
        except ClientGoneError:
            _log.debug("request %s: the client has gone", request_id)
        except Exception as error:  # noqa: BLE001 - the edge: what it says may hold what was said, so it is not told
            if not answered:
                fault = _answer_to(error, request_id)
                await send_fault(sending, fault, form=form_of(scope["path"]), request_id=request_id)
            else:
                _log.warning("request %s broke off: %s", request_id, type(error).__name__)
        finally:
            self.active -= 1


def _answer_to(error: Exception, request_id: str) -> Fault:
    match error:
        case Fault():
            return error
        case RetoldError():
            return fault_of(error)
        case _:
            _log.error("request %s failed: %s", request_id, type(error).__name__)
            return Fault(500, "the gateway failed", code="internal_error")


async def read_body(scope: Scope, receive: Receive, limits: Limits) -> bytes:
    """Return the body of a request.

    Raises:
        Fault: if it is too long, or the client is silent for too long.
        ClientGoneError: if the client leaves.
    """
    too_large = Fault(
        413, f"expected a body of at most {limits.body_bytes_max} bytes, got more", code="request_too_large"
    )
    stated = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    if stated.isdigit() and int(stated) > limits.body_bytes_max:
        raise too_large
    held = bytearray()
    while True:
        try:
            async with asyncio.timeout(limits.body_s):
                message = await receive()
        except TimeoutError:
            raise Fault(408, "the request did not come in time", code="request_timeout") from None
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        held += message.get("body", b"")
        if len(held) > limits.body_bytes_max:
            raise too_large
        if not message.get("more_body", False):
            return bytes(held)


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do *work*; where the client leaves before it is done, cancel it.

    Raises:
        ClientGoneError: if the client has left.
    """
    task = asyncio.current_task()
    assert task is not None, "runs in a task"
    left = is_over = False

    def leave(_: asyncio.Future[Message]) -> None:
        nonlocal left
        if not is_over:
            left = True
            task.cancel()

    gone = asyncio.ensure_future(receive())
    gone.add_done_callback(leave)
    try:
        await work
    except asyncio.CancelledError:
        if not left or task.uncancel():
            raise
        raise ClientGoneError from None
    finally:
        is_over = True
        gone.cancel()
