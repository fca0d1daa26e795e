"""Rebuild the state of a session at any event: newest snapshot at or before it, then the tail."""

from contextlib import aclosing
from datetime import UTC, datetime

from retold.errors import InputError
from retold.events import SessionKey
from retold.fold import Context, History, fold, history_of
from retold.log.tail import read_tail
from retold.ports import Log

At = int | datetime | str
"""A place of a session: the sequence of the last event before it, a time (UTC if it has no zone), or a tag."""

TAG_CHARACTERS_MAX = 64
"""The longest name of a tag."""


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


async def history_at(log: Log, key: SessionKey, at: At | None = None) -> History:
    """Return the history as the model would have been sent it after event *at*, at that time or tag; None is now.

    Raises:
        InputError: if there is no such session, it had not begun or does not reach *at*, or *at* is neither a sequence
            nor a time nor a tag of it.
        CorruptLogError: if an event on the way is missing or damaged.
    """
    return history_of(await load(log, key, at=None if at is None else await seq_at(log, key, at)))


async def seq_at(log: Log, key: SessionKey, at: At) -> int:
    """Return the sequence that *at* names: itself, that of the last event at a time, or that of a tag.

    Raises:
        InputError: if there is no such session, it had not begun at that time, or it has no such tag.
        CorruptLogError: if an event on the way is missing or damaged.
    """
    match at:
        case datetime():
            return await at_time(log, key, at)
        case str():
            return tagged_seq(await load(log, key), at)
        case _:
            return at


def tagged_seq(context: Context, name: str) -> int:
    """Return the sequence that the tag *name* stands for.

    Raises:
        InputError: if there is no such tag.
    """
    if name not in context.tags:
        told = f"there is no tag {name!r}" if len(name) <= TAG_CHARACTERS_MAX else f"got {len(name)} characters"
        raise InputError(f"expected a sequence, an ISO time or a tag of session {context.key.session!r}, {told}")
    return context.tags[name]


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
