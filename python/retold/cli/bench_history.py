"""``retold bench replay``, first part: `Session.history(at=…)` at any event of a long session that a worker compacted.

*Warm*: the process has read the session before (`Session.warm`). *New client*: a connection is open, and the session is
named and read for the first time. *New process*: the same, in a process that has read nothing yet. Every answer is
compared, by its hash, with folding all events from the first on.
"""

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from retold.cli.bench_figures import Figure, limit
from retold.cli.bench_race import Difference, Timing, quiet, timing
from retold.cli.bench_session import make_conversation
from retold.cli.bench_store import SESSION, Kept, folder, keep, served, states
from retold.client import Client
from retold.events import Window
from retold.fold import History
from retold.settings import Profile
from retold.wiring import connect

WINDOW: Final = Window(hard_limit=200_000)
TOKENS_PER_MESSAGE: Final = 100
"""A million tokens in 10,000 messages."""

WARM: Final = "warm"
CLIENT: Final = "new client"
PROCESS: Final = "new process"
_AT_LEAST: Final = 50
"""So many messages are appended between two visits of the worker."""

_CLIENT_SHARE: Final = 4
"""A new client reads a quarter as often: connecting takes longer than reading."""

CPU: Final = "CPU, p50"
_PERCENTILES: Final = {"p50": 50, "p90": 90}
_REQUIRED_MS: Final = {WARM: (5.0, 2.0), CLIENT: (25.0, 10.0), PROCESS: (25.0, 10.0)}
"""What is asked of the median, and aimed at (the aims are ours)."""

_FLAT_MAX: Final = 1.5
"""How many times the longer session's median may be the shorter one's; ours, for a machine that is never quiet."""


class Read(Struct, frozen=True):
    """Hold what one read showed: its wall time, the processor time of the process that read, and the answer's hash."""

    seq: int
    ms: float
    cpu_ms: float
    hash: str


class Histories(Struct, kw_only=True):
    """Hold what was found about a session of *messages* messages."""

    messages: int
    timings: list[Timing]
    differences: list[Difference]
    kept: Kept
    said_tokens: int


def case(messages: int, state: str, percentile: str) -> str:
    """Return the name of a case."""
    return f"history(at), {messages:,} messages, {state}, {percentile}"


async def read_histories(*, messages: int, profile: Profile, rounds: int, reads: int, seed: int) -> Histories:
    """Fill a session and time *reads* random places of it in each of *rounds* rounds."""
    conversation = make_conversation(messages=messages, budget_tokens=messages * TOKENS_PER_MESSAGE, seed=seed)
    chance = random.Random(f"places {seed}")  # noqa: S311 - the same for the same seed
    with folder() as directory:
        async with served(directory, profile) as url:
            kept = await keep(url, conversation, window=WINDOW, at_least=_AT_LEAST)
            found = Histories(messages=messages, timings=[], differences=[], kept=kept, said_tokens=conversation.tokens)
            warm = [_places(chance, kept.events, reads) for _ in range(rounds)]
            cold = [_places(chance, kept.events, max(1, reads // _CLIENT_SHARE)) for _ in range(rounds)]
            alone = _places(chance, kept.events, rounds)
            async with connect(url) as client:
                whole = await states(client, kept.key, [seq for seqs in (*warm, *cold, alone) for seq in seqs])
            for state, shown in (
                (WARM, await _warm(url, warm)),
                (CLIENT, [[await first_read(url, seq) for seq in seqs] for seqs in cold]),
                (PROCESS, [[await _alone(url, seq)] for seq in alone]),
            ):
                _keep(found, state, shown, whole)
    return found


async def first_read(url: str, seq: int) -> Read:
    """Return what one read by a new client shows, its connection made before."""
    async with connect(url) as client:
        with quiet():
            return await _timed(_opened(client, seq), seq)


async def _opened(client: Client, seq: int) -> History:
    return await (await client.existing(SESSION)).history(at=seq)


async def _timed(reading: Coroutine[Any, Any, History], seq: int) -> Read:
    wall, processor = time.perf_counter(), time.process_time()
    history = await reading
    return Read(seq, (time.perf_counter() - wall) * 1e3, (time.process_time() - processor) * 1e3, history.hash)


async def _warm(url: str, places: Sequence[Sequence[int]]) -> list[list[Read]]:
    async with connect(url) as client:
        session = await client.existing(SESSION)
        await session.warm()
        rounds: list[list[Read]] = []
        for seqs in places:
            reads: list[Read] = []
            for seq in seqs:
                with quiet():
                    reads.append(await _timed(session.history(at=seq), seq))
            rounds.append(reads)
        return rounds


async def _alone(url: str, seq: int) -> Read:
    """Read once in a process of its own; the URL goes by its input, for it holds the server's token."""
    program = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import answer; answer()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate(msgspec.json.encode((url, seq)))
    return msgspec.json.decode(output, type=Read)


def answer() -> None:
    """Read the place that the input names, and write what it showed: the whole of a new process."""
    url, seq = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[str, int])
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(first_read(url, seq))))


def _places(chance: random.Random, events: int, count: int) -> list[int]:
    return [chance.randrange(2, events + 1) for _ in range(count)]


def _keep(found: Histories, state: str, rounds: Sequence[Sequence[Read]], whole: dict[int, History]) -> None:
    for read in (read for reads in rounds for read in reads):
        expected = whole[read.seq].hash
        if read.hash != expected:
            name = f"history at {read.seq}, {state}"
            found.differences.append(Difference(case=name, racer="folding all", ours=read.hash, theirs=expected))
    for name, percent in _PERCENTILES.items():
        if name == "p50" or len(rounds[0]) > 1:
            values = [_percentile([read.ms for read in reads], percent) for reads in rounds]
            found.timings.append(timing(case(found.messages, state, name), "retold", values, unit="ms"))
    used = [_percentile([read.cpu_ms for read in reads], _PERCENTILES["p50"]) for reads in rounds]
    found.timings.append(timing(case(found.messages, state, CPU), "retold", used, unit="ms"))


def _percentile(values: Sequence[float], percent: int) -> float:
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def figures(found: Histories, longer: Histories | None) -> list[Figure]:
    """Return the figures that are asked for beside what was measured; *longer* is the session that shows growth."""
    shown = [_limit(found, state) for state in _REQUIRED_MS]
    if longer is not None:
        shown += [_limit(longer, state) for state in _REQUIRED_MS]
        for state in (WARM, CLIENT):
            growth = _median(longer, state) / _median(found, state)
            name = f"{state}: {longer.messages:,} messages beside {found.messages:,}"
            shown.append(limit(name, growth, "times", required=_FLAT_MAX, aim=1.1))
    return shown


def _limit(found: Histories, state: str) -> Figure:
    required, aim = _REQUIRED_MS[state]
    return limit(case(found.messages, state, "p50"), _median(found, state), "ms", required=required, aim=aim)


def _median(found: Histories, state: str) -> float:
    name = case(found.messages, state, "p50")
    return next(shown.median for shown in found.timings if shown.case == name)
