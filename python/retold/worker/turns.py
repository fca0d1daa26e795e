"""Turns: whose session is worked on next, fair among tenants.

Rules:
- Tenants come in turn, and a tenant's sessions in the order in which they were woken. So however many sessions one
  tenant wakes, another waits for one turn of each tenant at most.
- A session waits once, however often it is woken, and is worked on once at a time; woken meanwhile, it waits again.
- Places are few, and one tenant never holds all of them: what is slow in one tenant's sessions leaves room for others.
- Who waits for a model gives the place back, and waits for another one like everybody else.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from retold.events import SessionKey
from retold.ports import SessionEnd

T = TypeVar("T", bound=Hashable)


class TenantQueue(Generic[T]):
    """Hold what waits: tenants in turn, what is a tenant's in the order in which it came. All steps are O(tenants)."""

    def __init__(self) -> None:
        self._queues: dict[str, dict[T, None]] = {}
        self._waiting = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return self._waiting

    def put(self, tenant: str, one: T) -> None:
        """Let *one* wait, unless it does."""
        queue = self._queues.setdefault(tenant, {})
        self._waiting += one not in queue
        queue[one] = None

    def drop(self, tenant: str, one: T) -> None:
        """Let *one* wait no longer, if it does."""
        queue = self._queues.get(tenant, {})
        if one in queue:
            self._taken(tenant, queue, one)

    def take(self, may: Callable[[str], bool]) -> T | None:
        """Return what comes next among the tenants that *may* have something; None if nothing does."""
        tenant = next((name for name in self._queues if may(name)), None)
        if tenant is None:
            return None
        queue = self._queues.pop(tenant)
        self._queues[tenant] = queue  # behind all others
        one = next(iter(queue))
        self._taken(tenant, queue, one)
        return one

    def _taken(self, tenant: str, queue: dict[T, None], one: T) -> None:
        del queue[one]
        self._waiting -= 1
        if not queue:
            del self._queues[tenant]


class Turns:
    """Give sessions their turns. For one event loop; nothing here waits with a place held."""

    def __init__(self, *, places: int, tenant_places: int) -> None:
        """Let *places* sessions be worked on at once, *tenant_places* of one tenant."""
        self._places = places
        self._tenant_places = tenant_places
        self._queue = TenantQueue[SessionKey]()
        self._woken: dict[SessionKey, int] = {}
        self._working: set[SessionKey] = set()
        self._returning: dict[SessionKey, asyncio.Future[None]] = {}
        self._placed: set[SessionKey] = set()
        self._tenants = Counter[str]()
        self._changes = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Return how many sessions wait for a place."""
        return len(self._queue)

    def holds(self, key: SessionKey) -> bool:
        """Return whether a session waits or is worked on."""
        return key in self._woken or key in self._working

    def wake(self, end: SessionEnd) -> None:
        """Let a session wait for its turn, which reaches *end*; of several wakes the newest counts."""
        self._woken[end.key] = end.seq
        if end.key not in self._working:
            self._queue.put(end.key.tenant, end.key)
        self._changes.set()

    def take(self) -> SessionEnd | None:
        """Return the session whose turn it is, which holds a place from now on until its `end`; None if there is none.

        Who waits to come back (`away`) is let in on the way.
        """
        while len(self._placed) < self._places:
            key = self._queue.take(lambda tenant: self._tenants[tenant] < self._tenant_places)
            if key is None:
                return None
            self._placed.add(key)
            self._tenants[key.tenant] += 1
            if key not in self._returning:
                self._working.add(key)
                return SessionEnd(key=key, seq=self._woken.pop(key))
            back = self._returning.pop(key)
            if not back.done():  # else it was cancelled in this moment, and ends its turn in the next
                back.set_result(None)
        return None

    def end(self, key: SessionKey, *, left: SessionEnd | None = None) -> None:
        """End the turn of a session. It waits again if it was woken meanwhile, or *left* says what is left to do."""
        if left is not None:
            self._woken.setdefault(key, left.seq)
        self._leave(key)
        self._working.discard(key)
        if key in self._woken:
            self._queue.put(key.tenant, key)

    def forget(self, which: Callable[[SessionKey], bool]) -> None:
        """Let the sessions wait no longer that *which* names; those that are worked on are not touched."""
        for key in [key for key in self._woken if which(key)]:
            del self._woken[key]
            if key not in self._working:
                self._queue.drop(key.tenant, key)
        self._changes.set()

    @asynccontextmanager
    async def away(self, key: SessionKey) -> AsyncIterator[None]:
        """Give the place of a session to others during the block, and wait for another one at its end.

        Nobody else works on the session meanwhile. If the block raises, the turn is to be ended without a place.
        """
        self._leave(key)
        yield
        back = self._returning[key] = asyncio.get_running_loop().create_future()
        self._queue.put(key.tenant, key)
        self._changes.set()
        try:
            await back
        finally:
            if self._returning.pop(key, None) is not None:
                self._queue.drop(key.tenant, key)

    async def change(self) -> None:
        """Wait until a session was woken or a place was given back since `take` found none."""
        self._changes.clear()
        await self._changes.wait()

    def _leave(self, key: SessionKey) -> None:
        if key in self._placed:
            self._placed.remove(key)
            self._tenants[key.tenant] -= 1
            if not self._tenants[key.tenant]:
                del self._tenants[key.tenant]
        self._changes.set()
