"""Erase a session: a tombstone that says who, when and why, and then everything before it, for good."""

from contextlib import aclosing

from retold.errors import ConflictError, CorruptLogError, InputError, SealError
from retold.events import Draft, Fact, Head, SessionErased, SessionKey, SessionOpened, Window
from retold.ports import Clock, Erased, Log
from retold.replay import load

CONFLICTS_MAX = 100
"""How often the tombstone is written again because the session grew while it was prepared."""

_UNKNOWN = SessionOpened(window=Window(hard_limit=200_000))
"""How a session goes on that was erased because not even its beginning could be read."""


async def erase_session(log: Log, clock: Clock, key: SessionKey, *, by: str, reason: str, actor: str) -> Erased:
    """Erase everything that the session holds now. May be repeated: what a failed call has left is removed then.

    The session goes on after it, empty: its ids and sequences go on counting. A session whose key is lost, or that is
    damaged before its end, can be erased, too.

    Raises:
        InputError: if there is no such session, or *by* is empty.
        ConflictError: if it grew `CONFLICTS_MAX` times meanwhile.
        CorruptLogError: if its end is damaged: repair it first.
        UnavailableError: if the log could not be reached; repeat the call.
    """
    if not by:
        raise InputError("expected who asks for the erasure, got an empty text")
    for tried in range(CONFLICTS_MAX + 1):
        head = await log.head(key)
        if head.seq == 0:
            raise InputError(f"expected an existing session, there is none named {key.session!r}")
        tombstone = await _tombstone(log, key, head, by=by, reason=reason)
        if tombstone is None:
            break  # nothing was said since the last erasure; what that has left is removed
        try:
            draft = Draft(id=clock.new_id(), at=clock.now(), actor=actor, data=tombstone)
            await log.append(key, [draft], expected=head.seq)
            break
        except ConflictError:
            if tried == CONFLICTS_MAX:
                raise
    return await log.erase(key)


async def _tombstone(log: Log, key: SessionKey, head: Head, *, by: str, reason: str) -> SessionErased | None:
    """Return the fact that erases the session as it ends at *head*; None if its last event is one."""
    try:
        context = await load(log, key)
    except (CorruptLogError, SealError):
        # Nobody can read what the ids have reached: from here on they are above any that an event each could give.
        first = await _first(log, key)
        opened = first if isinstance(first, SessionOpened) else getattr(first, "opened", None) or _UNKNOWN
        return _erasing(opened, next_item=head.seq + 1, version=head.seq, by=by, reason=reason)
    first = await _first(log, key)
    if isinstance(first, SessionErased) and context.erased_seq == context.seq:
        return None
    opened = SessionOpened(window=context.window, policy=context.policy, encoding=context.encoding)
    return _erasing(opened, next_item=context.next_item, version=context.version, by=by, reason=reason)


def _erasing(opened: SessionOpened, *, next_item: int, version: int, by: str, reason: str) -> SessionErased:
    beginning = SessionOpened(window=opened.window, policy=opened.policy, encoding=opened.encoding)
    return SessionErased(by=by, reason=reason, opened=beginning, next_item=next_item, version=version)


async def _first(log: Log, key: SessionKey) -> Fact | None:
    """Return the fact that the session begins with, or None if it cannot be read."""
    try:
        async with aclosing(log.read(key)) as events:
            async for recorded in events:
                return recorded.event.data
    except CorruptLogError:
        pass
    return None
