"""Walks: a session folded in the log's order, event by event, with a state kept every so often on the way.

A rewind is folded from the state that it returns to. A walk has the states that it kept, so it reads a stretch of
events again, and not all of them.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from retold.events import Recorded, SessionKey
from retold.fold import Builder, Context, advance, reaches_before, returns_to
from retold.log.tail import inheritance
from retold.ports import Log, Snapshot, snapshot_of

SNAPSHOT_EVENTS = 64
"""How many events lie between two snapshots of a small state: reading and folding as many takes 2 ms."""
ENTRIES_AN_EVENT = 8
"""Of a state with more entries than so many for each of these events, snapshots lie further apart. Making one takes
time for every entry, and so an event costs no more because the history is longer."""
SNAPSHOT_BYTES = 256 * 1024
"""How many bytes of events lie between two snapshots, give or take one event."""
STEP_EVENTS = 64
"""How many events lie between two states that a walk keeps for rewinds, at most."""
KEPT_MAX = 64
"""How many of them it keeps: beyond that every other one goes, the newest stay."""


def is_snapshot_due(*, events: int, size_bytes: int, entries: int) -> bool:
    """Return whether a snapshot of *entries* is due when *events* of *size_bytes* have come since the one before."""
    is_long = events >= max(SNAPSHOT_EVENTS, entries // ENTRIES_AN_EVENT)
    return is_long or (events > 0 and size_bytes >= SNAPSHOT_BYTES)


class Walk:
    """Fold a session's events as they come.

    Attributes:
        builder: the state after the event that was taken last.
        base: the newest state that was kept, or where the walk began; None is before the first event.
        since: the events that were taken since.
    """

    def __init__(self, log: Log, key: SessionKey, *, base: Context | None = None) -> None:
        """Go on from *base*; None is before the first event. Events are read from *log* where a rewind needs them."""
        self._log = log
        self._key = key
        self._kept: list[Context | None] = [base]
        self.builder = Builder() if base is None else Builder.resume(base)
        self.since: list[Recorded] = []

    @property
    def base(self) -> Context | None:
        """Return the newest state that was kept."""
        return self._kept[-1]

    async def take(self, recorded: Recorded) -> None:
        """Fold in the next event.

        Raises:
            CorruptLogError: if it does not fit, or an event that a rewind needs is missing or damaged.
        """
        if self.base is None and not self.since:
            self._begin(await inheritance(self._log, recorded))
        if len(self.since) >= STEP_EVENTS:
            self.keep()
        if reaches_before([recorded], _seq(self.base)):
            await self._return(recorded)
            self.keep()  # what follows may return to here, and cannot be folded from the state kept before
        else:
            advance(self.builder, recorded, earlier=self.since, base=self.base)
            self.since.append(recorded)

    def _begin(self, start: Context | None) -> None:
        """Begin with what a fork inherits; None: with nothing."""
        if start is not None:
            self._kept = [start]
            self.builder = Builder.resume(start)

    def keep(self) -> Context:
        """Keep the present state, and return it. O(entries)."""
        state = self.builder.freeze()
        self._kept.append(state)
        if len(self._kept) > KEPT_MAX:
            half = KEPT_MAX // 2
            self._kept = [*self._kept[:half:2], *self._kept[half:]]
        self.since = []
        return state

    async def _return(self, recorded: Recorded) -> None:
        """Fold in an event that returns to before the newest state that was kept: from an earlier one, or from none."""
        to_seq = returns_to(recorded)
        assert to_seq is not None, "only what returns comes here"
        until = min(to_seq + 1, recorded.event.seq - 1)  # the one more: an undo needs the compaction itself
        for base in reversed(self._kept[:-1]):
            if base is None or reaches_before([recorded], base.seq):
                continue
            earlier = await self._read(after=base.seq, until=until)
            if not reaches_before((one for one in earlier if one.event.seq <= to_seq), base.seq):
                advance(self.builder, recorded, earlier=earlier, base=base)
                return
        earlier = await self._read(after=0, until=until)
        start = await inheritance(self._log, earlier[0])
        advance(self.builder, recorded, earlier=earlier, base=start)

    async def _read(self, *, after: int, until: int) -> list[Recorded]:
        async with aclosing(self._log.read(self._key, after=after, until=until)) as read:
            return [recorded async for recorded in read]


async def snapshots_along(
    log: Log, key: SessionKey, *, base: Context | None = None, until: int | None = None
) -> AsyncGenerator[Snapshot, None]:
    """Yield the snapshots that are due after *base* up to event *until*, made from the events alone.

    Raises:
        CorruptLogError: if an event is missing or damaged, or does not fit; what came before was yielded.
    """
    walk, events, size_bytes = Walk(log, key, base=base), 0, 0
    async with aclosing(log.read(key, after=_seq(base), until=until)) as read:
        async for recorded in read:
            await walk.take(recorded)
            events, size_bytes = events + 1, size_bytes + len(recorded.body)
            if is_snapshot_due(events=events, size_bytes=size_bytes, entries=len(walk.builder.entries)):
                yield snapshot_of(walk.keep())
                events, size_bytes = 0, 0


def _seq(state: Context | None) -> int:
    return 0 if state is None else state.seq
