"""Edits by hand, as changes of a list of entries: ranges that become other items, and blocks that open again.

What cannot be done is a `LookupError` whose text says what was expected; the builder names the event.
"""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct, structs

from retold.events import HistoryDecompressed, HistoryEdited, Item, is_compressed
from retold.fold.context import Entry, history_hash, newest_summary
from retold.sizes import Tokens


class Stretch(Struct, frozen=True):
    """Name the entries at the positions `[first, end)` of a history, and hold what comes in their place."""

    first: int
    end: int
    entries: list[Entry]


def numbered_id(item: Item, number: int) -> str:
    """Return the id of *item*, the *number*-th of its session."""
    return f"{'c' if is_compressed(item) else 'i'}{number}"


def stretches(
    entries: Sequence[Entry],
    fact: HistoryEdited,
    *,
    seq: int,
    number: Callable[[Item], Item],
    count: Callable[[Item], Tokens],
) -> list[Stretch]:
    """Return the stretches of *entries* that *fact*, at *seq*, replaces, in order; *number* gives new items their ids.

    The entry of a compressed block holds the hash of what it stands for: O(text replaced).

    Raises:
        LookupError: if an item is not there, or the ranges are not in the history's order, one after the other.
    """
    found: list[Stretch] = []
    for edited in fact.ranges:
        first = 0 if edited.first is None else position(entries, edited.first)
        end = len(entries) if edited.last is None else position(entries, edited.last) + 1
        if end < first:
            raise LookupError("expected a range whose first item comes before its last")
        if found and first < found[-1].end:
            raise LookupError("expected ranges in the history's order, none over another")
        new = [Entry(item=number(item), tokens=count(item), seq=seq, form="edited") for item in edited.items]
        found.append(Stretch(first=first, end=end, entries=[_marked(entry, entries[first:end]) for entry in new]))
    return found


def _marked(entry: Entry, replaced: Sequence[Entry]) -> Entry:
    """Return the *entry* of a compressed block as one, with the hash of what it *replaced*; any other as it is."""
    if not is_compressed(entry.item):
        return entry
    return structs.replace(entry, form="compressed", original=history_hash(replaced))


def decompressed(
    entries: Sequence[Entry], fact: HistoryDecompressed, *, count: Callable[[Item], Tokens]
) -> tuple[list[Entry], dict[str, Any]]:
    """Return *entries* with the originals of a block back, and what else changes in the state.

    An original that had come back before leaves the place where it stood: an id is in a history once.

    Raises:
        LookupError: if the block is not there, the originals are not all it stands for, or *behind* is not there.
    """
    block = entries[position(entries, fact.block)]
    back = [
        Entry(item=one.item, tokens=count(one.item), seq=one.seq, form=one.form, original=one.original)
        for one in fact.originals
    ]
    is_whole = fact.behind is None
    if block.form != "compressed" or (is_whole and history_hash(back) != block.original):
        raise LookupError(f"expected the originals of compressed block {fact.block!r}")
    ids = {entry.item.id for entry in back}
    after: list[Entry] = []
    for entry in entries:
        if entry is block and is_whole:
            after += back
        elif entry.item.id not in ids:
            after.append(entry)
        if entry.item.id == fact.behind and entry.item.id not in ids:
            after += back
    if fact.behind is not None:
        position(after, next(iter(ids), fact.behind))
    newest = newest_summary(after)
    return after, {"summary": fact.summary} if fact.summary and newest in ids else {}


def position(entries: Sequence[Entry], item_id: str) -> int:
    """Return the position of the entry with this id; LookupError if there is none."""
    for at, entry in enumerate(entries):
        if entry.item.id == item_id:
            return at
    raise LookupError(f"expected an item of the history, {item_id!r} is not in it")
