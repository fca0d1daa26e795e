"""What a compressed block stands for, found in the log where it was compressed, and the facts that bring it back.

It is read where the session stood just before, in an ancestor's log if the block was inherited, and checked by the hash
that the block's entry holds.
"""

from collections.abc import Sequence

from msgspec import Struct, structs

from retold.client.branching import original
from retold.errors import CorruptLogError, InputError
from retold.events import (
    Fact,
    HistoryDecompressed,
    HistoryEdited,
    ItemRestored,
    Original,
    SessionKey,
    SummaryField,
)
from retold.fold import Context, Entry, count_item, history_hash, newest_summary
from retold.policy.blocks import read_block
from retold.policy.bonds import atoms
from retold.ports import Log
from retold.replay import load
from retold.tokens import encoding


class Covered(Struct, frozen=True):
    """Hold what a block stands for.

    Attributes:
        entries: the entries as they were, their sequences told in the session that has the block.
        summary: the fields of the newest summary, if that is among them.
        state: the state that they stood in, in the log that holds it.
        shift: what is added to a sequence of that log for one of the session's.
    """

    entries: tuple[Entry, ...]
    summary: tuple[SummaryField, ...]
    state: Context
    shift: int


async def covered(log: Log, context: Context, block: str) -> Covered:
    """Return what the compressed block of this id stands for.

    Raises:
        InputError: if it is not in the history, or no compressed block.
        CorruptLogError: if the log does not hold it any more.
    """
    entry = _entry(context, block)
    if entry is None:
        raise InputError(
            f"expected the id of a compressed block of the history, got {block[:20]!r}: it is not in it; what a later "
            "block stands for returns with that one"
        )
    if entry.form != "compressed":
        raise InputError(f"expected a compressed block, {block!r} is {entry.form} in the history")
    key, seq, parent = context.key, entry.seq, context.parent
    while seq < 1 and parent is not None:
        key, seq, point = SessionKey(tenant=key.tenant, session=parent.session), seq + parent.seq, parent
        parent = (await load(log, key, at=point.seq)).parent if seq < 1 else None
    damage = CorruptLogError(f"what {block!r} stands for is not in the log", session=key.session, seq=max(1, seq))
    facts = [recorded.event.data async for recorded in log.read(key, after=seq - 1, until=seq)]
    ends = _ends(facts, block)
    if ends is None:
        raise damage
    state, shift = await load(log, key, at=seq - 1), entry.seq - seq
    ids = [one.item.id for one in state.entries]
    entries = state.entries[ids.index(ends[0]) : ids.index(ends[1]) + 1]
    if history_hash(entries) != entry.original:
        raise damage
    has_summary = newest_summary(state.entries) in {one.item.id for one in entries}
    return Covered(
        entries=tuple(structs.replace(one, seq=one.seq + shift) for one in entries),
        summary=_shifted(state.summary, shift) if has_summary else (),
        state=state,
        shift=shift,
    )


def opened(block: str, found: Covered) -> HistoryDecompressed:
    """Return the fact that puts all that *block* stands for in its place."""
    return HistoryDecompressed(block=block, originals=_originals(found.entries), summary=found.summary)


async def restored(log: Log, context: Context, item_id: str) -> HistoryDecompressed | ItemRestored:
    """Return the fact that brings *item_id* back: an offloaded item, a block's originals, or an entry of a block.

    Raises:
        InputError: if it is whole in the history already, or neither in it nor in one of its blocks.
        CorruptLogError: if the log does not hold it any more.
    """
    entry = _entry(context, item_id)
    if entry is None:
        for block in reversed([one.item.id for one in context.entries if one.form == "compressed"]):
            if (fact := await part_of(log, context, block, item_id)) is not None:
                return fact
    elif entry.form == "compressed":
        return opened(item_id, await covered(log, context, item_id))
    return ItemRestored(item=await original(log, context, item_id))


async def part_of(log: Log, context: Context, block: str, item_id: str) -> HistoryDecompressed | None:
    """Return the fact that brings an entry that *block* stands for back behind it, with what belongs to the entry.

    None if the block does not stand for it, nor a block that it stands for.
    """
    found = await covered(log, context, block)
    at, atom = await _search(log, found, item_id)
    if atom is None:
        return None
    order = {one.item.id: nth for nth, one in enumerate(found.entries)}
    ids = [one.item.id for one in context.entries]
    behind = ids.index(block)
    while behind + 1 < len(ids) and order.get(ids[behind + 1], len(order)) < at:
        behind += 1
    return HistoryDecompressed(block=block, originals=_originals(atom), behind=ids[behind])


def size_after(context: Context, fact: HistoryDecompressed | ItemRestored) -> int:
    """Return the size of the history of *context* after *fact*, in tokens, upper bound. O(text that comes back)."""
    vocabulary = encoding(context.encoding)
    if isinstance(fact, ItemRestored):
        items, gone = [fact.item], {fact.item.id}
    else:
        items = [one.item for one in fact.originals]
        gone = {item.id for item in items} | ({fact.block} if fact.behind is None else set())
    left = sum(entry.tokens.upper for entry in context.entries if entry.item.id in gone)
    return context.tokens.upper - left + sum(count_item(item, vocabulary).upper for item in items)


def told_back(fact: HistoryDecompressed | ItemRestored) -> str:
    """Return what *fact* brings back, as a model is told it."""
    if isinstance(fact, ItemRestored):
        return f"{fact.item.id} is back in its place, word for word."
    first, last = fact.originals[0].item.id, fact.originals[-1].item.id
    ids = first if first == last else f"{first} to {last}"
    where = f"in the place of {fact.block}" if fact.behind is None else f"behind {fact.behind}"
    return f"Back word for word, {where}: {ids}, {len(fact.originals)} entries."


async def _search(log: Log, found: Covered, item_id: str) -> tuple[int, list[Entry] | None]:
    """Return the atom that the item is of, and the position of the entry that is it, or stands for it."""
    for atom in atoms(found.entries):
        if any(found.entries[at].item.id == item_id for at in atom):
            return atom[0], [found.entries[at] for at in atom]
    for at, entry in enumerate(found.entries):
        if entry.form == "compressed":
            inner = await covered(log, found.state, entry.item.id)
            _, atom_found = await _search(log, inner, item_id)
            if atom_found is not None:
                return at, [structs.replace(one, seq=one.seq + found.shift) for one in atom_found]
    return 0, None


def _entry(context: Context, item_id: str) -> Entry | None:
    return next((entry for entry in context.entries if entry.item.id == item_id), None)


def _ends(facts: Sequence[Fact], block: str) -> tuple[str, str] | None:
    """Return the first and last id of the range that *block* was put in the place of."""
    edits = [edited for fact in facts if isinstance(fact, HistoryEdited) for edited in fact.ranges]
    for edited in edits:
        for item in edited.items:
            told = read_block(item)
            if told is not None and told.id == block and edited.first is not None and edited.last is not None:
                return edited.first, edited.last
    return None


def _shifted(fields: Sequence[SummaryField], shift: int) -> tuple[SummaryField, ...]:
    return tuple(structs.replace(field, seqs=tuple(seq + shift for seq in field.seqs)) for field in fields)


def _originals(entries: Sequence[Entry]) -> tuple[Original, ...]:
    return tuple(Original(item=one.item, seq=one.seq, form=one.form, original=one.original) for one in entries)
