"""Places for models: how many are asked at once, whose turn it is, and what a tenant may take of them.

Nothing waits longer than it is told to, and what is over a tenant's budget does not wait at all.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from msgspec import Struct

from retold.worker.limits import MODELS_WAITING_MAX, Limits
from retold.worker.turns import TenantQueue

BUDGET_S = 60.0
"""The time that a tenant's budget is for."""


class Booking(Struct):
    """Hold what one summary takes of its tenant's budget.

    Attributes:
        at_s: when it was asked for, in seconds of the worker's own clock.
        tokens: by our count, until the provider says.
    """

    at_s: float
    tokens: int


class _Tenant:
    """Follow what one tenant has asked for."""

    def __init__(self) -> None:
        self.booked: deque[Booking] = deque()
        self.at_once = 0

    def forget(self, before_s: float) -> None:
        while self.booked and self.booked[0].at_s <= before_s:
            self.booked.popleft()

    @property
    def is_idle(self) -> bool:
        return not self.booked and not self.at_once


class ModelPlaces:
    """Give out places for models."""

    def __init__(self, limits: Limits, *, now: Callable[[], float] = time.monotonic) -> None:
        """Keep to *limits*; *now* tells seconds that never go back."""
        self._limits = limits
        self._now = now
        self._tenants: dict[str, _Tenant] = {}
        self._waiting = TenantQueue[asyncio.Future[None]]()
        self._taken = 0

    def refusal(self, tenant: str, *, tokens: int) -> str | None:
        """Return why *tenant* may not ask for a summary of *tokens* now, in a few words; None if it may."""
        self._forget()
        limits, known = self._limits, self._tenants.get(tenant, _Tenant())
        if 0 < limits.tenant_models_at_once <= known.at_once:
            return "models at once"
        if 0 < limits.tenant_calls_a_minute <= len(known.booked):
            return "calls a minute"
        if 0 < limits.tenant_tokens_a_minute < tokens + sum(one.tokens for one in known.booked):
            return "tokens a minute"
        return "too many wait" if len(self._waiting) >= MODELS_WAITING_MAX else None

    @asynccontextmanager
    async def place(self, tenant: str, *, tokens: int) -> AsyncIterator[Booking]:
        """Book *tokens* for *tenant*, and give a place to ask a model in; tenants that wait come in turn."""
        known = self._tenants.setdefault(tenant, _Tenant())
        booking = Booking(at_s=self._now(), tokens=tokens)
        known.booked.append(booking)
        known.at_once += 1
        try:
            await self._wait(tenant)
            try:
                yield booking
            finally:
                self._leave()
        finally:
            known.at_once -= 1

    async def _wait(self, tenant: str) -> None:
        if self._taken < self._limits.models_at_once:
            self._taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put(tenant, turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._waiting.drop(tenant, turn)
            if turn.done() and not turn.cancelled():
                self._leave()  # the place came in the same moment
            raise

    def _leave(self) -> None:
        """Hand a place on to whoever is next, or give it back."""
        while (turn := self._waiting.take(lambda _: True)) is not None:
            if not turn.done():
                turn.set_result(None)
                return
        self._taken -= 1

    def _forget(self) -> None:
        """Forget what is longer ago than the budget's time. O(tenants that asked within it)."""
        before_s = self._now() - BUDGET_S
        for tenant in self._tenants.values():
            tenant.forget(before_s)
        self._tenants = {name: tenant for name, tenant in self._tenants.items() if not tenant.is_idle}
