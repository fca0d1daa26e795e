"""What writes summaries: by extraction, by a model, by a function of one's own; and what lets providers compact.

The modules of a provider import its client, which is an extra: `retold.wiring` loads them where they are asked for.
"""

from retold.summarizers.asking import ModelSummarizer
from retold.summarizers.extractive import ExtractiveSummarizer
from retold.summarizers.functions import FunctionSummarizer, SummaryFunction

__all__ = ["ExtractiveSummarizer", "FunctionSummarizer", "ModelSummarizer", "SummaryFunction"]
