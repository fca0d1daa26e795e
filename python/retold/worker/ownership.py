"""Which sessions a worker works on: all of them, or those of the partitions that it holds a lease on (`leasing`)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol

from retold.events import SessionKey
from retold.lease_ports import PARTITIONS, Partitions

LetGo = Callable[[frozenset[int], float], Awaitable[None]]
"""Stop working on the sessions of these partitions and forget them: what runs may end within so many seconds, and is
cancelled then."""


class Ownership(Partitions, Protocol):
    """Say which partitions are the worker's, for as long as it works."""

    def holds(self, key: SessionKey) -> bool:
        """Return whether the session may be worked on now."""
        ...

    def kept(self, let_go: LetGo) -> AbstractAsyncContextManager[None]:
        """Take partitions for the block, and give them back at its end; *let_go* is called before one is given up."""
        ...


async def tell_held(partitions: Partitions, tell: Callable[[int], None]) -> None:
    """Tell how many of *partitions* are held, now and whenever that changes, until cancelled."""
    while True:
        followed = partitions.followed
        tell(len(followed))
        await partitions.changed(followed)


class Everything:
    """Work on all sessions, whoever else does: two that do get in each other's way, and do no harm."""

    followed: Mapping[int, int] = dict.fromkeys(range(PARTITIONS), 0)

    async def changed(self, since: Mapping[int, int]) -> None:
        """Wait for ever, unless *since* is something else."""
        if since == self.followed:
            await asyncio.get_running_loop().create_future()

    def holds(self, key: SessionKey) -> bool:
        """Return True."""
        del key
        return True

    def kept(self, let_go: LetGo) -> AbstractAsyncContextManager[None]:
        """Take nothing: there is nothing to give back."""
        del let_go
        return nullcontext()
