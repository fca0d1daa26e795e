"""The worker's telemetry: metrics and spans of what it tells, and what it is behind with.

Rules:
- What is kept is bounded by the sessions that are held or wait, and by `KNOWN_MAX` ends of others.
- Times on events are of other machines' clocks: a delay that comes out below zero is zero.
"""

import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import Token
from datetime import datetime

from msgspec import Struct
from opentelemetry import trace
from opentelemetry.context import Context as OtelContext
from opentelemetry.context import attach, detach
from opentelemetry.trace import Span

from retold.events import Fact, HistoryReplaced, SessionKey, SummaryWritten
from retold.fold import Context
from retold.log.names import partition
from retold.monitoring import spans
from retold.monitoring.metrics import Metrics
from retold.policy import Decision, tier_of
from retold.ports import Clock
from retold.telemetry import GivenUp, SessionSize

KNOWN_MAX = 16_384
"""Of so many sessions it is known how far they were folded; of others, an event that waits counts as one."""


class Lag(Struct, frozen=True):
    """Say how far a worker is behind: with events, with sessions, and for how long with the one that waits longest."""

    events: int
    sessions: int
    seconds: float


class _Wait(Struct):
    end: int
    since_s: float


class _Open(Struct):
    span: Span
    token: Token[OtelContext]
    tier: str
    began_s: float
    appended_at: datetime | None


class Meter:
    """Count and time what a worker tells; see `retold.telemetry.Telemetry` for each method.

    Attributes:
        events: how many were folded.
        held_leases: how many partitions the worker holds.
    """

    def __init__(self, clock: Clock) -> None:
        self.metrics = Metrics()
        self._clock = clock
        self._waiting: dict[SessionKey, _Wait] = {}
        self._folded: OrderedDict[SessionKey, int] = OrderedDict()
        self._held: OrderedDict[SessionKey, SessionSize] = OrderedDict()
        self._aside: set[SessionKey] = set()
        self._open: dict[SessionKey, _Open] = {}
        self._unpublished: dict[SessionKey, datetime] = {}
        self.held_leases = 0
        self.events = 0
        self.metrics.read_from("retold_events_folded_total", lambda: {(): self.events})
        gauge = self.metrics.gauge
        gauge("retold_lag_events").set_function(lambda: self.lag.events)
        gauge("retold_lag_sessions").set_function(lambda: self.lag.sessions)
        gauge("retold_lag_seconds").set_function(lambda: self.lag.seconds)
        gauge("retold_sessions_live").set_function(lambda: len(self._held))
        gauge("retold_sessions_quarantined").set_function(lambda: len(self._aside))
        gauge("retold_leases_held").set_function(lambda: self.held_leases)

    @property
    def lag(self) -> Lag:
        """Return how far the worker is behind. O(sessions that wait)."""
        events = sum(max(wait.end - self._folded.get(key, wait.end - 1), 1) for key, wait in self._waiting.items())
        oldest = min((wait.since_s for wait in self._waiting.values()), default=None)
        seconds = 0.0 if oldest is None else time.monotonic() - oldest
        return Lag(events=events, sessions=len(self._waiting), seconds=seconds)

    @property
    def sizes(self) -> Sequence[SessionSize]:
        """Return the sessions that are held, the one that grew last at the end."""
        return list(self._held.values())

    @property
    def quarantined(self) -> int:
        """Return how many sessions are set aside."""
        return len(self._aside)

    def woke(self, key: SessionKey, seq: int) -> None:
        """Note that events wait, unless they were folded already."""
        if seq <= self._folded.get(key, 0) or key in self._aside:
            return
        wait = self._waiting.setdefault(key, _Wait(seq, time.monotonic()))
        wait.end = max(wait.end, seq)

    def brought_up(self, size: SessionSize, *, events: int) -> None:
        """Count what was folded."""
        self.events += events
        self._held[size.key] = size
        self._held.move_to_end(size.key)
        self._folded[size.key] = size.seq
        self._folded.move_to_end(size.key)
        while len(self._folded) > KNOWN_MAX:
            self._folded.popitem(last=False)
        wait = self._waiting.get(size.key)
        if wait is not None and wait.end <= size.seq:
            del self._waiting[size.key]

    def dropped(self, key: SessionKey) -> None:
        """Forget its size; a compaction that was broken off was abandoned."""
        self._held.pop(key, None)
        self._unpublished.pop(key, None)
        self._end(key, "abandoned")

    def set_aside(self, key: SessionKey) -> None:
        """Count it apart: it is not waited for."""
        self._aside.add(key)
        self._waiting.pop(key, None)
        self.dropped(key)

    def taken_back(self, key: SessionKey) -> None:
        """Count it with the others again."""
        self._aside.discard(key)

    def compacting(self, context: Context, decision: Decision) -> None:
        """Start a span, and the clock."""
        self._end(context.key, "abandoned")  # one that was broken off
        span = spans.start_compaction(context, decision)
        token = attach(trace.set_span_in_context(span))  # so that what is logged names the trace
        self._open[context.key] = _Open(span, token, tier_of(decision), time.monotonic(), context.latest)

    def compacted(self, context: Context, facts: Sequence[Fact]) -> None:
        """Count tokens before and after, and end the span."""
        replaced = next((fact for fact in facts if isinstance(fact, HistoryReplaced)), None)
        if replaced is None:
            return
        opened, tier = self._open.get(context.key), replaced.tier
        receipt = replaced.receipt
        self.metrics.counter("retold_compaction_before_tokens_total", tier=tier).inc(receipt.tokens_before)
        self.metrics.counter("retold_compaction_after_tokens_total", tier=tier).inc(receipt.tokens_after)
        if opened is not None:
            opened.tier = tier
            spans.tell_replaced(opened.span, replaced, _written(facts))
        if context.latest is not None:
            self._unpublished[context.key] = context.latest
        self._end(context.key, "replaced")

    def gave_up(self, context: Context, how: GivenUp) -> None:
        """Count it, and end the span as failed; what was not begun has no span."""
        opened = self._open.get(context.key)
        if opened is None:
            self.metrics.counter("retold_compactions_total", tier="none", outcome=how).inc()
            return
        if how == "failed":
            spans.fail(opened.span, "FloorError")
        self._end(context.key, how)

    def published(self, key: SessionKey) -> None:
        """Time it from the append on that the compaction was due at."""
        self.metrics.counter("retold_histories_published_total").inc()
        appended_at = self._unpublished.pop(key, None)
        if appended_at is not None:
            delay_s = (self._clock.now() - appended_at).total_seconds()
            self.metrics.histogram("retold_append_to_published_seconds").observe(max(delay_s, 0.0))

    def conflicted(self) -> None:
        """Count it."""
        self.metrics.counter("retold_conflicts_total").inc()

    def leases(self, held: int) -> None:
        """Note it."""
        self.held_leases = held

    def let_go(self, partitions: frozenset[int]) -> None:
        """Forget its sessions."""
        for key in [key for key in (*self._held, *self._open) if partition(key) in partitions]:
            self.dropped(key)
        for sessions in (self._waiting, self._unpublished, self._folded):
            for key in [key for key in sessions if partition(key) in partitions]:
                del sessions[key]
        self._aside = {key for key in self._aside if partition(key) not in partitions}

    @contextmanager
    def asking(self, name: str, context: Context) -> Iterator["Asked"]:
        """Time and trace what the summarizer *name* does for the session of *context* in the block."""
        opened = self._open.get(context.key)
        span = spans.start_chat(name, context, within=None if opened is None else opened.span)
        began_s = time.monotonic()
        self.metrics.counter("retold_summarizer_calls_total", summarizer=name).inc()
        try:
            yield Asked(self.metrics, name, span)
        except BaseException as error:
            reason = type(error).__name__
            self.metrics.counter("retold_summarizer_failures_total", summarizer=name, reason=reason).inc()
            spans.fail(span, reason)
            raise
        finally:
            self.metrics.histogram("retold_summarizer_seconds", summarizer=name).observe(time.monotonic() - began_s)
            span.end()

    def _end(self, key: SessionKey, outcome: str) -> None:
        opened = self._open.pop(key, None)
        if opened is None:
            return
        self.metrics.counter("retold_compactions_total", tier=opened.tier, outcome=outcome).inc()
        seconds = time.monotonic() - opened.began_s
        self.metrics.histogram("retold_compaction_seconds", tier=opened.tier).observe(seconds)
        opened.span.set_attribute(spans.OUTCOME, outcome)
        opened.span.end()
        if (
            trace.get_current_span() is opened.span
        ):  # else the task that began it was cancelled, and its context with it
            detach(opened.token)


class Asked:
    """Take what a summarizer's provider counted."""

    def __init__(self, metrics: Metrics, name: str, span: Span) -> None:
        self._metrics = metrics
        self._name = name
        self._span = span

    def answered(self, *, input_tokens: int, output_tokens: int) -> None:
        """Count what an answer cost, as the provider said; 0 where it did not."""
        spans.tell_usage(self._span, input_tokens=input_tokens, output_tokens=output_tokens)
        for direction, tokens in (("input", input_tokens), ("output", output_tokens)):
            labels = {"summarizer": self._name, "direction": direction}
            self._metrics.counter("retold_summarizer_tokens_total", **labels).inc(tokens)


def _written(facts: Sequence[Fact]) -> SummaryWritten | None:
    return next((fact for fact in facts if isinstance(fact, SummaryWritten)), None)
