"""Compactions that an agent asks for: the endpoint ``/responses/compact``, and the trigger at the end of a request.

A compaction never fails for want of a model: what a summarizer does not give is extracted.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from time import time
from typing import Any, Final

from msgspec import Struct, structs
from starlette.types import Send

from retold.events import Item
from retold.formats import to_items
from retold.formats.models import encoding_of
from retold.gateway.answering import send_json, send_stream
from retold.gateway.compactions import Seals
from retold.gateway.handoff import Handoff, kept_messages, plan_handoff, sealed_form, usage_tokens
from retold.gateway.reply import Usage
from retold.gateway.responses_replies import response_of, usage_of
from retold.gateway.sse import KEEP_ALIVE, write_event
from retold.model_ports import Summarizer
from retold.policy import Summary, extract_for
from retold.policy.guarding import guard_fields
from retold.security import SealedSummary, seal_summary
from retold.summarizers import ExtractiveSummarizer

_log = logging.getLogger(__name__)

ENCODING: Final = "o200k_base"
"""What a model is counted by whose vocabulary nobody knows."""
SUMMARY_S: Final = 120.0
"""How long a summarizer may take; after that, the summary is extracted."""
KEEP_ALIVE_S: Final = 10.0
"""How often a client that waits for a summary is told that somebody is there."""


class Compacted(Struct, frozen=True):
    """Hold a compaction that is made.

    Attributes:
        kept: what stays, as Responses items.
        item: the compaction item.
    """

    kept: list[dict[str, Any]]
    item: dict[str, Any]
    usage: Usage


class Compactor:
    """Make the compactions of one gateway."""

    def __init__(self, summarizer: Summarizer, seals: Seals, *, summary_s: float = SUMMARY_S) -> None:
        """Let *summarizer* write, for *summary_s* seconds at most; seal with *seals*."""
        self._summarizer = summarizer
        self._seals = seals
        self._summary_s = summary_s

    async def compact(
        self, messages: Sequence[Mapping[str, Any]], *, model: str, session: str | None, new_id: str
    ) -> Compacted:
        """Return the compaction of *messages* (our own summaries in words) for *model*; its item is called *new_id*.

        Raises:
            InputError: if a message is of no form that is known.
        """
        handoff = await self.plan(messages, model=model)
        sealed = await self.write(handoff)
        content = seal_summary(sealed, self._seals.binding(model, session), keys=self._seals.keys)
        read, written = usage_tokens(handoff, sealed)
        return Compacted(
            kept=kept_messages(handoff, messages),
            item={"type": "compaction", "id": f"cmp_{new_id}", "encrypted_content": content},
            usage=Usage(input_tokens=read, output_tokens=written),
        )

    async def plan(self, messages: Sequence[Mapping[str, Any]], *, model: str) -> Handoff:
        """Return what *messages* become. Raises as `compact`."""
        return await asyncio.to_thread(_plan, messages, model)

    async def write(self, handoff: Handoff) -> SealedSummary:
        """Return the summary of what leaves, as it may be told."""
        summary = await self._summary(handoff)
        return sealed_form(handoff, await asyncio.to_thread(_guarded, summary, handoff))

    async def _summary(self, handoff: Handoff) -> Summary:
        if self._summarizer.name != ExtractiveSummarizer.name:
            try:
                async with asyncio.timeout(self._summary_s):
                    return await self._summarizer.summarize(handoff.context, handoff.decision)
            except Exception as error:  # noqa: BLE001 - whatever it raises, a summary that failed must not cost the turn
                _log.warning("%s gave no summary: %s", self._summarizer.name, type(error).__name__)
        return await asyncio.to_thread(extract_for, handoff.context, handoff.decision)


def _guarded(summary: Summary, handoff: Handoff) -> Summary:
    """Return *summary* as it may be told: orders that tools gave are quotations (`retold.policy.guarding`)."""
    found = guard_fields(summary.fields, handoff.context, handoff.decision, summarizer=summary.summarizer)
    return structs.replace(summary, fields=found.fields)


def _plan(messages: Sequence[Mapping[str, Any]], model: str) -> Handoff:
    items: list[Item] = [item for message in messages for item in to_items(message, form="responses")]
    return plan_handoff(items, encoding=encoding_of(model) or ENCODING)


async def send_compacted(send: Send, compacted: Compacted, *, new_id: str) -> None:
    """Send *compacted* as the endpoint answers."""
    value = {
        "id": f"resp_{new_id}",
        "object": "response.compaction",
        "created_at": int(time()),
        "output": [*compacted.kept, compacted.item],
        "usage": usage_of(compacted.usage),
    }
    await send_json(send, value)


async def send_triggered(
    send: Send, making: "asyncio.Task[Compacted]", *, model: str, new_id: str, is_streamed: bool
) -> None:
    """Send what is in the *making* as a response with one item, whole or as a stream."""
    opening = response_of(
        response_id=f"resp_{new_id}", model=model, created=int(time()), output=[], status="in_progress", usage=None
    )
    if is_streamed:
        await send_stream(send, _events(making, opening))
    else:
        await send_json(send, _closing(opening, await making))


async def _events(making: "asyncio.Task[Compacted]", opening: dict[str, Any]) -> AsyncIterator[bytes]:
    yield _event(0, "response.created", response=opening)
    async for comment in until_done(making):
        yield comment
    compacted = making.result()
    item = compacted.item
    yield b"".join(
        (
            _event(1, "response.output_item.added", output_index=0, item=item),
            _event(2, "response.output_item.done", output_index=0, item=item),
            _event(3, "response.completed", response=_closing(opening, compacted)),
        )
    )


async def until_done(making: "asyncio.Task[Any]") -> AsyncIterator[bytes]:
    """Yield a comment now and then until *making* is done."""
    while not making.done():
        done, _ = await asyncio.wait({making}, timeout=KEEP_ALIVE_S)
        if not done:
            yield KEEP_ALIVE


def _closing(opening: dict[str, Any], compacted: Compacted) -> dict[str, Any]:
    return {**opening, "status": "completed", "output": [compacted.item], "usage": usage_of(compacted.usage)}


def _event(number: int, kind: str, **fields: Any) -> bytes:
    return write_event({"type": kind, "sequence_number": number, **fields}, name=kind)
