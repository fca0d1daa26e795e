"""Snapshot plus tail: what has to be read to know the state of a session, and of those that it was forked from.

A fork copies nothing, so it can be read only where its ancestors can. What it inherits is proven by the hash in its
first event; where an ancestor's events are damaged, missing or erased up to there, reading the fork says so.
"""

from msgspec import Struct

from retold.errors import CorruptLogError
from retold.events import ForkPoint, Head, Recorded, SessionKey, SessionOpened
from retold.fold import Context, decode_context, fold, inherited, reaches_before
from retold.ports import Log

ANCESTORS_MAX = 1_000
"""The longest line of forks that is read: far above what anybody makes."""


class Tail(Struct, frozen=True):
    """Hold the events that follow `base`, a state of the same session; None means from the first event on.

    A base of sequence 0 is what a fork inherits.
    """

    base: Context | None
    events: tuple[Recorded, ...]


class _Ancestor(Struct, frozen=True):
    """Hold what gives the state that *child* was forked from at *point*."""

    child: SessionKey
    point: ForkPoint
    tail: Tail


async def read_tail(log: Log, key: SessionKey, *, at: int | None = None, base: Context | None = None) -> Tail:
    """Return what gives the state after event *at* when folded; None is the newest.

    It starts from *base* where that is given and not after *at*, else from the newest kept snapshot. A start that the
    log does not follow, or that a rewind or an undo goes back behind, is passed over: then all events are read, and a
    fork starts from what it inherits.

    Raises:
        CorruptLogError: if an event on the way is missing or damaged.
        UnavailableError: if the log cannot be read now.
    """
    tail = await _own_tail(log, key, at=at, base=base)
    if tail.base is not None or not tail.events:
        return tail
    return Tail(base=await inheritance(log, tail.events[0]), events=tail.events)


async def inheritance(log: Log, first: Recorded, *, with_snapshots: bool = True) -> Context | None:
    """Return the state that the session whose first event is *first* starts from; None if it was not forked.

    Without snapshots, every ancestor is folded from its own first event.

    Raises:
        CorruptLogError: if an ancestor is damaged up to the fork point, or is not what was forked from.
        UnavailableError: if the log cannot be read now.
    """
    line: list[_Ancestor] = []
    child, point = first.event.key, fork_point(first)
    while point is not None:
        if len(line) == ANCESTORS_MAX:
            raise CorruptLogError(f"it has more than {ANCESTORS_MAX} ancestors", session=first.event.session, seq=1)
        parent = SessionKey(tenant=child.tenant, session=point.session)
        read = _own_tail(log, parent, at=point.seq) if with_snapshots else _all(log, parent, at=point.seq)
        tail = await read
        line.append(_Ancestor(child=child, point=point, tail=tail))
        child, point = parent, fork_point(tail.events[0]) if tail.base is None and tail.events else None
    start: Context | None = None
    for ancestor in reversed(line):
        start = _start(ancestor, start)
    return start


def fork_point(first: Recorded) -> ForkPoint | None:
    """Return where the session whose first event is *first* parted from another; None if it inherits nothing."""
    fact = first.event.data
    point = fact.parent if isinstance(fact, SessionOpened) else None
    return None if point is None or point.head is None else point


def _start(ancestor: _Ancestor, start: Context | None) -> Context:
    """Return what the child of *ancestor* starts from; the ancestor's own inheritance is *start*."""
    tail, point, child = ancestor.tail, ancestor.point, ancestor.child
    base = tail.base or start
    past = fold(tail.events, base=base) if tail.events or base is not None else None
    if past is None or past.end != Head(seq=point.seq, hash=point.head or ""):
        reason = f"session {point.session!r}, which it was forked from, is not at {point.seq} what it was then"
        raise CorruptLogError(reason, session=child.session, seq=1)
    return inherited(past, child)


async def _own_tail(log: Log, key: SessionKey, *, at: int | None, base: Context | None = None) -> Tail:
    """Return the tail of the session's own events; without a base, of a fork, it does not fold alone."""
    start = base if base is not None and (at is None or base.seq <= at) else await _snapshot(log, key, at)
    if start is not None:
        events = await _read(log, key, after=start.seq, until=at)
        linked = not events or events[0].event.prev == start.head
        if linked and not reaches_before(events, start.seq):
            return Tail(base=start, events=events)
    return await _all(log, key, at=at)


async def _all(log: Log, key: SessionKey, *, at: int | None) -> Tail:
    return Tail(base=None, events=await _read(log, key, after=0, until=at))


async def _read(log: Log, key: SessionKey, *, after: int, until: int | None) -> tuple[Recorded, ...]:
    return tuple([recorded async for recorded in log.read(key, after=after, until=until)])


async def _snapshot(log: Log, key: SessionKey, at: int | None) -> Context | None:
    snapshot = await log.load_snapshot(key, until=at)
    if snapshot is None:
        return None
    try:
        return decode_context(snapshot.body, key=key)
    except CorruptLogError:
        # A snapshot is a shortcut: a damaged one, or one of another release, is passed over and the events are folded.
        return None
