"""The gateway: which path does what.

- ``POST /responses/compact``: a compaction, made here.
- ``POST /responses`` that ends with a `compaction_trigger`: the same as a response.
- ``POST /responses``, ``/chat/completions``, ``/messages``: the upstream's answer, in the client's form.
- ``GET /openapi.json``: all this, for programs.
- everything else below ``/v1`` passes through.

What stands here by name is there with ``/v1`` before it and without.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct, structs
from starlette.types import ASGIApp, Receive, Scope, Send

from retold.errors import InputError, UnsealError
from retold.events import Form
from retold.gateway.answering import send_json
from retold.gateway.compacting import Compactor, send_compacted, send_triggered
from retold.gateway.compactions import MARK, Seals, is_foreign, is_trigger, refusal
from retold.gateway.faults import Fault
from retold.gateway.limits import Guarded, Limits, form_of, read_body, unless_gone
from retold.gateway.openapi import DOCUMENT, document
from retold.gateway.recording import Recorder, Turn
from retold.gateway.relay import Asked, header, pass_on, read_object, translate
from retold.gateway.requests import messages_of, replaced
from retold.gateway.rescuing import PROMPT_MARK, asks_for_summary, is_rescued, rescue
from retold.gateway.upstream import PATHS, Upstream
from retold.ports import Clock

SESSION_HEADER: Final = "x-retold-session"
METHODS: Final = ("GET", "POST", "DELETE")
VERSION: Final = "/v1"
_REPLY_IDS: Final[dict[Form, str]] = {"chat": "chatcmpl-", "responses": "resp_", "anthropic": "msg_"}


class Gateway(Struct, frozen=True):
    """Hold what a gateway consists of."""

    upstream: Upstream
    seals: Seals
    compactor: Compactor
    clock: Clock
    limits: Limits = Limits()
    recorder: Recorder | None = None

    def new_id(self) -> str:
        """Return a new id without marks."""
        return self.clock.new_id().replace("-", "")


def application(gateway: Gateway) -> ASGIApp:
    """Return *gateway* as an ASGI application."""
    return Guarded(_Endpoints(gateway), limits=gateway.limits, clock=gateway.clock)


_Answer = Callable[[Gateway, Asked, Send], Coroutine[Any, Any, None]]


class _Endpoints:
    """Read a request, answer it by one of the functions below, and stop where the client leaves."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path, answer, methods = _place_of(scope)
        if any(name == b"upgrade" and value.lower() == b"websocket" for name, value in scope["headers"]):
            raise Fault(426, "expected a request by HTTP: there are no WebSockets here", code="upgrade_unsupported")
        if scope["method"] not in methods:
            told = " or ".join(methods)
            raise Fault(405, f"expected {told} here", code="method_not_allowed", headers={"allow": ", ".join(methods)})
        asked = Asked(
            form=form_of(path),
            method=scope["method"],
            path=path,
            query=scope["query_string"].decode("latin-1"),
            headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]),
            body=await read_body(scope, receive, self._gateway.limits),
            request_id=scope["state"]["request_id"],
        )
        await unless_gone(receive, answer(self._gateway, asked, send))


def _place_of(scope: Scope) -> tuple[str, _Answer, Sequence[str]]:
    """Return the path of a request below the version, what answers it, and which methods it takes."""
    path: str = scope["path"]
    below = path.removeprefix(VERSION)
    if answer := ANSWERS.get(below):
        return below, answer, ("POST",)
    if path == DOCUMENT:
        return path, _describe, ("GET",)
    if path.startswith(f"{VERSION}/") or path == "/models":
        # As it was written, for the upstream's resources may have names with marks in them.
        return scope["raw_path"].decode("ascii").removeprefix(VERSION), _pass, METHODS
    raise Fault(404, "there is nothing at this path", code="not_found")


async def _describe(_: Gateway, __: Asked, send: Send) -> None:
    await send_json(send, document())


async def _pass(gateway: Gateway, asked: Asked, send: Send) -> None:
    await pass_on(gateway.upstream, asked, send)


async def _compact(gateway: Gateway, asked: Asked, send: Send) -> None:
    body = read_object(asked.body)
    if body.get("previous_response_id") is not None:
        raise InputError("expected the whole conversation as input: this server has no previous_response_id")
    messages = _opened(gateway, asked, body)
    if is_foreign(messages):
        await _to_its_maker(gateway, asked, body, messages, send)
        return
    new_id = gateway.new_id()
    session = header(asked.headers, SESSION_HEADER)
    compacted = await gateway.compactor.compact(messages, model=_model(body), session=session, new_id=new_id)
    await send_compacted(send, compacted, new_id=new_id)


async def _generate(gateway: Gateway, asked: Asked, send: Send) -> None:
    speaks = gateway.upstream.place.form
    concerns = asked.form == "responses" and may_concern_us(asked)
    if asked.form == speaks and not concerns and gateway.recorder is None:
        await pass_on(gateway.upstream, asked, send)
        return
    body = read_object(asked.body)
    if concerns:
        messages = _opened(gateway, asked, body)
        if is_trigger(messages):
            await _triggered(gateway, asked, body, messages, send)
            return
        if is_rescued(asked, body, messages):
            await rescue(gateway.upstream, gateway.compactor, asked, {**body, "input": messages}, send)
            return
        if messages != body.get("input"):
            body = {**body, "input": messages}
            asked = structs.replace(asked, body=msgspec.json.encode(body))
    await _forward(gateway, asked, body, send)


async def _forward(gateway: Gateway, asked: Asked, body: dict[str, Any], send: Send) -> None:
    speaks = gateway.upstream.place.form
    turn: Turn | None = None
    if gateway.recorder is not None:
        turn, shorter = await gateway.recorder.asked(asked, body, heard=speaks)
        if shorter is not None:
            body = replaced(body, asked.form, shorter)
            asked = structs.replace(asked, body=msgspec.json.encode(body))
    if asked.form == speaks:
        await pass_on(gateway.upstream, asked, send, tap=turn)
    else:
        reply_id = _REPLY_IDS[asked.form] + gateway.new_id()
        await translate(gateway.upstream, asked, body, send, reply_id=reply_id, tap=turn)


ANSWERS: Final[Mapping[str, _Answer]] = {"/responses/compact": _compact, **dict.fromkeys(PATHS.values(), _generate)}
"""What is answered here, by the path below the version."""


def may_concern_us(asked: Asked) -> bool:
    """Return whether a request may hold something that is not for the upstream; if not, it need not be read."""
    return MARK in asked.body or PROMPT_MARK in asked.body or asks_for_summary(asked)


async def _triggered(
    gateway: Gateway, asked: Asked, body: dict[str, Any], messages: list[dict[str, Any]], send: Send
) -> None:
    if is_foreign(messages):
        await _to_its_maker(gateway, asked, body, messages, send)
        return
    model, new_id = _model(body), gateway.new_id()
    session = header(asked.headers, SESSION_HEADER)
    work = gateway.compactor.compact(messages[:-1], model=model, session=session, new_id=new_id)
    making = asyncio.ensure_future(work)
    try:
        await send_triggered(send, making, model=model, new_id=new_id, is_streamed=body.get("stream") is True)
    finally:
        making.cancel()


async def _to_its_maker(
    gateway: Gateway, asked: Asked, body: dict[str, Any], messages: list[dict[str, Any]], send: Send
) -> None:
    """Let the upstream compact a conversation that it has compacted before: nobody else can read its block."""
    if gateway.upstream.place.form != "responses":
        raise refusal(UnsealError("not ours"))
    sent = structs.replace(asked, body=msgspec.json.encode({**body, "input": messages}))
    await pass_on(gateway.upstream, sent, send)


def _opened(gateway: Gateway, asked: Asked, body: dict[str, Any]) -> list[dict[str, Any]]:
    messages = messages_of(body, "responses")
    if MARK not in asked.body:
        return [dict(message) for message in messages]
    session = header(asked.headers, SESSION_HEADER)
    return gateway.seals.open(messages, model=_model(body), session=session)


def _model(body: dict[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InputError("expected model to be a name")
    return model
