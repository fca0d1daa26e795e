"""The identifiers of a conversation: values of calls and results by their names, and what is written like a name.

A call's next arguments are mostly values that an earlier call or its result had. They are listed densely, the values of
one name on one line: ``reservation_id: JG7FMM, LQ940Q``.
"""

from collections.abc import Iterator, Sequence
from math import log
from typing import Any

import msgspec
from msgspec import Struct

from retold.events import SummaryField, ToolCall, ToolResult
from retold.fold import Entry
from retold.identifiers import identifiers_in
from retold.policy.choosing import Line
from retold.policy.reading import text_of

VALUE_CHARACTERS_MAX = 80
"""A longer value is a text."""

VALUES_MAX = 400
"""Of one call or result, so many values are read."""

IDENTIFIERS_MAX = 2_000
"""So many are weighed against each other, the weightiest."""

ASKED, ANSWERED, WRITTEN, BEFORE = 1.0, 0.6, 0.3, 0.4
"""What a value is worth that a call had, a field of a result had, that was written in a text or result; that an
earlier summary listed."""

AGE_WEIGHT = 0.5
"""By how much the oldest weighs less than the newest."""

BARE_NUMBER = 0.3
"""What is left of the worth of a number without a mark: a line, an amount, an index."""

SEEN_ONCE = 0.3
"""What is left of the worth of a name that only one text or result had."""


class Identifier(Struct, frozen=True, order=True):
    """Hold a value and what it is called: the name of its argument or field, or ``paths`` or ``names``."""

    name: str
    value: str


class _Seen(Struct):
    name: str
    weight: float
    count: int
    last_seq: int


def value_lines(entries: Sequence[Entry], *, previous: Sequence[SummaryField]) -> list[Line]:
    """Return the identifiers of *entries* and of *previous*, each a line, by when they were met last. O(characters)."""
    seen: dict[str, _Seen] = {}
    for field in previous:
        for line in field.lines if field.name == "identifiers" else ():
            for identifier in read_line(line):
                seen[identifier.value] = _Seen(identifier.name, BEFORE, 2, 0)
    for entry in entries:
        for identifier, weight in _of_entry(entry):
            known = seen.setdefault(identifier.value, _Seen(identifier.name, weight, 0, entry.seq))
            if known.last_seq != entry.seq or not known.count:
                known.count += 1
            if weight > known.weight:
                known.name, known.weight = identifier.name, weight
            known.last_seq = entry.seq
    newest = max((entry.seq for entry in entries), default=1)
    lines = [_line(value, one, newest, at) for at, (value, one) in enumerate(seen.items())]
    lines.sort(key=lambda line: (-line.weight, line.place))
    return sorted(lines[:IDENTIFIERS_MAX], key=lambda line: line.place)


def _line(value: str, seen: _Seen, newest: int, at: int) -> Line:
    fresh = 1 - AGE_WEIGHT * (1 - seen.last_seq / max(1, newest))
    often = SEEN_ONCE if seen.count < 2 and seen.weight == WRITTEN else 1 + log(max(1, seen.count))
    return Line(
        field="identifiers",
        text=value,
        place=(seen.last_seq, at, 0),
        weight=seen.weight * fresh * often * (BARE_NUMBER if value.isdigit() else 1),
        terms=frozenset({value.lower()}),
        group=seen.name,
        name=seen.name,
    )


def _of_entry(entry: Entry) -> Iterator[tuple[Identifier, float]]:
    text = text_of(entry)
    values = values_in(text) if isinstance(entry.item, ToolCall | ToolResult) else None
    if values is not None:
        weight = ASKED if isinstance(entry.item, ToolCall) else ANSWERED
        yield from ((identifier, weight) for identifier in dict.fromkeys(values))
    else:
        yield from ((identifier, WRITTEN) for identifier in names_in(text))


def told_of(text: str) -> str | list[str]:
    """Return what is told shortly of *text* (`retold.identifiers.tell_shortly`): the values of JSON, or the text."""
    values = values_in(text)
    return text if values is None else [one.value for one in values]


def values_in(text: str) -> list[Identifier] | None:
    """Return the values in *text* by their fields if it is JSON, else None."""
    if text[:1] not in ("{", "["):
        return None
    found: list[Identifier] = []
    try:
        _take_leaves("", msgspec.json.decode(text), found)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return found


def names_in(text: str) -> list[Identifier]:
    """Return what is written as a path, a symbol, an address, a hash or a number is, each once."""
    return [Identifier("paths" if "/" in name else "names", name) for name in identifiers_in(text)]


def read_line(line: str) -> list[Identifier]:
    """Return the identifiers of a line of a summary."""
    name, parted, values = line.partition(": ")
    return [Identifier(name, value) for value in values.split(", ")] if parted else []


def _take_leaves(name: str, value: Any, found: list[Identifier]) -> None:
    """Add the values in *value*, which is called *name*, to *found*, until it has `VALUES_MAX`."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else ((name, inner) for inner in value):
            if len(found) >= VALUES_MAX:
                return
            _take_leaves(key, inner, found)
    elif name and (leaf := _leaf(value)) is not None:
        found.append(Identifier(name, leaf))


def _leaf(value: Any) -> str | None:
    """Return *value* as it is told, None if it is a text or says nothing by itself."""
    if isinstance(value, str):
        is_told = 1 < len(value) <= VALUE_CHARACTERS_MAX and ", " not in value and "\n" not in value
        return value if is_told else None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
