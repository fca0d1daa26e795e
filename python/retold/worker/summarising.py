"""Who writes a summary: the provider in its own way, then the summarizer that was chosen, then extraction.

Each is asked only if the one before failed or its summary did not fit. What went wrong is told by the kind of error
alone, in the log and in the event, for an error's text may quote the transcript.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial

import msgspec
from msgspec import structs

from retold.errors import RejectedError
from retold.events import SessionKey
from retold.extracting import ExtractionProcess
from retold.fold import Context
from retold.model_ports import RemoteCompactor, Summarizer
from retold.own_threads import in_own_thread
from retold.policy import PRESETS, SummarizeSpan, Summary, extract_for
from retold.policy.remote import cover_blocks
from retold.summarizers import ExtractiveSummarizer
from retold.worker.limits import Limits
from retold.worker.models import ModelPlaces

REMOTE_SHARE = 0.5
"""How much of the time for a summary a provider may take that compacts in its own way: another writes in the rest."""

CANCEL_GRACE_S = 1.0
"""How long one who is late may take to clean up; then it is left to itself, and the history does not wait for it."""

APART_TOKENS = 20_000
"""From so many tokens on extraction has a process of its own: it takes 50 ms and more, in which nothing else was done.
"""

Away = Callable[[SessionKey], AbstractAsyncContextManager[None]]
"""Gives the place of a session to others during a block."""

_log = logging.getLogger(__name__)


class SummaryWriter:
    """Have summaries written, whoever fails."""

    def __init__(
        self,
        summarizer: Summarizer,
        *,
        remote: RemoteCompactor | None = None,
        limits: Limits | None = None,
        away: Away = lambda _: nullcontext(),
    ) -> None:
        """Ask *remote* first, where the session's policy wants it, then *summarizer*; *away* is held meanwhile."""
        self._summarizer = summarizer
        self._remote = remote
        self._limits = limits or Limits()
        self._models = ModelPlaces(self._limits)
        self._away = away
        self._extracting = asyncio.Lock()
        self._process = ExtractionProcess()

    def asks_a_model(self, context: Context) -> bool:
        """Return whether `write` asks anybody for the summary of *context*, and does not extract it right away."""
        is_remote = self._remote is not None and PRESETS[context.policy].is_remote
        return is_remote or self._summarizer.name != ExtractiveSummarizer.name

    async def write(
        self, context: Context, decision: SummarizeSpan
    ) -> AsyncGenerator[tuple[SummarizeSpan, Summary], None]:
        """Yield what each makes of *decision*, until the caller has what it can use; the last one never fails.

        A summary comes with the decision that it carries out: a provider's block may cover more.
        """
        failed: list[str] = []
        until = asyncio.get_running_loop().time() + self._limits.summary_timeout_s
        if self._remote is not None and PRESETS[context.policy].is_remote:
            wider = cover_blocks(context, decision, self._remote.form)
            writing = partial(_remote, self._remote, context, wider)
            half = until - self._limits.summary_timeout_s * (1 - REMOTE_SHARE)
            summary = await self._tried(self._remote.name, writing, context, wider, until=half, failed=failed)
            if summary is not None:
                yield wider, summary
                failed.append(f"{self._remote.name}: too long")
        name = self._summarizer.name
        if name != ExtractiveSummarizer.name:
            writing = partial(self._summarizer.summarize, context, decision)
            summary = await self._tried(name, writing, context, decision, until=until, failed=failed)
            if summary is not None:
                yield decision, structs.replace(summary, summarizer=name, instead_of="; ".join(failed))
                failed.append(f"{name}: too long")
        yield decision, structs.replace(await self._extracted(context, decision), instead_of="; ".join(failed))

    async def _extracted(self, context: Context, decision: SummarizeSpan) -> Summary:
        """Return the extractive summary; a long one is made apart, one at a time, while others have their turns."""
        if _covered_tokens(context, decision) < APART_TOKENS:
            return extract_for(context, decision)
        async with self._away(context.key), self._extracting:
            return await in_own_thread(partial(self._process.extract, context, decision), name="retold-extraction")

    async def _tried(
        self,
        name: str,
        writing: Callable[[], Awaitable[Summary]],
        context: Context,
        decision: SummarizeSpan,
        *,
        until: float,
        failed: list[str],
    ) -> Summary | None:
        """Return what was written, or None, with a note in *failed*: any error, too late, over budget, or no text."""
        tokens = _covered_tokens(context, decision)
        why = self._models.refusal(context.key.tenant, tokens=tokens)
        if why is not None:
            failed.append(f"{name}: over budget ({why})")
            return None
        async with self._away(context.key):
            try:
                async with asyncio.timeout_at(until), self._models.place(context.key.tenant, tokens=tokens) as booking:
                    summary = _checked(await _left_if_late(writing))
                    booking.tokens = summary.input_tokens + summary.output_tokens or tokens
            except Exception as error:  # noqa: BLE001 - a model's client raises what it likes; the ladder goes on
                why = type(error).__name__ + (f" ({error.why})" if isinstance(error, RejectedError) else "")
                _log.warning("summarizer %s failed on session %s: %s", name, context.key.session, why)
                failed.append(f"{name}: {why}")
                return None
        return summary


def _covered_tokens(context: Context, decision: SummarizeSpan) -> int:
    covered = frozenset(decision.covers)
    return sum(entry.tokens.upper for entry in context.entries if entry.item.id in covered)


async def _left_if_late(writing: Callable[[], Awaitable[Summary]]) -> Summary:
    """Return what is written. When cancelled, give it a moment to end, and then leave it to itself."""
    task = asyncio.ensure_future(writing())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        task.add_done_callback(lambda late: late.cancelled() or late.exception())  # nobody else looks at it any more
        await asyncio.wait({task}, timeout=CANCEL_GRACE_S)
        raise


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
