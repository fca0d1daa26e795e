"""Workers that are killed, and workers that sleep through their leases: nothing lost, nothing twice, one wins."""

import asyncio
import random
import signal
from contextlib import aclosing, suppress
from pathlib import Path

import pytest
from msgspec import Struct
from tests.chaos.crew import (
    End,
    Process,
    calm,
    crew,
    end_of,
    ended,
    kill,
    line_of,
    resume,
    settled,
    start_worker,
    stopped,
    story,
    times,
)
from tests.laws.logs import HandClock, write

from retold.events import SessionKey
from retold.lease_ports import Claim
from retold.log import EmbeddedServer, connect_log
from retold.log.names import partition
from retold.ports import Log
from retold.worker.sharing import read_table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]

WORKERS = 4
SESSIONS = times(500, 5)
KILLS = times(200, 4)
NAPS = times(100, 2)
AT_MAX = 12
"""A worker dies at one of so many first effects."""
PATIENCE_S = 2.0
"""How long a worker has for each of these effects; then it is killed from outside, wherever it is."""
WRITERS = 20


class Counts(Struct):
    """Count what happened, for who runs the soak.

    Attributes:
        at_effects: how many kills came just before or after an effect.
        lost: in how many sessions anything is missing of what its agent said.
        wrong: how many sessions are not as if nobody had been killed.
    """

    sessions: int = 0
    kills: int = 0
    at_effects: int = 0
    naps: int = 0
    refused: int = 0
    lost: int = 0
    wrong: int = 0


class Kills:
    """Keep four workers running, each of which dies at an effect, or at a moment, that is its own.

    Attributes:
        plans: at which effect the next ones die, and whether before or after it.
        left: how many are to die yet.
    """

    def __init__(self, url: str, processes: list[Process], counts: Counts) -> None:
        """Start workers on the server at *url*, and put them among *processes*."""
        chance = random.Random(6)
        self.plans = [(chance.randint(1, AT_MAX), chance.choice(("before", "after"))) for _ in range(KILLS)]
        self._url = url
        self._processes = processes
        self._counts = counts
        self._change = asyncio.Event()

    async def keep_one(self) -> None:
        """Start one worker after the other; the last one lives."""
        while self.plans:
            at, when = self.plans.pop()
            process = start_worker(self._url, number=signal.SIGKILL, at=[at], when=when)
            self._processes.append(process)
            with suppress(TimeoutError):
                async with asyncio.timeout(at * PATIENCE_S):
                    await ended(process)
            self._counts.at_effects += process.poll() is not None
            kill(process)
            self._counts.kills += 1
            self._change.set()
            self._change = asyncio.Event()
        self._processes.append(start_worker(self._url))

    async def reached(self, share: float) -> None:
        """Wait until this share of the kills has happened."""
        while self._counts.kills < share * KILLS:
            await self._change.wait()

    async def tell(self, log: Log, keys: list[SessionKey], *, first: int) -> None:
        """Say what the agents of every so many sessions say, fact by fact, as the kills go on."""
        clock = HandClock(f"agent{first}")
        mine = list(enumerate(keys))[first::WRITERS]
        length = max(len(story(number)) for number, _ in mine)
        for at in range(length):
            await self.reached(at / length)
            for number, key in mine:
                if at < len(story(number)):
                    await write(log, key, [story(number)[at]], clock=clock)


def _compare(ends: dict[SessionKey, End], expected: dict[SessionKey, End], counts: Counts) -> None:
    counts.sessions = len(expected)
    counts.lost = sum(ends[key].said != expected[key].said for key in expected)
    counts.wrong = sum(ends[key] != expected[key] for key in expected)
    assert (counts.lost, counts.wrong) == (0, 0)


def test_workers_that_are_killed_leave_no_trace(tmp_path: Path) -> None:
    """However often four workers are killed -9 at any effect, what comes of each session is as if none had been."""
    keys = [SessionKey("chaos", f"s{number}") for number in range(SESSIONS)]

    async def run() -> Counts:
        counts = Counts()
        expected = await calm(keys)
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log, crew() as all_of:
            kills = Kills(server.url, all_of, counts)
            async with asyncio.TaskGroup() as tasks:
                for _ in range(WORKERS):
                    tasks.create_task(kills.keep_one())
                for first in range(min(WRITERS, SESSIONS)):
                    tasks.create_task(kills.tell(log, keys, first=first))
            await settled(log, expected)
            _compare({key: await end_of(log, key) for key in keys}, expected, counts)
        assert counts.kills == KILLS
        return counts

    print(asyncio.run(run()))  # noqa: T201 - what `make soak` is run for


def _held_by(process: Process, claims: dict[str, Claim]) -> set[int]:
    table = read_table(claims)
    names = {worker for worker, (presence, _) in table.workers.items() if presence.pid == process.pid}
    return {number for number, holder in table.holders.items() if holder in names}


async def _shared(log: Log, process: Process) -> set[int]:
    """Wait until the worker *process* holds its half, and return it."""
    async with aclosing(log.leases.changes()) as changes:
        async for _ in changes:
            held = _held_by(process, await log.leases.claims())
            if len(held) == 32:
                return held
    raise AssertionError("changes have no end")


def test_of_two_workers_on_one_session_exactly_one_wins(tmp_path: Path) -> None:
    """A worker that is stopped just before it writes, and goes on when another has taken over, is refused each time."""
    chance = random.Random(7)
    at = [0]
    for _ in range(NAPS):
        at.append(at[-1] + chance.randint(1, 4))

    async def nap(log: Log, sleeper: Process, number: int) -> None:
        """Let the sleeper fall asleep over a session of its own, and wake it when that session is done."""
        held = await _shared(log, sleeper)
        keys = (SessionKey(f"nap{number}", f"s{one}") for one in range(10_000))
        key = next(key for key in keys if partition(key) in held)
        clock = HandClock(f"agent{number}")
        for fact in story(0):
            await write(log, key, [fact], clock=clock)
        await stopped(sleeper)
        [expected] = (await calm([key])).values()
        await settled(log, {key: expected})
        before = await end_of(log, key)
        resume(sleeper)
        assert await line_of(sleeper) == "refused"
        assert await end_of(log, key) == before == expected

    async def run() -> Counts:
        counts = Counts()
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log, crew() as all_of:
            sleeper = start_worker(server.url, number=signal.SIGSTOP, at=at[1:], when="append")
            all_of += [sleeper, start_worker(server.url)]
            for number in range(NAPS):
                await nap(log, sleeper, number)
                counts.naps += 1
                counts.refused += 1
        return counts

    print(asyncio.run(run()))  # noqa: T201 - what `make soak` is run for
