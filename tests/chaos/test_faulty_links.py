"""Requests and deliveries that come again, late or unheard: a session comes to what it would have without."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from itertools import count
from pathlib import Path

import pytest
import stamina
from hypothesis import given
from tests.chaos.crew import End, calm, differing, end_of, settled, times
from tests.chaos.faults import FAULTS, Fault, FaultyLink, FaultyLog
from tests.laws.lives import said
from tests.laws.logs import HandClock, worker_on
from tests.laws.settings import law
from tests.laws.stories import SAID, Move, moves

from retold.errors import UnavailableError
from retold.events import Fact, SessionKey
from retold.lease_ports import PARTITIONS
from retold.log import EmbeddedServer, JetStreamLog, MemoryLog, connect_log
from retold.log.drafting import drafts_of
from retold.log.names import partition
from retold.ports import Log
from retold.worker.ownership import Everything, LetGo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7_200)]

CASES = times(2_000, 25)
SERVER_CASES = times(2_000, 5)
ATTEMPTS_MAX = 10_000
"""How often the worker tries again, without a pause: each answer that is lost is one."""
CASE_S = 60.0
REST_S = 10.0
LOOK_S = 0.1
_CONVERSATIONS = moves(*SAID, at_least=10, at_most=40)


class OneSession(Everything):
    """Work on one session of many."""

    def __init__(self, key: SessionKey) -> None:
        """Work on *key*."""
        self._key = key
        self.followed: Mapping[int, int] = {partition(key): 0}
        assert partition(key) < PARTITIONS

    def holds(self, key: SessionKey) -> bool:
        """Return whether it is the one."""
        return key == self._key

    def kept(self, let_go: LetGo) -> AbstractAsyncContextManager[None]:
        """Take nothing."""
        del let_go
        return nullcontext()


async def _tell(log: Log, key: SessionKey, facts: Sequence[Fact], *, name: str) -> None:
    """Append fact by fact as an agent: what failed, once more."""
    clock = HandClock(name)
    for fact in facts:
        drafts = drafts_of([fact], clock, actor="agent")
        while True:
            with suppress(UnavailableError):
                await log.append(key, drafts)
                break


async def _effects(log: Log, key: SessionKey) -> int:
    return len([one async for one in log.read(key) if one.event.actor == "worker"])


async def _come_to(log: Log, key: SessionKey, expected: End) -> End:
    """Wait until what there is is *expected*, or the worker has written nothing for `REST_S`; return what there is."""
    await settled(log, {key: expected})
    quiet, before = 0.0, -1
    while (end := await end_of(log, key)) != expected and quiet < REST_S:
        await asyncio.sleep(LOOK_S)
        effects = await _effects(log, key)
        quiet, before = (quiet + LOOK_S if effects == before else 0.0), effects
    return end


async def _live(clean: Log, agent: Log, worker: Log, key: SessionKey, facts: Sequence[Fact]) -> tuple[End, End]:
    """Let an agent tell *facts* and a worker work on them, each on its own log; return what came of it, and should."""
    [expected] = (await calm({key: facts})).values()
    working = worker_on(worker, f"worker-{key.session}")
    async with asyncio.timeout(CASE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(working.run(OneSession(key)))
        await _tell(agent, key, facts, name=f"agent-{key.session}")
        end = await _come_to(clean, key, expected)
        working.stop()
    assert not working.damaged
    return end, expected


def test_a_log_that_repeats_delays_and_forgets_to_answer_changes_nothing() -> None:
    """Whatever comes up to five times, late, or without an answer, a session has the history that it has without."""
    counts: Counter[str] = Counter()

    @law(CASES)
    @given(_CONVERSATIONS, FAULTS)
    def case(told: list[Move], faults: list[Fault]) -> None:
        async def run() -> None:
            log = MemoryLog()
            agent, worker = FaultyLog(log, faults), FaultyLog(log, faults)
            end, expected = await _live(log, agent, worker, SessionKey("chaos", "s"), said(told))
            counts.update(agent.happened + worker.happened)
            counts.update(cases=1, compactions=expected.version)
            assert end == expected, differing(end, expected)

        asyncio.run(run())

    with stamina.set_testing(True, attempts=ATTEMPTS_MAX):
        case()
    _look_at(counts, CASES)


@asynccontextmanager
async def _faulty_log(url: str, faults: Sequence[Fault], counts: Counter[str]) -> AsyncIterator[JetStreamLog]:
    """Open a log over a link with *faults*."""
    link = await FaultyLink.open(url, name="faulty")
    assert isinstance(link, FaultyLink)
    link.follow(faults)
    async with JetStreamLog(link) as log:
        yield log
    counts.update(link.happened)


def test_a_connection_that_repeats_delays_and_forgets_to_answer_changes_nothing(tmp_path: Path) -> None:
    """The same on a real server, where bytes are sent and delivered so: what is stored and published is the same."""
    counts: Counter[str] = Counter()
    numbers = count()
    server = EmbeddedServer(tmp_path, profile="fast")
    url = asyncio.run(server.start()).url

    @law(SERVER_CASES)
    @given(_CONVERSATIONS, FAULTS)
    def case(told: list[Move], faults: list[Fault]) -> None:
        key = SessionKey("chaos", f"s{next(numbers)}")

        async def run() -> None:
            async with (
                connect_log(url) as clean,
                _faulty_log(url, faults, counts) as agent,
                _faulty_log(url, faults, counts) as worker,
            ):
                end, expected = await _live(clean, agent, worker, key, said(told))
            counts.update(cases=1, compactions=expected.version)
            assert end == expected, differing(end, expected)

        asyncio.run(run())

    try:
        case()
    finally:
        asyncio.run(server.stop())
    _look_at(counts, SERVER_CASES)


def _look_at(counts: Counter[str], cases: int) -> None:
    print(dict(counts))  # noqa: T201 - what `make soak` is run for
    assert counts["cases"] >= cases
    assert counts["compactions"] > cases / 5
    assert min(counts[kind] for kind in ("repeated", "unheard", "came late", "delivered again", "delivered late")) > 0
