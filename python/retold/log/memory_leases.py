"""The table of leases in memory, for the workers of one process."""

import asyncio
from collections.abc import AsyncGenerator

from retold.lease_ports import Claim


class MemoryLeases:
    """Keep the table; see `retold.lease_ports.Leases`. Not safe to share between threads."""

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}
        self._revision = 0
        self._waiting: list[asyncio.Event] = []

    async def claims(self) -> dict[str, Claim]:
        """Return the whole table."""
        return dict(self._claims)

    async def claim(self, name: str) -> Claim | None:
        """Return the entry."""
        return self._claims.get(name)

    async def put(self, name: str, value: bytes, *, revision: int, quietly: bool = False) -> int | None:
        """Write *value* at *revision*."""
        claim = self._claims.get(name)
        if (0 if claim is None else claim.revision) != revision:
            return claim.revision if claim is not None and claim.value == value else None
        self._revision += 1
        self._claims[name] = Claim(value=value, revision=self._revision)
        if not quietly:
            self._wake()
        return self._revision

    async def remove(self, name: str, *, revision: int) -> bool:
        """Remove the entry."""
        claim = self._claims.get(name)
        if claim is not None and claim.revision != revision:
            return False
        if self._claims.pop(name, None) is not None:
            self._wake()
        return True

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yield at once, and at each change that is not quiet."""
        changed = asyncio.Event()
        self._waiting.append(changed)
        try:
            while True:
                changed.clear()
                yield None
                await changed.wait()
        finally:
            self._waiting.remove(changed)

    def _wake(self) -> None:
        for changed in self._waiting:
            changed.set()
