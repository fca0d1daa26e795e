"""A summarizer of one's own: a plain function, awaited or not."""

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

from retold.fold import Context
from retold.own_threads import in_own_thread
from retold.policy import SummarizeSpan, Summary
from retold.policy.written import Written, summary_of

SummaryFunction = Callable[[Context, SummarizeSpan], Written | Awaitable[Written]]
"""Summarise the entries of a context that a decision covers."""


class FunctionSummarizer:
    """Let a function write summaries; what is too long for the budget is shortened."""

    def __init__(self, function: SummaryFunction, *, name: str | None = None) -> None:
        """Ask *function*; it is recorded under its own name, or *name*."""
        self.name = name or str(getattr(function, "__name__", "function"))
        self._function = function

    async def summarize(self, context: Context, decision: SummarizeSpan) -> Summary:
        """Return what the function wrote. One that is not asynchronous runs in a thread, and is left there if late.

        Raises:
            InputError: if it wrote something else than text, lines by section (`FIELDS`), or fields.
        """
        if iscoroutinefunction(self._function):
            written: Any = await self._function(context, decision)
        else:
            written = await in_own_thread(partial(self._function, context, decision), name="retold-summarizer")
            written = await written if isinstance(written, Awaitable) else written
        return summary_of(written, context, decision, summarizer=self.name)
