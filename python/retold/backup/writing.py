"""Write a backup: what is new of each session since the last run, or since the one that was killed."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from msgspec import Struct

from retold.backup.files import Backup, SessionFile
from retold.errors import CorruptLogError
from retold.events import Kept, SessionKey
from retold.ports import Log
from retold.replay import in_order


class Written(Struct, frozen=True):
    """Say what was written of one session.

    Attributes:
        events: how many events the backup holds now.
        added: how many of them this run has added.
        damaged_seq: the first sequence that could not be had, or None.
        reason: why; empty if all was had.
    """

    key: SessionKey
    events: int
    added: int
    damaged_seq: int | None = None
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Return whether the backup has all that the log has."""
        return self.damaged_seq is None


def write(log: Log, backup: Backup, keys: Sequence[SessionKey]) -> AsyncGenerator[Written, None]:
    """Bring *backup* up to date with *log*, and yield what was done for each of *keys*, in their order.

    A damaged session is written up to the damage and the others go on; what an earlier run has written stays.

    Raises:
        InputError: if the directory is no backup, or of a newer format.
        UnavailableError: if the log cannot be read now. What was written is kept, and the next run goes on.
    """
    backup.prepare()

    async def one(key: SessionKey) -> Written:
        return await _write_one(log, backup, key)

    return in_order(keys, one)


async def _write_one(log: Log, backup: Backup, key: SessionKey) -> Written:
    before = events = 0
    try:
        with SessionFile(backup, key) as file:
            before = events = file.end.seq
            async with aclosing(_after(log, key, file)) as new:
                async for one in new:
                    if one.standing.erases:
                        file.start_anew()
                    file.add(one)
                    events = file.end.seq
    except CorruptLogError as error:
        return Written(key, events, events - before, error.seq, error.reason)
    return Written(key, events, events - before)


async def _after(log: Log, key: SessionKey, file: SessionFile) -> AsyncGenerator[Kept, None]:
    """Yield what the log has after the end of *file*; of a session that was erased since, all that there is.

    Raises:
        CorruptLogError: if it does not have the last event of *file*: it has lost it, or has others.
    """
    last = file.end
    found = last.seq == 0
    async with aclosing(log.read_kept(key, after=max(last.seq - 1, 0))) as events:
        async for one in events:
            if one.standing.seq > last.seq:
                found = found or one.standing.erases
                yield one
            elif one.head == last:
                found = True
            else:
                raise CorruptLogError("the backup has another event there", session=key.session, seq=last.seq)
    if not found:
        raise CorruptLogError("the log ends before it, the backup has it", session=key.session, seq=last.seq)
