"""One of two writers of one session: a process that is killed at any moment, and goes on where its journal ends.

It is ready when it says so, and begins when it is given a line. It journals each append before it makes it, and what
came of it after. Started again, it repeats the append whose outcome is not in the journal, with the same drafts. What
it appends, and which end it expects, depends on its number alone, and on the end that it has seen.
"""

import asyncio
import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from retold.errors import ConflictError
from retold.events import Draft, ItemAppended, Message, SessionKey, Text
from retold.log import connect_log
from retold.ports import Log, Row

AT = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS_MAX = 3


class Tried(Struct, frozen=True, tag=True):
    """Say that append *number* was about to be made, and which end it expected."""

    number: int
    expected: int | None


class Stored(Struct, frozen=True, tag=True):
    """Say that append *number* was acknowledged, and the sequence of its last event."""

    number: int
    seq: int


class Refused(Struct, frozen=True, tag=True):
    """Say that append *number* was refused, for the session ended at *actual*."""

    number: int
    actual: int


Line: TypeAlias = Tried | Stored | Refused
_lines = msgspec.json.Decoder(Line)


def read_journal(path: Path) -> list[Line]:
    """Return what is in the journal. A line is one write, so no death cuts it."""
    return [_lines.decode(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def drafts_of(writer: str, number: int) -> list[Draft]:
    """Return the drafts of append *number*: mostly one, sometimes an atomic batch."""
    chance = random.Random(f"{writer}-{number}")
    count = EVENTS_MAX if chance.random() < 0.1 else 1
    said = [Message(role="user", content=(Text(f"{writer} {number} {part} {'x' * 300}"),)) for part in range(count)]
    return [
        Draft(id=f"{writer}-{number}-{part}", at=AT, actor=writer, data=ItemAppended(item=item))
        for part, item in enumerate(said)
    ]


def _expected(writer: str, number: int, *, head: int) -> int | None:
    """Return which end append *number* is to expect: what is so, what was or may come, any, or none."""
    chance = random.Random(f"expected {writer}-{number}")
    return chance.choice((None, None, head, head, head, max(head - 1, 0), head + 1, chance.randrange(head + 2), 0))


async def _append(log: Log, key: SessionKey, drafts: Sequence[Draft], tried: Tried) -> Line:
    """Make one append, half of them as a row."""
    try:
        if tried.number % 2:
            recorded = await log.append(key, drafts, expected=tried.expected)
            return Stored(tried.number, recorded[-1].event.seq)
        [end] = await log.append_rows([Row(key=key, appends=[drafts], expected=tried.expected)])
        if end.error is not None:
            raise end.error
        assert end.head is not None
        return Stored(tried.number, end.head.seq)
    except ConflictError as conflict:
        return Refused(tried.number, conflict.actual)


async def write(log: Log, key: SessionKey, path: Path, *, writer: str, appends: int) -> None:
    """Make all appends up to number *appends*, from where the journal ends."""
    journal = read_journal(path)
    last = journal[-1] if journal else Refused(0, 0)
    number, seen = last.number, max([0, *(_end(line) for line in journal)])
    with path.open("ab", buffering=0) as file:
        while number < appends or isinstance(last, Tried):
            if not isinstance(last, Tried):
                number += 1
                last = Tried(number, _expected(writer, number, head=seen))
                file.write(msgspec.json.encode(last) + b"\n")
            last = await _append(log, key, drafts_of(writer, number), last)
            file.write(msgspec.json.encode(last) + b"\n")
            seen = _end(last)


def _end(line: Line) -> int:
    """Return where *line* says that the session ended."""
    return 0 if isinstance(line, Tried) else line.seq if isinstance(line, Stored) else line.actual


async def _main() -> None:
    url, tenant, session, path, writer, appends = sys.argv[1:]
    async with connect_log(url) as log:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        await write(log, SessionKey(tenant, session), Path(path), writer=writer, appends=int(appends))


if __name__ == "__main__":
    asyncio.run(_main())
