"""What an agent gives, checked before it is recorded: a log that nothing is deleted from keeps a mistake for ever.

The codec refuses a value that is not of its field's type; what lies in a text is checked here.
"""

from collections.abc import Iterable, Sequence

from msgspec import structs

from retold.errors import InputError
from retold.events import Item, Message, ToolCall, ToolResult, UsageReported, Window, is_compressed
from retold.fold import Context, Entry, Tokens
from retold.formats.json_text import read_json
from retold.policy.bonds import atoms, open_calls
from retold.policy.pins import fixed_positions

NAMED_MAX = 20
"""An error names at most this many items."""


def check_item(item: object) -> None:
    """Check that *item* is one, and that its and its parts' `body` and `extra` hold a JSON object.

    Raises:
        InputError: naming the field; nothing of the text is in the message.
    """
    if not isinstance(item, Item):
        raise InputError(f"expected a message or an item, got {type(item).__name__}")
    if is_compressed(item):
        raise InputError("expected a message of another role than compressed: such blocks are made by compress()")
    kind = type(item).__name__
    content = item.content if isinstance(item, Message | ToolResult) else ()
    parts = [(f"content[{at}]", part) for at, part in enumerate(content)] if isinstance(content, list | tuple) else []
    for where, held in (("", item), *((f"{path}.", part) for path, part in parts)):
        for name in ("body", "extra"):
            _check_object(getattr(held, name, None), what=f"{where}{name} of {kind}")


def check_usage(usage: UsageReported) -> None:
    """Check that no figure of *usage* is below 0; whether each is a number, the codec checks.

    Raises:
        InputError: naming the figure.
    """
    for name in ("input_tokens", "output_tokens", "cached_tokens"):
        size = getattr(usage, name)
        if isinstance(size, int) and size < 0:
            raise InputError(f"expected 0 or more {name}, got {size}")


def _check_object(text: object, *, what: str) -> None:
    if isinstance(text, str) and not isinstance(read_json(text, what=what), dict):
        raise InputError(f"expected a JSON object in {what}, got another kind of JSON")


def check_edit(context: Context, items: Sequence[Item], *, first: int, last: int) -> None:
    """Check that replacing the entries from position *first* to *last* by *items* keeps what every compaction keeps.

    That is: pins, system and developer text, calls that wait and the latest user message stay; calls, their results
    and one response's items leave or stay together. An item that is given again unchanged stays, unless it was pinned
    by its id. O(entries + range x items).

    Raises:
        InputError: naming the ids in the way and how to mend the call.
    """
    entries, span = context.entries, range(first, last + 1)
    gone = set(span) - _given_again(entries, items, span)
    held = {at for at in span if entries[at].item.id in context.pinned}
    if held:
        raise InputError(f"expected an edit that keeps the pinned {_named(entries, held)}: choose a range without them")
    lost = fixed_positions(context) & gone
    if lost:
        raise InputError(
            f"expected an edit that keeps {_named(entries, lost)}: pins, system text, calls that wait and the latest "
            "user message stay; choose a range without them, or give them again, unchanged, among the new items"
        )
    for atom in atoms(entries):
        left = [at for at in atom if at not in gone]
        if left and len(left) < len(atom):
            raise InputError(
                f"expected an edit that keeps together what belongs together, it would part {_named(entries, atom)}: "
                f"widen the range to {_named(entries, left)}, or narrow it"
            )
    _check_pairs(entries, items, first=first, last=last)


def _given_again(entries: Sequence[Entry], items: Sequence[Item], span: range) -> set[int]:
    given = [structs.replace(item, id="") for item in items]
    again: set[int] = set()
    for at in span:
        item = structs.replace(entries[at].item, id="")
        if item in given:
            given.remove(item)
            again.add(at)
    return again


def _check_pairs(entries: Sequence[Entry], items: Sequence[Item], *, first: int, last: int) -> None:
    new = [Entry(item=item, tokens=Tokens(), seq=0, form="edited") for item in items]
    edited = [*entries[:first], *new, *entries[last + 1 :]]
    calls = {entry.item.call_id for entry in edited[:first] if isinstance(entry.item, ToolCall)}
    results = {entry.item.call_id for entry in edited[first:] if isinstance(entry.item, ToolResult)}
    waiting = open_calls(edited)
    for at, item in enumerate(items):
        if isinstance(item, ToolResult) and item.call_id not in calls:
            raise InputError(f"expected a call before its result, the new item number {at + 1} is a result without one")
        if isinstance(item, ToolCall):
            calls.add(item.call_id)
            if item.call_id not in results and first + at not in waiting:
                raise InputError(f"expected a result after each call, the new item number {at + 1} is never answered")


def _named(entries: Sequence[Entry], positions: Iterable[int]) -> str:
    ids = [repr(entries[at].item.id) for at in sorted(positions)]
    more = f" and {len(ids) - NAMED_MAX} more" if len(ids) > NAMED_MAX else ""
    return ", ".join(ids[:NAMED_MAX]) + more


def check_window(window: Window) -> Window:
    """Return *window*.

    Raises:
        InputError: if it is none, a size is not in whole tokens, or it leaves no room for a request.
    """
    if not isinstance(window, Window):
        raise InputError(f"expected a Window, got {type(window).__name__}")
    check_sizes(hard_limit=window.hard_limit, pre_rot=window.pre_rot, reserve=window.reserve)
    if window.hard_limit < 1:
        raise InputError(f"expected a hard_limit of 1 token or more, got {window.hard_limit}")
    if window.input_limit < 1:
        raise InputError(f"expected a reserve below the hard limit of {window.hard_limit}, got {window.reserve}")
    return window


def check_sizes(**sizes: object) -> None:
    """Check that each of *sizes* is a number of whole tokens, 0 or more.

    Raises:
        InputError: naming the first that is not.
    """
    for name, size in sizes.items():
        if not isinstance(size, int):
            raise InputError(f"expected a {name} in whole tokens, got {type(size).__name__}")
        if size < 0:
            raise InputError(f"expected a {name} of 0 tokens or more, got {size}")
