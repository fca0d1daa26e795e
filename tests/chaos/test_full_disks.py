"""A store that is full, and has room again: nothing acknowledged is lost, the state has a name, and work goes on."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, field
from tests.chaos.agents import Counts, Fleet, talking
from tests.chaos.crew import times
from tests.chaos.disks import Disk, small_disk
from tests.laws.logs import worker_on
from tests.log.servers import Started, free_ports, launch, listening, write_config
from tests.monitoring.watched import Watched, hurry, watching

from retold.monitoring import health

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]

ROUNDS = times(10, 1)
AGENTS = 2
SESSIONS = 3
MIB = 1024 * 1024
DISK_BYTES = 16 * MIB
FREE_BYTES = MIB // 16
"""How much room is left to a store that is to be full soon."""
ENOUGH_BYTES = 256 * MIB
FULL_S = 0.5
"""How long everybody goes on trying while it is full."""
RESTART_AFTER_S = times(5, 2)
"""How long the server has to store again by itself when there is room, before it is started again."""
READY_S = 60.0
POLL_S = 0.05
RECENT_S = 2.0
"""For how long a fault keeps a worker from being ready, where production waits half a minute."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for what will not come."""
    hurry(monkeypatch)
    monkeypatch.setattr(health, "RECENT_S", RECENT_S)


class Filled(Struct):
    """Count what happened, for who runs the soak.

    Attributes:
        shown: what readiness said while the store was full: states, and the newest detail of each.
        restarts: how often the server stored nothing when there was room again, until it was started again.
        counts: what came of it; times are those from when there was room, or the server was started again.
    """

    rounds: int = 0
    restarts: int = 0
    shown: dict[str, str] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)

    def __str__(self) -> str:
        """Tell all of it."""
        return f"rounds {self.rounds}, restarts {self.restarts}, {self.counts}, shown {self.shown}"


@asynccontextmanager
async def _fleet(seen: Watched) -> AsyncIterator[Fleet]:
    """Let agents talk, and a worker work beside them, both on the log that is watched."""
    worker = worker_on(seen.log)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run())
        async with talking(seen.log, agents=AGENTS, sessions=SESSIONS) as fleet:
            await fleet.works(since_s=_now())
            fleet.counts = Counts()
            yield fleet
        await fleet.compare(effects=False)
        worker.stop()


async def _until_full(seen: Watched, fleet: Fleet) -> dict[str, str]:
    """Wait until appends fail and readiness says why; return its states."""
    before = fleet.refused
    async with asyncio.timeout(READY_S):
        while fleet.refused == before:  # noqa: ASYNC110 - it is another process that fills
            await asyncio.sleep(POLL_S)
    await asyncio.sleep(FULL_S)
    status, _ = await seen.get("/readyz")
    assert status == 503
    states = await seen.states()
    told = (await seen.get("/metrics"))[1]
    assert "retold_ready 0.0" in told
    assert any(f'retold_state{{state="{name}"}} 1.0' in told for name in states.keys() & health.BLOCKING)
    return states


async def _until_ready(seen: Watched) -> None:
    async with asyncio.timeout(READY_S):
        while (await seen.get("/readyz"))[0] != 200:  # noqa: ASYNC110 - another process changes
            await asyncio.sleep(POLL_S)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _limited(directory: Path, *, max_file: int, port: int) -> dict[str, Any]:
    """Return the configuration of a server whose one account may store so many bytes."""
    users = [{"user": "all", "password": "all"}]
    account = {"jetstream": {"max_file": max_file, "max_mem": 64 * MIB}, "users": users}
    store = {"store_dir": str(directory / "store"), "sync_interval": "always"}
    return {"port": port, "jetstream": store, "accounts": {"ALL": account}, "no_auth_user": "all"}


def test_an_account_that_is_full_and_gets_room_goes_on(tmp_path: Path) -> None:
    """Where an account's limit is reached nothing acknowledged is lost, and all go on when it is raised: no restart."""
    [port] = free_ports(1)

    async def run() -> Filled:
        found = Filled()
        write_config(tmp_path, _limited(tmp_path, max_file=ENOUGH_BYTES, port=port))
        with launch(tmp_path) as process:

            def allow(size_bytes: int) -> None:
                write_config(tmp_path, _limited(tmp_path, max_file=size_bytes, port=port))
                process.send_signal(signal.SIGHUP)

            try:
                server = await listening(tmp_path, process)
                async with watching(server) as seen, _fleet(seen) as fleet:
                    for _ in range(ROUNDS):
                        allow((await seen.log.broker.inspect()).storage_bytes + FREE_BYTES)
                        found.shown |= await _until_full(seen, fleet)
                        allow(ENOUGH_BYTES)
                        await fleet.works(since_s=_now())
                        found.rounds += 1
                    await _until_ready(seen)
            finally:
                process.kill()
        assert "disk_full" in found.shown
        found.counts = fleet.counts
        return found

    print(asyncio.run(run()))  # noqa: T201 - what `make soak` is run for


class Server:
    """Run a server that keeps its store on a disk, and start it again."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        """Keep what is no store in *directory*."""
        port, http_port = free_ports(2)
        store = {"store_dir": str(disk.directory), "sync_interval": "always"}
        config = {"port": port, "http": f"127.0.0.1:{http_port}", "jetstream": store}
        write_config(directory, config)
        self.healthz = f"http://127.0.0.1:{http_port}/healthz"
        self._directory = directory
        self._disk = disk
        self._process = launch(directory, inside=disk.inside)

    async def listening(self) -> Started:
        """Wait until it listens."""
        return await listening(self._directory, self._process)

    async def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self._process = launch(self._directory, inside=self._disk.inside)
        await self.listening()

    def kill(self) -> None:
        """End it."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()


async def _works(fleet: Fleet, server: Server) -> bool:
    """Wait until all work on; return whether the server had to be started again for that."""
    try:
        async with asyncio.timeout(RESTART_AFTER_S):
            await fleet.works(since_s=_now())
    except TimeoutError:
        await server.restart()
        await fleet.works(since_s=_now())
        return True
    return False


def test_a_disk_that_is_full_and_gets_room_loses_nothing(tmp_path: Path) -> None:
    """Where the disk itself is full, nothing acknowledged is lost; a server that refuses for good is started again."""

    async def run(disk: Disk) -> Filled:
        found, server = Filled(), Server(tmp_path, disk)
        try:
            async with watching(await server.listening(), nats_healthz=server.healthz) as seen, _fleet(seen) as fleet:
                for _ in range(ROUNDS):
                    disk.fill(free_bytes=FREE_BYTES)
                    found.shown |= await _until_full(seen, fleet)
                    disk.clear()
                    found.restarts += await _works(fleet, server)
                    found.rounds += 1
                    await _until_ready(seen)
        finally:
            server.kill()
        assert {"disk_full", "broker_unhealthy"} <= found.shown.keys()
        found.counts = fleet.counts
        return found

    with small_disk(tmp_path / "disk", size_bytes=DISK_BYTES) as disk:
        if disk is None:
            pytest.skip("nobody may mount a file system here")
        print(asyncio.run(run(disk)))  # noqa: T201 - what `make soak` is run for
