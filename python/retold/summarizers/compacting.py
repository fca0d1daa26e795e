"""Let a provider compact into its own block, whichever it is: what it is shown, and what its answer is taken for.

The history is shown as it is sent to the model, up to where the block will stand.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from msgspec import Raw, Struct

from retold.events import Form
from retold.fold import Context
from retold.policy import SummarizeSpan
from retold.policy.remote import Compaction, shown_to_provider
from retold.summarizers.blocks import model_of, one_block


class Answered(Struct, frozen=True):
    """Hold what a provider answered: its items or blocks as they came, and what they cost in tokens."""

    output: Sequence[Raw]
    input_tokens: int
    output_tokens: int


class ProviderCompactor(ABC):
    """Let a provider compact. How one is asked, its class says."""

    form: Form

    def __init__(self, model: str, *, way: str, provider: str) -> None:
        """Compact for *model*; if empty, for the model that the session's newest usage report names.

        *way* is how it is recorded, before the model; blocks are bound to *provider*.
        """
        self.name = f"{way}:{model}".rstrip(":")
        self._model = model
        self._provider = provider

    @abstractmethod
    async def _ask(self, model: str, shown: list[dict[str, Any]]) -> Answered:
        """Return what *model* answered when it was to compact *shown*. Raises as `compact`."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the client."""

    async def compact(self, context: Context, decision: SummarizeSpan) -> Compaction:
        """Return the provider's block.

        Raises:
            OverflowedError: if the history is too long for the model.
            RejectedError: if the provider answered with no block that can be used.
            UnavailableError: if nobody knows for which model it would have to be.
            Exception: what the client raises when it cannot be reached.
        """
        model = self._model or model_of(context)
        shown = shown_to_provider(context, decision, self.form, model=f"{self._provider}:{model}")
        answered = await self._ask(model, shown)
        block = one_block(answered.output, self.form, provider=self._provider, model=model)
        return Compaction(block=block, input_tokens=answered.input_tokens, output_tokens=answered.output_tokens)
