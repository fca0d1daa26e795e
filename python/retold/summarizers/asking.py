"""The summarizer that asks a model: which request it sends, and what it makes of the answers.

Transport (retries with jitter, `Retry-After`) is the provider's own client's. What is decided here: an overflow halves
what is shown, a rejected answer is asked for once more in tighter words, all within one deadline and `CALLS_MAX` calls.
Whatever fails is raised, and the worker goes on without the model.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from msgspec import structs

from retold.errors import RejectedError
from retold.events import SummaryField
from retold.fold import Context, ledger_of
from retold.policy import SummarizeSpan, Summary
from retold.summarizers.answers import Answer, merge, read_answer
from retold.summarizers.prompt import LEAKING, Prompt
from retold.summarizers.showing import Showing, show

CALLS_MAX = 5
"""Four sizes (all, a half, a quarter, an eighth) and one answer asked for again."""

DEADLINE_S = 110.0
"""All calls together; below the worker's own limit, so that it is known here who was too slow."""

CALL_TIMEOUT_S = 90.0
"""How long a provider may be silent within one call."""

RETRIES_MAX = 2
"""How often a provider's client repeats a call that failed on the way (the clients' own default)."""

SEEN_SHARE = 2
"""A provider that says it read less than one part in so many of what was sent has cut it off without a word, as Ollama
does beyond its `num_ctx`; vocabularies do not differ that much."""


class OverflowedError(Exception):
    """Say that the model cannot take as much as it was shown."""


class Model(Protocol):
    """Answer one prompt. Its client repeats what is worth repeating."""

    @property
    def name(self) -> str:
        """Return the name that is recorded, for example ``openai:gpt-5``."""
        ...

    async def ask(self, prompt: Prompt) -> Answer:
        """Return the answer's text.

        Raises:
            OverflowedError: if the prompt is too long for the model.
            RejectedError: if it answered with something else than a whole text.
            Exception: whatever its client raises when it cannot be reached.
        """
        ...

    async def aclose(self) -> None:
        """Close its client; it is asked no more."""
        ...


class ModelSummarizer:
    """Write summaries by asking a model; rules and files come from the log, whatever it answers."""

    def __init__(self, model: Model, *, deadline_s: float = DEADLINE_S) -> None:
        """Ask *model*, for *deadline_s* seconds at most a summary."""
        self._model = model
        self._deadline_s = deadline_s

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self._model.name

    async def aclose(self) -> None:
        """Close the model's client; it is asked no more."""
        await self._model.aclose()

    async def summarize(self, context: Context, decision: SummarizeSpan) -> Summary:
        """Return the model's summary of what *decision* covers, checked and within its budget.

        Raises:
            TimeoutError: after the deadline.
            RejectedError: if the second answer, too, cannot be used.
            OverflowedError: if the model takes not even an eighth.
            Exception: what the provider's client raises.
        """
        async with asyncio.timeout(self._deadline_s):
            return await self._ask(show(context, decision))

    async def _ask(self, showing: Showing) -> Summary:
        cost = Answer(text="")
        rejected: RejectedError | None = None
        for call in range(CALLS_MAX):
            is_last = call == CALLS_MAX - 1
            try:
                prompt = showing.prompt(None if rejected is None else rejected.why)
                answer = await self._model.ask(prompt)
                cost = _added(cost, answer)
                _check_seen(answer, showing)
                return self._summary(showing, answer, cost, prompt)
            except OverflowedError:
                half = showing.half()
                if is_last or half is None:
                    raise
                showing = half
            except RejectedError as error:
                if is_last or rejected is not None:
                    raise
                rejected = error
        raise AssertionError("the last call returns or raises")

    def _summary(self, showing: Showing, answer: Answer, cost: Answer, prompt: Prompt) -> Summary:
        written = read_answer(answer.text)
        if prompt.leaks("\n".join(line for lines in written.values() for line in lines)):
            raise RejectedError(LEAKING)
        fields = merge(written, showing.computed, showing.covered)
        size = showing.size(fields)
        if size > showing.decision.budget_tokens or size >= _size_of_covered(showing):
            raise RejectedError("inflated")
        return Summary(
            fields=_filled(fields),
            summarizer=self.name,
            input_tokens=cost.input_tokens,
            output_tokens=cost.output_tokens,
        )


def _filled(fields: Sequence[SummaryField]) -> tuple[SummaryField, ...]:
    return tuple(field for field in fields if field.lines)


def _added(cost: Answer, answer: Answer) -> Answer:
    return structs.replace(
        cost,
        input_tokens=cost.input_tokens + answer.input_tokens,
        output_tokens=cost.output_tokens + answer.output_tokens,
    )


def _check_seen(answer: Answer, showing: Showing) -> None:
    sent = showing.vocabulary.count(showing.prompt().data)
    if 0 < answer.input_tokens < sent // SEEN_SHARE:
        raise OverflowedError


def _size_of_covered(showing: Showing) -> int:
    covers = set(showing.decision.covers)
    return ledger_of(entry for entry in showing.context.entries if entry.item.id in covers).upper
