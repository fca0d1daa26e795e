"""What somebody's own function wrote as a summary, read as fields."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from inspect import iscoroutinefunction

from retold.errors import InputError
from retold.events import SummaryField
from retold.fold import Context
from retold.policy.decisions import SummarizeSpan
from retold.policy.fitting import within_budget
from retold.policy.replacement import Summary
from retold.policy.summary import FIELDS
from retold.tokens import encoding

Written = str | Mapping[str, str | Sequence[str]] | Sequence[SummaryField]
"""What a function may return: a text, lines by section, or whole fields."""

SummaryFunction = Callable[[Context, SummarizeSpan], Written]
"""Summarise the entries of a context that a decision covers."""

_ELSEWHERE = "a worker takes models, and functions that are awaited"


def check_plain(function: object, *, name: str) -> None:
    """Check that *function*, given as *name*, can be called without waiting for anything.

    Raises:
        InputError: if it is no function, or one that is awaited.
    """
    if not callable(function):
        raise InputError(f"expected a plain function as {name}, got {type(function).__name__}: {_ELSEWHERE}")
    if iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
        raise InputError(f"expected a plain function as {name}, got one that is awaited: {_ELSEWHERE}")


def check_written(written: object, *, name: str) -> None:
    """Check that what the function called *name* returned is not still to be awaited.

    Raises:
        InputError: if it is.
    """
    if isinstance(written, Awaitable):
        if isinstance(written, Coroutine):
            written.close()
        raise InputError(f"expected a plain function as {name}, got one whose result is awaited: {_ELSEWHERE}")


def summary_of(written: object, context: Context, decision: SummarizeSpan, *, summarizer: str) -> Summary:
    """Return what *summarizer* wrote for *decision*, shortened to its budget.

    Raises:
        InputError: if it is not text, lines by section (`FIELDS`), or fields.
    """
    fields = within_budget(
        fields_of(written),
        budget_tokens=decision.budget_tokens,
        encoding=encoding(context.encoding),
        item_id=decision.summary_id,
        covers=decision.covers,
    )
    return Summary(fields=fields, summarizer=summarizer)


def fields_of(written: object) -> tuple[SummaryField, ...]:
    """Return *written*, of any shape that `Written` allows, as fields; a text is facts, a line each.

    Raises:
        InputError: if it is of none.
    """
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
