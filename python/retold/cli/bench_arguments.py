"""tau-bench: whether the values that later calls need are still there, wherever a conversation is cut.

At every cut what was said so far is compacted to half its tokens: half of everything (``all``), or half of what is not
the system prompt, which nobody may touch (``beside the system prompt``). A value is needed if a later call has it as an
argument and something before the cut, other than the system prompt, has it too. It is there if the history shows it,
and one recall away if an item that the history names has it.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from retold.cli.bench_strategies import Kept, Message, Strategy, arguments_of, size_of, texts_of
from retold.errors import InputError

SHARE: Final = 0.5
HALVES: Final = ("all", "beside the system prompt")
VALUE_CHARACTERS: Final = range(3, 61)
"""Shorter values are anywhere, longer ones are thoughts and messages, not values."""
_ITEMS: Final = re.compile(r"\bi(\d+)(?:(?:-| to )i(\d+))?\b")


class Cut(Struct, frozen=True):
    """Hold what was said before a cut, and the values that calls after it need."""

    messages: list[Message]
    needed: frozenset[str]


class Arguments(Struct, frozen=True, kw_only=True):
    """Hold how many values survived all cuts of all trajectories.

    Attributes:
        refused: cuts that the strategy left as they were, as what it may not touch is larger than half.
        needed: values that were needed at the other cuts.
        shown: those that the history shows.
        recalled: those that are one recall away.
    """

    half: str
    strategy: str
    cuts: int
    refused: int
    needed: int
    shown: int
    recalled: int


def measure(named: dict[str, Strategy], data: Path) -> list[Arguments]:
    """Return what survives for each strategy; nothing where the data is not there."""
    cuts = [cut for messages in read_trajectories(data) for cut in cuts_of(messages)]
    if not cuts:
        return []
    return [_survival(half, name, strategy, cuts) for half in HALVES for name, strategy in named.items()]


def read_trajectories(data: Path) -> list[list[Message]]:
    """Return the messages of the trajectories under *data*, of which there may be none."""
    found: list[list[Message]] = []
    for path in sorted(data.glob("tau-bench/*.json")):
        try:
            found += [trajectory["traj"] for trajectory in json.loads(path.read_text(encoding="utf-8"))]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"expected trajectories of tau-bench in {path}: {type(error).__name__}") from None
    return found


def cuts_of(messages: Sequence[Message]) -> Iterator[Cut]:
    """Yield the cuts of a trajectory at which a later call needs a value: before each message that is no result."""
    for at in range(2, len(messages)):
        if messages[at]["role"] == "tool":
            continue
        said = texts_of(message for message in messages[:at] if message["role"] != "system")
        later = {value for message in messages[at:] for text in arguments_of(message) for value in values_of(text)}
        needed = frozenset(value for value in later if has(said, value))
        if needed:
            yield Cut(list(messages[:at]), needed)


def values_of(arguments: str) -> set[str]:
    """Return the values in the JSON text *arguments* that are neither short nor long."""
    try:
        found = set(_leaves(json.loads(arguments)))
    except ValueError:
        return set()
    return {value for value in found if len(value) in VALUE_CHARACTERS}


def has(text: str, value: str) -> bool:
    """Return whether *text* has *value* as a whole, with no letter or digit around it."""
    if value not in text:
        return False
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(value)}(?![A-Za-z0-9_])", text) is not None


def named_items(text: str) -> set[str]:
    """Return the ids of the items that *text* names, one by one or as ``i3-i9``."""
    numbers = [(int(first), int(last or first)) for first, last in _ITEMS.findall(text)]
    return {f"i{number}" for first, last in numbers for number in range(first, min(last, first + 10_000) + 1)}


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def _survival(half: str, name: str, strategy: Strategy, cuts: Sequence[Cut]) -> Arguments:
    refused = needed = shown = recalled = 0
    for cut in cuts:
        untouched = 0 if half == HALVES[0] else size_of(one for one in cut.messages if one["role"] == "system")
        kept = strategy(cut.messages, untouched + int((size_of(cut.messages) - untouched) * SHARE))
        if kept is None:
            refused += 1
            continue
        history = texts_of(kept.messages)
        missing = {value for value in cut.needed if not has(history, value)}
        needed += len(cut.needed)
        shown += len(cut.needed) - len(missing)
        recalled += len(missing & _one_recall_away(kept, history, missing))
    return Arguments(
        half=half, strategy=name, cuts=len(cuts), refused=refused, needed=needed, shown=shown, recalled=recalled
    )


def _one_recall_away(kept: Kept, history: str, missing: set[str]) -> set[str]:
    if kept.recall is None or not missing:
        return set()
    found: set[str] = set()
    for item in named_items(history):
        try:
            text = texts_of(kept.recall(item))
        except InputError:
            continue
        found |= {value for value in missing if has(text, value)}
    return found
