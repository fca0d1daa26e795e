"""Import a transcript: each of its sessions becomes a session of the log, event by event, all or the reason why not.

An import that was stopped goes on where it ended: what is in the log already is compared with the transcript and passed
over. A session of which the transcript says something else than the log holds is refused before anything is written to
it, and its report says why; the transcript's other sessions are imported.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from retold.client.client import Client
from retold.client.session import record_facts
from retold.errors import CorruptLogError, InputError, RetoldError
from retold.events import (
    Fact,
    HistoryEdited,
    Item,
    ItemAppended,
    Policy,
    Recorded,
    SessionKey,
    SessionOpened,
    SessionRewound,
    Window,
    session_key,
)
from retold.formats.models import encoding_of
from retold.formats.transcripts import Happened, Line, Problem, Start, read_transcript, split_lines

ENCODING = "o200k_base"
"""What counts an imported session whose model is not known to be another's."""

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

    def __init__(self, client: Client, key: SessionKey, kind: str, pace: Pace) -> None:
        self.pace = pace
        self.client = client
        self.key = key
        self.kind = kind
        self.is_refused = False
        self.present: list[Recorded] = []
        self.batch: list[Fact] = []
        self.batch_items: list[int] = []
        self.batch_bytes = 0
        self.item_seqs: list[int] = []
        self.edit_items: list[tuple[Sequence[Item], int] | None] = []
        self.seen = 0
        self.appended = 0
        self.problems: list[Problem] = []

    async def open(self, window: Window | None, encoding: str, policy: Policy) -> None:
        """Open the session and read what an earlier import wrote; a damaged one is refused."""
        try:
            await self.client.session(
                self.key.session, tenant=self.key.tenant, window=window, encoding=encoding, policy=policy
            )
            async for recorded in self.client.log.read(self.key):
                if recorded.event.actor == IMPORTER and not isinstance(recorded.event.data, SessionOpened):
                    self.present.append(recorded)
        except CorruptLogError as error:
            self._refuse(error, line=0)

    async def take(self, fact: Fact, line: int) -> None:
        """Write *fact*, or find it written; a fact that cannot be ends the import of this session alone."""
        if self.is_refused:
            return
        try:
            await self._write(fact, line)
        except (InputError, CorruptLogError) as error:
            self._refuse(error, line=line)

    async def finish(self) -> None:
        """Write what is held."""
        try:
            await self._flush()
        except (InputError, CorruptLogError) as error:
            self._refuse(error, line=0)

    def _refuse(self, error: RetoldError, *, line: int) -> None:
        self.is_refused = True
        self.problems.append(Problem(line, str(error)))

    async def _write(self, fact: Fact, line: int) -> None:
        placed = await self._placed(fact)
        numbered = len(fact.items) if isinstance(fact, HistoryEdited) else int(isinstance(fact, ItemAppended))
        items = fact.items if isinstance(fact, HistoryEdited) else None
        self.edit_items.extend(None if items is None else (items, nth) for nth in range(numbered))
        if self.seen < len(self.present):
            event = self.present[self.seen].event
            if event.data != placed:
                raise InputError(
                    f"expected line {line} to be what session {self.key.session!r} holds, it differs: nothing more of "
                    "it is imported; import it under another name"
                )
            self.seen += 1
            self.item_seqs.extend([event.seq] * numbered)
            return
        self.seen += 1
        self.batch.append(placed)
        self.batch_bytes += len(msgspec.json.encode(placed))
        self.batch_items.extend([len(self.batch) - 1] * numbered)
        if len(self.batch) >= self.pace.batch_events or self.batch_bytes >= BATCH_BYTES:
            await self._flush()

    async def _flush(self) -> None:
        if not self.batch:
            return
        log, clock = self.client.log, self.client.clock
        recorded = await record_facts(log, clock, self.key, self.batch, actor=IMPORTER)
        self.item_seqs.extend(recorded[at].event.seq for at in self.batch_items)
        self.appended += len(self.batch)
        self.batch, self.batch_items, self.batch_bytes = [], [], 0
        if self.pace.after_batch is not None:
            await self.pace.after_batch()

    async def _placed(self, fact: Fact) -> Fact:
        if not isinstance(fact, HistoryEdited) or (fact.first is None and fact.last is None):
            return fact
        await self._flush()
        if fact.last is None and not fact.items:
            return self._cut_from(fact)
        if fact.first is None:
            kept = await self._items_after(self._seq_of(fact.last))
            return structs.replace(fact, items=(*fact.items, *kept), last=None)
        raise InputError("expected an edit of the beginning or the end of a transcript, got one of its middle")

    def _cut_from(self, fact: HistoryEdited) -> Fact:
        """Return what takes the end out of the history, from an item on.

        An item that was appended is rewound to. One that an edit brought in leaves the edit's items before it, whatever
        the history was before the edit.
        """
        seq = self._seq_of(fact.first)
        edit = self.edit_items[self._number_of(fact.first) - 1]
        if edit is None:
            return SessionRewound(to_seq=seq - 1)
        items, nth = edit
        return structs.replace(fact, items=tuple(items[:nth]), first=None)

    def _number_of(self, item_id: str | None) -> int:
        return int((item_id or "i0")[1:])

    def _seq_of(self, item_id: str | None) -> int:
        number = self._number_of(item_id)
        if not 1 <= number <= len(self.item_seqs):
            raise InputError(f"expected an edit of item i1 to i{len(self.item_seqs)}, got {item_id!r}")
        return self.item_seqs[number - 1]

    async def _items_after(self, seq: int) -> list[Item]:
        until = self.present[self.seen].event.seq - 1 if self.seen < len(self.present) else None
        facts = [one.event.data async for one in self.client.log.read(self.key, after=seq, until=until)]
        return [fact.item for fact in facts if isinstance(fact, ItemAppended)]

    def report(self) -> ImportReport:
        return ImportReport(
            session=self.key,
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
    encoding: str | None = None,
    policy: Policy = "ladder",
    pace: Pace | None = None,
) -> list[ImportReport]:
    """Import the transcript in *lines* and return a report a session; *name* says where it comes from.

    *session* renames the transcript's first session. *encoding* and *policy* are those of new sessions; where no
    encoding is named, the reconstruction for a Claude model that the transcript names early on, else ``o200k_base``.
    Lines that cannot be read are reported, and so is a session that the log holds with other content, or damaged; the
    rest is imported.

    Raises:
        InputError: if a name, *window* or *encoding* is out of range, or *lines* cannot be read.
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
                    key = session_key(own, tenant=tenant)
                    imports[event.session] = _Import(client, key, event.kind, pace or Pace())
                    counts = encoding or encoding_of(event.model) or ENCODING
                    await imports[event.session].open(window, counts, policy)
                current = imports[event.session]
            case Happened():
                assert current is not None
                await current.take(event.fact, event.line)
            case Problem():
                (early if current is None else current.problems).append(event)
    for one in imports.values():
        await one.finish()
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


def _reports(imports: Sequence[_Import], early: Sequence[Problem]) -> list[ImportReport]:
    reports = [one.report() for one in imports]
    if not reports:
        return [ImportReport(session=None, kind="unknown", appended=0, present=0, problems=tuple(early))]
    reports[0] = structs.replace(reports[0], problems=(*early, *reports[0].problems))
    return reports
