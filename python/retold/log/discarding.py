"""Discards: what a published history replaced is removed and overwritten, behind whoever waits for the new one.

Rules:
- A published history can be read when it is stored. Overwriting the one before takes the server 10 to 60 ms, for it
  reads the whole block that it lies in; neither the agent nor the session's next turn waits for that.
- One at a time, in order: the server does one after the other, and the stream stands still meanwhile.
- What is left when a process dies is removed by an erasure, with all that lies on the subject.
"""

import asyncio
from collections import deque
from contextlib import suppress

from retold.errors import UnavailableError
from retold.log import api
from retold.log.api import Stored
from retold.log.link import Link

WAITING_MAX = 64
"""So many wait to be removed; whoever adds one more waits, too, or the subjects' own limits would drop them first."""
CLOSE_TIMEOUT_S = 5.0
"""How long closing waits for a server that does not answer."""


class Discards:
    """Remove messages of one stream, later."""

    def __init__(self, link: Link, stream: str) -> None:
        self._link = link
        self._stream = stream
        self._waiting: deque[Stored] = deque()
        self._task: asyncio.Task[None] | None = None

    async def add(self, stored: Stored) -> None:
        """Have *stored* removed; returns at once, unless too many wait."""
        self._waiting.append(stored)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._remove())
        if len(self._waiting) > WAITING_MAX:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Remove what waits. May be repeated."""
        if self._task is not None and self._link.is_up:
            await asyncio.wait({self._task}, timeout=CLOSE_TIMEOUT_S)
        if self._task is not None:
            self._task.cancel()

    async def _remove(self) -> None:
        while self._waiting:
            with suppress(UnavailableError):  # refused by a bucket of an earlier release, or out of reach
                await api.discard(self._link, self._stream, self._waiting[0])
            self._waiting.popleft()
