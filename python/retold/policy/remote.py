"""What a provider's own compaction stands for, and what it is shown.

It is planned as every summary is. A provider reads its own blocks, and sends one for all that went before: so a block
that an agent's API made, and that nobody else can read, is covered as well.
"""

from typing import Any

from msgspec import Struct, structs

from retold.events import Form, Opaque, Place, Span
from retold.fold import Context
from retold.formats import complete, is_compaction, render
from retold.policy.bonds import Bonds
from retold.policy.decisions import SummarizeSpan
from retold.policy.offload import body_of
from retold.policy.pins import fixed_positions


class Compaction(Struct, frozen=True):
    """Hold a provider's compaction and what it cost in tokens, as the provider said; 0 where it did not."""

    block: Opaque
    input_tokens: int = 0
    output_tokens: int = 0


def wordless_blocks(context: Context, form: Form) -> set[int]:
    """Return the positions of the compactions that only a provider of *form* can read; not of those pinned by request.

    What such a provider compacts is in its own block from then on, whatever else is kept word for word.
    """
    return {
        at
        for at, entry in enumerate(context.entries)
        if isinstance(item := entry.item, Opaque)
        and item.form == form
        and is_compaction(item)
        and not item.words
        and item.id not in context.pinned
    }


def cover_blocks(context: Context, decision: SummarizeSpan, form: Form) -> SummarizeSpan:
    """Return *decision* with the wordless compactions of *form* among what it covers, with what they came with.

    One that cannot be parted from what must stay, stays.
    """
    entries, bonds = context.entries, Bonds(context.entries)
    covered = _positions(context, decision)
    end = max(covered)
    blocks = wordless_blocks(context, form)
    fixed = fixed_positions(context, bonds) - blocks
    for atom in bonds.atoms:
        if not blocks.isdisjoint(atom) and fixed.isdisjoint(atom) and max(atom) < end:
            covered.update(atom)
    ordered = sorted(covered)
    at_of = {entry.item.id: at for at, entry in enumerate(entries)}
    replaced: dict[int, Span | None] = {at_of[put.item.id]: put for put in decision.cut}
    replaced |= {**dict.fromkeys(ordered), end: Place(decision.summary_id)}
    covers = tuple(entries[at].item.id for at in ordered)
    return structs.replace(decision, covers=covers, body=body_of(entries, replaced))


def shown_to_provider(context: Context, decision: SummarizeSpan, form: Form, *, model: str) -> list[dict[str, Any]]:
    """Return the history up to the last entry that *decision* covers, as *model* is to be sent it in *form*."""
    end = max(_positions(context, decision)) + 1
    items = [entry.item for entry in context.entries[:end]]
    return render(complete(items, form), form, model=model)


def _positions(context: Context, decision: SummarizeSpan) -> set[int]:
    covers = set(decision.covers)
    return {at for at, entry in enumerate(context.entries) if entry.item.id in covers}
