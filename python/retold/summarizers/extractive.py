"""The summarizer without a model: deterministic, and always there."""

from retold.fold import Context
from retold.policy import SummarizeSpan, Summary, extract_for


class ExtractiveSummarizer:
    """Take telling lines from the entries; the same entries give the same summary."""

    name = "extractive"

    async def summarize(self, context: Context, decision: SummarizeSpan) -> Summary:
        """Return the extractive summary of the entries that *decision* covers. Never fails."""
        return extract_for(context, decision)
