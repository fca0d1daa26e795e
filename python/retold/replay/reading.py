"""Rebuild the state of a session at any event: newest snapshot at or before it, then the tail."""

from contextlib import aclosing
from datetime import UTC, datetime

from retold.errors import InputError
from retold.events import SessionKey
from retold.fold import Context, History, fold, history_of
from retold.log.tail import read_tail
from retold.ports import Log


async def load(log: Log, key: SessionKey, *, at: int | None = None, base: Context | None = None) -> Context:
    """Return the state after event *at*; None is the newest.

    *base* is a state of the same session to start from, where the caller holds one; it is used only if it is not after
    *at* and the log still follows it.

    Raises:
        InputError: if there is no such session, it does not reach *at*, or *at* is no sequence.
        CorruptLogError: if an event on the way is missing or damaged.
    """
    if at is not None and (type(at) is not int or at < 1):
        came = at if type(at) is int else type(at).__name__
        raise InputError(f"expected a sequence of 1 or more, or a time, got {came}")
    tail = await read_tail(log, key, at=at, base=base)
    if tail.base is None and not tail.events:
        await _refuse_erased(log, key, at)
        raise InputError(f"expected an existing session, there is none named {key.session!r}")
    context = fold(tail.events, base=tail.base)
    if at is not None and context.seq < at:
        raise InputError(f"expected a sequence of 1 to {context.seq}, got {at}: session {key.session!r} ends before it")
    return context


async def _refuse_erased(log: Log, key: SessionKey, at: int | None) -> None:
    """Say so if the session exists and begins after *at*."""
    async with aclosing(log.read(key)) as events:
        async for recorded in events:
            seq = recorded.event.seq
            raise InputError(
                f"expected a sequence of {seq} or more, got {at}: session {key.session!r} was erased at {seq}, and "
                "what it was before is gone"
            )


async def history_at(log: Log, key: SessionKey, at: int | datetime | None = None) -> History:
    """Return the history as the model would have been sent it after event *at*, or at that time; None is now.

    Raises:
        InputError: if there is no such session, it had not begun or does not reach *at*, or *at* is neither a sequence
            nor a time.
        CorruptLogError: if an event on the way is missing or damaged.
    """
    seq = await at_time(log, key, at) if isinstance(at, datetime) else at
    return history_of(await load(log, key, at=seq))


async def at_time(log: Log, key: SessionKey, moment: datetime) -> int:
    """Return the sequence of the last event before the first one that is later than *moment*.

    A time without a zone is taken as UTC. Order is the sequence's: a clock that ran ahead does not hide what followed.

    Raises:
        InputError: if the session has no event that early.
    """
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seq = 0
    async for recorded in log.read(key):
        if recorded.event.at > moment:
            break
        seq = recorded.event.seq
    if seq == 0:
        raise InputError(f"expected a time at or after the session's first event, got {moment.isoformat()}")
    return seq
