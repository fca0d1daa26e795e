"""A summarizer of one's own is a plain function."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from threading import Event
from typing import Any

import pytest
from tests.summarizers.conversations import RULE, compacted, conversation, span_of, story_of

from retold.errors import InputError
from retold.events import SummaryField
from retold.fold import Context, count_item
from retold.policy import SummarizeSpan, Summary
from retold.policy.summary import read_summary, summary_message
from retold.summarizers import FunctionSummarizer, SummaryFunction
from retold.tokens import encoding
from retold.wiring import summarizer_of

_FIELDS = (SummaryField(name="goal", lines=("Mend it.",), seqs=(2,)),)


def as_text(context: Context, decision: SummarizeSpan) -> str:
    """Return a text."""
    assert len(decision.covers) <= len(context.entries)
    return "Mend it.\n\nBuild 4711 fails.\n"


def as_sections(_context: Context, _decision: SummarizeSpan) -> Mapping[str, str | Sequence[str]]:
    """Return lines by section."""
    return {"constraints": RULE, "facts": ["Build 4711 fails."], "goal": "Mend it."}


async def as_fields(_context: Context, _decision: SummarizeSpan) -> Sequence[SummaryField]:
    """Return whole fields, later."""
    return _FIELDS


def _asked(function: SummaryFunction) -> Summary:
    context = story_of(conversation())
    return asyncio.run(FunctionSummarizer(function).summarize(context, span_of(context)))


@pytest.mark.parametrize(
    ("function", "lines"),
    [
        (as_text, {"facts": ("Mend it.", "Build 4711 fails.")}),
        (as_sections, {"goal": ("Mend it.",), "constraints": (RULE,), "facts": ("Build 4711 fails.",)}),
        (as_fields, {"goal": ("Mend it.",)}),
    ],
)
def test_a_function_writes_the_summary(function: SummaryFunction, lines: dict[str, tuple[str, ...]]) -> None:
    """I hand over a function, asynchronous or not; what it returns is my summary, under the function's name."""
    summary = _asked(function)
    assert {field.name: field.lines for field in summary.fields} == lines
    assert summary.summarizer == function.__name__


def test_a_worker_takes_a_function() -> None:
    """A worker with my function records what it wrote, and the model reads it."""
    history, written = asyncio.run(compacted(summarizer_of(as_sections)))
    assert {one.summarizer for one in written} == {"as_sections"}
    told = [(field.name, field.lines) for field in written[-1].fields]
    summaries = [read[1] for item in history.items if (read := read_summary(item)) is not None]
    assert told in [[(field.name, field.lines) for field in fields] for fields in summaries]


def test_what_a_function_writes_too_much_of_is_shortened() -> None:
    """A summary of mine that is over the budget is shortened, not thrown away."""
    context = story_of(conversation())
    decision = span_of(context)
    summary = asyncio.run(FunctionSummarizer(lambda _context, _decision: "word " * 5_000).summarize(context, decision))
    message = summary_message(summary.fields, item_id=decision.summary_id, covers=decision.covers)
    assert 0 < count_item(message, encoding("o200k_base")).upper <= decision.budget_tokens


@pytest.mark.parametrize("written", [None, 3, {"gaol": ["x"]}, {"goal": [3]}, {"goal": None}, ["a", "b"], []])
def test_what_is_no_summary_is_refused(written: Any) -> None:
    """A function that returns something else is told what was expected; what it returned is not repeated."""
    with pytest.raises(InputError, match=r"\Aexpected (?!.*gaol)"):
        _asked(lambda _context, _decision: written)


class _NotAwaited:
    """Raise at once, as a method does that was not written with ``async``."""

    name = "mine"

    def summarize(self, context: Context, decision: SummarizeSpan) -> Coroutine[Any, Any, Summary]:
        raise ValueError(f"a secret of the transcript: {context} {decision}")


def test_a_summarizer_that_raises_before_it_is_awaited_costs_no_history(caplog: pytest.LogCaptureFixture) -> None:
    """A summarizer object of mine that is not asynchronous fails as any other: extraction writes instead."""
    _, written = asyncio.run(compacted(_NotAwaited()))
    assert {(one.summarizer, one.instead_of) for one in written} == {("extractive", "mine: ValueError")}
    assert "secret" not in caplog.text


def test_a_function_that_hangs_keeps_no_process_alive() -> None:
    """If my function never comes back, it is left behind: the worker goes on, and ends when it is told to."""
    never = Event()

    def hang(_context: Context, _decision: SummarizeSpan) -> str:
        never.wait()
        return ""

    async def run() -> None:
        context = story_of(conversation())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await FunctionSummarizer(hang).summarize(context, span_of(context))

    asyncio.run(run())  # it would wait here for a thread of the loop's own
    assert not never.is_set()
    never.set()


@pytest.mark.parametrize("raised", [StopIteration, SystemExit, KeyboardInterrupt, ValueError])
def test_a_function_may_raise_what_it_likes(raised: type[BaseException]) -> None:
    """Whatever my function raises is an error of the summary, and ends neither the worker nor its wait."""

    def fail(_context: Context, _decision: SummarizeSpan) -> str:
        raise raised

    with pytest.raises((ValueError, RuntimeError)):
        _asked(fail)
