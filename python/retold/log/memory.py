"""The log in memory: one process, nothing kept. For tests, for examples, and for `retold.compact`.

It passes the contract suite of the real log, its limits included, and finds the same damage.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine, Mapping, Sequence
from contextlib import aclosing

from retold.errors import ConflictError, CorruptLogError, InputError, RetoldError
from retold.events import Draft, Head, Kept, Recorded, SessionKey, check_follows, decode, is_tombstone, kept, record
from retold.fold import Run
from retold.lease_ports import PARTITIONS, Partitions
from retold.log.memory_leases import MemoryLeases
from retold.log.names import checked, partition
from retold.log.rows import check_rows
from retold.log.scanning import check_partitions
from retold.log.writer import check_drafts, check_sizes
from retold.ports import Aside, Before, Erased, Published, Row, RowEnd, Scanned, SessionEnd, Snapshot, Unreadable

_EVERYTHING: Mapping[int, int] = dict.fromkeys(range(PARTITIONS), 0)


class MemoryLog:
    """Remember events in this process; see `retold.ports.Log`. Not safe to share between threads."""

    def __init__(self) -> None:
        self._events: dict[SessionKey, list[Recorded]] = {}
        self._ids: dict[tuple[SessionKey, str], int] = {}
        self._heads: dict[SessionKey, Head] = {}
        self._erased: dict[SessionKey, int] = {}
        self._snapshots: dict[SessionKey, list[Snapshot]] = {}
        self._histories: dict[SessionKey, Published] = {}
        self._withdrawn: dict[SessionKey, tuple[int, int]] = {}
        self._asides: dict[SessionKey, Aside] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self.leases = MemoryLeases()

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append *drafts*, all or none. Every repeated call is recognised, however old."""
        del are_new  # looking for them costs nothing here
        check_drafts(drafts, expected=expected)
        head = self._heads.get(checked(key), Head())
        repeated = self._repeated(key, drafts)
        if repeated is not None and expected in (None, repeated[0].event.seq - 1):
            return repeated
        if head.seq < self._seen(key):
            raise CorruptLogError(
                "it was stored, and now the log ends before it", session=key.session, seq=head.seq + 1
            )
        if expected is not None and head.seq != expected:
            raise ConflictError(session=key.session, expected=expected, actual=head.seq)
        events = record(drafts, key=key, head=head)
        check_sizes(events)
        self._events.setdefault(key, []).extend(events)
        self._ids.update({(key, recorded.event.id): recorded.event.seq for recorded in events})
        self._heads[key] = events[-1].head
        if is_tombstone(drafts[0].data):
            self._erased[key] = events[0].event.seq
        self._wake()
        return events

    async def erase(self, key: SessionKey) -> Erased:
        """Drop what lies before the session's newest tombstone."""
        seq = self._erased.get(checked(key), 0)
        if not seq:
            raise InputError(f"expected a tombstone in session {key.session!r}: append SessionErased first")
        events, snapshots = self._events[key], self._snapshots.get(key, [])
        self._events[key] = [recorded for recorded in events if recorded.event.seq >= seq]
        self._snapshots[key] = [snapshot for snapshot in snapshots if snapshot.seq >= seq]
        history = self._histories.get(key)
        if history is not None and history.seq < seq:
            del self._histories[key]
        projections = len(snapshots) - len(self._snapshots[key]) + (history is not None and history.seq < seq)
        return Erased(seq=seq, events=len(events) - len(self._events[key]), projections=projections)

    async def append_rows(self, rows: Sequence[Row]) -> list[RowEnd]:
        """Append row by row."""
        check_rows(rows)
        return [await self._append_row(row) for row in rows]

    async def _append_row(self, row: Row) -> RowEnd:
        head: Head | None = None
        for appended, drafts in enumerate(row.appends):
            try:
                recorded = await self.append(row.key, drafts, expected=None if appended else row.expected)
            except RetoldError as error:
                return RowEnd(appended=appended, head=head, error=error)
            head = recorded[-1].head
        return RowEnd(appended=len(row.appends), head=head)

    async def head(self, key: SessionKey) -> Head:
        """Return where the session ends; `Head()` if there is none."""
        return self._heads.get(checked(key), Head())

    async def read(
        self, key: SessionKey, *, after: int = 0, until: int | None = None
    ) -> AsyncGenerator[Recorded, None]:
        """Yield the events of ``after < seq <= until`` in order, checked; None is the end when the read starts."""
        if after < 0:
            raise InputError(f"expected a sequence of 0 or more, got after={after}")
        seen = self._seen(checked(key))
        goal = seen if until is None else min(until, seen)
        after = max(after, self._erased.get(key, 0) - 1)
        head = self._head_at(key, after) if goal > after else Head()
        for seq in range(after + 1, goal + 1):
            recorded = self._next(key, seq)
            check_follows(recorded, head=head, key=key)
            head = recorded.head
            yield recorded

    async def read_kept(
        self, key: SessionKey, *, after: int = 0, until: int | None = None
    ) -> AsyncGenerator[Kept, None]:
        """Yield the same as they are kept."""
        async with aclosing(self.read(key, after=after, until=until)) as events:
            async for recorded in events:
                yield kept(recorded.body)

    async def scan(self, *, partitions: Sequence[int] = ()) -> AsyncGenerator[Scanned[Recorded], None]:
        """Yield session by session."""
        check_partitions(partitions)
        for key in [key for key in self._events if not partitions or partition(key) in partitions]:
            events: list[Recorded] = []
            damage: dict[SessionKey, CorruptLogError] = {}
            try:
                async for recorded in self.read(key):
                    events.append(recorded)  # noqa: PERF401 -- what came before the damage is kept
            except CorruptLogError as error:
                damage[key] = error
            yield Scanned(events=events, damage=damage)

    async def scan_runs(self, *, partitions: Sequence[int] = ()) -> AsyncGenerator[Scanned[Recorded | Run], None]:
        """Yield session by session, event by event."""
        async with aclosing(self.scan(partitions=partitions)) as scanned:
            async for part in scanned:
                yield Scanned[Recorded | Run](events=part.events, damage=part.damage, sealed=part.sealed)

    async def salvage(self, key: SessionKey) -> AsyncGenerator[Kept, None]:
        """Yield every event that is there."""
        for recorded in list(self._events.get(checked(key), [])):
            if recorded.event.seq >= self._erased.get(key, 0):
                yield kept(recorded.body)

    async def stored_end(self, key: SessionKey) -> Head:
        """Return the head of the last event that is there."""
        events = self._events.get(checked(key), [])
        return events[-1].head if events else Head()

    async def copy(self, key: SessionKey, events: AsyncIterable[Kept], *, until: int) -> None:
        """Store *events* behind what is there, all at once."""
        await self._put(key, events, before=self._events.get(checked(key), []), until=until)

    async def reached(self, key: SessionKey) -> int:
        """Return the largest sequence that anything here proves."""
        return self._seen(checked(key))

    async def replace(
        self, key: SessionKey, events: AsyncIterable[Kept], *, until: int, instead_of: Head | None
    ) -> None:
        """Store *events* in place of what is there, all at once."""
        end = await self.stored_end(key)
        if instead_of is not None and end != instead_of:
            raise ConflictError(session=key.session, expected=instead_of.seq, actual=end.seq)
        await self._put(checked(key), events, before=[], until=until)

    async def _put(self, key: SessionKey, events: AsyncIterable[Kept], *, before: list[Recorded], until: int) -> None:
        stored = list(before)
        async for one in events:
            one.check_follows(stored[-1].head if stored else Head(), key)
            stored.append(decode(one.body))
        end = stored[-1].event.seq if stored else 0
        if end != until:
            raise CorruptLogError(
                f"the copy was to go on to {until}, its source ends before", session=key.session, seq=end + 1
            )
        self._events[key] = stored
        self._ids.update({(key, recorded.event.id): recorded.event.seq for recorded in stored})
        self._heads[key] = stored[-1].head
        self._erased[key] = max((one.event.seq for one in stored if is_tombstone(one.event.data)), default=0)
        self._wake()

    async def follow(self, key: SessionKey, *, after: int = 0) -> AsyncGenerator[Recorded, None]:
        """Yield the events after *after* and then each new one, without an end."""
        while True:
            changed = self._change()
            async for recorded in self.read(key, after=after):
                after = recorded.event.seq
                yield recorded
            await changed

    async def wakes(self, partitions: Partitions | None = None) -> AsyncGenerator[SessionEnd, None]:
        """Yield every session of *partitions* with its end, then again whenever it has grown; never ends."""
        woken: dict[SessionKey, tuple[int, int]] = {}
        while True:
            changed = self._change()
            followed = _EVERYTHING if partitions is None else dict(partitions.followed)
            for key, head in list(self._heads.items()):
                mark = (followed.get(partition(key), -1), head.seq)
                if mark[0] >= 0 and woken.get(key) != mark:
                    woken[key] = mark
                    yield SessionEnd(key=key, seq=head.seq)
            await changed if partitions is None else await _first(changed, partitions.changed(followed))

    def arrived(self, key: SessionKey, *, head: Head) -> Sequence[Recorded]:
        """Return what follows *head*, if that is where it was."""
        events = self._events.get(key, [])
        at = head.seq - (events[0].event.seq if events else 1) + 1
        return events[at:] if 0 < at < len(events) and events[at - 1].head == head else ()

    def leave(self, key: SessionKey) -> None:
        """Do nothing: all events are here."""

    async def sessions(self) -> list[SessionEnd]:
        """Return every session and where it ends, ordered by tenant and name."""
        return [SessionEnd(key=key, seq=self._heads[key].seq) for key in sorted(self._heads)]

    async def set_aside(self, key: SessionKey, aside: Aside) -> None:
        """Note it."""
        self._asides[checked(key)] = aside

    async def release(self, key: SessionKey) -> None:
        """Remove the note."""
        self._asides.pop(checked(key), None)

    async def aside(self) -> dict[SessionKey, Aside]:
        """Return what is noted."""
        return dict(self._asides)

    async def save_snapshot(self, key: SessionKey, snapshot: Snapshot) -> None:
        """Keep *snapshot*, unless the newest kept is of a later sequence or the very same."""
        kept = self._snapshots.setdefault(checked(key), [])
        if snapshot.seq < self._erased.get(key, 0):
            return
        if kept and (kept[-1].seq > snapshot.seq or kept[-1] == snapshot):
            return
        kept.append(snapshot)

    async def load_snapshot(self, key: SessionKey, *, until: int | None = None) -> Snapshot | None:
        """Return the newest kept snapshot with ``seq <= until``, or None."""
        return await self.find_snapshot(key, Before(seq=until))

    async def find_snapshot(self, key: SessionKey, before: Before) -> Snapshot | None:
        """Return the newest kept snapshot that is early enough, or None."""
        kept = self._snapshots.get(checked(key), [])
        erased = self._erased.get(key, 0)
        return next((one for one in reversed(kept) if one.seq >= erased and before.holds(one)), None)

    async def snapshots(self, key: SessionKey) -> AsyncGenerator[Snapshot | Unreadable, None]:
        """Yield every kept snapshot in order."""
        for snapshot in list(self._snapshots.get(checked(key), [])):
            if snapshot.seq >= self._erased.get(key, 0):
                yield snapshot

    async def swap_projections(self, key: SessionKey, made: AsyncIterable[Snapshot | Published]) -> None:
        """Put what *made* yields in place of the session's snapshots and of its published history."""
        before = list(self._snapshots.get(checked(key), []))
        new = [one async for one in made]
        if self._snapshots.get(key, []) != before:
            raise ConflictError(session=key.session, expected=len(before), actual=len(self._snapshots[key]))
        histories = [one for one in new if isinstance(one, Published)]
        self._snapshots[key] = [one for one in new if isinstance(one, Snapshot)]
        there = self._histories.pop(key, None)
        for published in histories:
            if there is not None and (there.version, there.seq) > (published.version, published.seq):
                self._histories[key] = there
            elif self._withdrawn.get(key, (0, 0)) < (published.version, published.seq):
                self._histories[key] = published

    async def publish_history(self, key: SessionKey, published: Published) -> bool:
        """Publish *published* unless the same or a newer one, by (version, seq), is there."""
        there = self._histories.get(checked(key))
        if published.seq < self._erased.get(key, 0):
            return False
        last = self._withdrawn.get(key, (0, 0)) if there is None else (there.version, there.seq)
        if last >= (published.version, published.seq):
            return False
        self._histories[key] = published
        return True

    async def withdraw_history(self, key: SessionKey, *, version: int, seq: int) -> bool:
        """Take back what is published before (*version*, *seq*), and take nothing older from then on."""
        there = self._histories.get(checked(key))
        if there is not None and (there.version, there.seq) >= (version, seq):
            return False
        self._withdrawn[key] = max((version, seq), self._withdrawn.get(key, (0, 0)))
        return self._histories.pop(key, None) is not None

    async def load_history(self, key: SessionKey) -> Published | None:
        """Return the published history, or None."""
        history = self._histories.get(checked(key))
        return None if history is None or history.seq < self._erased.get(key, 0) else history

    def lose(self, key: SessionKey, seq: int) -> None:
        """Lose event *seq*: the fault that tests plant."""
        self._events[key] = [recorded for recorded in self._events[key] if recorded.event.seq != seq]

    def _repeated(self, key: SessionKey, drafts: Sequence[Draft]) -> list[Recorded] | None:
        erased = self._erased.get(key, 0)
        found = [seq if (seq := self._ids.get((key, draft.id), 0)) >= erased else 0 for draft in drafts]
        first = found[0]
        if not any(found):
            return None
        if found != list(range(first, first + len(drafts))) or not first:
            raise InputError(
                f"some of the {len(drafts)} draft ids are recorded at sequence {max(found)} and others are not: "
                "a repeated append carries the same drafts"
            )
        return [self._next(key, seq) for seq in found]

    def _seen(self, key: SessionKey) -> int:
        """Return the largest sequence that anything here proves to exist."""
        history = self._histories.get(key)
        seen = [self._heads.get(key, Head()).seq, 0 if history is None else history.seq]
        return max(seen + [snapshot.seq for snapshot in self._snapshots.get(key, [])])

    def _head_at(self, key: SessionKey, seq: int) -> Head:
        if seq == self._erased.get(key, 0) - 1:
            return Head(seq=seq, hash=self._next(key, seq + 1).event.prev)
        return Head() if seq == 0 else self._next(key, seq).head

    def _next(self, key: SessionKey, seq: int) -> Recorded:
        events = self._events.get(key, [])
        at = seq - (events[0].event.seq if events else 1)
        if 0 <= at < len(events) and events[at].event.seq == seq:
            return events[at]
        found = next((recorded for recorded in events if recorded.event.seq == seq), None)
        if found is None:
            raise CorruptLogError("it is missing", session=key.session, seq=seq)
        return found

    def _change(self) -> asyncio.Future[None]:
        """Return a future that is done at the next append. Taken before looking, so that nothing falls between."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


async def _first(one: "asyncio.Future[None]", other: Coroutine[None, None, None]) -> None:
    """Wait until either is done."""
    task = asyncio.ensure_future(other)
    try:
        await asyncio.wait({one, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
