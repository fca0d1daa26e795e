"""Bundles: which items one message of a provider's form holds together, and where a provider wants their results.

A response is what a model wrote at once: its items share a `group`, and a result may stand between two of its calls
(Claude Code writes call, result, call, result under one message id). A group that is named by `sized_group` says how
many items it has, so that a message that comes a second time, word for word, is a second message. A response ends, at
the latest, when the user or the system speaks.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec.structs import replace

from retold.events.items import Form, Item, Message, Text, ToolCall, ToolResult
from retold.formats.json_text import read_extra, write_extra

NO_RESULT = "aborted: no result was recorded"
"""What answers a call that has no result, so that a provider takes it (Codex answers with ``aborted``)."""


def sized_group(name: str, items: Sequence[Item]) -> tuple[Item, ...]:
    """Return the *items* of one message as a group named after *name*, which says how many they are."""
    group = f"{name}#{len(items)}"
    return tuple(replace(item, group=group) for item in items)


def number_responses(items: Iterable[Item]) -> list[int]:
    """Return, for each of *items*, the position of the first item of its response or message."""
    numbers: list[int] = []
    known: dict[str, tuple[int, int]] = {}
    for at, item in enumerate(items):
        group = item.group
        if known and _is_told(item):
            known = {name: place for name, place in known.items() if name == group}
        if group is None:
            numbers.append(at)
            continue
        place = known.pop(group, None)
        first, missing = (at, _size_of(group)) if place is None else place
        numbers.append(first)
        if missing != 1:
            known[group] = (first, missing - 1)
    return numbers


def bundle_items(
    items: Iterable[Item], *, is_held: Callable[[Item], bool], joins: Callable[[Item, Item, bool], bool]
) -> Iterator[list[Item]]:
    """Yield the runs of *items* that one message holds, in order; no run is empty.

    Items that the form does not hold (*is_held*) are left out. *joins* is asked of each two neighbours, and told
    whether the second is of a response that the run holds already.
    """
    items = list(items)
    run: list[Item] = []
    responses: set[int] = set()
    for number, item in zip(number_responses(items), items, strict=True):
        if not is_held(item):
            continue
        if run and not joins(run[-1], item, number in responses):
            yield run
            run, responses = [], set()
        run.append(item)
        responses.add(number)
    if run:
        yield run


def gather(items: Iterable[Item]) -> list[Item]:
    """Return *items* in the order that a provider accepts: a response's items, then the results of its calls.

    Nothing is added, and nothing left out; a result whose call is not among them stays where it is.
    """
    items = list(items)
    blocks = _blocks(items)
    order = sorted(range(len(items)), key=lambda at: (blocks[at], isinstance(items[at], ToolResult), at))
    return [items[at] for at in order]


def complete(items: Iterable[Item], form: Form) -> list[Item]:
    """Return *items* with one result for each call, as a provider of *form* wants a request.

    A call without a result that other items follow (after a rewind into it, say) is answered by `NO_RESULT`, as Codex
    does; the last response's calls are left open, for their results may still come. A second result of a call joins
    the first. A result without a call is left out, but in Responses form, where calls of hosted tools are opaque.
    """
    items = _with_one_result(items, form)
    blocks = _blocks(items)
    answered = {newest for newest, item in zip(_calls_of(items), items, strict=True) if isinstance(item, ToolResult)}
    end = max(blocks, default=0)
    out: list[Item] = []
    aborted: list[Item] = []
    for at, item in enumerate(items):
        if not isinstance(item, ToolCall):
            out += aborted
            aborted = []
        elif at not in answered and blocks[at] != end:
            aborted.append(_no_result(item))
        out.append(item)
    return out + aborted


def _with_one_result(items: Iterable[Item], form: Form) -> list[Item]:
    """Return *items* with at most one result a call, and one before its id is used again; orphans as in `complete`."""
    out: list[Item] = []
    waiting: dict[str, ToolCall] = {}
    results: dict[str, int] = {}
    for item in items:
        if isinstance(item, ToolCall):
            if item.call_id in waiting:
                out.append(_no_result(waiting[item.call_id]))
            waiting[item.call_id] = item
            results.pop(item.call_id, None)
        elif isinstance(item, ToolResult):
            if item.call_id in results:
                first = out[results[item.call_id]]
                assert isinstance(first, ToolResult)
                out[results[item.call_id]] = replace(first, content=(*first.content, *item.content))
                continue
            if waiting.pop(item.call_id, None) is not None:
                results[item.call_id] = len(out)
            elif form != "responses":
                continue
        out.append(item)
    return out


def _calls_of(items: Iterable[Item]) -> list[int | None]:
    """Return, for each result, the position of the newest call with its id before it; None for all else."""
    newest: dict[str, int] = {}
    calls: list[int | None] = []
    for at, item in enumerate(items):
        if isinstance(item, ToolCall):
            newest[item.call_id] = at
        calls.append(newest.get(item.call_id) if isinstance(item, ToolResult) else None)
    return calls


def _no_result(call: ToolCall) -> ToolResult:
    legacy = True if read_extra(call.extra, "chat").get("legacy") else None
    extra = write_extra("chat", legacy=legacy)
    return ToolResult(call_id=call.call_id, content=(Text(NO_RESULT),), kind=call.kind, is_error=True, extra=extra)


def _blocks(items: Sequence[Item]) -> list[int]:
    """Return, for each item, the position that its response starts at; for a result, that of its newest call's.

    Neighbouring calls are one response. A call id that was answered and comes again begins another.
    """
    blocks: list[int] = []
    block_of: dict[int, int] = {}
    calls: dict[str, int] = {}
    answered: set[tuple[int, str]] = set()
    for at, (number, item) in enumerate(zip(number_responses(items), items, strict=True)):
        block = at
        if isinstance(item, ToolResult):
            block = calls.get(item.call_id, at)
            answered.add((block, item.call_id))
        elif isinstance(item, ToolCall):
            neighbour = blocks[-1] if at > 0 and isinstance(items[at - 1], ToolCall) else at
            block = block_of.get(number, neighbour)
            block = at if (block, item.call_id) in answered else block
            calls[item.call_id] = block_of[number] = block
        elif not _is_told(item):
            block = block_of.setdefault(number, at)
        blocks.append(block)
    return blocks


def _is_told(item: Item) -> bool:
    """Return whether *item* is from the user or the system."""
    return isinstance(item, Message) and item.role != "assistant"


def _size_of(group: str) -> int:
    """Return how many items *group* has; 0 if it does not say."""
    size = group.rpartition("#")[2]
    return int(size) if "#" in group and size.isdecimal() else 0
