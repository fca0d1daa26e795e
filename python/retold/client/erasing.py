"""Erase a session: a tombstone that says who, when and why, and then everything before it, for good."""

from collections.abc import Sequence
from contextlib import aclosing

from msgspec import UNSET, Struct, structs

from retold.errors import ConflictError, CorruptLogError, InputError, SealError
from retold.events import Fact, ForkPoint, Head, SessionErased, SessionKey, SessionOpened, Window
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
        InputError: if there is no such session, *by* is empty, or there are forks and *forks* is not set. One that was
            forked in the meantime is named after all is erased.
        ConflictError: if it grew `CONFLICTS_MAX` times meanwhile.
        CorruptLogError: if its end is damaged: repair it first.
        UnavailableError: if the log could not be reached; repeat the call.
    """
    if not order.by:
        raise InputError("expected who asks for the erasure, got an empty text")
    if (await log.head(key)).seq == 0:
        raise InputError(f"expected an existing session, there is none named {key.session!r}")
    family = _Family(log, key)
    line = await family.descendants()
    if line and not forks:
        raise InputError(
            f"expected a session without forks, {len(line)} inherit what {key.session!r} says: {_named(line)}; erase "
            "them with it (forks=True, --forks)"
        )
    for fork in reversed(line):
        await _erase_one(log, clock, fork, order)
    found = await _erase_one(log, clock, key, order)
    # Whoever forks looks for the tombstone after the fork is opened, and here it is looked for forks after the
    # tombstone: so one of the two sees the other.
    late = [fork for fork in await family.descendants() if fork not in line]
    if late and not forks:
        raise InputError(
            f"session {key.session!r} is erased; {len(late)} forked from it meanwhile can be read no more: "
            f"{_named(late)}; erase them, too (forks=True, --forks)"
        )
    for fork in reversed(late):
        await _erase_one(log, clock, fork, order)
    return found


async def check_inherits(log: Log, clock: Clock, fork: SessionKey, point: ForkPoint, *, actor: str) -> None:
    """Check, after *fork* was opened, that its parent was not erased meanwhile; else erase it.

    Raises:
        InputError: if the parent was.
    """
    parent = SessionKey(tenant=fork.tenant, session=point.session)
    async with aclosing(log.read_kept(parent, after=point.seq - 1, until=point.seq)) as events:
        async for _ in events:
            return
    order = Order(by=actor, reason=f"session {point.session!r} was erased while it was forked", actor=actor)
    await _erase_one(log, clock, fork, order)
    raise InputError(f"expected a session to fork, {order.reason}")


class _Family:
    """Find the sessions that inherit from one. Each is looked at once: its first event says what it was forked from."""

    def __init__(self, log: Log, key: SessionKey) -> None:
        self._log = log
        self._key = key
        self._parents: dict[SessionKey, SessionKey | None] = {key: None}

    async def descendants(self) -> list[SessionKey]:
        """Return them, parents first. Reads the first event of each session that came since it was last asked."""
        for end in await self._log.sessions():
            if end.key.tenant == self._key.tenant and end.key not in self._parents:
                first = await _first(self._log, end.key)
                parent = first.parent if isinstance(first, SessionOpened) else None
                named = None if parent is None else SessionKey(tenant=self._key.tenant, session=parent.session)
                self._parents[end.key] = named
        line = [self._key]
        for one in line:
            line += [fork for fork, parent in self._parents.items() if parent == one and fork not in line]
        return line[1:]


def _named(keys: Sequence[SessionKey]) -> str:
    return ", ".join(repr(key.session) for key in keys[:NAMED_MAX])


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
