"""Compress a list of messages without a log: ranges of it become blocks that a model wrote, and come back. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from msgspec import Struct, structs

from retold.errors import InputError
from retold.events import Form, Item, Receipt, Window
from retold.fold import Context, Entry, Tokens, ledger_of, request_size
from retold.formats import detect_forms, to_items
from retold.policy.compacting import list_context, list_messages, listed
from retold.policy.compressing import CompressedRange, Range, plan_compression
from retold.policy.history_tools import read_ranges
from retold.policy.nudging import Style, nudge_of
from retold.policy.viewing import HistoryView, view_of

_UNBOUNDED = 10**12
"""What stands for the window where it says nothing: a list is compressed, not fitted."""


class Listed(Struct, frozen=True):
    """Hold a list of messages as it was given and as it was read."""

    messages: list[dict[str, Any]]
    sources: tuple[tuple[Item, ...], ...]
    context: Context
    form: Form

    def messages_of(self, entries: Sequence[Entry]) -> list[dict[str, Any]]:
        """Return the messages of *entries*, as they were given where they are whole."""
        return list_messages(entries, self.context, self.messages, self.sources, self.form)


class Compressed(Struct, frozen=True):
    """Hold a list of messages with compressed ranges.

    Attributes:
        messages: in the form that was given; those outside of the ranges are equal to those given, and copies.
        counted: their size as one request, by how it is known.
        blocks: the blocks in order, each with the ids of what it stands for.
        receipt: the whole list before and after.
    """

    messages: list[dict[str, Any]]
    counted: Tokens
    blocks: tuple[CompressedRange, ...]
    receipt: Receipt
    entries: tuple[Entry, ...]
    given: Listed

    @property
    def tokens(self) -> int:
        """Return the size as one request, in tokens; the upper bound where a part is estimated."""
        return self.counted.upper

    def decompress(self, block: str) -> list[dict[str, Any]]:
        """Return the messages with what *block* stands for in its place; with one block they are those given.

        Raises:
            InputError: if this compression made no such block.
        """
        found = next((one for one in self.blocks if one.block == block), None)
        if found is None:
            made = ", ".join(one.block for one in self.blocks)
            raise InputError(f"expected a block of this compression, {made}, got {block[:20]!r}")
        originals = [entry for entry in self.given.context.entries if entry.item.id in found.items]
        entries = [one for entry in self.entries for one in (originals if entry.item.id == block else [entry])]
        return self.given.messages_of(entries)


def compress(
    messages: Iterable[Mapping[str, Any]],
    ranges: Sequence[Mapping[str, Any] | Range],
    *,
    encoding: str = "o200k_base",
    form: Form | None = None,
) -> Compressed:
    """Return *messages* with each of *ranges* as one block, in the same form. Pure: no log, no server, no model.

    Items are numbered from ``i1`` in order, all of a message's; blocks of before keep their ids (``c1``). A range is
    ``{"first": "i3", "last": "i17", "messages": ["…"]}``, both ends included.

    Raises:
        InputError: if a message is not of its form, or a range cannot be compressed; the text says which can.
    """
    given = _given(messages, encoding=encoding, form=form)
    plan = plan_compression(given.context, read_ranges(ranges))
    return Compressed(
        messages=given.messages_of(plan.entries),
        counted=request_size(ledger_of(plan.entries)),
        blocks=plan.blocks,
        receipt=plan.receipt,
        entries=plan.entries,
        given=given,
    )


def view(
    messages: Iterable[Mapping[str, Any]],
    *,
    window: Window,
    style: Style = "balanced",
    encoding: str = "o200k_base",
    form: Form | None = None,
) -> HistoryView:
    """Return *messages* as their model is shown them: ids, sizes, what is used and left of *window*, a nudge if due.

    Raises:
        InputError: if a message is not of its form, or there is no such style.
    """
    context = _given(messages, encoding=encoding, form=form, window=window).context
    return view_of(context, nudge=nudge_of(context, style))


def _given(
    messages: Iterable[Mapping[str, Any]], *, encoding: str, form: Form | None, window: Window | None = None
) -> Listed:
    held = listed(messages)
    form = form or detect_forms(held)
    sources = tuple(to_items(message, form=form) for message in held)
    context = list_context([item for source in sources for item in source], _UNBOUNDED, encoding)
    if window is not None:
        context = structs.replace(context, window=window)
    return Listed(messages=[deepcopy(dict(one)) for one in held], sources=sources, context=context, form=form)
