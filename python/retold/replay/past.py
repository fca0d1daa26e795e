"""The past of sessions: any state that ever was, found by sequence, time or item, and kept warm within a bound.

A session is folded in *stretches*: a state and the few events after it. A state is had by folding at most a stretch
from its start. Stretches are kept, the least used dropped first, so that going to and fro in a session needs no
server; they share their entries, so a stretch costs its own events and a pointer for each entry.

Rules:
- Nothing that is kept is ever written: it holds what was read and checked. An erasure drops all of its session.
- A state is the same, to the byte, from whatever it was folded.
"""

import asyncio
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import UTC, datetime

from msgspec import Struct, structs

from retold.errors import CorruptLogError, InputError
from retold.events import SEQ_MAX, Recorded, SessionErased, SessionKey, is_tombstone
from retold.fold import Context, History, decode_context, fold, history_of, reaches_before
from retold.log.tail import read_tail
from retold.log.walking import STEP_EVENTS, Walk
from retold.ports import Before, Log
from retold.replay.erased import refuse_erased
from retold.replay.places import ITEM_ID, At, check_seq, tagged_seq

WARM_BYTES_MAX = 256 * 1024 * 1024
"""What is kept at most, as estimated: 200,000 events of a few hundred bytes, whatever sessions they are of."""
EVENT_COST_BYTES = 800
"""What an event costs in memory beside its text: its objects, and those of its entry."""
TEXT_COST = 2
"""A character of JSON lies in memory as text of an event and of an entry; counted double to be on the safe side."""
POINTER_BYTES = 8

_EARLIEST = datetime.min.replace(tzinfo=UTC)


class Stretch(Struct, frozen=True):
    """Hold a state and the events after it.

    Attributes:
        start: the state that it begins with; None is before the first event.
        events: those that follow `start`, none of which returns to before it; without their bytes.
        text_bytes: how many bytes these were.
    """

    start: Context | None
    events: tuple[Recorded, ...]
    text_bytes: int = 0

    @property
    def first(self) -> int:
        """Return the sequence of the state that it begins with."""
        return 0 if self.start is None else self.start.seq

    @property
    def last(self) -> int:
        """Return the largest sequence whose state it gives."""
        return self.first + len(self.events)

    @property
    def cost_bytes(self) -> int:
        """Return what it takes in memory, as estimated."""
        entries = 0 if self.start is None else len(self.start.entries)
        return TEXT_COST * self.text_bytes + EVENT_COST_BYTES * (len(self.events) + 1) + POINTER_BYTES * entries

    def state(self, seq: int) -> Context:
        """Return the state after event *seq*, which must lie in it. O(entries), and the events folded."""
        return fold(self.events[: seq - self.first], base=self.start)


class _Session:
    """Hold the stretches of one session, by where they start."""

    def __init__(self) -> None:
        self.firsts: list[int] = []
        self.stretches: dict[int, Stretch] = {}

    def covering(self, seq: int) -> Stretch | None:
        """Return a stretch that gives the state after event *seq*."""
        at = bisect_right(self.firsts, seq) - 1
        found = self.stretches[self.firsts[at]] if at >= 0 else None
        return found if found is not None and found.last >= seq else None

    def before(self, moment: datetime) -> Stretch | None:
        """Return the last stretch that begins with a state in which no event names a time later than *moment*."""
        at = bisect_right(self.firsts, moment, key=self._latest)
        return self.stretches[self.firsts[at - 1]] if at else None

    def put(self, stretch: Stretch) -> None:
        """Keep *stretch*, in place of one that starts where it does."""
        if stretch.first not in self.stretches:
            self.firsts.insert(bisect_right(self.firsts, stretch.first), stretch.first)
        self.stretches[stretch.first] = stretch

    def drop(self, first: int) -> None:
        """Drop the stretch that starts at *first*."""
        del self.firsts[bisect_right(self.firsts, first) - 1]
        del self.stretches[first]

    def _latest(self, first: int) -> datetime:
        start = self.stretches[first].start
        return _EARLIEST if start is None or start.latest is None else start.latest


class Past:
    """Read any state of the sessions of a log, and keep what was read warm."""

    def __init__(self, log: Log, *, bytes_max: int = WARM_BYTES_MAX) -> None:
        """Read from *log*; keep at most *bytes_max*. With 0, nothing is kept, and no more is read than is asked for."""
        self._log = log
        self._bytes_max = bytes_max
        self._sessions: dict[SessionKey, _Session] = {}
        self._used: OrderedDict[tuple[SessionKey, int], int] = OrderedDict()
        self._ends: dict[SessionKey, int] = {}
        self.kept_bytes = 0

    async def history(self, key: SessionKey, at: At) -> History:
        """Return the history as the model would have been sent it after event *at*, at that time, or with that item.

        Raises:
            InputError: if there is no such session, it had not begun or does not reach *at*, or *at* is none of these.
            CorruptLogError: if an event on the way is missing or damaged.
        """
        return history_of(await self.state(key, at))

    async def state(self, key: SessionKey, at: At) -> Context:
        """Return the state after event *at*, after the last event until that time, or after the event of that item.

        A time without a zone is taken as UTC; see `seq_at`. Raises as `history`.
        """
        seq = await self.seq_at(key, at)
        if key in self._sessions:
            await self._look(key)
            stretch = self._covering(key, seq) or await self._read(key, seq)
        else:
            _, base = await asyncio.gather(self._look(key), self._base(key, Before(seq=seq)))
            stretch = await self._read_on(key, base, seq)
        if stretch is None:
            await refuse_erased(self._log, key, seq)
            raise InputError(f"expected an existing session, there is none named {key.session!r}")
        if stretch.last < seq:
            raise InputError(
                f"expected a sequence of 1 to {stretch.last}, got {seq}: session {key.session!r} ends before it"
            )
        return stretch.state(seq)

    async def seq_at(self, key: SessionKey, at: At) -> int:
        """Return the sequence of the last event before the first one later than a time; of an item; or of a tag.

        An item is named by its id: ``i12`` is had by the event that appended it, or put it in by an edit; the summary
        ``s3`` by the event that put it into the history. Order is the sequence's: a clock that ran ahead does not hide
        what followed.

        Raises:
            InputError: if the session has no event that early, or never had such an item or tag.
        """
        if isinstance(at, datetime):
            return await self._seq_at_time(key, at if at.tzinfo else at.replace(tzinfo=UTC))
        if not isinstance(at, str):
            return check_seq(at)
        if ITEM_ID.match(at):
            return await self._seq_of_item(key, at)
        tail = await read_tail(self._log, key)
        if tail.base is None and not tail.events:
            raise InputError(f"expected an existing session, there is none named {key.session!r}")
        return tagged_seq(fold(tail.events, base=tail.base), at)

    async def warm(self, key: SessionKey) -> int:
        """Read the whole session, and keep as much of it as fits; return the sequence that it ends at."""
        await self._look(key)
        last = await self._keep_all(key, base=None, until=None)
        return 0 if last is None else last.last

    def forget(self, key: SessionKey) -> None:
        """Drop what is kept of a session."""
        session = self._sessions.pop(key, None)
        self._ends.pop(key, None)
        for first in session.firsts if session is not None else ():
            self.kept_bytes -= self._used.pop((key, first))

    # ---- finding --------------------------------------------------------------------------------------------------

    async def _seq_at_time(self, key: SessionKey, moment: datetime) -> int:
        session = self._sessions.get(key)
        stretch = None if session is None else session.before(moment)
        for recorded in () if stretch is None else stretch.events:
            if recorded.event.at > moment:
                if recorded.event.seq > 1:
                    return recorded.event.seq - 1
                break  # before the start: said below
        base = await self._base(key, Before(at=moment))
        seq = 0 if base is None else base.seq
        async with aclosing(self._log.read(key, after=seq)) as events:
            async for recorded in events:
                if recorded.event.at > moment:
                    break
                seq = recorded.event.seq
        if seq == 0:
            raise InputError(f"expected a time at or after the session's first event, got {moment.isoformat()}")
        return seq

    async def _seq_of_item(self, key: SessionKey, item_id: str) -> int:
        number = int(item_id[1:])
        is_summary = item_id[0] == "s"
        base = await self._base(key, Before(version=number) if is_summary else Before(item=number))
        walk = Walk(self._log, key, base=base)
        async with aclosing(self._log.read(key, after=0 if base is None else base.seq)) as events:
            async for recorded in events:
                await walk.take(recorded)
                outline = walk.builder.outline
                if (outline.version if is_summary else outline.next_item - 1) >= number:
                    return self._found(item_id, walk, recorded.event.seq)
        raise InputError(f"expected the id of an item of session {key.session!r}, got {item_id!r}")

    @staticmethod
    def _found(item_id: str, walk: Walk, seq: int) -> int:
        if any(entry.item.id == item_id for entry in walk.builder.freeze().entries):
            return seq
        raise InputError(f"expected the id of an item, got {item_id!r}: event {seq} put none of that id in the history")

    async def _base(self, key: SessionKey, before: Before) -> Context | None:
        snapshot = await self._log.find_snapshot(key, before)
        if snapshot is None:
            return None
        try:
            return decode_context(snapshot.body, key=key)
        except CorruptLogError:
            return None  # a snapshot is a shortcut: the events are read from the first

    # ---- reading --------------------------------------------------------------------------------------------------

    async def _look(self, key: SessionKey) -> None:
        """Drop what is kept of a session that was erased since. One round trip, none where nothing is ever kept."""
        if not self._bytes_max:
            return
        try:
            end = (await self._log.head(key)).seq
        except CorruptLogError:
            return  # what was read stays true, and what was not will show the damage
        if key not in self._sessions:
            self._ends.pop(key, None)
        elif not await self._is_unerased(key, end):
            self.forget(key)
        if end:
            self._ends[key] = end

    async def _is_unerased(self, key: SessionKey, end: int) -> bool:
        """Return whether it is known that nothing was erased between the last look and event *end*."""
        known = self._ends.get(key)
        if known is None or end <= known:
            return known == end
        try:
            async with aclosing(self._log.read(key, after=known, until=end)) as events:
                return not any([isinstance(recorded.event.data, SessionErased) async for recorded in events])
        except CorruptLogError:
            return False  # what is asked for may lie before the damage, and is read anew

    def _covering(self, key: SessionKey, seq: int) -> Stretch | None:
        session = self._sessions.get(key)
        stretch = None if session is None else session.covering(seq)
        if stretch is not None:
            self._used.move_to_end((key, stretch.first))
        return stretch

    async def _read(self, key: SessionKey, seq: int) -> Stretch | None:
        """Read the stretch that gives the state after event *seq*, or the last there is; None if there is no event."""
        near = self._covering(key, max(seq - STEP_EVENTS, 1))
        base = near.state(min(near.last, seq)) if near is not None else await self._base(key, Before(seq=seq))
        return await self._read_on(key, base, seq)

    async def _read_on(self, key: SessionKey, base: Context | None, seq: int) -> Stretch | None:
        """Read on from *base*: if something is kept, the whole of the last stretch that this takes."""
        if self._bytes_max:
            first = 0 if base is None else base.seq
            until = first + -(-max(1, seq - first) // STEP_EVENTS) * STEP_EVENTS
            with suppress(CorruptLogError):  # the damage may lie after what is asked for
                return await self._read_from(key, base, seq, until=until)
        return await self._read_from(key, base, seq, until=seq)

    async def _read_from(self, key: SessionKey, base: Context | None, seq: int, *, until: int) -> Stretch | None:
        if base is not None:
            with suppress(_Unlinked):
                return await self._keep_all(key, base=base, until=until, wanted=seq)
        return await self._keep_all(key, base=None, until=until, wanted=seq)

    async def _keep_all(
        self, key: SessionKey, *, base: Context | None, until: int | None, wanted: int = SEQ_MAX
    ) -> Stretch | None:
        """Read on from *base*, keep the stretches, and return that of event *wanted*, or the last."""
        found: Stretch | None = None
        async with aclosing(self._stretches(key, base=base, until=until)) as stretches:
            async for stretch in stretches:
                self._keep(key, stretch)
                if stretch.first <= wanted:
                    found = stretch
        return found

    async def _stretches(
        self, key: SessionKey, *, base: Context | None, until: int | None
    ) -> AsyncGenerator[Stretch, None]:
        """Yield the stretches from *base* on, which may be the first of them without an event.

        Raises:
            _Unlinked: if the log does not follow *base*.
        """
        walk = Walk(self._log, key, base=base)
        start, events, text_bytes = base, list[Recorded](), 0
        async with aclosing(self._log.read(key, after=0 if base is None else base.seq, until=until)) as read:
            async for recorded in read:
                if start is not None and start is base and not events and recorded.event.prev != start.head:
                    raise _Unlinked
                if len(events) >= STEP_EVENTS:
                    yield Stretch(start=start, events=tuple(events), text_bytes=text_bytes)
                    start, events, text_bytes = walk.keep(), [], 0
                returns = start is not None and reaches_before([recorded], start.seq)
                await walk.take(recorded)
                if start is None and is_tombstone(recorded.event.data):
                    start = walk.keep()  # an erased session begins with it
                    continue
                if start is None:
                    start = walk.base  # what a fork inherits
                if returns:
                    yield Stretch(start=start, events=tuple(events), text_bytes=text_bytes)
                    start, events, text_bytes = walk.keep(), [], 0
                else:
                    events.append(structs.replace(recorded, body=b""))
                    text_bytes += len(recorded.body)
        if start is not None or events:
            yield Stretch(start=start, events=tuple(events), text_bytes=text_bytes)

    def _keep(self, key: SessionKey, stretch: Stretch) -> None:
        if not self._bytes_max:
            return
        session = self._sessions.setdefault(key, _Session())
        session.put(stretch)
        place = (key, stretch.first)
        self.kept_bytes += stretch.cost_bytes - self._used.pop(place, 0)
        self._used[place] = stretch.cost_bytes
        while self.kept_bytes > self._bytes_max:
            (other, first), cost_bytes = self._used.popitem(last=False)
            self.kept_bytes -= cost_bytes
            self._sessions[other].drop(first)
            if not self._sessions[other].firsts:
                del self._sessions[other]
                self._ends.pop(other, None)


class _Unlinked(Exception):  # noqa: N818 - no error: the events are read from the first
    """Say that the log does not follow a state."""
