"""Tier 4, truncate: deterministic, always fits, or names the floor that cannot.

First texts are cut in the middle, the longest allowed length falling step by step; then the oldest entries leave, calls
with their results, and a note in their place names them, where there is room for it. Pins, open calls and the latest
user message are never touched: together they are the floor, and where it is near the target, the newest entries still
get room above it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from retold.errors import FloorError
from retold.events import Item, Message, Place, Put, Span
from retold.fold import PRIMING, Context, Tokens, count_item, ledger_of
from retold.ledger import Ledger
from retold.policy.bonds import Bonds
from retold.policy.cutting import cut_item
from retold.policy.decisions import TruncateHistory
from retold.policy.limits import Limits
from retold.policy.offload import body_of
from retold.policy.pins import fixed_positions
from retold.policy.summary import left_out_message
from retold.tokens import encoding

CUT_LENGTHS_TOKENS = (8_000, 2_000, 500, 125, 25)
"""The lengths that texts are cut to, tried in turn."""

NOTE_GROWTH_TOKENS = 4
"""By so much a note may grow when what leaves to make room for it is named, too."""


def plan_truncate(context: Context, limits: Limits, bonds: Bonds) -> TruncateHistory:
    """Return what to cut and drop to come under the target, or as near as what must stay allows.

    Raises:
        FloorError: if what must be kept verbatim, with what it cannot be parted from cut as short as can be, is larger
            than the ceiling. With that size as the ceiling it succeeds.
    """
    fixed = fixed_positions(context, bonds)
    target = _target(context, fixed, limits)
    sizes = ledger_of(context.entries)
    cut = _cut(context, fixed, sizes, target)
    may_leave = [atom for atom in bonds.atoms if fixed.isdisjoint(atom)]
    older = [atom for atom in may_leave if atom[-1] + 1 < len(sizes)]
    newest = [atom for atom in may_leave if atom[-1] + 1 == len(sizes)]  # more may be said in it
    dropped = _drop(older, sizes, target)
    dropped |= _drop(newest, sizes, limits.ceiling)
    note, more = _note_on(context, [one for one in older if one[0] not in dropped], sizes, target, dropped)
    dropped |= more
    size = sizes.upper + PRIMING
    if size > limits.ceiling:
        raise FloorError(floor_tokens=size, budget_tokens=limits.ceiling)
    puts = {at: Put(item) for at, item in cut.items() if at not in dropped}
    replaced: dict[int, Span | None] = {**puts, **dict.fromkeys(dropped)}
    if note is not None:
        replaced[_seam(dropped, bonds)] = Place(note.id)
    return TruncateHistory(
        cut=tuple(puts[at] for at in sorted(puts)),
        dropped=tuple(context.entries[at].item.id for at in sorted(dropped)),
        body=body_of(context.entries, replaced),
        target_tokens=max(target, size),
        note=note,
    )


def _drop(atoms: Iterable[Sequence[int]], sizes: Ledger, target: int) -> dict[int, Tokens]:
    """Take *atoms* out of *sizes*, in order, until the rest comes under *target*; return what each position took."""
    dropped: dict[int, Tokens] = {}
    for atom in atoms:
        if sizes.upper + PRIMING <= target:
            break
        for at in atom:
            dropped[at] = sizes.span(at, at + 1)
            sizes.put(at, Tokens())
    return dropped


def _note_on(
    context: Context, others: Sequence[Sequence[int]], sizes: Ledger, target: int, dropped: Mapping[int, Tokens]
) -> tuple[Message | None, dict[int, Tokens]]:
    """Return a note on what was *dropped*, None where none fits, and which of the *others* leave to make room for it.

    By now every text was cut as short as can be, so that a note on all that left tells more than one of them.
    """
    if not dropped:
        return None, {}
    vocabulary = encoding(context.encoding)
    ids = [entry.item.id for entry in context.entries]

    def written(left: Iterable[int], *, brief: bool) -> Message:
        return left_out_message([ids[at] for at in sorted(left)], item_id=f"s{context.version + 1}", brief=brief)

    for brief in (False, True):
        room = count_item(written(dropped, brief=brief), vocabulary).upper + NOTE_GROWTH_TOKENS
        more = _drop(others, sizes, target - room)
        note = written((*dropped, *more), brief=brief)
        if sizes.upper + PRIMING + count_item(note, vocabulary).upper <= target:
            return note, more
        for at, size in more.items():
            sizes.put(at, size)
    return None, {}


def _seam(dropped: Collection[int], bonds: Bonds) -> int:
    """Return the newest of *dropped* in whose place a note parts no call from its result."""
    cuts = set(bonds.cuts)
    return max((at for at in dropped if at in cuts or at + 1 in cuts), default=min(dropped))


def _target(context: Context, fixed: set[int], limits: Limits) -> int:
    """Return the size to come under: the target, or more where what must stay would leave the newest work no room.

    Worked case: a document of 14,000 tokens in the latest user message, a target of 10,800. At the floor alone, every
    compaction took the tool result that had just come in. The newest entries get the tail's budget above the floor,
    within the first half of what is free below the ceiling; the least gain stays free, so that the next one frees it.
    """
    floor = ledger_of(context.entries[at] for at in sorted(fixed)).upper + PRIMING
    free = limits.ceiling - floor
    room = max(0, min(limits.tail, free // 2, free - limits.least_gain))
    return max(limits.target, min(floor + room, limits.ceiling))


def _cut(context: Context, fixed: set[int], sizes: Ledger, target: int) -> dict[int, Item]:
    """Return the items to cut, by position, as they are then, and put their sizes into *sizes*."""
    vocabulary = encoding(context.encoding)
    cut: dict[int, Item] = {}
    for length in CUT_LENGTHS_TOKENS:
        for at, entry in enumerate(context.entries):
            if sizes.upper + PRIMING <= target:
                return cut
            if at in fixed or entry.form == "placeholder":
                continue
            now = sizes.span(at, at + 1).upper
            shorter = cut_item(entry, length, vocabulary) if now > 2 * length else None
            size = Tokens() if shorter is None else count_item(shorter, vocabulary)
            if shorter is not None and size.upper < now:
                sizes.put(at, size)
                cut[at] = shorter
    return cut
