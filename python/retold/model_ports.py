"""What the shell needs from models, as protocols. `retold.wiring` alone names what implements them."""

from typing import Protocol, runtime_checkable

from retold.events import Form
from retold.fold import Context
from retold.policy import SummarizeSpan, Summary
from retold.policy.remote import Compaction


@runtime_checkable
class Closable(Protocol):
    """Hold a connection that is to be closed."""

    async def aclose(self) -> None:
        """Close it. May be repeated."""
        ...


@runtime_checkable
class Summarizer(Protocol):
    """Write structured summaries. It may be slow and may fail; the worker bounds both."""

    @property
    def name(self) -> str:
        """Return the name that is recorded with every summary, for example ``extractive``."""
        ...

    async def summarize(self, context: Context, decision: SummarizeSpan) -> Summary:
        """Return a summary of the entries that *decision* covers, within its budget.

        Whatever it raises is taken for not having one; none of its text is logged.
        """
        ...


@runtime_checkable
class RemoteCompactor(Protocol):
    """Let a provider compact in its own way, into a block that it alone can read. Bounded as `Summarizer` is."""

    @property
    def name(self) -> str:
        """Return the name that is recorded, for example ``openai-remote:gpt-5``."""
        ...

    @property
    def form(self) -> Form:
        """Return the form that the provider reads, and its blocks are of."""
        ...

    async def compact(self, context: Context, decision: SummarizeSpan) -> Compaction:
        """Return the provider's block for the entries that *decision* covers: one, with something in it.

        Whatever it raises is taken for not having one, as of a `Summarizer`.
        """
        ...
