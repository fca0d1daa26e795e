"""Two places of the log, compared: in one session, or a fork's with its ancestor's."""

from retold.events import HistoryEdited, Recorded, SessionKey
from retold.log.tail import ANCESTORS_MAX, fork_point
from retold.ports import Log
from retold.replay.diffing import Diff, diff
from retold.replay.explaining import Version, receipt_of
from retold.replay.places import At
from retold.replay.reading import history_at
from retold.replay.versions import versions


async def compare(log: Log, first: SessionKey, a: At | None, second: SessionKey, b: At | None) -> Diff:
    """Return what is between the history of session *first* at *a* and that of *second* at *b*; None is now.

    Where the second place follows the first, in the session or by a fork, the events between tell why an item went.

    Raises:
        InputError: if a session or a place is not there.
        CorruptLogError: if an event on the way is missing or damaged.
    """
    before, after = await history_at(log, first, a), await history_at(log, second, b)
    between = await _between(log, first, before.seq, second, after.seq)
    return diff(before, after, between, own=await _own_versions(log, between))


async def _own_versions(log: Log, between: list[Recorded]) -> dict[str, int]:
    """Return the versions that agents' own compactions among *between* made, by the hash of the event."""
    own = [one.event for one in between if isinstance(one.event.data, HistoryEdited) and receipt_of(one) is not None]
    keys = dict.fromkeys(SessionKey(tenant=event.tenant, session=event.session) for event in own)
    made = [one for key in keys for one in await versions(log, key) if isinstance(one, Version)]
    return {one.recorded.hash: one.version for one in made}


async def _between(log: Log, first: SessionKey, a: int, second: SessionKey, b: int) -> list[Recorded]:
    """Return the events that lead from one place to the other, the ancestor's first; none if the way is not one."""
    later: list[list[Recorded]] = []
    key, until = second, b
    for _ in range(ANCESTORS_MAX):
        events = [recorded async for recorded in log.read(key, after=a if key == first else 0, until=until)]
        if key == first:
            return [*events, *(one for branch in reversed(later) for one in branch)] if a <= until else []
        later.append(events)
        point = fork_point(events[0])
        if point is None:
            break
        key, until = SessionKey(tenant=key.tenant, session=point.session), point.seq
    return []
