"""Two processes write to one session and are killed: nothing is lost, doubled, or out of its place."""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import aclosing
from pathlib import Path

import pytest
from msgspec import Struct
from tests.acceptance import two_writers
from tests.acceptance.two_writers import Refused, Stored, Tried, drafts_of, read_journal

from retold.events import Recorded, SessionKey
from retold.log import JetStreamLog, connect_log
from retold.replay import verify
from retold.wiring import client_of

APPENDS = int(os.environ.get("RETOLD_APPENDS", "200"))
"""How many appends each writer makes; `make soak` makes 10,000."""
KILLS = max(1, APPENDS // 1_000)
"""How often each writer is killed."""
WRITERS = ("anne", "bert")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]


class Counts(Struct):
    """Count what came of the appends, for who runs the soak.

    Attributes:
        open_at_death: how many kills met an append whose outcome was not known.
    """

    appends: int = 0
    acknowledged: int = 0
    refused: int = 0
    events: int = 0
    kills: int = 0
    open_at_death: int = 0


class Desk:
    """Start the writers of one session, each with a spare that is ready to take over."""

    def __init__(self, url: str, key: SessionKey, directory: Path) -> None:
        self._words = (url, key.tenant, key.session)
        self._directory = directory
        self._writing: dict[str, Process] = {}
        self._spare: dict[str, Process] = {}
        self.counts = Counts()

    def journal(self, writer: str) -> Path:
        """Return where *writer* says what it did."""
        return self._directory / f"{writer}.jsonl"

    async def _process(self, writer: str) -> Process:
        """Start a process that writes when it is told to."""
        words = (*self._words, str(self.journal(writer)), writer, str(APPENDS))
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(two_writers.__file__), *words, stdin=PIPE, stdout=PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        return process

    def _begin(self, writer: str, process: Process) -> None:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        self._writing[writer] = process

    async def start(self) -> None:
        """Let both write at once, each with a spare behind it."""
        first = [await self._process(writer) for writer in WRITERS]
        for writer in WRITERS:
            self._spare[writer] = await self._process(writer)
        for writer, process in zip(WRITERS, first, strict=True):
            self._begin(writer, process)

    async def kill(self, writer: str) -> None:
        """Kill *writer* -9, and let its spare go on at once."""
        process = self._writing[writer]
        if process.returncode is None:
            self.counts.kills += 1
            process.send_signal(signal.SIGKILL)
        await process.wait()
        self.counts.open_at_death += isinstance(read_journal(self.journal(writer))[-1], Tried)
        self._begin(writer, self._spare[writer])
        self._spare[writer] = await self._process(writer)

    async def end(self) -> None:
        """Wait until all are done; what was ready for more finds nothing to do."""
        for writer in WRITERS:
            assert await self._writing[writer].wait() == 0
            self._begin(writer, self._spare[writer])
            assert await self._writing[writer].wait() == 0


async def _written(desk: Desk, log: JetStreamLog, key: SessionKey) -> None:
    """Let both write until they are done, and kill each at moments that the growing session tells."""
    chance = random.Random(3)
    moments = sorted((chance.randrange(APPENDS // 20, APPENDS // 3), at) for at in range(KILLS * len(WRITERS)))
    await desk.start()
    async with aclosing(log.follow(key)) as events:
        for seq, at in moments:
            async for recorded in events:
                if recorded.event.seq >= seq:
                    break
            await desk.kill(WRITERS[at % len(WRITERS)])
    await desk.end()


def _check(desk: Desk, writer: str, events: list[Recorded]) -> None:
    """Check that what *writer* was told is what the session holds, each append once and in one piece."""
    tried: Tried | None = None
    ids = [recorded.event.id for recorded in events]
    for line in read_journal(desk.journal(writer)):
        if isinstance(line, Tried):
            assert tried is None
            tried = line
            continue
        assert tried is not None
        assert tried.number == line.number
        drafts = [draft.id for draft in drafts_of(writer, line.number)]
        if isinstance(line, Stored):
            first = line.seq - len(drafts)
            assert ids[first : line.seq] == drafts
            assert tried.expected in (None, first)
            desk.counts.acknowledged += 1
            desk.counts.events += len(drafts)
        else:
            assert isinstance(line, Refused)
            assert tried.expected not in (None, line.actual)
            assert not set(drafts) & set(ids)
            desk.counts.refused += 1
        desk.counts.appends += 1
        tried = None
    assert tried is None


def test_two_writers_that_are_killed_lose_and_double_nothing(nats_url: str, tenant: str, tmp_path: Path) -> None:
    """Whatever end my two writers expect and whenever they die: no gap, no duplicate, no lost acknowledged event."""

    async def run() -> Counts:
        key = SessionKey(tenant, "shared")
        async with connect_log(nats_url) as log:
            await client_of(log).session(key.session, tenant=key.tenant)
            desk = Desk(nats_url, key, tmp_path)
            await _written(desk, log, key)
            async with connect_log(nats_url) as another:
                events = [recorded async for recorded in another.read(key)]
                assert (await verify(another, key)).ok
        for writer in WRITERS:
            _check(desk, writer, events)
        counts = desk.counts
        assert [recorded.event.seq for recorded in events] == list(range(1, counts.events + 2))
        assert len({recorded.event.id for recorded in events}) == len(events)
        assert counts.appends == APPENDS * len(WRITERS)
        assert min(counts.acknowledged, counts.refused, counts.kills) > 0
        return counts

    print(asyncio.run(run()))  # noqa: T201 - what `make soak` is run for
