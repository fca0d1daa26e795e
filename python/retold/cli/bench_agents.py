"""The agents of ``retold bench worker``, in a process of their own: they append what they are told, line by line."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from msgspec import Struct

from retold.cli.bench_fleet import message, texts
from retold.events import Draft, Fact, ItemAppended, SessionKey, SessionOpened, Window, session_key
from retold.log.drafting import drafts_of
from retold.ports import Row
from retold.wiring import SystemClock, connect

_TEXTS = 200
_LINE_BYTES_MAX = 1 << 16


class Order(Struct, frozen=True, kw_only=True):
    """Say what to append.

    Attributes:
        tenant: whose sessions, named ``s0``, ``s1`` and so on.
        window: opens the sessions first; None: they are open.
        events: how many messages to each.
        batch: how many of them at a time.
        rate: messages a second to all together; 0: as fast as they go.
    """

    tenant: str
    sessions: int
    window: Window | None = None
    events: int = 0
    batch: int = 1
    rate: int = 0
    text_bytes: int = 100


class Done(Struct, frozen=True):
    """Say how long it took, and how far the last one was behind its time."""

    seconds: float
    late_s: float


class Agents:
    """Talk to the agents' process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Talk to *process*."""
        self._process = process

    async def append(self, order: Order) -> Done:
        """Have *order* carried out."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(msgspec.json.encode(order) + b"\n")
        await stdin.drain()
        return msgspec.json.decode(await stdout.readline(), type=Done)


@asynccontextmanager
async def agents(url: str) -> AsyncIterator[Agents]:
    """Run the agents' process on the log at *url*."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name, url, stdin=pipe, stdout=pipe, limit=_LINE_BYTES_MAX
    )
    try:
        yield Agents(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


def keys_of(order: Order) -> list[SessionKey]:
    """Return the sessions that *order* names."""
    return [session_key(f"s{nth}", tenant=order.tenant) for nth in range(order.sessions)]


async def _serve(url: str) -> None:
    async with connect(url) as client:
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            order = msgspec.json.decode(line, type=Order)
            rows = _Rows(order)
            start, late = time.perf_counter(), 0.0
            if order.window is not None:
                await client.log.append_rows(rows.opening(order.window))
            for first in range(0, order.events, order.batch):
                if order.rate:
                    due = first * order.sessions / order.rate
                    late = time.perf_counter() - start - due
                    await asyncio.sleep(-late)
                await client.log.append_rows(rows.saying(first, min(order.batch, order.events - first)))
            done = Done(seconds=time.perf_counter() - start, late_s=late)
            sys.stdout.buffer.write(msgspec.json.encode(done) + b"\n")
            sys.stdout.buffer.flush()


class _Rows:
    def __init__(self, order: Order) -> None:
        self._keys = keys_of(order)
        self._said = texts(_TEXTS, size=order.text_bytes, seed=3)
        self._clock = SystemClock()

    def opening(self, window: Window) -> list[Row]:
        return [Row(key=key, appends=[self._drafts(SessionOpened(window=window))]) for key in self._keys]

    def saying(self, first: int, number: int) -> list[Row]:
        return [
            Row(key=key, appends=[self._drafts(self._fact(first + nth + at)) for nth in range(number)])
            for at, key in enumerate(self._keys)
        ]

    def _fact(self, number: int) -> Fact:
        return ItemAppended(item=message(self._said[number % _TEXTS]))

    def _drafts(self, fact: Fact) -> list[Draft]:
        return drafts_of([fact], self._clock, actor="bench")


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
