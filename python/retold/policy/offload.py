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
from msgspec import structs

from retold.errors import InputError
from retold.events import (
    Item,
    Keep,
    Message,
    Opaque,
    Place,
    Reasoning,
    Span,
    Text,
    ToolCall,
    ToolResult,
    plain_text,
)
from retold.fold import PRIMING, Context, Entry, Tokens, count_item, count_items, ledger_of
from retold.formats import address_of
from retold.identifiers import tell_shortly
from retold.policy.bonds import Bonds
from retold.policy.decisions import OffloadItems, Placeholder
from retold.policy.limits import Limits
from retold.policy.pins import fixed_positions
from retold.policy.presets import Preset
from retold.policy.values import told_of
from retold.tokens import Encoding, encoding

StandIn = Callable[[Item, Item], Item | None]
"""Given an item and its placeholder, return what is to stand there, or None to keep the item as it is."""

OFFLOAD_TOKENS_MIN = 120
"""Smaller items stay: a placeholder takes about 40 tokens itself."""

VALUES_CHARACTERS_MAX = 240
"""A result's placeholder lists values of it in so many characters, or one for each token: the next calls need them."""

BEGINNING_CHARACTERS = 80
"""A message's placeholder shows so much of it."""

BATCH = 64
"""So many placeholders are made at once, where each may be the last that is needed."""

_WHOLE = ("whole", "edited")
"""The forms of an entry that nothing stands for yet."""


def plan_offload(
    context: Context, limits: Limits, bonds: Bonds, stand_in: StandIn | None = None
) -> OffloadItems | None:
    """Return what to offload to come under the target, or as near as offloading gets; None if nothing can be.

    *stand_in* may put another item in the place of each placeholder.

    Raises:
        InputError: if it gives one that cannot stand there.
    """
    sizes, vocabulary = ledger_of(context.entries), encoding(context.encoding)
    chosen: dict[int, Placeholder] = {}
    recent = 0 if limits.recent is None else len(sizes) - sizes.fit(limits.recent, from_end=True)
    order = _candidates(context, limits.preset, bonds, recent=recent)
    for at, usual, size in _placeholders(order, bonds, vocabulary, recent=recent):
        if at >= recent and sizes.upper + PRIMING <= limits.target:
            break
        entry = bonds.entries[at]
        placeholder = usual if stand_in is None else _checked(stand_in(entry.item, usual), usual)
        if placeholder is None:
            continue
        tokens = size if placeholder is usual else count_item(placeholder, vocabulary)
        if tokens.upper < entry.tokens.upper:
            chosen[at] = Placeholder(placeholder, tokens)
            sizes.put(at, tokens)
    if not chosen:
        return None
    return OffloadItems(
        items=tuple(chosen[at] for at in sorted(chosen)),
        body=body_of(context.entries, {at: Place(placeholder.item.id) for at, placeholder in chosen.items()}),
        target_tokens=limits.target,
        tokens_after=sizes.upper + PRIMING,
    )


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


def _placeholders(
    order: Sequence[int], bonds: Bonds, vocabulary: Encoding, *, recent: int
) -> Iterator[tuple[int, Item, Tokens]]:
    """Yield each position of *order* with the item that may stand for its entry, and what that takes.

    They are made a batch at a time, for the core reads and counts many in one call: first all that leave at once, then
    as many as may not be asked for without loss.
    """
    start, end = 0, sum(at < recent for at in order)
    while start < len(order):
        batch = order[start:end]
        results = [at for at in batch if type(bonds.items[at]) is ToolResult]
        told = dict(zip(results, tell_shortly([_told(bonds.entries[at]) for at in results]), strict=True))
        items = [_placeholder(bonds.entries[at], tool=_tool_of(at, bonds), has=told.get(at, "")) for at in batch]
        yield from zip(batch, items, count_items(items, vocabulary), strict=True)
        start, end = end, end + BATCH


def _told(entry: Entry) -> tuple[str | list[str], int]:
    """Return what a result's placeholder tells of it, and in how many characters at most."""
    assert isinstance(entry.item, ToolResult)
    return told_of(plain_text(entry.item.content)), min(VALUES_CHARACTERS_MAX, entry.tokens.total)


def _placeholder(entry: Entry, *, tool: str, has: str) -> Item:
    """Return the item that stands for *entry*: same call of *tool*, same role, short content; reasoning leaves none.

    *has* is what a result has that a later step may need.
    """
    item, size = entry.item, entry.tokens.total
    match item:
        case ToolCall():
            note = f"arguments offloaded: {size} tokens; restore item {item.id} to read them"
            arguments = msgspec.json.encode({"retold": note}).decode()
            arguments = arguments if item.kind == "function" else f"[Retold: {note}]"
            return structs.replace(item, arguments=arguments, extra=address_of(item.extra))
        case ToolResult():
            lines = plain_text(item.content).count("\n") + 1
            note = f"result of {tool} offloaded: {size} tokens, {lines} lines; restore item {item.id} to read it"
            note = f"{note}; has {has}" if has else note
            return structs.replace(item, content=(Text(f"[Retold: {note}]"),), extra=address_of(item.extra))
        case Message():
            begins = " ".join(plain_text(item.content)[:BEGINNING_CHARACTERS].split())
            note = f"{item.role} message offloaded: {size} tokens; restore item {item.id} to read it; begins: {begins}"
            return structs.replace(item, content=(Text(f"[Retold: {note}]"),), extra=address_of(item.extra))
        case Reasoning():
            return Reasoning(id=item.id, form="anthropic", group=item.group)  # unsigned: no form can send it
        case Opaque():
            raise AssertionError("a provider's block is never offloaded")


def _tool_of(at: int, bonds: Bonds) -> str:
    """Return the name of the tool that the result at *at* is of."""
    call = bonds.items[bonds.partner[at]] if at in bonds.partner else None
    return call.name if isinstance(call, ToolCall) else "a tool"


def _checked(other: Item | None, placeholder: Item) -> Item | None:
    return other if other is None or other is placeholder else check_stand_in(other, placeholder)


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


def _candidates(context: Context, preset: Preset, bonds: Bonds, *, recent: int) -> list[int]:
    """Return the positions that may be offloaded, in the order in which they should be: those from *recent* on last."""
    end = max(0, len(bonds.items) - preset.keep_recent)
    fixed = fixed_positions(context, bonds)
    may_leave = sorted([*bonds.calls, *bonds.results, *(bonds.messages if preset.offload_messages else ())])
    large = [at for at in may_leave if at < end and at not in fixed and _may_leave(bonds.entries[at])]
    repeats, again = _repeated(bonds), _called_again(bonds)
    ordered = sorted(large, key=lambda at: 2 * (at not in repeats) + (at not in again))
    turn = min(end, bonds.latest_user or 0)
    thoughts = bonds.of_kind(Reasoning)
    forgotten = thoughts[: bisect_left(thoughts, turn)]
    ordered += [at for at in forgotten if at not in fixed and bonds.entries[at].form in _WHOLE]
    return [*(at for at in ordered if at < recent), *(at for at in ordered if at >= recent)]


def _may_leave(entry: Entry) -> bool:
    return entry.form in _WHOLE and entry.tokens.upper >= OFFLOAD_TOKENS_MIN


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
