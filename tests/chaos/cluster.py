"""Three servers on this machine that keep every stream together, and can be killed and started again one by one."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.log.servers import Started, free_ports, launch, listening, write_config

from retold.log import api
from retold.log.link import Link

NAMES = ("n1", "n2", "n3")
POLL_S = 0.1
PAGE_S = 2.0
WHOLE_S = 120.0
"""How long a cluster may take to be whole: on a busy machine elections fail and are held again."""


class Cluster:
    """Start, kill and look at three servers; each syncs what it stores before it says so."""

    def __init__(self, directory: Path) -> None:
        """Keep the servers' files in *directory*."""
        ports = free_ports(2 * len(NAMES))
        routes = [f"nats://127.0.0.1:{port}" for port in ports[len(NAMES) :]]
        self.urls = ",".join(f"nats://127.0.0.1:{port}" for port in ports[: len(NAMES)])
        self._servers: dict[str, Started] = {}
        self._homes = {name: directory / name for name in NAMES}
        for name, port, route in zip(NAMES, ports, routes, strict=False):
            own: dict[str, Any] = {
                "server_name": name,
                "port": port,
                "cluster": {"name": "chaos", "listen": route.removeprefix("nats://"), "routes": routes},
                "jetstream": {"store_dir": str(directory / name / "store"), "sync_interval": "always"},
            }
            write_config(self._homes[name], own)

    async def start(self, name: str) -> None:
        """Start one that does not run, and wait until it listens."""
        home = self._homes[name]
        process = launch(home)
        try:
            self._servers[name] = await listening(home, process)
        except BaseException:
            _end(process)
            raise

    def kill(self, name: str) -> None:
        """Kill one -9, and wait for its end."""
        _end(self._servers.pop(name).process)

    def kill_all(self) -> None:
        """Kill all that run."""
        for name in list(self._servers):
            self.kill(name)

    async def whole(self) -> None:
        """Wait until each server says that all that it keeps is up to date."""
        async with asyncio.timeout(WHOLE_S):
            for server in self._servers.values():
                page = f"http://127.0.0.1:{server.http_port}/healthz"
                while not await asyncio.to_thread(_is_well, page):  # noqa: ASYNC110 - other processes
                    await asyncio.sleep(POLL_S)

    async def leader(self, link: Link, *, beside: str = "") -> str:
        """Return which server leads the stream of events, once there is one *beside* the one that was killed."""
        while True:
            info = await api.call(link, "STREAM.INFO.RETOLD_EVENTS")
            leader = str(info["cluster"].get("leader", ""))
            if leader not in ("", beside):
                return leader
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def cluster(directory: Path) -> AsyncIterator[Cluster]:
    """Give three servers that run and have found each other."""
    made = Cluster(directory)
    try:
        for name in NAMES:
            await made.start(name)
        await made.whole()
        yield made
    finally:
        made.kill_all()


def _end(process: "subprocess.Popen[bytes]") -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def _is_well(page: str) -> bool:
    try:
        with urlopen(page, timeout=PAGE_S) as answer:  # noqa: S310 - our own
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
