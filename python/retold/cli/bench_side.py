"""One worker with its agents, for the parts of ``retold bench worker`` that need both: what it did, in what time."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from retold import extracting
from retold.cli.bench_agents import Agents, Order, agents, keys_of
from retold.cli.bench_store import folder, served
from retold.client import Client
from retold.events import Fact, HistoryReplaced, SessionKey, Tier
from retold.fold import Context
from retold.policy import Decision
from retold.settings import Profile
from retold.summarizers import ExtractiveSummarizer
from retold.telemetry import NoTelemetry
from retold.wiring import SystemClock, connect
from retold.worker import Worker

SETTLED_S_MAX = 600.0
"""Longer than this nobody waits for a worker: what it was measured by is of no use then."""
_POLL_S = 0.02
EXTRACTING = extracting.__name__.encode()
"""What the command line of the process for extractions has."""


class Made(Struct, frozen=True):
    """Say how one history came: by which step, how long after the message that called for it, and after deciding."""

    tier: Tier
    wait_ms: float
    work_ms: float


class Watch(NoTelemetry):
    """Note how long each history took until it was published. One that never was is not noted."""

    def __init__(self) -> None:
        """Start with none."""
        self.made: list[Made] = []
        self._began: dict[SessionKey, float] = {}
        self._open: dict[SessionKey, tuple[Tier, datetime]] = {}

    def compacting(self, context: Context, decision: Decision) -> None:
        """Start the clock."""
        del decision
        self._began[context.key] = time.perf_counter()

    def compacted(self, context: Context, facts: Sequence[Fact]) -> None:
        """Keep when the message came that called for it: the newest of the history that was compacted."""
        tier = next(fact.tier for fact in facts if isinstance(fact, HistoryReplaced))
        assert context.latest is not None, "there were events"
        self._open.setdefault(context.key, (tier, context.latest))

    def published(self, key: SessionKey) -> None:
        """Note how long it took."""
        if key in self._open:
            tier, called_at = self._open.pop(key)
            wait_ms = (datetime.now(UTC) - called_at).total_seconds() * 1e3
            self.made.append(Made(tier, wait_ms, (time.perf_counter() - self._began[key]) * 1e3))


class Side(Struct):
    """Hold one worker with its agents, and the server that both use."""

    url: str
    client: Client
    worker: Worker
    agents: Agents
    watch: Watch

    async def settled(self, keys: Sequence[SessionKey]) -> None:
        """Wait until each of *keys* is folded up to where the log ends, what the worker itself wrote included."""
        for key in keys:
            await self.reached([key], (await self.client.log.head(key)).seq)

    async def reached(self, keys: Sequence[SessionKey], seq: int) -> None:
        """Wait until each of *keys* is folded up to *seq*. Asks nobody, and one session after the other."""
        async with asyncio.timeout(SETTLED_S_MAX):
            for key in keys:
                while self.worker.live.reached(key) < seq:  # noqa: ASYNC110 -- it is asked
                    await asyncio.sleep(_POLL_S)

    async def opened(self, order: Order) -> list[SessionKey]:
        """Have *order* carried out and return its sessions, settled."""
        await self.agents.append(order)
        keys = keys_of(order)
        await self.settled(keys)
        return keys


def processor_s() -> float:
    """Return the processor time that this process has used, and the one that a worker in it has for extractions."""
    ticks = 0
    for found in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            fields = found.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and EXTRACTING in found.with_name("cmdline").read_bytes():
                ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def side(profile: Profile) -> AsyncIterator[Side]:
    """Run a server, a worker in this process, and agents in another."""
    with folder() as directory:
        async with (
            served(directory, profile) as url,
            connect(url, actor="worker") as client,
            agents(url) as others,
            asyncio.TaskGroup() as tasks,
        ):
            watch = Watch()
            worker = Worker(client.log, SystemClock(), ExtractiveSummarizer(), telemetry=watch)
            running = tasks.create_task(worker.run())
            yield Side(url=url, client=client, worker=worker, agents=others, watch=watch)
            running.cancel()
