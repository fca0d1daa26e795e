"""Erase a session: a tombstone that says who, when and why, and then everything before it, for good."""

from contextlib import aclosing

from msgspec import UNSET, Struct, structs

from retold.errors import ConflictError, CorruptLogError, InputError, SealError
from retold.events import Fact, Head, SessionErased, SessionKey, SessionOpened, Window
from retold.log.drafting import drafts_of
from retold.ports import Clock, Erased, Log
from retold.replay import load

CONFLICTS_MAX = 100
"""How often the tombstone is written again because the session grew while it was prepared."""
NAMED_MAX = 20
"""An error names at most this many forks."""

_UNKNOWN = SessionOpened(window=Window(hard_limit=200_000))
"""How a session goes on that was erased because not even its beginning could be read."""


class Order(Struct, frozen=True):
    """Say who wants a session erased and why, and in whose name the tombstone is written."""

    by: str
    reason: str
    actor: str


async def erase_session(log: Log, clock: Clock, key: SessionKey, order: Order, *, forks: bool) -> Erased:
    """Erase everything that the session holds now. May be repeated: what a failed call has left is removed then.

    The session goes on after it, empty: its ids and sequences go on counting. A session whose key is lost, or that is
    damaged before its end, can be erased, too. With *forks*, the sessions that were forked from it are erased first.

    Raises:
        InputError: if there is no such session, *by* is empty, or there are forks and *forks* is not set.
        ConflictError: if it grew `CONFLICTS_MAX` times meanwhile.
        CorruptLogError: if its end is damaged: repair it first.
        UnavailableError: if the log could not be reached; repeat the call.
    """
    if not order.by:
        raise InputError("expected who asks for the erasure, got an empty text")
    if (await log.head(key)).seq == 0:
        raise InputError(f"expected an existing session, there is none named {key.session!r}")
    line = await descendants(log, key)
    if line and not forks:
        named = ", ".join(repr(fork.session) for fork in line[:NAMED_MAX])
        raise InputError(
            f"expected a session without forks, {len(line)} inherit what {key.session!r} says: {named}; erase them "
            "with it (forks=True, --forks)"
        )
    for fork in reversed(line):
        await _erase_one(log, clock, fork, order)
    return await _erase_one(log, clock, key, order)


async def descendants(log: Log, key: SessionKey) -> list[SessionKey]:
    """Return the sessions that inherit from *key*, parents first. Reads each session's first event."""
    parents: dict[SessionKey, SessionKey] = {}
    for end in await log.sessions():
        if end.key.tenant == key.tenant and end.key != key:
            first = await _first(log, end.key)
            if isinstance(first, SessionOpened) and first.parent is not None:
                parents[end.key] = SessionKey(tenant=key.tenant, session=first.parent.session)
    line = [key]
    for one in line:
        line += [fork for fork, parent in parents.items() if parent == one and fork not in line]
    return line[1:]


async def _erase_one(log: Log, clock: Clock, key: SessionKey, order: Order) -> Erased:
    for tried in range(CONFLICTS_MAX + 1):
        head = await log.head(key)
        tombstone = await _tombstone(log, key, head, order)
        if tombstone is None:
            break  # nothing was said since the last erasure; what that has left is removed
        try:
            await log.append(key, drafts_of([tombstone], clock, actor=order.actor), expected=head.seq)
            break
        except ConflictError:
            if tried == CONFLICTS_MAX:
                raise
    return await log.erase(key)


async def _tombstone(log: Log, key: SessionKey, head: Head, order: Order) -> SessionErased | None:
    """Return the fact that erases the session as it ends at *head*; None if its last event is one."""
    try:
        context = await load(log, key)
    except (CorruptLogError, SealError):
        # Nobody can read what the ids have reached: from here on they are above any that an event each could give.
        first = await _first(log, key)
        opened = first if isinstance(first, SessionOpened) else getattr(first, "opened", None) or _UNKNOWN
        return _erasing(opened, order, next_item=head.seq + 1, version=head.seq)
    first = await _first(log, key)
    if isinstance(first, SessionErased) and context.erased_seq == context.seq:
        return None
    opened = SessionOpened(
        window=context.window, policy=context.policy, encoding=context.encoding, tuning=context.tuning or UNSET
    )
    return _erasing(opened, order, next_item=context.next_item, version=context.version)


def _erasing(opened: SessionOpened, order: Order, *, next_item: int, version: int) -> SessionErased:
    beginning = structs.replace(opened, parent=None)
    return SessionErased(by=order.by, reason=order.reason, opened=beginning, next_item=next_item, version=version)


async def _first(log: Log, key: SessionKey) -> Fact | None:
    """Return the fact that the session begins with, or None if it cannot be read."""
    try:
        async with aclosing(log.read(key)) as events:
            async for recorded in events:
                return recorded.event.data
    except (CorruptLogError, SealError):
        pass
    return None
