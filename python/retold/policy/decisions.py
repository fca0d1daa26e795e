"""Decisions: what policy wants done, as values. A worker carries one out and records it as facts (`replacement`)."""

from msgspec import Struct

from retold.events import Message, Put, Span
from retold.policy.placeholders import Placeholder


class OffloadItems(Struct, frozen=True):
    """Put placeholders in the place of items; reversible.

    Attributes:
        items: a placeholder for each item to offload, in the history's order.
        body: the new history.
        tokens_after: the new history's size, upper bound.
    """

    items: tuple[Placeholder, ...]
    body: tuple[Span, ...]
    target_tokens: int
    tokens_after: int


class OffloadEntries(Struct, frozen=True):
    """Put placeholders in the place of entries; reversible. They are worded when this is carried out.

    Attributes:
        positions: where the entries stand, in the order in which they leave.
    """

    positions: tuple[int, ...]
    target_tokens: int


class SummarizeSpan(Struct, frozen=True):
    """Let a summary stand for entries.

    Attributes:
        covers: ids of the entries that the summary stands for, oldest first.
        body: the new history; it places the summary by `summary_id`.
        summary_id: the id that the summary's item gets.
        budget_tokens: the most that the summary may take.
        cut: user messages whose middle was cut, as they are now.
    """

    covers: tuple[str, ...]
    body: tuple[Span, ...]
    summary_id: str
    budget_tokens: int
    target_tokens: int
    cut: tuple[Put, ...] = ()


class TruncateHistory(Struct, frozen=True):
    """Cut texts in the middle and drop the oldest entries; the last resort.

    Attributes:
        cut: the items whose text was cut, as they are now.
        dropped: ids of the entries that leave.
        body: the new history; it places the note, if there is one.
        note: names what was dropped, where there is room for it.
    """

    cut: tuple[Put, ...]
    dropped: tuple[str, ...]
    body: tuple[Span, ...]
    target_tokens: int
    note: Message | None = None


Worded = OffloadItems | SummarizeSpan | TruncateHistory
"""A decision with every word that it puts into the history, but a summary's."""

Decision = OffloadEntries | Worded
