"""Who writes a summary: the provider in its own way, then the summarizer that was chosen, then extraction.

Each is asked only if the one before failed or its summary did not fit. What went wrong is told by the kind of error
alone, in the log and in the event, for an error's text may quote the transcript.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial

import msgspec
from msgspec import structs

from retold.errors import RejectedError
from retold.fold import Context
from retold.model_ports import RemoteCompactor, Summarizer
from retold.policy import PRESETS, SummarizeSpan, Summary, extract_for
from retold.policy.remote import cover_blocks

SUMMARY_TIMEOUT_S = 120.0
"""A summarizer, or a provider that compacts, that takes longer has failed."""

_log = logging.getLogger(__name__)


class SummaryWriter:
    """Have summaries written, whoever fails."""

    def __init__(self, summarizer: Summarizer, *, remote: RemoteCompactor | None = None) -> None:
        """Ask *remote* first, where the session's policy wants it, then *summarizer*."""
        self._summarizer = summarizer
        self._remote = remote

    async def write(
        self, context: Context, decision: SummarizeSpan
    ) -> AsyncGenerator[tuple[SummarizeSpan, Summary], None]:
        """Yield what each makes of *decision*, until the caller has what it can use; the last one never fails.

        A summary comes with the decision that it carries out: a provider's block may cover more.
        """
        failed: list[str] = []
        if self._remote is not None and PRESETS[context.policy].is_remote:
            wider = cover_blocks(context, decision, self._remote.form)
            summary = await self._tried(
                self._remote.name, partial(_remote, self._remote, context, wider), context, failed
            )
            if summary is not None:
                yield wider, summary
                failed.append(f"{self._remote.name}: too long")
        name = self._summarizer.name
        writing = partial(self._summarizer.summarize, context, decision)
        summary = await self._tried(name, writing, context, failed)
        if summary is not None:
            yield decision, structs.replace(summary, summarizer=name, instead_of="; ".join(failed))
            failed.append(f"{name}: too long")
        yield decision, structs.replace(extract_for(context, decision), instead_of="; ".join(failed))

    async def _tried(
        self, name: str, writing: Callable[[], Awaitable[Summary]], context: Context, failed: list[str]
    ) -> Summary | None:
        """Return what was written, or None, with a note in *failed*: any error, too late, or without text."""
        try:
            async with asyncio.timeout(SUMMARY_TIMEOUT_S):
                summary = _checked(await writing())
        except Exception as error:  # noqa: BLE001 - a model's client raises what it likes; the ladder goes on without
            why = type(error).__name__ + (f" ({error.why})" if isinstance(error, RejectedError) else "")
            _log.warning("summarizer %s failed on session %s: %s", name, context.key.session, why)
            failed.append(f"{name}: {why}")
            return None
        return summary


async def _remote(remote: RemoteCompactor, context: Context, decision: SummarizeSpan) -> Summary:
    """Return the provider's block with the extractive summary as its words."""
    compaction = await remote.compact(context, decision)
    return Summary(
        fields=extract_for(context, decision).fields,
        summarizer=remote.name,
        block=compaction.block,
        input_tokens=compaction.input_tokens,
        output_tokens=compaction.output_tokens,
    )


def _checked(summary: object) -> Summary:
    """Return what was written, of the types that are recorded; raise what msgspec raises if it is not.

    A model's client is not checked by mypy, and a model may return half a surrogate pair, or nothing.
    """
    read = msgspec.convert(msgspec.to_builtins(summary, builtin_types=(bytes, bytearray)), Summary)
    msgspec.json.encode(read)
    if not any(field.lines for field in read.fields):
        raise RejectedError("empty")
    return read
