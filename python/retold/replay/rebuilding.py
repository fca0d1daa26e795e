"""Make every projection of a session again, from its events alone, and put it in place of what was there."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

from msgspec import Struct

from retold.errors import ConflictError, CorruptLogError
from retold.events import SessionKey
from retold.fold import encode_context, is_of_this_schema
from retold.log.publishing import published_of
from retold.log.walking import Walk, is_snapshot_due
from retold.ports import Log, Published, Snapshot, Unreadable, snapshot_of

TRIES_MAX = 5
"""How often a session is rebuilt again because its worker kept a snapshot meanwhile."""

PublishedState = Literal["none", "same", "replaced"]


class Rebuilt(Struct, frozen=True):
    """Say what was made anew.

    Attributes:
        events: how many events were folded.
        snapshots: how many snapshots are kept now.
        differed: how many of those kept before were not what the events give; those of another schema are not counted.
        published: whether there is a published history, and whether it was the one that the events give.
    """

    key: SessionKey
    events: int
    snapshots: int
    differed: int
    published: PublishedState


async def rebuild(log: Log, key: SessionKey) -> Rebuilt:
    """Fold the session from its first event, and swap its snapshots and its published history for what comes of it.

    Readers see the old ones or the new ones; so does who comes after a crash. May be repeated, and run beside agents
    and workers.

    Raises:
        CorruptLogError: if an event is missing or damaged: then nothing was changed.
        ConflictError: if a worker kept a snapshot each time in between; repeat the call.
    """
    for tries_left in reversed(range(TRIES_MAX)):
        made = _Made(log, key)
        before = await _published(log, key)
        try:
            await log.swap_projections(key, made.all())
        except ConflictError:
            if not tries_left:
                raise
        else:
            return made.rebuilt(before)
    raise AssertionError("the last try returns or raises")


async def _published(log: Log, key: SessionKey) -> Published | None:
    """Return what is published; None also if it is damaged: the events give it again."""
    try:
        return await log.load_history(key)
    except CorruptLogError:
        return None


class _Made:
    """Make the projections of a session, and compare with those that are kept."""

    def __init__(self, log: Log, key: SessionKey) -> None:
        self._log = log
        self._key = key
        self._walk = Walk(log, key)
        self._published: Published | None = None
        self._snapshots = 0
        self._differed = 0

    async def all(self) -> AsyncGenerator[Snapshot | Published, None]:
        """Yield the snapshots in order, then the history to be published, if there is one."""
        version, events, size_bytes = 0, 0, 0
        async with aclosing(self._log.snapshots(self._key)) as kept, aclosing(self._log.read(self._key)) as read:
            before = await anext(kept, None)
            async for recorded in read:
                await self._walk.take(recorded)
                if self._walk.builder.outline.version > version:
                    version = self._walk.builder.outline.version
                    self._published = published_of(self._walk.builder.freeze())
                while before is not None and before.seq <= recorded.event.seq:
                    self._compare(before)
                    before = await anext(kept, None)
                events, size_bytes = events + 1, size_bytes + len(recorded.body)
                if is_snapshot_due(events=events, size_bytes=size_bytes, entries=len(self._walk.builder.entries)):
                    self._snapshots += 1
                    yield snapshot_of(self._walk.keep())
                    events, size_bytes = 0, 0
        if self._published is not None:
            yield self._published

    def rebuilt(self, before: Published | None) -> Rebuilt:
        """Return what was made; *before* is what was published."""
        same: PublishedState = "same" if before == self._published else "replaced"
        return Rebuilt(
            key=self._key,
            events=self._walk.builder.seq,
            snapshots=self._snapshots,
            differed=self._differed,
            published="none" if before is None and self._published is None else same,
        )

    def _compare(self, kept: Snapshot | Unreadable) -> None:
        if isinstance(kept, Unreadable):
            self._differed += 1
        elif is_of_this_schema(kept.body):
            state = self._walk.builder.freeze()
            self._differed += state.seq != kept.seq or encode_context(state) != kept.body
