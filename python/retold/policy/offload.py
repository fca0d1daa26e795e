"""Tier 2, offload: old tool outputs, long arguments and old reasoning leave the history, each behind a placeholder.

The placeholder tells what it was and how to get it back: the original is in the log, and its hash in the event.

What is older than the newest entries of `Limits.recent` leaves at once, what is newer only as far as the target asks:
each offload has all that stands behind it sent anew, so few that go far are cheaper than many (`benches/README.md`).

Order: results that a later one repeats, then results of a call that was made again, then the oldest first, and last
reasoning from before the latest user message. Its placeholder is empty, and no provider is sent it: with the reasoning
of a turn that is over, none can do anything but forget it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct, structs

from retold.errors import InputError
from retold.events import Item, Keep, Place, Reasoning, Span, ToolCall, ToolResult, plain_text
from retold.fold import PRIMING, Context, Entry, count_item, ledger_of
from retold.policy.bonds import Bonds
from retold.policy.decisions import OffloadEntries, OffloadItems
from retold.policy.limits import Limits
from retold.policy.pins import fixed_positions
from retold.policy.placeholders import Placeholder, gain_least, placeholders_of
from retold.tokens import ENCODINGS, Encoding, encoding

StandIn = Callable[[Item, Item], Item | None]
"""Given an item and its placeholder, return what is to stand there, or None to keep the item as it is."""

OFFLOAD_TOKENS_MIN = 120
"""Smaller items stay: a placeholder takes about 40 tokens itself."""

BATCH = 64
"""So many placeholders are made at once, where each may be the last that is needed."""

_WHOLE = ("whole", "edited")
"""The forms of an entry that nothing stands for yet."""


class Candidates(Struct, frozen=True):
    """Hold the positions that may be offloaded.

    Attributes:
        outputs: results and arguments, and what else is large, ascending.
        thoughts: reasoning, ascending.
        recent: what lies before this position leaves at once.
    """

    outputs: list[int]
    thoughts: list[int]
    recent: int

    @property
    def old(self) -> list[int]:
        """The positions of those that leave at once."""
        return [at for at in self.positions if at < self.recent]

    @property
    def positions(self) -> list[int]:
        """All positions."""
        return [*self.outputs, *self.thoughts]


def plan_offload(
    context: Context, limits: Limits, bonds: Bonds, candidates: Candidates, stand_in: StandIn | None = None
) -> OffloadItems | None:
    """Return what to offload to come under the target, or as near as offloading gets; None if nothing can be.

    *stand_in* may put another item in the place of each placeholder.

    Raises:
        InputError: if it gives one that cannot stand there.
    """
    order = _in_order(candidates, bonds)
    old = sum(at < candidates.recent for at in order)
    return _worded(context, bonds, order, old=old, target=limits.target, stand_in=stand_in)


def _worded(
    context: Context, bonds: Bonds, order: Sequence[int], *, old: int, target: int, stand_in: StandIn | None = None
) -> OffloadItems | None:
    """Return the first *old* of *order* offloaded, and of the others as many as *target* asks for."""
    sizes, vocabulary = ledger_of(context.entries), encoding(context.encoding)
    chosen: dict[int, Placeholder] = {}
    placeholders = _placeholders(order, bonds, vocabulary, old=old)
    for number, (at, usual) in enumerate(zip(order, placeholders, strict=False)):
        if number >= old and sizes.upper + PRIMING <= target:
            break
        placeholder = usual if stand_in is None else _stood_in(usual, stand_in, vocabulary)
        if placeholder is not None and placeholder.tokens.upper < bonds.entries[at].tokens.upper:
            chosen[at] = placeholder
            sizes.put(at, placeholder.tokens)
    if not chosen:
        return None
    return OffloadItems(
        items=tuple(chosen[at] for at in sorted(chosen)),
        body=body_of(context.entries, {at: Place(placeholder.of.id) for at, placeholder in chosen.items()}),
        target_tokens=target,
        tokens_after=sizes.upper + PRIMING,
    )


def plan_entries(context: Context, limits: Limits, bonds: Bonds, candidates: Candidates) -> OffloadEntries | None:
    """Return the old candidates if offloading them is surely enough, however their placeholders are worded; else None.

    So a decision need not read what it offloads: that is done when it is carried out (`write_offload`).
    """
    if context.encoding not in ENCODINGS:
        return None  # a reconstruction makes several tokens of a byte, anybody's vocabulary may
    old = candidates.old
    gain = sum(gain_least(bonds.entries[at], _tool_of(at, bonds)) for at in old)
    if context.tokens.upper - gain > limits.target or not gain:
        return None
    return OffloadEntries(positions=tuple(old), target_tokens=limits.target)


def may_be_enough(context: Context, bonds: Bonds, candidates: Candidates, *, size: int) -> bool:
    """Return whether offloading all candidates could bring the history under *size*, if placeholders took nothing."""
    leave = ledger_of(bonds.entries[at] for at in candidates.positions).total
    return (context.tokens - leave).upper <= size


def write_offload(context: Context, decision: OffloadEntries, bonds: Bonds) -> OffloadItems | None:
    """Return *decision* with its placeholders; None if they take so much that its target is missed."""
    positions, target = decision.positions, decision.target_tokens
    written = _worded(context, bonds, positions, old=len(positions), target=target)
    return written if written is not None and written.tokens_after <= target else None


def body_of(entries: Sequence[Entry], replaced: Mapping[int, Span | None]) -> tuple[Span, ...]:
    """Return the body that keeps every entry but those in *replaced*, which become their span, or leave for None."""
    body: list[Span] = []
    start = 0
    for at in [*sorted(replaced), len(entries)]:
        if at > start:
            body.append(Keep(first=entries[start].item.id, last=entries[at - 1].item.id))
        span = replaced.get(at)
        if span is not None:
            body.append(span)
        start = at + 1
    return tuple(body)


def _placeholders(order: Sequence[int], bonds: Bonds, vocabulary: Encoding, *, old: int) -> Iterator[Placeholder]:
    """Yield what may stand for the entry at each position of *order*.

    They are made a batch at a time, for the core reads and counts many in one call: first all that leave at once, then
    as many as may not be asked for without loss.
    """
    start, end = 0, old
    while start < len(order):
        batch = order[start:end]
        tools = [_tool_of(at, bonds) for at in batch]
        yield from placeholders_of([bonds.entries[at] for at in batch], tools, vocabulary)
        start, end = end, end + BATCH


def _tool_of(at: int, bonds: Bonds) -> str:
    """Return the name of the tool that the result at *at* is of."""
    partner = bonds.partner.get(at)
    call = None if partner is None else bonds.items[partner]
    return call.name if type(call) is ToolCall else "a tool"


def _stood_in(usual: Placeholder, stand_in: StandIn, vocabulary: Encoding) -> Placeholder | None:
    """Return what *stand_in* puts in the place of *usual*, None if the item is to stay."""
    placeholder = usual.item
    other = stand_in(usual.of, placeholder)
    if other is None or other is placeholder:
        return None if other is None else usual
    other = check_stand_in(other, placeholder)
    return structs.replace(usual, other=other, tokens=count_item(other, vocabulary))


def check_stand_in(other: Item, placeholder: Item) -> Item:
    """Return *other* if it can stand where *placeholder* does: of the same kind, id, call and role, and recordable.

    Raises:
        InputError: if it cannot, naming what differs, or has a value that an item cannot hold.
    """
    if type(other) is not type(placeholder):
        wanted, got = type(placeholder).__name__, type(other).__name__
        raise InputError(f"expected a {wanted} in the place of item {placeholder.id}, got {got}")
    for name in ("id", "call_id", "kind", "role"):
        if getattr(other, name, None) != getattr(placeholder, name, None):
            raise InputError(f"expected the {name} of item {placeholder.id} in its place, got another")
    try:
        return msgspec.json.decode(msgspec.json.encode(other), type=type(placeholder))
    except (msgspec.MsgspecError, TypeError, ValueError):  # a struct takes any value; a lone surrogate has no UTF-8
        raise InputError(f"expected text and parts in the place of item {placeholder.id}, got other values") from None


def candidates_of(context: Context, limits: Limits, bonds: Bonds) -> Candidates:
    """Return what may be offloaded. O(n)."""
    preset, sizes, entries = limits.preset, ledger_of(context.entries), bonds.entries
    recent = 0 if limits.recent is None else len(sizes) - sizes.fit(limits.recent, from_end=True)
    end = max(0, len(entries) - preset.keep_recent)
    fixed = fixed_positions(context, bonds)
    may_leave = sorted([*bonds.calls, *bonds.results, *(bonds.messages if preset.offload_messages else ())])
    sized = [at for at in may_leave if entries[at].tokens.upper >= OFFLOAD_TOKENS_MIN and at < end]
    thoughts = bonds.of_kind(Reasoning)
    forgotten = thoughts[: bisect_left(thoughts, min(end, bonds.latest_user or 0))]
    return Candidates(
        outputs=[at for at in sized if at not in fixed and entries[at].form in _WHOLE],
        thoughts=[at for at in forgotten if at not in fixed and entries[at].form in _WHOLE],
        recent=recent,
    )


def _in_order(candidates: Candidates, bonds: Bonds) -> list[int]:
    """Return the positions in the order in which they should leave: what is newer than is old comes last."""
    repeats, again = _repeated(bonds), _called_again(bonds)
    ordered = sorted(candidates.outputs, key=lambda at: 2 * (at not in repeats) + (at not in again))
    ordered += candidates.thoughts
    recent = candidates.recent
    return [*(at for at in ordered if at < recent), *(at for at in ordered if at >= recent)]


def _repeated(bonds: Bonds) -> set[int]:
    """Return the results whose text a later result has again."""
    newest: dict[str, int] = {}
    repeated: set[int] = set()
    for at in bonds.results:
        item = bonds.items[at]
        assert isinstance(item, ToolResult)
        text = plain_text(item.content)
        if text in newest:
            repeated.add(newest[text])
        newest[text] = at
    return repeated


def _called_again(bonds: Bonds) -> set[int]:
    """Return the results of calls that were made again later with the same arguments."""
    newest: dict[tuple[str, str], int] = {}
    again: set[int] = set()
    for call in bonds.calls:
        item = bonds.items[call]
        if call in bonds.partner and isinstance(item, ToolCall):
            key = (item.name, item.arguments)
            if key in newest:
                again.add(newest[key])
            newest[key] = bonds.partner[call]
    return again
