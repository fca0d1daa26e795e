"""The agents of ``retold bench worker``, in a process of their own: they append what they are told, line by line."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice

import msgspec
from msgspec import Struct

from retold.cli.bench_fleet import message, texts
from retold.cli.bench_session import TURN_MESSAGES, make_conversation
from retold.events import Draft, Fact, Item, ItemAppended, SessionKey, SessionOpened, Window, session_key
from retold.formats import to_items
from retold.log.drafting import drafts_of
from retold.ports import Row
from retold.wiring import SystemClock, connect

_TEXTS = 200
_TALK_MESSAGES = 6_000
_LINE_BYTES_MAX = 1 << 16
_LOTS_A_SECOND = 50
"""So often are messages appended that come steadily: each time a few sessions' next ones."""


class Order(Struct, frozen=True, kw_only=True):
    """Say what to append.

    Attributes:
        tenant: whose sessions, named ``s0``, ``s1`` and so on.
        window: opens the sessions first; None: they are open.
        events: how many messages to each.
        batch: how many of them at a time.
        rate: messages a second to all together, spread evenly; 0: as fast as they go.
        spread: of so many messages more the first session gets none, the last nearly all.
        before: what each session had before of both.
        mean_tokens: messages of an agent with tools, of so many tokens in the mean; 0: texts of *text_bytes*.
    """

    tenant: str
    sessions: int
    window: Window | None = None
    events: int = 0
    batch: int = 1
    rate: int = 0
    spread: int = 0
    before: tuple[int, int] = (0, 0)
    text_bytes: int = 100
    mean_tokens: int = 0


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
            for number, lot in enumerate(rows.lots()):
                if order.rate:
                    late = time.perf_counter() - start - number / _LOTS_A_SECOND
                    await asyncio.sleep(-late)
                await client.log.append_rows(lot)
            done = Done(seconds=time.perf_counter() - start, late_s=late)
            sys.stdout.buffer.write(msgspec.json.encode(done) + b"\n")
            sys.stdout.buffer.flush()


class _Rows:
    def __init__(self, order: Order) -> None:
        self._order = order
        self._keys = keys_of(order)
        self._said = _talk(order.mean_tokens) if order.mean_tokens else _words(order.text_bytes)
        self._clock = SystemClock()

    def opening(self, window: Window) -> list[Row]:
        return [Row(key=key, appends=[self._drafts(SessionOpened(window=window))]) for key in self._keys]

    def lots(self) -> Iterator[list[Row]]:
        """Yield what is appended at a time: of each session the next few messages, or some sessions' next one."""
        order = self._order
        if order.rate:
            each = (self._saying(at, nth, nth + 1) for nth in range(order.events) for at in range(order.sessions))
            while lot := list(islice(each, max(1, order.rate // _LOTS_A_SECOND))):
                yield lot
            return
        for first in range(0, order.events + order.spread, order.batch):
            rows = [self._saying(at, first, first + order.batch) for at in range(order.sessions)]
            yield [row for row in rows if row.appends]

    def _saying(self, at: int, first: int, end: int) -> Row:
        until = min(end, self._order.events + self._share(self._order.spread, at))
        return Row(key=self._keys[at], appends=[self._drafts(self._fact(at, nth)) for nth in range(first, until)])

    def _share(self, spread: int, at: int) -> int:
        return spread * at // self._order.sessions

    def _fact(self, at: int, nth: int) -> Fact:
        events, spread = self._order.before
        place = at * TURN_MESSAGES + events + self._share(spread, at) + nth
        return ItemAppended(item=self._said[place % len(self._said)])

    def _drafts(self, fact: Fact) -> list[Draft]:
        return drafts_of([fact], self._clock, actor="bench")


def _words(size_bytes: int) -> list[Item]:
    return [message(text) for text in texts(_TEXTS, size=size_bytes, seed=3)]


def _talk(mean_tokens: int) -> list[Item]:
    """Return the items of whole turns, calls with their results; no two calls have one id."""
    talk = make_conversation(messages=_TALK_MESSAGES, budget_tokens=_TALK_MESSAGES * mean_tokens, seed=3)
    return [item for turn in talk.turns[1:] for said in turn for item in to_items(said, form="chat")]


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
