"""Put sessions of a backup back into a log: the same bytes, so the same hashes and the same chain."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from msgspec import Struct

from retold.backup.files import Backup, Export
from retold.errors import ConflictError, CorruptLogError, InputError
from retold.events import Head, Kept, SessionKey
from retold.ports import Log
from retold.replay import Verdict, in_order, verify


class Copy(Struct, frozen=True):
    """Say whether a session in a backup is what was written.

    Attributes:
        events: how many events follow each other from the first on, by their hashes.
        damaged_seq: the first damaged sequence, or None.
        reason: what is wrong there; empty if nothing is.
    """

    key: SessionKey
    events: int
    damaged_seq: int | None = None
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Return whether nothing is damaged."""
        return self.damaged_seq is None


class Restored(Struct, frozen=True):
    """Say what was put back of one session.

    Attributes:
        copy: what proving the backup's copy gave, before anything was written.
        verdict: what proving the session in the log gave afterwards; None if nothing was done.
        added: how many events were put into the log.
        reason: why nothing was done; empty if the session is there now.
    """

    copy: Copy
    verdict: Verdict | None = None
    added: int = 0
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Return whether the session is in the log now, and proven."""
        return self.verdict is not None and self.verdict.ok


async def prove(source: Backup | Export, key: SessionKey) -> Copy:
    """Read a session's copy, check the hash of every event and the chain, and return what was found.

    Needs no key. What the events come to is proven in a log (`verify`). Never raises for damage.
    """
    events = 0
    try:
        async with aclosing(source.read(key)) as copied:
            async for one in copied:
                events = one.standing.seq
    except CorruptLogError as error:
        return Copy(key, events, error.seq, error.reason)
    if not events:
        return Copy(key, 0, 1, "it has no events")
    return Copy(key, events)


def restore(log: Log, source: Backup | Export, keys: Sequence[SessionKey]) -> AsyncGenerator[Restored, None]:
    """Put each of *keys* back and yield what was done. Repeating it does nothing twice; a killed one is taken up.

    A session is proven in the backup before anything is written, and in the log afterwards. One that is in the log
    already is completed if it is the beginning of the backup's, left as it is if it goes on from it, and else refused:
    nothing is ever overwritten.

    Raises:
        InputError: if a session is not in the backup.
        UnavailableError: if the log cannot be reached. The call may be repeated.
    """
    check_holds(source, keys)

    async def one(key: SessionKey) -> Restored:
        return await _restore_one(log, source, key)

    return in_order(keys, one)


def check_holds(source: Backup | Export, keys: Sequence[SessionKey]) -> None:
    """Check that *source* has each of *keys*.

    Raises:
        InputError: naming the first that it has not.
    """
    there = set(source.sessions())
    for key in keys:
        if key not in there:
            raise InputError(f"expected a session of the backup, it has none named {key.session!r} of {key.tenant!r}")


async def _restore_one(log: Log, source: Backup | Export, key: SessionKey) -> Restored:
    copy = await prove(source, key)
    if not copy.ok:
        return Restored(copy, reason=f"the backup is damaged at sequence {copy.damaged_seq}: {copy.reason}")
    try:
        added = await _complete(log, source, key, last=copy.events)
    except (ConflictError, CorruptLogError) as error:
        return Restored(copy, reason=str(error))
    if added is None:
        return Restored(copy, reason="the log has other events under its name; nothing was overwritten")
    return Restored(copy, await verify(log, key), added=added)


async def _complete(log: Log, source: Backup | Export, key: SessionKey, *, last: int) -> int | None:
    """Add what the log does not have of events 1 to *last*; return how many that was, None if it has others."""
    end = await log.stored_end(key)
    common = min(end.seq, last)
    in_log = end if common == end.seq else await _head(log.read_kept(key, after=common - 1, until=common))
    if common and in_log != await _head(source.read(key, after=common - 1, until=common)):
        return None
    if common < last:
        await log.copy(key, source.read(key, after=common), until=last)
    return last - common


async def _head(events: AsyncGenerator[Kept, None]) -> Head:
    """Return the head that the last of *events* gives."""
    head = Head()
    async with aclosing(events):
        async for one in events:
            head = one.head
    return head
