"""Spread the body of a replacement over the history that it replaces."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import assert_never

from retold.events import Item, Keep, Place, Put, Span
from retold.fold.context import Entry, EntryForm
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
        KeyError: with the id of an item that is in neither.
    """
    at = {entry.item.id: position for position, entry in enumerate(base)}
    entries: list[Entry] = []
    for span in body:
        match span:
            case Keep():
                entries.extend(base[at[span.first] : at[span.last] + 1])
            case Place():
                entries.append(staged[span.item])
            case Put():
                old = base[at[span.item.id]]
                entries.append(Entry(item=span.item, tokens=count(span.item), seq=old.seq, form=_cut_form(old)))
            case _:
                assert_never(span)
    return entries


def _cut_form(old: Entry) -> EntryForm:
    """Return the form of an entry that was cut: a summary stays one, or its text would count as the user's."""
    return "summary" if old.form == "summary" else "cut"


def placeholder_entry(placeholder: Item, *, seq: int, original: str, tokens: Tokens) -> Entry:
    """Return the entry that stands for an offloaded item whose content hash is *original*."""
    return Entry(item=placeholder, tokens=tokens, seq=seq, form="placeholder", original=original)


def summary_entry(summary: Item, *, base_seq: int, tokens: Tokens) -> Entry:
    """Return the entry of a summary that was decided at *base_seq*."""
    return Entry(item=summary, tokens=tokens, seq=base_seq, form="summary")
