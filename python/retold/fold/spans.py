"""Spread the body of a replacement over the history that it replaces."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import assert_never

from retold.events import EntryForm, Item, Keep, Message, Offload, Place, Put, Span
from retold.fold.context import Entry
from retold.sizes import Tokens


def spread(
    body: Iterable[Span],
    *,
    base: Sequence[Entry],
    staged: Mapping[str, Entry],
    count: Callable[[Item], Tokens],
) -> list[Entry]:
    """Return the entries that *body* describes. O(base + body).

    Kept runs come from *base*, placed items from *staged*; put items are counted by *count* and keep the place in time
    of the item that they are cut from.

    Raises:
        LookupError: if an item is in neither.
    """
    at = {entry.item.id: position for position, entry in enumerate(base)}
    entries: list[Entry] = []
    try:
        for span in body:
            match span:
                case Keep():
                    entries.extend(base[at[span.first] : at[span.last] + 1])
                case Place():
                    entries.append(staged[span.item])
                case Put():
                    entries.append(_cut(base[at[span.item.id]], span.item, count(span.item)))
                case _:
                    assert_never(span)
    except KeyError as error:
        raise LookupError(f"expected an item of the base, {error.args[0]!r} is not in it") from None
    return entries


def _cut(old: Entry, item: Item, tokens: Tokens) -> Entry:
    return Entry(item=item, tokens=tokens, seq=old.seq, form=_cut_form(old), original=old.original)


def _cut_form(old: Entry) -> EntryForm:
    """Return the form of an entry that was cut: a summary stays one, or its text would count as the user's.

    A compressed block stays one, too: what it stands for can still be had back.
    """
    return old.form if old.form in ("summary", "compressed") else "cut"


def placeholders(
    offloads: Iterable[Offload], entries: Iterable[Entry], *, count: Callable[[Item], Tokens]
) -> dict[str, Entry]:
    """Return the placeholders of *offloads* among *entries*, by item id. O(entries + offloads).

    Raises:
        LookupError: if an item is not among them.
    """
    found = {entry.item.id: entry for entry in entries}  # a search for each took half of a replay's time
    staged: dict[str, Entry] = {}
    for offload in offloads:
        if (entry := found.get(offload.item)) is None:
            raise LookupError(f"expected an item of the history, {offload.item!r} is not in it")
        stand_in, tokens = offload.placeholder, count(offload.placeholder)
        staged[offload.item] = placeholder_entry(stand_in, seq=entry.seq, original=offload.sha256, tokens=tokens)
    return staged


def placeholder_entry(placeholder: Item, *, seq: int, original: str, tokens: Tokens) -> Entry:
    """Return the entry that stands for an offloaded item whose content hash is *original*."""
    return Entry(item=placeholder, tokens=tokens, seq=seq, form="placeholder", original=original)


def summary_entry(summary: Item, *, base_seq: int, tokens: Tokens) -> Entry:
    """Return the entry of a summary that was decided at *base_seq*."""
    return Entry(item=summary, tokens=tokens, seq=base_seq, form="summary")


def noted(note: Message | None, *, base_seq: int, count: Callable[[Item], Tokens]) -> dict[str, Entry]:
    """Return *note*, on what was dropped at *base_seq*, as an entry by its id; nothing where there is none."""
    return {} if note is None else {note.id: summary_entry(note, base_seq=base_seq, tokens=count(note))}
