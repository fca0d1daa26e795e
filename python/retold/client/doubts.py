"""Appends whose fate is unknown: the same call, made again, is to be the same append and not a second one.

Rules:
- An append that failed because the log was away, or was cancelled, may have been stored all the same. Its drafts are
  kept: the next call that says the same sends them again, and the log finds what it has.
- Who goes on with something else has let it be: what was in doubt before is forgotten, so that the same words, said
  again later, are said again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from retold.errors import UnavailableError
from retold.events import Draft, Fact, Recorded

DOUBTS_MAX = 64
"""How many are remembered: an agent repeats what failed before it goes on."""


class Doubts:
    """Remember what one session's writer does not know the fate of."""

    def __init__(self) -> None:
        self._open: list[list[Draft]] = []

    async def append(
        self,
        facts: Sequence[Fact],
        *,
        drafted: Callable[[Sequence[Fact]], list[Draft]],
        append: Callable[[list[Draft]], Awaitable[list[Recorded]]],
    ) -> list[Recorded]:
        """Return what *append* gives for *facts* as *drafted*, or as drafted when they failed before; raises as it."""
        before = self._open
        repeated = next((drafts for drafts in before if [draft.data for draft in drafts] == list(facts)), None)
        drafts = drafted(facts) if repeated is None else repeated
        self._open = [one for one in before if one is not drafts]
        try:
            recorded = await append(drafts)
        except (UnavailableError, asyncio.CancelledError):
            self._open = [*self._open, drafts][-DOUBTS_MAX:]
            raise
        if repeated is None:
            self._open = [one for one in self._open if one not in before]
        return recorded
