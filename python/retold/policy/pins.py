"""What every compaction keeps byte for byte."""

from retold.events import Message, Opaque
from retold.fold import Context, Entry
from retold.policy.bonds import latest_user, open_calls, pair_of


def fixed_positions(context: Context) -> set[int]:
    """Return the positions that every compaction keeps byte for byte: pins, open calls and the latest user message.

    Pins are system and developer text, what was pinned by request, with the partner of a call or result, and a
    provider's newest opaque compaction, which nobody else can read; one that has words for others is a summary.
    """
    entries = context.entries
    partner = pair_of(entries)
    fixed = {at for at, entry in enumerate(entries) if is_pinned(entry, context)} | open_calls(entries)
    newest = latest_user(entries)
    opaque = [at for at, entry in enumerate(entries) if isinstance(entry.item, Opaque) and not entry.item.words]
    fixed.update([] if newest is None else [newest])
    fixed.update(opaque[-1:])
    return fixed | {partner[at] for at in fixed if at in partner}


def is_pinned(entry: Entry, context: Context) -> bool:
    """Return whether the entry is system or developer text, or was pinned by request."""
    told = isinstance(entry.item, Message) and entry.item.role in ("system", "developer")
    return told or entry.item.id in context.pinned
