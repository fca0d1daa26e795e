"""A model compresses its own history: ranges of entries become blocks that it wrote. Checked and planned here. Pure.

Rules:
- A range leaves whole or not at all: no call without its result, no part of one response or of parallel calls.
- What every compaction keeps stays: pins, system text, calls that wait, the latest user message.
- A block is smaller than what it stands for. Blocks within a range are entries like others, so blocks nest.
- A refusal names the range, what is in its way, and the nearest ranges that may be compressed.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from msgspec import Struct, structs

from retold.errors import InputError
from retold.events import EditedRange, HistoryEdited, Message, Opaque, Pin, Receipt, Survival
from retold.fold import PRIMING, Context, Entry, count_item, item_hash, ledger_of
from retold.policy.blocks import CompressedBlock, block_message, joined
from retold.policy.bonds import Bonds
from retold.policy.identifiers import count_survivors
from retold.policy.pins import fixed_positions
from retold.tokens import encoding

RANGES_MAX = 50
"""More ranges at once are refused: each is checked, and its refusal is read by a model."""

NEAREST_MAX = 4
"""A refusal offers at most this many ranges, and names at most this many items."""

REASON = "compressed by the agent"
"""What the edit says in the log."""


class Range(Struct, frozen=True):
    """Ask for the entries from *first* to *last* (ids, both included) to become one block with *messages*."""

    first: str
    last: str
    messages: tuple[str, ...]


class CompressedRange(Struct, frozen=True):
    """Say what one block stands for, in ids and tokens.

    Attributes:
        block: the block's id, by which what it stands for is had back.
        items: the ids of the entries that it stands for, in order.
        tokens_before: what they took; *tokens_after*: what the block takes; upper bounds.
    """

    block: str
    items: tuple[str, ...]
    tokens_before: int
    tokens_after: int


class CompressionPlan(Struct, frozen=True):
    """Hold a compression that was checked: the fact that records it, the blocks, and the entries that it gives."""

    edited: HistoryEdited
    blocks: tuple[CompressedRange, ...]
    receipt: Receipt
    entries: tuple[Entry, ...]


class _Place(Struct, frozen=True):
    """Hold a range by its positions, both included; *at* is where it stands among those asked for."""

    at: int
    first: int
    last: int
    asked: Range

    @property
    def name(self) -> str:
        return f"ranges[{self.at}] ({self.asked.first} to {self.asked.last})"


def plan_compression(context: Context, ranges: Sequence[Range]) -> CompressionPlan:
    """Return what compressing *ranges* of the history of *context* comes to. O(entries + text of the ranges).

    Raises:
        InputError: if a range cannot be compressed as it is; the text says why and which can.
    """
    places, bonds = _placed(context, ranges), Bonds(context.entries)
    for place in places:
        _check_movable(context, place, bonds)
    _check_apart(places)
    vocabulary = encoding(context.encoding)
    edits: list[EditedRange] = []
    blocks: list[CompressedRange] = []
    entries: list[Entry] = []
    done = 0
    for number, place in enumerate(places, start=context.next_item):
        replaced = context.entries[place.first : place.last + 1]
        message = block_message(_block(place, number))
        tokens, before = count_item(message, vocabulary), ledger_of(replaced).upper
        if tokens.upper >= before:
            raise InputError(
                f"{place.name}: expected messages that take less than the entries that they replace, {before} tokens, "
                f"got {tokens.upper} with the marks around them; shorten them or widen the range"
            )
        entry = Entry(item=structs.replace(message, id=f"c{number}"), tokens=tokens, seq=context.seq, form="compressed")
        edits.append(EditedRange(items=(message,), first=place.asked.first, last=place.asked.last))
        ids = tuple(one.item.id for one in replaced)
        blocks.append(CompressedRange(block=f"c{number}", items=ids, tokens_before=before, tokens_after=tokens.upper))
        entries += [*context.entries[done : place.first], entry]
        done = place.last + 1
    after = (*entries, *context.entries[done:])
    receipt = _receipt(context, blocks, after, bonds, prefix_kept=places[0].first)
    return CompressionPlan(edited=_edited(edits, receipt), blocks=tuple(blocks), receipt=receipt, entries=after)


def movable_runs(context: Context, first: int, last: int, bonds: Bonds | None = None) -> list[range]:
    """Return the longest runs of positions within *first* to *last* (both included) that may be compressed, in order.

    None holds what must stay, and none parts what belongs together. *bonds* are the history's, where known.
    """
    bonds = bonds or Bonds(context.entries)
    held = bonds.atoms_at(fixed_positions(context, bonds))
    within = {at: (atom[0], atom[-1]) for atom in bonds.atoms for at in atom}
    runs, found = [range(first, last + 1)], list[range]()
    while runs:
        run = runs.pop()
        free = [at for at in run if at not in held and run.start <= within[at][0] and within[at][1] < run.stop]
        if len(free) < len(run):
            runs += _runs(free)
        elif run:
            found.append(run)
    return sorted(found, key=lambda run: run.start)


def held_reasons(context: Context, bonds: Bonds) -> dict[int, str]:
    """Return, for each position that every compaction keeps, why it does, in a word or three."""
    entries, waiting = context.entries, bonds.open_calls

    def reason(at: int) -> str:
        item = entries[at].item
        if isinstance(item, Message) and item.role in ("system", "developer"):
            return f"{item.role} text"
        if item.id in context.pinned:
            return "pinned"
        if at == bonds.latest_user:
            return "the latest user message"
        if at in waiting:
            return "a call that waits"
        return "the provider's own block" if isinstance(item, Opaque) else "belongs to one that stays"

    fixed = fixed_positions(context, bonds)
    held = {at: reason(at) for at in fixed}
    return {at: held.get(at, "belongs to one that stays") for at in sorted(bonds.atoms_at(fixed))}


def _runs(positions: Iterable[int]) -> list[range]:
    runs: list[range] = []
    for at in positions:
        if runs and runs[-1].stop == at:
            runs[-1] = range(runs[-1].start, at + 1)
        else:
            runs.append(range(at, at + 1))
    return runs


def _placed(context: Context, ranges: Sequence[Range]) -> list[_Place]:
    """Return *ranges* by their positions, in the history's order."""
    if not 1 <= len(ranges) <= RANGES_MAX:
        raise InputError(f"expected 1 to {RANGES_MAX} ranges, got {len(ranges)}")
    at = {entry.item.id: position for position, entry in enumerate(context.entries)}
    places: list[_Place] = []
    for index, asked in enumerate(ranges):
        for name, item_id in (("first", asked.first), ("last", asked.last)):
            if item_id not in at:
                raise InputError(f"ranges[{index}].{name}: {_not_there(context, item_id)}")
        place = _Place(at=index, first=at[asked.first], last=at[asked.last], asked=asked)
        if place.first > place.last:
            raise InputError(f"{place.name}: expected the first item before the last, they are the other way round")
        if not any(message.strip() for message in asked.messages):
            raise InputError(f"{place.name}: expected replacement messages with text, got none")
        places.append(place)
    return sorted(places, key=lambda place: place.first)


def _not_there(context: Context, item_id: str) -> str:
    ids = [entry.item.id for entry in context.entries]
    named = f"{ids[0]} to {ids[-1]}" if ids else "there is none yet"
    came = repr(item_id) if len(item_id) <= 20 else f"{len(item_id)} characters"
    return f"expected the id of an entry that the history shows now ({named}), got {came}"


def _check_movable(context: Context, place: _Place, bonds: Bonds) -> None:
    runs = movable_runs(context, place.first, place.last, bonds)
    if runs == [range(place.first, place.last + 1)]:
        return
    entries, asked = context.entries, set(range(place.first, place.last + 1))
    reasons = held_reasons(context, bonds)
    if held := sorted(asked & reasons.keys()):
        named = ", ".join(f"{entries[at].item.id} ({reasons[at]})" for at in held[:NEAREST_MAX])
        more = f" and {len(held) - NEAREST_MAX} more" if len(held) > NEAREST_MAX else ""
        raise InputError(
            f"{place.name}: expected entries that may leave, {named}{more} must stay; {_nearest(context, runs)}"
        )
    parted = next(atom for atom in bonds.atoms if asked & set(atom) and set(atom) - asked)
    inside = [entries[at].item.id for at in parted if at in asked]
    outside = [entries[at].item.id for at in parted if at not in asked]
    if (wider := _widened(context, place, bonds)) is not None:
        runs.append(wider)
    raise InputError(
        f"{place.name}: expected calls with their results and responses as a whole, it would part "
        f"{', '.join(inside[:NEAREST_MAX])} from {', '.join(outside[:NEAREST_MAX])}; {_nearest(context, runs)}"
    )


def _widened(context: Context, place: _Place, bonds: Bonds) -> range | None:
    """Return the least range around *place* that parts nothing; None if something in it must stay."""
    first, last = place.first, place.last
    for atom in [*(groups := bonds.atoms), *reversed(groups)]:
        if atom[0] <= last and atom[-1] >= first and any(first <= at <= last for at in atom):
            first, last = min(first, atom[0]), max(last, atom[-1])
    wider = range(first, last + 1)
    return wider if movable_runs(context, first, last, bonds) == [wider] else None


def _nearest(context: Context, runs: Sequence[range]) -> str:
    """Return the largest of *runs* as a model is told them."""
    sizes = [(ledger_of(context.entries[run.start : run.stop]).upper, run) for run in runs]
    largest = sorted(sizes, key=lambda sized: (-sized[0], sized[1].start))[:NEAREST_MAX]
    if not largest:
        return "nothing in it may be compressed"
    return "nearest that may be compressed: " + ", ".join(told_run(context, run, size) for size, run in largest)


def told_run(context: Context, run: range, size: int) -> str:
    """Return *run* as a model is told it: its ends and its *size* in tokens."""
    first, last = context.entries[run.start].item.id, context.entries[run.stop - 1].item.id
    return f"{first} to {last} ({size:,} tokens)" if first != last else f"{first} ({size:,} tokens)"


def _check_apart(places: Sequence[_Place]) -> None:
    for before, after in pairwise(places):
        if after.first <= before.last:
            raise InputError(f"{after.name}: expected ranges of which none is over another, it is over {before.name}")


def _block(place: _Place, number: int) -> CompressedBlock:
    return CompressedBlock(
        id=f"c{number}",
        first=place.asked.first,
        last=place.asked.last,
        covers=place.last - place.first + 1,
        text=joined(place.asked.messages),
    )


def _edited(edits: Sequence[EditedRange], receipt: Receipt) -> HistoryEdited:
    first, *more = edits
    edited = HistoryEdited(items=first.items, first=first.first, last=first.last, reason=REASON, receipt=receipt)
    return structs.replace(edited, more=tuple(more)) if more else edited


def _receipt(
    context: Context, blocks: Sequence[CompressedRange], after: Sequence[Entry], bonds: Bonds, *, prefix_kept: int
) -> Receipt:
    entries, ids = context.entries, {item for block in blocks for item in block.items}
    size = ledger_of(after).upper + PRIMING
    left = [entry.item for entry in entries if entry.item.id in ids]
    identifiers, identifiers_kept = count_survivors(left, (entry.item for entry in after))
    return Receipt(
        kept=len(after) - len(blocks),
        tokens_before=context.tokens.upper,
        tokens_after=size,
        target_tokens=size,
        summarised=tuple(item for block in blocks for item in block.items),
        pins=tuple(
            Pin(item=entries[at].item.id, sha256=item_hash(entries[at].item))
            for at in sorted(fixed_positions(context, bonds))
        ),
        prefix_kept=prefix_kept,
        survival=Survival(
            prefix_tokens=ledger_of(after[:prefix_kept]).upper,
            identifiers=identifiers,
            identifiers_kept=identifiers_kept,
        ),
    )
