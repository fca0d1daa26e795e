"""Summaries that an agent asks its model for by itself, as Codex does where its provider cannot compact.

The model is asked. What it answers passes the guard; where nothing of it may be told, it is asked once more. Where it
fails, finds the conversation too long, says nothing or answers with a call, the agent would lose the session, or all
but the user's words: so it is given a summary of ours as the model's answer.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from time import time
from typing import Any, Final

import msgspec
from starlette.types import Send

from retold.errors import UnavailableError
from retold.gateway.answering import send_json, send_stream
from retold.gateway.compacting import Compactor, until_done
from retold.gateway.faults import Fault
from retold.gateway.handoff import usage_tokens
from retold.gateway.model_summaries import stricter, told_of
from retold.gateway.relay import Asked, header
from retold.gateway.reply import Began, Ended, Piece, Reply, Said, Usage, gather
from retold.gateway.requests import LISTING
from retold.gateway.responses_replies import Names, Writer, write_whole
from retold.gateway.translating import pieces_of, read_stream, translation
from retold.gateway.upstream import PATHS, Upstream, is_stream, json_object, sent_headers, whole_body

_log = logging.getLogger(__name__)

PROMPT: Final = "CONTEXT CHECKPOINT COMPACTION"
"""What stands in the prompt by which Codex asks for a summary."""
PROMPT_MARK: Final = PROMPT.encode()
KIND_HEADER: Final = "x-codex-turn-metadata"
KIND: Final = '"request_kind":"compaction"'
PROMPT_CHARACTERS_MAX: Final = 8_000
"""A longer message is a conversation that speaks of such prompts."""
ANSWER_S: Final = 240.0
"""How long the model may take: Codex gives up after 300 seconds of silence."""


def asks_for_summary(asked: Asked) -> bool:
    """Return whether the head of a request says that it is for a compaction, as Codex's does."""
    return KIND in (header(asked.headers, KIND_HEADER) or "")


def is_rescued(asked: Asked, body: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the request *body* asks the model for a summary of *messages*, as Codex does: without tools."""
    last = messages[-1] if messages else {}
    if body.get("tools") or last.get("role") != "user":
        return False
    if asks_for_summary(asked):
        return True
    if any(message.get("type") == LISTING for message in messages):
        return False
    parts = last.get("content")
    texts = [parts] if isinstance(parts, str) else [part.get("text") for part in parts or [] if isinstance(part, dict)]
    return any(isinstance(text, str) and PROMPT in text and len(text) < PROMPT_CHARACTERS_MAX for text in texts)


async def rescue(upstream: Upstream, compactor: Compactor, asked: Asked, body: dict[str, Any], send: Send) -> None:
    """Answer the request *body* for a summary: with the model's, or with ours.

    Raises:
        InputError: if the conversation is of no form that is known.
    """
    making = asyncio.ensure_future(_reply(upstream, compactor, asked, body))
    try:
        if body.get("stream") is True:
            await send_stream(send, _events(making, body))
        else:
            await send_json(send, write_whole(await making, Names(tools={}), created=int(time())))
    finally:
        making.cancel()


async def _events(making: "asyncio.Task[Reply]", body: Mapping[str, Any]) -> AsyncIterator[bytes]:
    async for comment in until_done(making):
        yield comment
    reply = making.result()
    writer = Writer(Names(tools={}), fallback_id=reply.id, model=str(body.get("model", "")), created=int(time()))
    pieces: tuple[Piece, ...] = (Began(model=reply.model), Said(reply.said), Ended(usage=reply.usage))
    yield b"".join(map(writer.write, pieces))


async def _reply(upstream: Upstream, compactor: Compactor, asked: Asked, body: dict[str, Any]) -> Reply:
    model, (*messages, request) = str(body.get("model", "")), body["input"]
    handoff = await compactor.plan(messages, model=model)
    reply_id = f"resp_{asked.request_id.removeprefix('req_')}"
    try:
        async with asyncio.timeout(ANSWER_S):
            for sent in (body, {**body, "input": stricter(body["input"])}):
                answered = await _asked(upstream, asked, sent)
                if answered is None or not (answered.is_whole and answered.said.strip() and answered.reason == "stop"):
                    break
                told = await asyncio.to_thread(told_of, answered.said, handoff, request)
                if told is not None:
                    answered.id, answered.order, answered.said = reply_id, ["said"], told
                    return answered
                _log.warning("request %s: the model's summary cannot be told", asked.request_id)
    except (Fault, UnavailableError, TimeoutError) as error:
        _log.warning("request %s: the model gave no summary: %s", asked.request_id, type(error).__name__)
    summary = await compactor.write(handoff)
    read, written = usage_tokens(handoff, summary)
    own: list[Piece] = [
        Began(reply_id, model),
        Said(summary.text),
        Ended(usage=Usage(read, written)),
    ]
    return gather(own)


async def _asked(upstream: Upstream, asked: Asked, body: dict[str, Any]) -> Reply | None:
    """Return what the model answers; None where that is an error."""
    form = upstream.place.form
    sent = body
    if form != "responses":
        way = translation(body, client="responses", upstream=form, reply_id="", created=0)
        sent = way.body
    headers = sent_headers(asked.headers, client="responses", upstream=form)
    reply = Reply()
    async with upstream.ask("POST", PATHS[form], headers=headers, body=msgspec.json.encode(sent)) as answer:
        if answer.status != 200:
            _log.warning("request %s: the model gave no summary: status %d", asked.request_id, answer.status)
            return None
        if is_stream(answer):
            async for pieces in read_stream(answer.content.iter_any(), form):
                for piece in pieces:
                    reply.add(piece)
            return reply
        whole = json_object(await whole_body(answer), decode=msgspec.json.decode)
        with suppress(UnavailableError):
            for piece in pieces_of(whole or {}, form):
                reply.add(piece)
        return reply
