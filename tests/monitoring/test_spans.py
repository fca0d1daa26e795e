"""Traces: a span for each compaction and each call of a model, with OpenTelemetry's names and without what was said."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest
from msgspec import structs
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from tests.laws.lives import long_life
from tests.laws.logs import HandClock, read, write
from tests.laws.stories import KEY

from retold.events import HistoryReplaced, Recorded
from retold.fold import Context
from retold.log import MemoryLog
from retold.model_ports import Summarizer
from retold.monitoring import spans
from retold.monitoring.meter import Meter
from retold.monitoring.models import MeteredSummarizer
from retold.policy import SummarizeSpan, Summary
from retold.summarizers import ExtractiveSummarizer
from retold.worker import Worker


class _Model:
    """Write what extraction does, as a model that costs tokens; or fail."""

    name = "openai:gpt-test"

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self._inner = ExtractiveSummarizer()

    async def summarize(self, context: Context, decision: SummarizeSpan) -> Summary:
        """Return it, or raise."""
        if self._error is not None:
            raise self._error
        summary = await self._inner.summarize(context, decision)
        return structs.replace(summary, input_tokens=321, output_tokens=45)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Give what collects every span that ends in this test."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


async def _worked(summarizer: Summarizer) -> list[Recorded]:
    log, meter = MemoryLog(), Meter(HandClock("meter"))
    await write(log, KEY, long_life(length=60), clock=HandClock("agent"))
    await Worker(log, HandClock("worker"), MeteredSummarizer(summarizer, meter), telemetry=meter).drain()
    return await read(log, KEY)


def _named(exported: InMemorySpanExporter, name: str) -> Sequence[ReadableSpan]:
    return [span for span in exported.get_finished_spans() if span.name == name]


def test_each_compaction_has_a_span(exported: InMemorySpanExporter) -> None:
    """A span says which session was compacted, how, and from how many tokens to how many."""
    events = asyncio.run(_worked(_Model()))
    replaced = [one.event.data for one in events if isinstance(one.event.data, HistoryReplaced)]
    found = _named(exported, spans.COMPACT)
    assert len(found) == len(replaced) > 1
    for span, fact in zip(found, replaced, strict=True):
        has = dict(span.attributes or {})
        assert has[spans.CONVERSATION] == KEY.session
        assert has[spans.STRATEGY] == fact.tier
        assert has[spans.OUTCOME] == "replaced"
        assert has[spans.TOKENS_BEFORE] == fact.receipt.tokens_before
        assert has[spans.TOKENS_AFTER] == fact.receipt.tokens_after


def test_each_call_of_a_model_is_a_span_inside(exported: InMemorySpanExporter) -> None:
    """A call is a span `chat MODEL` within its compaction's, with the conventions' names and the provider's counts."""
    asyncio.run(_worked(_Model()))
    calls, compactions = _named(exported, "chat gpt-test"), _named(exported, spans.COMPACT)
    assert calls
    parents = {span.context.span_id for span in compactions if span.context is not None}
    for span in calls:
        assert span.parent is not None
        assert span.parent.span_id in parents
        assert dict(span.attributes or {}) == {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-test",
            "gen_ai.conversation.id": KEY.session,
            "retold.tenant": KEY.tenant,
            "gen_ai.usage.input_tokens": 321,
            "gen_ai.usage.output_tokens": 45,
        }


def test_a_call_that_fails_is_marked_and_nothing_that_was_said_is_told(exported: InMemorySpanExporter) -> None:
    """An error shows by its type; neither its text nor any of the conversation's is in an attribute or an event."""
    events = asyncio.run(_worked(_Model(ConnectionError("the transcript, quoted"))))
    calls = _named(exported, "chat gpt-test")
    assert calls
    assert all(span.status.status_code is StatusCode.ERROR for span in calls)
    assert all((span.attributes or {})["error.type"] == "ConnectionError" for span in calls)
    told = " ".join(span.to_json() for span in exported.get_finished_spans())
    assert "quoted" not in told
    texts = [word for one in events for word in one.body.decode(errors="replace").split('"') if len(word) > 40]
    assert len(texts) > 10
    assert not [text for text in texts if text in told]


def test_without_an_sdk_nothing_is_needed() -> None:
    """A process that sets up no traces works the same."""
    assert any(isinstance(one.event.data, HistoryReplaced) for one in asyncio.run(_worked(_Model())))
