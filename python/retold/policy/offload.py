"""Tier 2, offload: old tool outputs, long arguments and old reasoning leave the history, each behind a placeholder.

The placeholder tells what it was and how to get it back: the original is in the log, and its hash in the event.

What is older than the newest entries of `Limits.recent` leaves at once, what is newer only as far as the target asks:
each offload has all that stands behind it sent anew, so few that go far are cheaper than many (`benches/README.md`).

Order: results that a later one repeats, then results of a call that was made again, then the oldest first, and last
reasoning from before the latest user message. Its placeholder is empty, and no provider is sent it: with the reasoning
of a turn that is over, none can do anything but forget it.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import structs

from retold.errors import InputError
from retold.events import (
    Item,
    Keep,
    Message,
    Offload,
    Opaque,
    Place,
    Reasoning,
    Span,
    Text,
    ToolCall,
    ToolResult,
    plain_text,
)
from retold.fold import PRIMING, Context, Entry, Tokens, count_item, item_hash, ledger_of
from retold.formats import address_of
from retold.policy.bonds import latest_user, pair_of
from retold.policy.decisions import OffloadItems
from retold.policy.limits import Limits
from retold.policy.pins import fixed_positions
from retold.policy.presets import Preset
from retold.policy.values import told_shortly
from retold.tokens import encoding

StandIn = Callable[[Item, Item], Item | None]
"""Given an item and its placeholder, return what is to stand there, or None to keep the item as it is."""

OFFLOAD_TOKENS_MIN = 120
"""Smaller items stay: a placeholder takes about 40 tokens itself."""

VALUES_CHARACTERS_MAX = 240
"""A result's placeholder lists values of it in so many characters, or one for each token: the next calls need them."""

BEGINNING_CHARACTERS = 80
"""A message's placeholder shows so much of it."""


def plan_offload(context: Context, limits: Limits, stand_in: StandIn | None = None) -> OffloadItems | None:
    """Return what to offload to come under the target, or as near as offloading gets; None if nothing can be.

    *stand_in* may put another item in the place of each placeholder.

    Raises:
        InputError: if it gives one that cannot stand there.
    """
    sizes = ledger_of(context.entries)
    chosen: dict[int, Offload] = {}
    partner = pair_of(context.entries)
    recent = 0 if limits.recent is None else len(sizes) - sizes.fit(limits.recent, from_end=True)
    for at in _candidates(context, limits.preset, recent=recent):
        if at >= recent and sizes.upper + PRIMING <= limits.target:
            break
        offloaded = _offload(context, at, partner=partner.get(at), stand_in=stand_in)
        if offloaded is not None and offloaded[0].tokens_after < offloaded[0].tokens_before:
            chosen[at], tokens = offloaded
            sizes.put(at, tokens)
    if not chosen:
        return None
    items = tuple(chosen[at] for at in sorted(chosen))
    replaced: dict[int, Span | None] = {at: Place(offload.item) for at, offload in chosen.items()}
    return OffloadItems(
        items=items,
        body=body_of(context.entries, replaced),
        target_tokens=limits.target,
        tokens_after=sizes.upper + PRIMING,
    )


def body_of(entries: Sequence[Entry], replaced: dict[int, Span | None]) -> tuple[Span, ...]:
    """Return the body that keeps every entry but those in *replaced*, which become their span, or leave for None."""
    body: list[Span] = []
    run: list[str] = []

    def close_run() -> None:
        if run:
            body.append(Keep(first=run[0], last=run[-1]))
            run.clear()

    for at, entry in enumerate(entries):
        if at not in replaced:
            run.append(entry.item.id)
            continue
        close_run()
        span = replaced[at]
        if span is not None:
            body.append(span)
    close_run()
    return tuple(body)


def placeholder_for(entry: Entry, *, tool: str) -> Item:
    """Return the item that stands for *entry*: same call of *tool*, same role, short content; reasoning leaves none."""
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
            values = told_shortly(plain_text(item.content), characters=min(VALUES_CHARACTERS_MAX, size))
            note = f"{note}; has {values}" if values else note
            return structs.replace(item, content=(Text(f"[Retold: {note}]"),), extra=address_of(item.extra))
        case Message():
            begins = " ".join(plain_text(item.content)[:BEGINNING_CHARACTERS].split())
            note = f"{item.role} message offloaded: {size} tokens; restore item {item.id} to read it; begins: {begins}"
            return structs.replace(item, content=(Text(f"[Retold: {note}]"),), extra=address_of(item.extra))
        case Reasoning():
            return Reasoning(id=item.id, form="anthropic", group=item.group)  # unsigned: no form can send it
        case Opaque():
            raise AssertionError("a provider's block is never offloaded")


def _offload(
    context: Context, at: int, *, partner: int | None, stand_in: StandIn | None
) -> tuple[Offload, Tokens] | None:
    """Return what to record of an offload, and what the placeholder takes; None if the item is to stay."""
    entry = context.entries[at]
    call = None if partner is None else context.entries[partner].item
    placeholder = placeholder_for(entry, tool=call.name if isinstance(call, ToolCall) else "a tool")
    if stand_in is not None:
        other = stand_in(entry.item, placeholder)
        if other is None:
            return None
        placeholder = check_stand_in(other, placeholder)
    tokens = count_item(placeholder, encoding(context.encoding))
    offload = Offload(
        item=entry.item.id,
        placeholder=placeholder,
        sha256=item_hash(entry.item),
        tokens_before=entry.tokens.upper,
        tokens_after=tokens.upper,
    )
    return offload, tokens


def check_stand_in(other: Item, placeholder: Item) -> Item:
    """Return *other* if it can stand where *placeholder* does: of the same kind, id, call and role.

    Raises:
        InputError: if it cannot, naming what differs.
    """
    if type(other) is not type(placeholder):
        wanted, got = type(placeholder).__name__, type(other).__name__
        raise InputError(f"expected a {wanted} in the place of item {placeholder.id}, got {got}")
    for name in ("id", "call_id", "kind", "role"):
        if getattr(other, name, None) != getattr(placeholder, name, None):
            raise InputError(f"expected the {name} of item {placeholder.id} in its place, got another")
    return other


def _candidates(context: Context, preset: Preset, *, recent: int) -> list[int]:
    """Return the positions that may be offloaded, in the order in which they should be: those from *recent* on last."""
    entries = context.entries
    old = range(len(entries) - preset.keep_recent)
    may_leave = [at for at in old if _may_leave(entries[at], messages=preset.offload_messages)]
    fixed = fixed_positions(context)
    turn = latest_user(entries) or 0
    repeats, again = _repeated(entries), _called_again(entries)

    def place(at: int) -> tuple[bool, bool, bool, bool, int]:
        return (at >= recent, isinstance(entries[at].item, Reasoning), at not in repeats, at not in again, at)

    free = [at for at in may_leave if at not in fixed and (at < turn or not isinstance(entries[at].item, Reasoning))]
    return sorted(free, key=place)


def _may_leave(entry: Entry, *, messages: bool) -> bool:
    if entry.form not in ("whole", "edited"):
        return False
    match entry.item:
        case ToolCall() | ToolResult():
            return entry.tokens.upper >= OFFLOAD_TOKENS_MIN
        case Message():
            return messages and entry.tokens.upper >= OFFLOAD_TOKENS_MIN
        case Reasoning():
            return True
        case Opaque():
            return False


def _repeated(entries: Sequence[Entry]) -> set[int]:
    """Return the results whose text a later result has again."""
    newest: dict[str, int] = {}
    repeated: set[int] = set()
    for at, entry in enumerate(entries):
        if isinstance(entry.item, ToolResult):
            text = plain_text(entry.item.content)
            if text in newest:
                repeated.add(newest[text])
            newest[text] = at
    return repeated


def _called_again(entries: Sequence[Entry]) -> set[int]:
    """Return the results of calls that were made again later with the same arguments."""
    newest: dict[tuple[str, str], int] = {}
    again: set[int] = set()
    for call, result in sorted(pair_of(entries).items()):
        item = entries[call].item
        if isinstance(item, ToolCall):
            key = (item.name, item.arguments)
            if key in newest:
                again.add(newest[key])
            newest[key] = result
    return again
