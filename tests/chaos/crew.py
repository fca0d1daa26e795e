"""What the chaos tests share: workers as processes, sessions that are to come out as if nothing had happened."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from tests.laws.lives import long_life
from tests.laws.logs import HandClock, read, worker_on, write

from retold.events import CompactionFailed, Fact, HistoryReplaced, ItemsOffloaded, SessionKey, SummaryWritten
from retold.fold import decode_history
from retold.log import MemoryLog
from retold.ports import Log
from retold.replay import load, verify

SHARE = float(os.environ.get("RETOLD_CHAOS", "0"))
"""Which share of all cases is asked for: 1 by `make soak`; at least there are a few."""
TTL_S = 2.0
POLL_S = 0.1
STORIES = 4
LENGTH = 40
_ROOT = Path(__file__).parents[2]

_RESULTS = (HistoryReplaced, ItemsOffloaded, SummaryWritten, CompactionFailed)

Process = subprocess.Popen[str]


def times(full: int, few: int) -> int:
    """Return how many cases there are to be."""
    return max(round(full * SHARE), few)


def start_worker(url: str, *, number: int = 0, at: Sequence[int] = (0,), when: str = "before") -> Process:
    """Start a worker that sends itself signal *number* at effects *at*, *when* they begin or end."""
    words = (url, str(TTL_S), str(number), ",".join(map(str, at)), when)
    command = [sys.executable, "-m", "tests.chaos.working", *words]
    return subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def kill(process: Process) -> None:
    """Kill the process -9 and wait for its end. May be repeated."""
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


@asynccontextmanager
async def crew() -> AsyncIterator[list[Process]]:
    """Give a list of processes that are killed in the end."""
    processes: list[Process] = []
    try:
        yield processes
    finally:
        for process in processes:
            kill(process)


async def ended(process: Process) -> None:
    """Wait until the process has ended; may be cancelled."""
    while process.poll() is None:  # noqa: ASYNC110 - a thread that waits for it could not be cancelled
        await asyncio.sleep(POLL_S)


async def stopped(process: Process) -> None:
    """Wait until the process has stopped itself."""
    await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED)


async def line_of(process: Process) -> str:
    """Return the next line that the process says."""
    assert process.stdout is not None
    return (await asyncio.to_thread(process.stdout.readline)).strip()


class End(Struct, frozen=True):
    """Hold what a session has come to, to the byte, but for sequences: these depend on who wrote between whom.

    Attributes:
        said: what the agent appended.
        entries: the history as it would be sent, with sizes and forms.
        effects: what workers recorded: each summary, offload and replacement, with its receipt and hash.
        published: the published history.
    """

    said: bytes
    entries: bytes
    effects: bytes
    published: bytes
    version: int


def story(number: int) -> list[Fact]:
    """Return what the agent of session *number* says."""
    return _story(number % STORIES)


@cache
def _story(number: int) -> list[Fact]:
    return long_life(seed=number, length=LENGTH)


async def end_of(log: Log, key: SessionKey) -> End:
    """Return what the session has come to, once its chain and every hash in it are proven."""
    events = await read(log, key)
    assert [one.event.seq for one in events] == list(range(1, len(events) + 1))
    assert len({one.event.id for one in events}) == len(events)
    verdict = await verify(log, key)
    assert verdict.ok, verdict.reason
    context = await load(log, key)
    published = await log.load_history(key)
    results = [one.event.data for one in events if isinstance(one.event.data, _RESULTS)]
    return End(
        said=msgspec.json.encode([one.event.data for one in events if one.event.actor == "agent"]),
        entries=_timeless(context.entries),
        effects=_timeless(results),
        published=b"" if published is None else _timeless(decode_history(published.body, key=key)),
        version=0 if published is None else published.version,
    )


def _timeless(value: object) -> bytes:
    """Return *value* as JSON without the sequences in it, and the ids that are made of them."""
    return msgspec.json.encode(_without_places(msgspec.to_builtins(value)))


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _without_places(one) for name, one in value.items()}
        return {name: one for name, one in kept.items() if name != "plan" and not name.endswith(("seq", "seqs"))}
    return [_without_places(one) for one in value] if isinstance(value, list | tuple) else value


async def calm(keys: Sequence[SessionKey]) -> dict[SessionKey, End]:
    """Return what each session comes to where nothing happens."""
    log, clock = MemoryLog(), HandClock()
    for number, key in enumerate(keys):
        for fact in story(number):
            await write(log, key, [fact], clock=clock)
    await worker_on(log).drain()
    return {key: await end_of(log, key) for key in keys}


async def settled(log: Log, ends: Mapping[SessionKey, End]) -> None:
    """Wait until the newest history of each session is published: by the workers, nobody else."""
    for key, end in ends.items():
        while True:
            published = await log.load_history(key)
            if (0 if published is None else published.version) >= end.version:
                break
            await asyncio.sleep(POLL_S)  # what is published wakes nobody


def resume(process: Process) -> None:
    """Let a stopped process go on."""
    process.send_signal(signal.SIGCONT)
