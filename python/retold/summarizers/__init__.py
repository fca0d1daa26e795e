"""What writes summaries."""

from retold.summarizers.extractive import ExtractiveSummarizer

__all__ = ["ExtractiveSummarizer"]
