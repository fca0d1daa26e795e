"""What a provider's own compaction stands for, and what it is shown.

It is planned as every summary is. A provider reads its own blocks, and sends one for all that went before: so a block
that an agent's API made, and that nobody else can read, is covered as well.
"""

from typing import Any

from msgspec import structs

from retold.events import Form, Opaque, Place, Span
from retold.fold import Context
from retold.formats import complete, is_compaction, render
from retold.policy.bonds import atoms
from retold.policy.decisions import SummarizeSpan
from retold.policy.offload import body_of
from retold.policy.pins import fixed_positions


def cover_blocks(context: Context, decision: SummarizeSpan, form: Form) -> SummarizeSpan:
    """Return *decision* with the wordless compactions of *form* among what it covers, with what they came with.

    One that is pinned by request, or cannot be parted from what must stay, stays.
    """
    entries = context.entries
    covered = _positions(context, decision)
    blocks = {
        at
        for at in range(max(covered))
        if isinstance(item := entries[at].item, Opaque)
        and item.form == form
        and is_compaction(item)
        and item.id not in context.pinned
    }
    fixed = fixed_positions(context) - blocks
    for atom in atoms(entries):
        if not blocks.isdisjoint(atom) and fixed.isdisjoint(atom) and max(atom) < max(covered):
            covered.update(atom)
    ordered = sorted(covered)
    replaced: dict[int, Span | None] = {**dict.fromkeys(ordered), ordered[-1]: Place(decision.summary_id)}
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
