"""Logs, clocks and summarizers for the laws of the worker: they fail exactly where a test says."""

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from retold.errors import UnavailableError
from retold.events import Draft, Fact, Head, Kept, Recorded, SessionKey, SummaryField
from retold.fold import Context, Run, decode_history, history_of
from retold.lease_ports import Leases, Partitions
from retold.policy import SummarizeSpan, Summary
from retold.ports import Aside, Before, Erased, Log, Published, Row, RowEnd, Scanned, SessionEnd, Snapshot, Unreadable
from retold.replay import load, verify
from retold.summarizers import ExtractiveSummarizer
from retold.worker import Worker


class HandClock:
    """Tell a time that moves one second a question, and make ids that are the same in every run."""

    def __init__(self, name: str = "clock", *, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        """Start at *start*; *name* keeps the ids of several clocks apart."""
        self._name = name
        self._now = start
        self._ids = 0

    def now(self) -> datetime:
        """Return the next second."""
        self._now += timedelta(seconds=1)
        return self._now

    def new_id(self) -> str:
        """Return the next id."""
        self._ids += 1
        return f"{self._name}-{self._ids}"


class Killed(Exception):  # noqa: N818 - what happens to the worker, no error of Retold's
    """Stand for the death of the process."""


class LogProxy:
    """Pass everything on to another log; what a test makes fail, it overrides."""

    def __init__(self, log: Log) -> None:
        """Pass on to *log*."""
        self.inner = log

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Pass on."""
        return await self.inner.append(key, drafts, expected=expected, are_new=are_new)

    async def erase(self, key: SessionKey) -> Erased:
        """Pass on."""
        return await self.inner.erase(key)

    async def append_rows(self, rows: Sequence[Row]) -> list[RowEnd]:
        """Pass on."""
        return await self.inner.append_rows(rows)

    async def head(self, key: SessionKey) -> Head:
        """Pass on."""
        return await self.inner.head(key)

    def read(self, key: SessionKey, *, after: int = 0, until: int | None = None) -> AsyncGenerator[Recorded, None]:
        """Pass on."""
        return self.inner.read(key, after=after, until=until)

    def read_kept(self, key: SessionKey, *, after: int = 0, until: int | None = None) -> AsyncGenerator[Kept, None]:
        """Pass on."""
        return self.inner.read_kept(key, after=after, until=until)

    def scan(self, *, partitions: Sequence[int] = ()) -> AsyncGenerator[Scanned[Recorded], None]:
        """Pass on."""
        return self.inner.scan(partitions=partitions)

    def scan_runs(self, *, partitions: Sequence[int] = ()) -> AsyncGenerator[Scanned[Recorded | Run], None]:
        """Pass on."""
        return self.inner.scan_runs(partitions=partitions)

    def salvage(self, key: SessionKey) -> AsyncGenerator[Kept, None]:
        """Pass on."""
        return self.inner.salvage(key)

    async def stored_end(self, key: SessionKey) -> Head:
        """Pass on."""
        return await self.inner.stored_end(key)

    async def copy(self, key: SessionKey, events: AsyncIterable[Kept], *, until: int) -> None:
        """Pass on."""
        await self.inner.copy(key, events, until=until)

    async def replace(
        self, key: SessionKey, events: AsyncIterable[Kept], *, until: int, instead_of: Head | None
    ) -> None:
        """Pass on."""
        await self.inner.replace(key, events, until=until, instead_of=instead_of)

    async def reached(self, key: SessionKey) -> int:
        """Pass on."""
        return await self.inner.reached(key)

    def follow(self, key: SessionKey, *, after: int = 0) -> AsyncGenerator[Recorded, None]:
        """Pass on."""
        return self.inner.follow(key, after=after)

    def wakes(self, partitions: Partitions | None = None) -> AsyncGenerator[SessionEnd, None]:
        """Pass on."""
        return self.inner.wakes(partitions)

    @property
    def leases(self) -> Leases:
        """Pass on."""
        return self.inner.leases

    def arrived(self, key: SessionKey, *, head: Head) -> Sequence[Recorded]:
        """Pass on."""
        return self.inner.arrived(key, head=head)

    def leave(self, key: SessionKey) -> None:
        """Pass on."""
        self.inner.leave(key)

    async def sessions(self) -> list[SessionEnd]:
        """Pass on."""
        return await self.inner.sessions()

    async def set_aside(self, key: SessionKey, aside: Aside) -> None:
        """Pass on."""
        await self.inner.set_aside(key, aside)

    async def release(self, key: SessionKey) -> None:
        """Pass on."""
        await self.inner.release(key)

    async def aside(self) -> dict[SessionKey, Aside]:
        """Pass on."""
        return await self.inner.aside()

    async def save_snapshot(self, key: SessionKey, snapshot: Snapshot) -> None:
        """Pass on."""
        await self.inner.save_snapshot(key, snapshot)

    async def load_snapshot(self, key: SessionKey, *, until: int | None = None) -> Snapshot | None:
        """Pass on."""
        return await self.inner.load_snapshot(key, until=until)

    async def find_snapshot(self, key: SessionKey, before: Before) -> Snapshot | None:
        """Pass on."""
        return await self.inner.find_snapshot(key, before)

    def snapshots(self, key: SessionKey) -> AsyncGenerator[Snapshot | Unreadable, None]:
        """Pass on."""
        return self.inner.snapshots(key)

    async def swap_projections(self, key: SessionKey, made: AsyncIterable[Snapshot | Published]) -> None:
        """Pass on."""
        await self.inner.swap_projections(key, made)

    async def publish_history(self, key: SessionKey, published: Published) -> bool:
        """Pass on."""
        return await self.inner.publish_history(key, published)

    async def withdraw_history(self, key: SessionKey, *, version: int, seq: int) -> bool:
        """Pass on."""
        return await self.inner.withdraw_history(key, version=version, seq=seq)

    async def load_history(self, key: SessionKey) -> Published | None:
        """Pass on."""
        return await self.inner.load_history(key)


class FailingLog(LogProxy):
    """Fail once, at the n-th effect (append, publication or snapshot), before or after it has happened."""

    def __init__(self, log: Log, *, at: int, after: bool, error: Exception) -> None:
        """Raise *error* at effect number *at*, counted from 1; *after* tells whether the effect has happened then."""
        super().__init__(log)
        self.effects = 0
        self._at = at
        self._after = after
        self._error = error

    @property
    def has_failed(self) -> bool:
        """Whether the failure has come."""
        return self.effects >= self._at

    def _effect(self, *, after: bool) -> None:
        self.effects += not after
        if self.effects == self._at and after == self._after:
            raise self._error

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append, and fail if it is time."""
        self._effect(after=False)
        recorded = await super().append(key, drafts, expected=expected, are_new=are_new)
        self._effect(after=True)
        return recorded

    async def save_snapshot(self, key: SessionKey, snapshot: Snapshot) -> None:
        """Save, and fail if it is time."""
        self._effect(after=False)
        await super().save_snapshot(key, snapshot)
        self._effect(after=True)

    async def publish_history(self, key: SessionKey, published: Published) -> bool:
        """Publish, and fail if it is time."""
        self._effect(after=False)
        written = await super().publish_history(key, published)
        self._effect(after=True)
        return written

    async def withdraw_history(self, key: SessionKey, *, version: int, seq: int) -> bool:
        """Withdraw, and fail if it is time."""
        self._effect(after=False)
        withdrawn = await super().withdraw_history(key, version=version, seq=seq)
        self._effect(after=True)
        return withdrawn


class BreakingLog(LogProxy):
    """Store only the first event of the n-th append of several, as a full server may, and say that it failed."""

    def __init__(self, log: Log, *, at: int) -> None:
        """Break off in append of several number *at*, counted from 1."""
        super().__init__(log)
        self.batches = 0
        self._at = at

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append, and break off if it is time."""
        self.batches += len(drafts) > 1
        if len(drafts) > 1 and self.batches == self._at:
            await super().append(key, drafts[:1], expected=expected)
            raise UnavailableError("planted: the store is full")
        return await super().append(key, drafts, expected=expected, are_new=are_new)


class InterruptedLog(LogProxy):
    """Let somebody else write just before the worker's n-th append."""

    def __init__(self, log: Log, key: SessionKey, *, at: int, facts: Sequence[Fact]) -> None:
        """Append *facts* to session *key* before append number *at*, counted from 1."""
        super().__init__(log)
        self._key = key
        self._at = at
        self._facts = facts
        self._appends = 0
        self._clock = HandClock("intruder")

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append, after the other's events if it is time."""
        self._appends += 1
        if self._appends == self._at:
            await write(self.inner, self._key, self._facts, clock=self._clock)
        return await super().append(key, drafts, expected=expected, are_new=are_new)


class ScriptedSummarizer:
    """Return the same fields for everything, or raise the same error."""

    name = "scripted"

    def __init__(self, answer: tuple[SummaryField, ...] | Exception) -> None:
        """Answer *answer* every time."""
        self._answer = answer
        self.calls = 0

    async def summarize(self, context: Context, decision: SummarizeSpan) -> Summary:
        """Return or raise the answer."""
        assert {entry.item.id for entry in context.entries} >= set(decision.covers)
        self.calls += 1
        if isinstance(self._answer, Exception):
            raise self._answer
        return Summary(fields=self._answer, summarizer=self.name)


async def write(log: Log, key: SessionKey, facts: Sequence[Fact], *, clock: HandClock) -> list[Recorded]:
    """Append *facts* to the session as one, as an agent does."""
    now = clock.now()
    drafts = [Draft(id=clock.new_id(), at=now, actor="agent", data=fact) for fact in facts]
    return await log.append(key, drafts)


async def read(log: Log, key: SessionKey) -> list[Recorded]:
    """Return all events of the session."""
    return [recorded async for recorded in log.read(key)]


def worker_on(log: Log, name: str = "worker") -> Worker:
    """Return a worker with the extractive summarizer."""
    return Worker(log, HandClock(name), ExtractiveSummarizer())


async def drained(worker: Worker) -> bool:
    """Let *worker* bring everything up to date; return False if it was killed."""
    killed = False
    try:
        await worker.drain()
    except* Killed:
        killed = True
    return not killed


class Outcome(Struct, frozen=True):
    """Hold what users see of a session in the end: it does not depend on when a worker came by, nor on its deaths."""

    hash: str
    version: int
    tokens: int
    published: tuple[int, str] | None


async def outcome(log: Log, key: SessionKey) -> Outcome:
    """Return what users see of the session, once everything in it has been proven."""
    context = await load(log, key)
    verdict = await verify(log, key)
    assert verdict.ok, verdict.reason
    published = await log.load_history(key)
    if published is not None:
        assert decode_history(published.body, key=key).hash == published.hash
    return Outcome(
        hash=history_of(context).hash,
        version=context.version,
        tokens=context.tokens.upper,
        published=None if published is None else (published.version, published.hash),
    )
