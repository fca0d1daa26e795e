"""A worker's health and metrics, watched from outside as orchestrators do."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from tests.laws.logs import HandClock
from tests.log.servers import Started, started

from retold.log import JetStreamLog, connect_log, link
from retold.monitoring import health
from retold.monitoring.monitor import Monitor, open_monitor
from retold.settings import Settings

WAIT_S = 20


class Watched(NamedTuple):
    """Hold a server, a log on it, and what watches a worker there."""

    server: Started
    log: JetStreamLog
    monitor: Monitor

    async def get(self, path: str) -> tuple[int, str]:
        """Return the status and the body of *path*."""
        return await asyncio.to_thread(_get, f"http://127.0.0.1:{self.monitor.port}{path}")

    async def states(self) -> dict[str, str]:
        """Return what readiness says is not well: names and details."""
        _, body = await self.get("/readyz")
        return {state["name"]: state["detail"] for state in json.loads(body)["states"]}

    async def until(self, name: str) -> str:
        """Wait until readiness names the state *name*, and is not ready; return its detail."""
        async with asyncio.timeout(WAIT_S):
            while name not in (found := await self.states()):  # noqa: ASYNC110 - it is another process that changes
                await asyncio.sleep(0.05)
        assert (await self.get("/readyz"))[0] == 503
        return found[name]


def _get(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=WAIT_S) as answer:  # noqa: S310 - our own
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


@asynccontextmanager
async def watched(directory: Path, config: dict[str, Any] | None = None, **more: Any) -> AsyncIterator[Watched]:
    """Start a server with *config*, and watch a worker on it, with settings *more*."""
    async with started(directory, config or {}) as server, watching(server, **more) as seen:
        yield seen


@asynccontextmanager
async def watching(server: Started, **more: Any) -> AsyncIterator[Watched]:
    """Watch a worker on *server*, with settings *more*."""
    settings = Settings(**{"http_port": 0, "worker_name": "w", **more})
    async with (
        connect_log(f"nats://127.0.0.1:{server.port}") as log,
        open_monitor(log.broker, HandClock("monitor"), settings) as monitor,
    ):
        yield Watched(server, log, monitor)


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a server that will not answer a second, where production waits half a minute."""
    monkeypatch.setattr(link, "ANSWER_TIMEOUT_S", 0.4)
    monkeypatch.setattr(link, "RETRY_TOTAL_S", 0.8)
    monkeypatch.setattr(health, "PROBE_S", 0.5)
    monkeypatch.setattr(health, "CACHE_S", 0.0)
