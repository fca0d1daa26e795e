"""What must stay together: a call and its result, parallel calls, one response's items, reasoning and what it led to.

Everything here is about positions in a history, 0 for the oldest.
"""

from collections.abc import Sequence

from retold.events import Message, Reasoning, ToolCall, ToolResult
from retold.fold import Entry
from retold.formats import number_responses


def pair_of(entries: Sequence[Entry]) -> dict[int, int]:
    """Return, for each call and result, the position of its partner. The first result of a call wins.

    A provider may use a call id again later; a result belongs to the newest call with its id before it.
    """
    open_calls: dict[str, int] = {}
    partner: dict[int, int] = {}
    for at, entry in enumerate(entries):
        item = entry.item
        if isinstance(item, ToolCall):
            open_calls[item.call_id] = at
        elif isinstance(item, ToolResult) and item.call_id in open_calls:
            call = open_calls.pop(item.call_id)
            partner[call], partner[at] = at, call
    return partner


def open_calls(entries: Sequence[Entry]) -> set[int]:
    """Return the calls whose result may still come: without one, and no message of the user after them.

    A call before a later user message is dead: its process is gone, and keeping it would block compaction for ever.
    """
    partner = pair_of(entries)
    last_user = max((at for at, entry in enumerate(entries) if is_user(entry)), default=-1)
    return {
        at
        for at, entry in enumerate(entries)
        if isinstance(entry.item, ToolCall) and at not in partner and at > last_user
    }


def atoms(entries: Sequence[Entry]) -> list[list[int]]:
    """Return the sets of positions that leave or stay together, ordered by their first; each ascending."""
    parent = list(range(len(entries)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for left, right in _bonds(entries):
        first, second = sorted((root(left), root(right)))
        parent[second] = first
    members: dict[int, list[int]] = {}
    for at in range(len(entries)):
        members.setdefault(root(at), []).append(at)
    return [members[first] for first in sorted(members)]


def safe_cuts(entries: Sequence[Entry]) -> list[int]:
    """Return the positions, ascending, at which a history may be cut: no bond reaches over them.

    0 and ``len(entries)`` are always among them.
    """
    reach = list(range(len(entries)))
    for left, right in _bonds(entries):
        low, high = sorted((left, right))
        reach[low] = max(reach[low], high)
    cuts, end = [0], 0
    for at in range(len(entries)):
        if at > 0 and at > end:
            cuts.append(at)
        end = max(end, reach[at])
    return [*cuts, len(entries)] if entries else [0]


def is_user(entry: Entry) -> bool:
    """Return whether the entry is something that the user said, not a summary or a block in the user's place."""
    said = isinstance(entry.item, Message) and entry.item.role == "user"
    return said and entry.form not in ("summary", "compressed")


def latest_user(entries: Sequence[Entry]) -> int | None:
    """Return the position of the newest user message, or None."""
    return next((at for at in range(len(entries) - 1, -1, -1) if is_user(entries[at])), None)


def _answers(entries: Sequence[Entry]) -> list[tuple[int, int]]:
    """Return each call with every result that answers it: a tool may answer twice, the second time much later."""
    newest: dict[str, int] = {}
    answers: list[tuple[int, int]] = []
    for at, entry in enumerate(entries):
        item = entry.item
        if isinstance(item, ToolCall):
            newest[item.call_id] = at
        elif isinstance(item, ToolResult) and item.call_id in newest:
            answers.append((newest[item.call_id], at))
    return answers


def _bonds(entries: Sequence[Entry]) -> list[tuple[int, int]]:
    bonds = _answers(entries)
    newest: dict[int, int] = {}
    for at, number in enumerate(number_responses(entry.item for entry in entries)):
        if number in newest:
            bonds.append((newest[number], at))
        newest[number] = at
    for at in range(1, len(entries)):
        before, item = entries[at - 1].item, entries[at].item
        parallel = isinstance(before, ToolCall) and isinstance(item, ToolCall)
        led_to = isinstance(before, Reasoning) and not is_user(entries[at])
        if parallel or led_to:
            bonds.append((at - 1, at))
    return bonds
