"""A summarizer of one's own: a plain function, awaited or not."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any

from retold.errors import InputError
from retold.events import SummaryField
from retold.fold import Context
from retold.policy import SummarizeSpan, Summary
from retold.policy.fitting import within_budget
from retold.policy.summary import FIELDS
from retold.tokens import encoding

Written = str | Mapping[str, str | Sequence[str]] | Sequence[SummaryField]
"""What a function may return: a text, lines by section, or whole fields."""

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
            written = await asyncio.to_thread(self._function, context, decision)
            written = await written if isinstance(written, Awaitable) else written
        fields = within_budget(
            _fields(written),
            budget_tokens=decision.budget_tokens,
            encoding=encoding(context.encoding),
            item_id=decision.summary_id,
            covers=len(decision.covers),
        )
        return Summary(fields=fields, summarizer=self.name)


def _fields(written: object) -> tuple[SummaryField, ...]:
    if isinstance(written, str):
        return (SummaryField(name="facts", lines=tuple(line for line in written.splitlines() if line.strip())),)
    if isinstance(written, Mapping):
        unknown = [name for name in written if name not in FIELDS]
        if unknown:
            raise InputError(f"expected sections among {', '.join(FIELDS)}, got {len(unknown)} others")
        return tuple(SummaryField(name=name, lines=_lines(written[name])) for name in FIELDS if name in written)
    fields = tuple(written) if isinstance(written, Sequence) else ()
    if not fields or not all(isinstance(field, SummaryField) for field in fields):
        raise InputError(f"expected a text, lines by section or fields, got {type(written).__name__}")
    return fields


def _lines(value: object) -> tuple[str, ...]:
    lines = value.splitlines() if isinstance(value, str) else value
    if not isinstance(lines, Sequence) or not all(isinstance(line, str) for line in lines):
        raise InputError("expected a section's lines as text, or as a list of texts")
    return tuple(line for line in lines if line.strip())
