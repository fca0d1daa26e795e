"""Heads: how far each session got, written down beside the events, in files of their own.

A server that was killed cuts a damaged block file at the damage, and the events that are left look whole. What a
session had reached must then be told by something that lies elsewhere. Snapshots and published histories do; this does
it for sessions that have neither, and for the events since the newest of them.

Rules:
- A head is a witness, never the truth: the session has reached at least this sequence. A late or lost one costs nothing
  but what it would have shown.
- Appends do not wait for it. What was appended is written down after `DELAY_S` at most, one message a session however
  many events came, and when the log is closed.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from retold.errors import UnavailableError
from retold.events import SessionKey
from retold.log import api
from retold.log.link import Link, Lost
from retold.log.names import SEQ, head_subject

DELAY_S = 1.0
"""What may be without a witness: the last second of a process that was killed, if the server was killed with it."""
AT_ONCE = 1024
"""How many heads are under way at once: a hundred kilobytes."""
CLOSE_TIMEOUT_S = 5.0
"""How long closing waits for a server that does not answer."""


class Heads:
    """Write heads down, later."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._reached: dict[SessionKey, int] = {}
        self._task: asyncio.Task[None] | None = None

    def reached(self, key: SessionKey, seq: int) -> None:
        """Note that session *key* has reached *seq*. Returns at once."""
        self._reached[key] = max(seq, self._reached.get(key, 0))
        if self._task is None:
            self._task = asyncio.create_task(self._write_later())

    async def close(self) -> None:
        """Write down what is noted. May be repeated."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        if not self._link.is_up:
            return  # as for a try that failed
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._write()

    async def _write_later(self) -> None:
        while self._reached:
            await asyncio.sleep(DELAY_S)
            await self._write()
        self._task = None

    async def _write(self) -> None:
        while self._reached:
            some = [self._reached.popitem() for _ in range(min(AT_ONCE, len(self._reached)))]
            # Once: the next append tells more than this try, and a server that is away has other witnesses to mend.
            try:
                with suppress(Lost, UnavailableError):
                    await self._write_some(some)
            except asyncio.CancelledError:
                for key, seq in some:
                    self._reached[key] = max(seq, self._reached.get(key, 0))
                raise

    async def _write_some(self, some: Sequence[tuple[SessionKey, int]]) -> None:
        """Write heads down, and wait for the last: the server takes them in order."""
        (key, seq), *others = some
        self._link.write(b"".join(map(_frame, others)))
        await api.publish(self._link, head_subject(key), b"", {SEQ: str(seq)})


def _frame(head: tuple[SessionKey, int]) -> bytes:
    """Return what publishes *head* without an answer: asking for one took as long as appending twenty events."""
    key, seq = head
    headers = f"NATS/1.0\r\n{SEQ}: {seq}\r\n\r\n"
    return f"HPUB {head_subject(key)} {len(headers)} {len(headers)}\r\n{headers}\r\n".encode()
