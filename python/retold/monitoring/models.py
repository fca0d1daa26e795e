"""Summarizers and providers with a clock and a span around them; what they write is passed on as it is."""

from retold.events import Form
from retold.fold import Context
from retold.model_ports import RemoteCompactor, Summarizer
from retold.monitoring.meter import Meter
from retold.policy import SummarizeSpan, Summary
from retold.policy.remote import Compaction


class MeteredSummarizer:
    """Ask another summarizer, and tell *meter*."""

    def __init__(self, inner: Summarizer, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    @property
    def name(self) -> str:
        """Return the other's name."""
        return self._inner.name

    async def summarize(self, context: Context, decision: SummarizeSpan) -> Summary:
        """Return what the other writes; raises what it raises."""
        with self._meter.asking(self.name, context) as asked:
            summary = await self._inner.summarize(context, decision)
            asked.answered(input_tokens=summary.input_tokens, output_tokens=summary.output_tokens)
            return summary


class MeteredCompactor:
    """Let another compact in its own way, and tell *meter*."""

    def __init__(self, inner: RemoteCompactor, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    @property
    def name(self) -> str:
        """Return the other's name."""
        return self._inner.name

    @property
    def form(self) -> Form:
        """Return the form that the other reads."""
        return self._inner.form

    async def compact(self, context: Context, decision: SummarizeSpan) -> Compaction:
        """Return the other's block; raises what it raises."""
        with self._meter.asking(self.name, context) as asked:
            compaction = await self._inner.compact(context, decision)
            asked.answered(input_tokens=compaction.input_tokens, output_tokens=compaction.output_tokens)
            return compaction
