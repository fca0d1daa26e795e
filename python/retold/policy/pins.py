"""What every compaction keeps byte for byte."""

from retold.events import Item, Message, Opaque
from retold.fold import Context
from retold.policy.bonds import Bonds


def fixed_positions(context: Context, bonds: Bonds | None = None) -> set[int]:
    """Return the positions that every compaction keeps byte for byte: pins, open calls and the latest user message.

    Pins are system and developer text, what was pinned by request, with the partner of a call or result, and a
    provider's newest opaque compaction, which nobody else can read; one that has words for others is a summary. *bonds*
    are the history's, where known.
    """
    bonds = bonds or Bonds(context.entries)
    fixed = {at for at in bonds.messages if _is_told(bonds.items[at])} | bonds.open_calls
    if context.pinned:
        pinned = set(context.pinned)
        fixed.update(at for at, item in enumerate(bonds.items) if item.id in pinned)
    if bonds.latest_user is not None:
        fixed.add(bonds.latest_user)
    fixed.update([at for at in bonds.of_kind(Opaque) if not _has_words(bonds.items[at])][-1:])
    return fixed | {bonds.partner[at] for at in fixed if at in bonds.partner}


def _is_told(item: Item) -> bool:
    return isinstance(item, Message) and item.role in ("system", "developer")


def _has_words(item: Item) -> bool:
    return isinstance(item, Opaque) and bool(item.words)
