"""Put sessions of a backup back into a log: the same bytes, so the same hashes and the same chain."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from msgspec import Struct

from retold.backup.files import Backup, Export
from retold.errors import ConflictError, CorruptLogError, InputError
from retold.events import Head, SessionKey
from retold.ports import Log
from retold.replay import Source, Verdict, in_order, prove, verify


class Restored(Struct, frozen=True):
    """Say what was put back of one session.

    Attributes:
        verdict: what proving the session in the log gave afterwards; of the backup's copy where nothing was done.
        added: how many events were put into the log.
        reason: why nothing was done; empty if the session is there now.
    """

    verdict: Verdict
    added: int = 0
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Return whether the session is in the log now, and proven."""
        return not self.reason and self.verdict.ok


def restore(log: Log, source: Backup | Export, keys: Sequence[SessionKey]) -> AsyncGenerator[Restored, None]:
    """Put each of *keys* back and yield what was done. Repeating it does nothing twice; a killed one is taken up.

    A session is proven in the backup before anything is written, and in the log afterwards. One that is in the log
    already is completed if it is the beginning of the backup's, left as it is if it goes on from it, and else refused:
    nothing is ever overwritten.

    Raises:
        InputError: if a session is not in the backup.
        UnavailableError: if the log cannot be reached. The call may be repeated.
    """
    there = set(source.keys())
    for key in keys:
        if key not in there:
            raise InputError(f"expected a session of the backup, it has none named {key.session!r} of {key.tenant!r}")

    async def one(key: SessionKey) -> Restored:
        return await _restore_one(log, source, key)

    return in_order(keys, one)


async def _restore_one(log: Log, source: Source, key: SessionKey) -> Restored:
    proven = await prove(source, key)
    if not proven.ok:
        return Restored(proven, reason=f"the backup is damaged at sequence {proven.damaged_seq}: {proven.reason}")
    try:
        added = await _complete(log, source, key, last=proven.events)
    except (ConflictError, CorruptLogError) as error:
        return Restored(proven, reason=str(error))
    if added is None:
        return Restored(proven, reason="the log has other events under its name; nothing was overwritten")
    return Restored(await verify(log, key), added=added)


async def _complete(log: Log, source: Source, key: SessionKey, *, last: int) -> int | None:
    """Add what the log does not have of events 1 to *last*; return how many that was, None if it has others."""
    end = await log.stored_end(key)
    common = min(end.seq, last)
    if await head_at(source, key, common) != (end if common == end.seq else await head_at(log, key, common)):
        return None
    if common < last:
        await log.copy(key, source.read(key, after=common), until=last)
    return last - common


async def head_at(source: Source, key: SessionKey, seq: int) -> Head:
    """Return the head that event *seq* gives; 0 is the beginning.

    Raises:
        CorruptLogError: if it is missing or damaged.
    """
    async with aclosing(source.read(key, after=max(seq - 1, 0), until=seq)) as events:
        async for recorded in events:
            return recorded.head
    return Head()
