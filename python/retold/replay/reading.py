"""Rebuild the state of a session at any event: newest snapshot at or before it, then the tail."""

from datetime import datetime

from retold.errors import InputError
from retold.events import SessionKey
from retold.fold import Context, History, fold, history_of
from retold.log.tail import read_tail
from retold.ports import Log
from retold.replay.erased import refuse_erased
from retold.replay.past import Past
from retold.replay.places import At, check_seq


async def load(log: Log, key: SessionKey, *, at: int | None = None, base: Context | None = None) -> Context:
    """Return the state after event *at*; None is the newest.

    *base* is a state of the same session to start from, where the caller holds one; it is used only if it is not after
    *at* and the log still follows it.

    Raises:
        InputError: if there is no such session, it does not reach *at*, or *at* is no sequence.
        CorruptLogError: if an event on the way is missing or damaged.
    """
    if at is not None:
        check_seq(at)
    tail = await read_tail(log, key, at=at, base=base)
    if tail.base is None and not tail.events:
        await refuse_erased(log, key, at)
        raise InputError(f"expected an existing session, there is none named {key.session!r}")
    context = fold(tail.events, base=tail.base)
    if at is not None and context.seq < at:
        raise InputError(f"expected a sequence of 1 to {context.seq}, got {at}: session {key.session!r} ends before it")
    return context


async def history_at(log: Log, key: SessionKey, at: At | None = None) -> History:
    """Return the history as the model would have been sent it after event *at*, at that time, item or tag; None is now.

    Raises:
        InputError: if there is no such session, it had not begun or does not reach *at*, or *at* is neither a sequence
            nor a time nor an item nor a tag of it.
        CorruptLogError: if an event on the way is missing or damaged.
    """
    if at is None:
        return history_of(await load(log, key))
    return await Past(log, bytes_max=0).history(key, at)


async def seq_at(log: Log, key: SessionKey, at: At) -> int:
    """Return the sequence that *at* names: itself, that of the last event at a time, that of an item or of a tag.

    Raises:
        InputError: if there is no such session, it had not begun at that time, or it has no such item or tag.
        CorruptLogError: if an event on the way is missing or damaged.
    """
    return await Past(log, bytes_max=0).seq_at(key, at)


async def at_time(log: Log, key: SessionKey, moment: datetime) -> int:
    """Return the sequence of the last event before the first one that is later than *moment*.

    A time without a zone is taken as UTC. Order is the sequence's: a clock that ran ahead does not hide what followed.

    Raises:
        InputError: if the session has no event that early.
    """
    return await Past(log, bytes_max=0).seq_at(key, moment)
