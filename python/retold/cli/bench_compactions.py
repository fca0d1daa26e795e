"""Real compactions of Codex and Claude Code: whether the identifiers that the agent used afterwards were kept.

Where a recorded session was compacted, what stood before is compacted anew. An identifier (a path, a symbol, a URL, a
hash, a number with a mark) is needed if the agent itself writes it again later, in text or in a call's arguments, and
it stood before. Beside the strategies stands what the agent's own compaction left, whatever that took.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from retold.cli.bench_strategies import Message, Strategy, size_of, texts_of
from retold.client import read_lines
from retold.events import HistoryEdited, Item, ItemAppended, ToolCall, plain_text
from retold.events import Message as Said
from retold.formats import Happened, complete, read_transcript, render

SHARES: Final = (0.1, 0.2)
AS_RECORDED: Final = "as recorded"
_FOLDERS: Final = ("codex", "claude-code")
_IDENTIFIER: Final = re.compile(
    r"https?://[^\s\"'`<>)\]}\\]+"
    r"|(?<![\w/.-])[\w.@~-]*(?:/[\w.@-]+)+"  # a path
    r"|\b[\w-]+\.(?:py|rs|go|ts|tsx|js|json|toml|yaml|yml|md|sh|txt|sql|lock|cfg|html|css)\b"
    r"|\b[0-9a-f]{7,40}\b"
    r"|\b[A-Za-z]+(?:_[A-Za-z0-9]+)+\b"
    r"|\b[a-z]+(?:[A-Z][a-z0-9]+)+\b|\b(?:[A-Z][a-z0-9]+){2,}\b"
    r"|#\d+\b"
)
IDENTIFIER_CHARACTERS: Final = range(4, 121)


class Point(Struct, frozen=True):
    """Hold a recorded compaction: what stood before, what the agent made of it, and what it needed later."""

    session: str
    messages: list[Message]
    recorded: list[Message]
    needed: frozenset[str]


class Identifiers(Struct, frozen=True, kw_only=True):
    """Hold how many identifiers survived.

    Attributes:
        share: the budget, of the tokens before the compaction; 0 for the recorded one, which took what it took.
        tokens: of what was left, over all points.
    """

    share: float
    strategy: str
    points: int
    refused: int
    needed: int
    shown: int
    tokens: int


def measure(named: dict[str, Strategy], data: Path) -> list[Identifiers]:
    """Return what survives for each budget and strategy, over all points; nothing where the data is not there."""
    points = [point for path in _transcripts(data) for point in points_of(path)]
    if not points:
        return []
    found = [_survival(name, strategy, points, share) for share in SHARES for name, strategy in named.items()]
    shown = sum(len(_shown(point, point.recorded)) for point in points)
    recorded = Identifiers(
        share=0,
        strategy=AS_RECORDED,
        points=len(points),
        refused=0,
        needed=sum(len(point.needed) for point in points),
        shown=shown,
        tokens=sum(size_of(point.recorded) for point in points),
    )
    return [*found, recorded]


def identifiers_in(text: str) -> set[str]:
    """Return the paths, symbols, URLs, hashes and marked numbers in *text*."""
    return {name for name in _IDENTIFIER.findall(text) if len(name) in IDENTIFIER_CHARACTERS}


def points_of(path: Path) -> list[Point]:
    """Return the compactions recorded in the transcript at *path*."""
    standing: list[tuple[int, Item]] = []
    count = 0
    open_points: list[tuple[list[Item], list[Item], set[str]]] = []
    for one in read_transcript(read_lines(path), name=path.name):
        if not isinstance(one, Happened):
            continue
        match one.fact:
            case ItemAppended(item=item):
                count += 1
                standing.append((count, item))
                if open_points:
                    open_points[-1][2].update(identifiers_in(_written(item)))
            case HistoryEdited(items=items, first=None) as edit:
                before = [item for _, item in standing]
                end = count if edit.last is None else int(edit.last[1:])
                added = [(count + nth, item) for nth, item in enumerate(items, start=1)]
                count += len(items)
                standing = [*added, *((number, item) for number, item in standing if number > end)]
                open_points.append((before, [item for _, item in standing], set()))
            case _:
                pass
    return [point for opened in open_points if (point := _point(path, *opened)).needed]


def _point(path: Path, before: list[Item], after: list[Item], later: set[str]) -> Point:
    messages = render(complete(before, "chat"), "chat")
    said = texts_of(message for message in messages if message["role"] not in ("system", "developer"))
    return Point(
        session=path.stem,
        messages=messages,
        recorded=render(complete(after, "chat"), "chat"),
        needed=frozenset(later & identifiers_in(said)),
    )


def _written(item: Item) -> str:
    """Return what the model itself wrote in *item*."""
    if isinstance(item, ToolCall):
        return item.arguments
    if isinstance(item, Said) and item.role == "assistant":
        return plain_text(item.content)
    return ""


def _transcripts(data: Path) -> Iterator[Path]:
    for folder in _FOLDERS:
        yield from sorted((data / folder).glob("**/*.jsonl"))


def _survival(name: str, strategy: Strategy, points: Sequence[Point], share: float) -> Identifiers:
    refused = needed = shown = size = 0
    for point in points:
        kept = strategy(point.messages, int(size_of(point.messages) * share))
        if kept is None:
            refused += 1
            continue
        needed += len(point.needed)
        shown += len(_shown(point, kept.messages))
        size += size_of(kept.messages)
    return Identifiers(
        share=share,
        strategy=name,
        points=len(points),
        refused=refused,
        needed=needed,
        shown=shown,
        tokens=size,
    )


def _shown(point: Point, messages: Sequence[Message]) -> frozenset[str]:
    return point.needed & identifiers_in(texts_of(messages))
