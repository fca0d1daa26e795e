"""Snapshot plus tail: what has to be read to know the state of a session."""

from msgspec import Struct

from retold.errors import CorruptLogError
from retold.events import Recorded, SessionKey
from retold.fold import Context, decode_context, reaches_before
from retold.ports import Log


class Tail(Struct, frozen=True):
    """Hold the events that follow `base`, a state of the same session; None means from the first event on."""

    base: Context | None
    events: tuple[Recorded, ...]


async def read_tail(log: Log, key: SessionKey, *, at: int | None = None, base: Context | None = None) -> Tail:
    """Return what gives the state after event *at* when folded; None is the newest.

    It starts from *base* where that is given and not after *at*, else from the newest kept snapshot. A start that the
    log does not follow, or that a rewind goes back behind, is passed over: then all events are read.

    Raises:
        CorruptLogError: if an event on the way is missing or damaged.
        UnavailableError: if the log cannot be read now.
    """
    start = base if base is not None and (at is None or base.seq <= at) else await _snapshot(log, key, at)
    if start is not None:
        events = await _read(log, key, after=start.seq, until=at)
        linked = not events or events[0].event.prev == start.head
        if linked and not reaches_before(events, start.seq):
            return Tail(base=start, events=events)
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
