"""The log on NATS JetStream.

One object holds one connection and may be shared by all tasks of one event loop. What it remembers (`trails`) only
saves round trips; any number of processes may write to the same sessions.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Self

from retold.errors import CorruptLogError, InputError
from retold.events import Draft, Head, Kept, Recorded, SessionKey
from retold.fold import Run, encode_history, fold, replacement_of
from retold.lease_ports import Partitions
from retold.log import streams
from retold.log.api import Stored
from retold.log.arrivals import Arrivals
from retold.log.asides import Asides
from retold.log.blobs import Blobs
from retold.log.broker import Broker
from retold.log.copying import Copier
from retold.log.dead_letters import DeadLetters
from retold.log.erasing import Eraser
from retold.log.feed import Feed
from retold.log.headers import reaches, seq_of
from retold.log.heads import Heads
from retold.log.keys import DataKeys
from retold.log.learning import Learning
from retold.log.leases import JetStreamLeases
from retold.log.link import Link
from retold.log.names import (
    EVENTS,
    EVENTS_ALL,
    HEADS,
    HEADS_ALL,
    HISTORIES,
    HISTORIES_ALL,
    KEYS,
    SNAPSHOTS,
    SNAPSHOTS_ALL,
    UNTIL,
    checked,
    event_subject,
    key_of,
    session_of,
)
from retold.log.projections import Projections
from retold.log.reader import Reader
from retold.log.rows import RowWriter
from retold.log.scanning import Scanner
from retold.log.servers import Server
from retold.log.snapshot_messages import Placed
from retold.log.snapshots import Snapshots
from retold.log.tail import read_tail
from retold.log.trails import Mark, Trails
from retold.log.waking import wakes
from retold.log.writer import Writer
from retold.ports import Aside, Before, Erased, Published, Row, RowEnd, Scanned, SessionEnd, Snapshot, Unreadable
from retold.security import MasterKeys


class JetStreamLog:
    """Remember events in JetStream; see `retold.ports.Log` for what each method promises.

    Open it with `connect_log` or `JetStreamLog.open`.
    """

    def __init__(self, link: Link, *, masters: MasterKeys | None = None, is_sealed: bool = False) -> None:
        self._link = link
        self.leases = JetStreamLeases(link)
        self.keys = DataKeys(link, masters, is_on=is_sealed)
        self._trails = trails = Trails()
        blobs = Blobs(link)
        self._reader = reader = Reader(link, blobs=blobs, trails=trails, keys=self.keys)
        self._writer = Writer(link, blobs=blobs, reader=reader, trails=trails, keys=self.keys)
        self._scanner = Scanner(link, reader)
        self._rows = RowWriter(link, writer=self._writer, trails=trails, keys=self.keys)
        self._eraser = Eraser(link, blobs=blobs, reader=reader, trails=trails, keys=self.keys)
        learning = Learning(reader, blobs=blobs, trails=trails, keys=self.keys)
        self._snapshots = Snapshots(link, blobs=blobs, trails=trails, keys=self.keys, learning=learning)
        kept, keys = self._snapshots, self.keys
        self._projections = Projections(link, blobs=blobs, snapshots=kept, learning=learning, trails=trails, keys=keys)
        self._copier = Copier(link, blobs=blobs, reader=reader, trails=trails)
        self._arrivals = Arrivals(link, trails)
        self.arrived, self.leave = self._arrivals.take, self._arrivals.leave
        self._heads = Heads(link)
        self._asides = Asides(link)
        self.letters = DeadLetters(link)
        self.broker = Broker(link)

    @classmethod
    async def open(
        cls, url: str | Server, *, name: str = "retold", replicas: int = 1, masters: MasterKeys | None = None
    ) -> "JetStreamLog":
        """Connect to *url*, create the streams that are missing with *replicas* copies each, and return the log.

        *name* is what the server shows for the connection. With *masters* the log is sealed from now on, for everybody.
        Close the log when done.

        Raises:
            InputError: if a stream exists that the log cannot use.
            UnavailableError: if there is no server, JetStream is not enabled, or the server is older than 2.12.
        """
        link = await Link.open(url, name=name)
        try:
            await streams.set_up(link, replicas=replicas, sealed=masters is not None)
            is_sealed = masters is not None or await streams.stands(link, KEYS)
        except BaseException:
            await link.close()
            raise
        return cls(link, masters=masters, is_sealed=is_sealed)

    async def close(self) -> None:
        """Wait for what is being sent, then disconnect. May be repeated; the log is of no use afterwards."""
        await self._heads.close()
        await self._projections.discards.close()
        await self._link.close()

    async def __aenter__(self) -> Self:
        """Return itself: the log is open already."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the log."""
        await self.close()

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append *drafts* (`writer`): one is one publish, several are one atomic batch, within `APPEND_EVENTS_MAX`."""
        recorded = await self._writer.append(checked(key), drafts, expected=expected, are_new=are_new)
        self._heads.reached(key, recorded[-1].event.seq)
        return recorded

    async def erase(self, key: SessionKey) -> Erased:
        """Remove what lies before the newest tombstone; overwriting plain text takes 10 ms and more an event."""
        return await self._eraser.erase(checked(key))

    async def renew_key(self, key: SessionKey) -> None:
        """Make a new data key for what the session writes from now on; what it wrote stays readable.

        Processes that hold the old one go on with it until they load the session again.
        """
        await self.keys.add(checked(key), epoch=await self._reader.erased(key))
        self.keys.forget(key)

    async def append_rows(self, rows: Sequence[Row]) -> list[RowEnd]:
        """Append to many sessions at once; about 6 µs an event of 300 bytes where this process knows their ends."""
        ends = await self._rows.append(rows)
        for row, end in zip(rows, ends, strict=True):
            if end.head is not None:
                self._heads.reached(row.key, end.head.seq)
        return ends

    async def head(self, key: SessionKey) -> Head:
        """Return where the session ends, from the stream's leader. One round trip."""
        return (await self._reader.end(checked(key))).head

    async def read(
        self, key: SessionKey, *, after: int = 0, until: int | None = None
    ) -> AsyncGenerator[Recorded, None]:
        """Yield the events of ``after < seq <= until``; None is the end as it is when the read starts."""
        _check_range(after)
        async with aclosing(self._reader.read(checked(key), after=after, until=until)) as events:
            async for recorded in events:
                yield recorded

    async def read_kept(
        self, key: SessionKey, *, after: int = 0, until: int | None = None
    ) -> AsyncGenerator[Kept, None]:
        """Yield the same as they are kept: what is sealed is not opened, so it needs no key."""
        _check_range(after)
        async with aclosing(self._reader.read_kept(checked(key), after=after, until=until)) as events:
            async for one in events:
                yield one

    def scan(self, *, partitions: Sequence[int] = ()) -> AsyncGenerator[Scanned[Recorded], None]:
        """Yield the events of all sessions in the stream's order, but for those that need a closer look."""
        return self._scanner.scan(partitions)

    def scan_runs(self, *, partitions: Sequence[int] = ()) -> AsyncGenerator[Scanned[Recorded | Run], None]:
        """Yield the events of all sessions as `scan` does, plain items in runs."""
        return self._scanner.scan_runs(partitions)

    async def salvage(self, key: SessionKey) -> AsyncGenerator[Kept, None]:
        """Yield every event of the session that can still be read, by position; O(messages of the session)."""
        async with aclosing(self._copier.salvage(checked(key))) as events:
            async for one in events:
                yield one

    async def stored_end(self, key: SessionKey) -> Head:
        """Return the head that the last message gives. One round trip."""
        return await self._copier.stored_end(checked(key))

    async def copy(self, key: SessionKey, events: AsyncIterable[Kept], *, until: int) -> None:
        """Store *events* behind the session's last message, in batches that are stored whole or not at all."""
        await self._copier.copy(checked(key), events, until=until)
        self._heads.reached(key, until)

    async def reached(self, key: SessionKey) -> int:
        """Return the largest sequence that a head, a snapshot, a published history or this process has seen."""
        return await self._reader.reached(checked(key))

    async def replace(
        self, key: SessionKey, events: AsyncIterable[Kept], *, until: int, instead_of: Head | None
    ) -> None:
        """Store *events* behind what is there, then say that the session begins with them."""
        await self._copier.replace(checked(key), events, until=until, instead_of=instead_of)
        self._heads.reached(key, until)

    async def follow(self, key: SessionKey, *, after: int = 0) -> AsyncGenerator[Recorded, None]:
        """Yield the events after *after*, then each new one.

        Raises:
            CorruptLogError: also if the server has lost an event that was yielded already.
        """
        _check_range(after)
        end = (await self._reader.end(checked(key))).head.seq
        mark = await self._reader.find(key, max(min(after, end), self._trails.of(key).erased - 1))

        async def check(_: int) -> None:
            await self._check_kept(key, mark)
            await self._check_next(key, mark)

        async with aclosing(Feed(self._link, EVENTS, event_subject(key)).after(mark.position, check=check)) as feed:
            async for stored in feed:
                async with aclosing(self._up_to(stored, key=key, mark=mark)) as events:
                    async for recorded, position in events:
                        mark = Mark(head=recorded.head, position=position)
                        if recorded.event.seq > after:
                            yield recorded

    def wakes(self, partitions: Partitions | None = None) -> AsyncGenerator[SessionEnd, None]:
        """Yield every session of *partitions* with its end, then again whenever it has grown."""
        return wakes(self._link, partitions, self._arrivals)

    async def sessions(self) -> list[SessionEnd]:
        """Return every session and its end, ordered by tenant and name. About 40 µs a session.

        A session whose last event the server cannot read is listed as damaged, with the number of its messages.
        """
        # The witnesses before the events that they speak of: so what they prove must be there.
        proved: dict[SessionKey, int] = {}
        for stream, subjects in ((HEADS, HEADS_ALL), (SNAPSHOTS, SNAPSHOTS_ALL), (HISTORIES, HISTORIES_ALL)):
            for key, seq in (await self._lasts(stream, subjects)).items():
                proved[key] = max(seq, proved.get(key, 0))
        counts = await streams.counts(self._link, EVENTS, EVENTS_ALL)
        counted = {named: count for subject, count in counts.items() if (named := session_of(subject))}
        stored_lasts = await Feed(self._link, EVENTS, EVENTS_ALL).lasts_now()
        found = {named: stored for stored in stored_lasts if (named := session_of(stored.subject))}
        lasts = {key: seq_of(stored) for key, stored in found.items() if seq_of(stored) >= 0}
        for key in lasts:
            proved[key] = max(proved.get(key, 0), reaches(found[key]))
        return [
            SessionEnd(
                key=key,
                seq=max(lasts.get(key, counted.get(key, 0)), 0),
                damaged=lasts.get(key, -1) < max(proved.get(key, 0), 0),
            )
            for key in sorted({key for key, seq in proved.items() if seq > 0} | counted.keys() | lasts.keys())
        ]

    async def _lasts(self, stream: str, subjects: str) -> dict[SessionKey, int]:
        """Return the sequence that each session's last message in *stream* names; -1 if it names none."""
        return {
            key_of(stored.subject): seq_of(stored) for stored in await Feed(self._link, stream, subjects).lasts_now()
        }

    async def set_aside(self, key: SessionKey, aside: Aside) -> None:
        """Note it in the stream of what a worker gave up on, and each of its messages that is no event."""
        await self.letters.write_session(checked(key))
        await self._asides.put(key, aside)

    async def release(self, key: SessionKey) -> None:
        """Remove the note, and the letters on its messages."""
        await self._asides.remove(checked(key))

    async def aside(self) -> dict[SessionKey, Aside]:
        """Return what is noted."""
        return await self._asides.all()

    async def save_snapshot(self, key: SessionKey, snapshot: Snapshot) -> None:
        """Keep *snapshot*, unless a newer one is kept already. It tells where its event lies, if this process knows."""
        await self._snapshots.save(checked(key), self._placed(key, snapshot))
        self._trails.of(key).saw(snapshot.seq)

    async def load_snapshot(self, key: SessionKey, *, until: int | None = None) -> Snapshot | None:
        """Return the newest whole snapshot with ``seq <= until``, or None."""
        return await self.find_snapshot(key, Before(seq=until))

    async def find_snapshot(self, key: SessionKey, before: Before) -> Snapshot | None:
        """Return the newest whole snapshot that is early enough, or None; and remember where its event lies."""
        placed = await self._snapshots.load(checked(key), before)
        # Asked after it was loaded: one that was erased meanwhile is not given out.
        if placed is None or placed.snapshot.seq < await self._reader.erased(key):
            return None
        self._trails.of(key).saw(placed.newest_seq)
        if placed.mark is not None:
            self._trails.of(key).hint(placed.mark)
        return placed.snapshot

    async def snapshots(self, key: SessionKey) -> AsyncGenerator[Snapshot | Unreadable, None]:
        """Yield every snapshot in order; one that is damaged or lost by its sequence alone."""
        erased = await self._reader.erased(checked(key))
        async with aclosing(self._snapshots.all(key)) as snapshots:
            async for snapshot in snapshots:
                if snapshot.seq >= erased:
                    yield snapshot

    async def swap_projections(self, key: SessionKey, made: AsyncIterable[Snapshot | Published]) -> None:
        """Put what *made* yields in place of the session's snapshots and of its published history."""

        async def placed() -> AsyncIterator[Placed | Published]:
            async for one in made:
                yield one if isinstance(one, Published) else self._placed(key, one)

        await self._projections.swap(checked(key), placed())

    def _placed(self, key: SessionKey, snapshot: Snapshot) -> Placed:
        mark = self._trails.of(key).marks.get(snapshot.seq)
        return Placed(snapshot=snapshot, mark=mark if mark is not None and mark.head.hash == snapshot.head else None)

    async def publish_history(self, key: SessionKey, published: Published) -> bool:
        """Publish *published* unless the same or a newer one, by (version, seq), is there."""
        written = await self._projections.publish(checked(key), published)
        self._trails.of(key).saw(published.seq)
        return written

    async def withdraw_history(self, key: SessionKey, *, version: int, seq: int) -> bool:
        """Leave a mark in place of what is published before (*version*, *seq*), as a deleted key of the bucket."""
        await self._reader.erased(checked(key))
        return await self._projections.withdraw(key, version=version, seq=seq)

    async def load_history(self, key: SessionKey) -> Published | None:
        """Return the published history, or None; made from the events where a snapshot that it names is damaged."""
        published = await self._projections.load(checked(key), remake=self._remade)
        if published is not None:
            if published.seq < await self._reader.erased(key):
                return None
            self._trails.of(key).saw(published.seq)
        return published

    async def _remade(self, key: SessionKey, seq: int) -> bytes | None:
        """Return the replacement history of event *seq*, made from the events; None if they are gone."""
        tail = await read_tail(self, key, at=seq)
        if tail.base is None and not tail.events:
            return None
        return encode_history(replacement_of(fold(tail.events, base=tail.base)))

    async def _up_to(
        self, stored: Stored, *, key: SessionKey, mark: Mark
    ) -> AsyncGenerator[tuple[Recorded, int], None]:
        """Yield the events after *mark* up to the one in *stored*, with their positions; mostly just that one."""
        if stored.position <= mark.position:
            return
        seq = seq_of(stored)
        if seq <= mark.head.seq and UNTIL in stored.headers:
            return  # a repair has written it anew, behind what was read; the next event shows that it is the same
        if seq <= mark.head.seq + 1:
            # The next one; anything else is refused here, because it does not follow.
            yield await self._reader.recorded(stored, key=key, head=mark.head), stored.position
            return
        # A gap: the consumer passed over what it could not read, or events are gone. The reader tells, and names it.
        self._trails.of(key).note(mark)
        async with aclosing(self._reader.read(key, after=mark.head.seq, until=seq)) as events:
            async for recorded in events:
                yield recorded, stored.position

    async def _check_kept(self, key: SessionKey, mark: Mark) -> None:
        """Check that the server still has the event that was yielded last: it may have come back without its tail."""
        if mark.head.seq == 0:
            return
        stored = await self._reader.at((await self._reader.relocated(key, mark)).position)
        if stored is None or stored.subject != event_subject(key) or seq_of(stored) != mark.head.seq:
            if mark.head.seq < await self._reader.erased(key):
                return
            raise CorruptLogError("the server has lost it after it was read", session=key.session, seq=mark.head.seq)

    async def _check_next(self, key: SessionKey, mark: Mark) -> None:
        """Check that what follows *mark*, if anything does, can be read: a consumer says nothing of what cannot be."""
        async with aclosing(self._reader.read(key, after=mark.head.seq, until=None)) as events:
            async for _ in events:
                return


@asynccontextmanager
async def connect_log(
    url: str | Server, *, name: str = "retold", replicas: int = 1, masters: MasterKeys | None = None
) -> AsyncIterator[JetStreamLog]:
    """Open a `JetStreamLog` and close it at the end; see `JetStreamLog.open`."""
    log = await JetStreamLog.open(url, name=name, replicas=replicas, masters=masters)
    try:
        yield log
    finally:
        await log.close()


def _check_range(after: int) -> None:
    if after < 0:
        raise InputError(f"expected a sequence of 0 or more, got after={after}")
