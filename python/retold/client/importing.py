"""Import a transcript: each of its sessions becomes a session of the log, event by event, all or the reason why not.

An import that was stopped goes on where it ended: what is in the log already is compared with the transcript and passed
over. A transcript that says something else than the session holds is refused before anything is written.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from retold.client.client import Client
from retold.client.session import Session, record_facts
from retold.errors import InputError
from retold.events import (
    Fact,
    HistoryEdited,
    Item,
    ItemAppended,
    Recorded,
    SessionKey,
    SessionOpened,
    SessionRewound,
    Window,
)
from retold.formats.transcripts import Happened, Line, Problem, Start, read_transcript, split_lines

BATCH_EVENTS = 200
"""How many events one append takes: all or none of them, in one exchange with the server."""

BATCH_BYTES = 512 * 1024
"""An append is sent when it holds about this much."""

CHUNK_BYTES = 1024 * 1024
"""A file is read in pieces of this size."""

IMPORTER = "import"
"""The actor of imported events."""


class ImportReport(Struct, frozen=True):
    """Say what an import did.

    Attributes:
        session: the session that was written, or None if the transcript held none.
        kind: the transcript's kind, for example ``codex``.
        appended: how many events were appended now.
        present: how many were in the log already.
        problems: lines that could not be imported, and notes.
    """

    session: SessionKey | None
    kind: str
    appended: int
    present: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Return whether there was a session, and every line of it was imported."""
        return self.session is not None and all(problem.severity != "error" for problem in self.problems)


class Pace(Struct, frozen=True):
    """Say how fast an import goes.

    Attributes:
        batch_events: how many events one append takes at most.
        after_batch: awaited after each append, so that a worker can be waited for.
    """

    batch_events: int = BATCH_EVENTS
    after_batch: Callable[[], Awaitable[None]] | None = None


class _Import:
    """Write the facts of one session in batches, and remember where each item of the transcript came to stand.

    A transcript names items by their number. The log's history may not hold them any more, because a worker compacts
    as it grows, so an edit by number becomes one that always holds: a rewind, or a whole new history.
    """

    def __init__(self, client: Client, session: Session, kind: str, present: Sequence[Recorded], pace: Pace) -> None:
        self.pace = pace
        self.client = client
        self.session = session
        self.kind = kind
        self.present = present
        self.batch: list[Fact] = []
        self.batch_items: list[int] = []
        self.batch_bytes = 0
        self.item_seqs: list[int] = []
        self.seen = 0
        self.appended = 0
        self.problems: list[Problem] = []

    async def take(self, fact: Fact, line: int) -> None:
        placed = await self._placed(fact)
        numbered = len(fact.items) if isinstance(fact, HistoryEdited) else int(isinstance(fact, ItemAppended))
        self.seen += 1
        if self.seen <= len(self.present):
            event = self.present[self.seen - 1].event
            if event.data != placed:
                raise InputError(
                    f"expected line {line} to be what session {self.session.key.session!r} holds, it differs: "
                    "import it under another name"
                )
            self.item_seqs.extend([event.seq] * numbered)
            return
        self.batch.append(placed)
        self.batch_bytes += len(msgspec.json.encode(placed))
        self.batch_items.extend([len(self.batch) - 1] * numbered)
        if len(self.batch) >= self.pace.batch_events or self.batch_bytes >= BATCH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        if not self.batch:
            return
        log, clock = self.client.log, self.client.clock
        recorded = await record_facts(log, clock, self.session.key, self.batch, actor=IMPORTER)
        self.item_seqs.extend(recorded[at].event.seq for at in self.batch_items)
        self.appended += len(self.batch)
        self.batch, self.batch_items, self.batch_bytes = [], [], 0
        if self.pace.after_batch is not None:
            await self.pace.after_batch()

    async def _placed(self, fact: Fact) -> Fact:
        if not isinstance(fact, HistoryEdited) or (fact.first is None and fact.last is None):
            return fact
        await self.flush()
        if fact.last is None and not fact.items:
            return SessionRewound(to_seq=self._seq_of(fact.first) - 1)
        if fact.first is None:
            kept = await self._items_after(self._seq_of(fact.last))
            return structs.replace(fact, items=(*fact.items, *kept), last=None)
        raise InputError("expected an edit of the beginning or the end of a transcript, got one of its middle")

    def _seq_of(self, item_id: str | None) -> int:
        number = int((item_id or "i0")[1:])
        if not 1 <= number <= len(self.item_seqs):
            raise InputError(f"expected an edit of item i1 to i{len(self.item_seqs)}, got {item_id!r}")
        return self.item_seqs[number - 1]

    async def _items_after(self, seq: int) -> list[Item]:
        until = self.present[self.seen].event.seq - 1 if self.seen < len(self.present) else None
        facts = [one.event.data async for one in self.client.log.read(self.session.key, after=seq, until=until)]
        return [fact.item for fact in facts if isinstance(fact, ItemAppended)]

    def report(self) -> ImportReport:
        return ImportReport(
            session=self.session.key,
            kind=self.kind,
            appended=self.appended,
            present=min(self.seen, len(self.present)),
            problems=tuple(self.problems),
        )


async def import_transcript(  # noqa: PLR0913 - where from, and each thing that is new about the session
    client: Client,
    lines: Iterable[Line],
    *,
    name: str,
    session: str | None = None,
    tenant: str = "default",
    window: Window | None = None,
    pace: Pace | None = None,
) -> list[ImportReport]:
    """Import the transcript in *lines* and return a report a session; *name* says where it comes from.

    *session* renames the transcript's first session. Lines that cannot be read are reported, the rest is imported.

    Raises:
        InputError: if the log holds a session of the same name with other content.
        UnavailableError: if the log could not be reached; repeat the import, it goes on where it ended.
    """
    imports: dict[str, _Import] = {}
    current: _Import | None = None
    early: list[Problem] = []
    for event in read_transcript(lines, name=name):
        match event:
            case Start():
                if event.session not in imports:
                    own = session if session is not None and not imports else event.session
                    opened = await client.session(own, tenant=tenant, window=window)
                    imports[event.session] = await _begin(client, opened, event.kind, pace or Pace())
                current = imports[event.session]
            case Happened():
                assert current is not None
                await current.take(event.fact, event.line)
            case Problem():
                (early if current is None else current.problems).append(event)
    for one in imports.values():
        await one.flush()
    return _reports(list(imports.values()), early)


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of the file at *path*, numbered from 1; of an oversized line only its size.

    Raises:
        InputError: if *path* is not a file that can be read.
    """
    try:
        with path.open("rb") as file:
            yield from split_lines(iter(lambda: file.read(CHUNK_BYTES), b""))
    except IsADirectoryError:
        raise InputError(f"expected a file, got a directory: {path}") from None
    except OSError as error:
        raise InputError(f"expected a file that can be read, got {error.strerror}: {path}") from None


async def _begin(client: Client, session: Session, kind: str, pace: Pace) -> _Import:
    present = [
        recorded
        async for recorded in client.log.read(session.key)
        if recorded.event.actor == IMPORTER and not isinstance(recorded.event.data, SessionOpened)
    ]
    return _Import(client, session, kind, present, pace)


def _reports(imports: Sequence[_Import], early: Sequence[Problem]) -> list[ImportReport]:
    reports = [one.report() for one in imports]
    if not reports:
        return [ImportReport(session=None, kind="unknown", appended=0, present=0, problems=tuple(early))]
    reports[0] = structs.replace(reports[0], problems=(*early, *reports[0].problems))
    return reports
