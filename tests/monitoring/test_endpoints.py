"""Health over HTTP: ready while all is well, and each thing that is wrong by its name."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

import nats
import pytest
from tests.laws.logs import HandClock
from tests.laws.small import message
from tests.log.servers import Started, started

from retold.errors import UnavailableError
from retold.events import Draft, ItemAppended, SessionKey
from retold.log import JetStreamLog, connect_log, link
from retold.monitoring import health
from retold.monitoring.metrics import exported_names
from retold.monitoring.monitor import Monitor, open_monitor
from retold.settings import Settings

pytestmark = pytest.mark.slow
WAIT_S = 20
KEY = SessionKey("default", "secret-session")


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
    async with started(directory, config or {}) as server:
        settings = Settings(**{"http_port": 0, "worker_name": "w", **more})
        async with (
            connect_log(f"nats://127.0.0.1:{server.port}") as log,
            open_monitor(log.broker, HandClock("monitor"), settings) as monitor,
        ):
            yield Watched(server, log, monitor)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a server that will not answer a second, where production waits half a minute."""
    monkeypatch.setattr(link, "ANSWER_TIMEOUT_S", 0.4)
    monkeypatch.setattr(link, "RETRY_TOTAL_S", 0.8)
    monkeypatch.setattr(health, "PROBE_S", 0.5)
    monkeypatch.setattr(health, "CACHE_S", 0.0)


def _drafts(text: str = "x") -> Iterator[Draft]:
    number = 0
    while True:
        number += 1
        yield Draft(
            id=f"d{number}",
            at=datetime(2026, 1, 1, tzinfo=UTC),
            actor="test",
            data=ItemAppended(item=message("user", f"{number} {text}")),
        )


def test_a_worker_on_a_good_server_is_ready(tmp_path: Path) -> None:
    """All three pages answer; what is not perfect and keeps nothing from working is told, and stays ready."""

    async def run() -> None:
        async with watched(tmp_path) as seen:
            assert await seen.get("/livez") == (200, '{"live":true}\n')
            status, body = await seen.get("/readyz")
            told = json.loads(body)
            assert (status, told["ready"], set(await seen.states())) == (200, True, {"durability_unknown"})
            status, text = await seen.get("/metrics")
            assert status == 200
            names = {line.partition("{")[0].partition(" ")[0] for line in text.splitlines() if not line.startswith("#")}
            assert names <= exported_names()
            assert "retold_ready 1.0" in text
            assert 'retold_state{state="durability_unknown"} 1.0' in text
            assert (await seen.get("/"))[0] == 404

    asyncio.run(run())


def test_a_server_that_is_gone_shows_and_comes_back(tmp_path: Path) -> None:
    """Without a broker a worker lives and is not ready; nobody restarts it."""

    async def run() -> None:
        async with watched(tmp_path) as seen:
            os.kill(seen.server.process.pid, signal.SIGKILL)
            await seen.until("disconnected")
            assert (await seen.get("/livez"))[0] == 200
            assert "retold_broker_up 0.0" in (await seen.get("/metrics"))[1]

    asyncio.run(run())


def test_a_server_that_does_not_answer_shows_as_time_outs(tmp_path: Path) -> None:
    """A broker that hangs is named within the time of a probe, and is well again when it answers."""

    async def run() -> None:
        async with watched(tmp_path) as seen:
            os.kill(seen.server.process.pid, signal.SIGSTOP)
            try:
                await seen.until("time_outs")
            finally:
                os.kill(seen.server.process.pid, signal.SIGCONT)

    asyncio.run(run())


def test_a_stream_that_is_missing_is_named(tmp_path: Path) -> None:
    """Who deletes a stream finds its name in readiness; appends then find nobody."""

    async def run() -> None:
        async with watched(tmp_path) as seen:
            drafts = _drafts()
            await seen.log.append(KEY, [next(drafts)])
            client = await nats.connect(f"nats://127.0.0.1:{seen.server.port}")
            await client.jetstream().delete_stream("RETOLD_EVENTS")
            await client.close()
            assert await seen.until("stream_missing") == "RETOLD_EVENTS"
            with pytest.raises(UnavailableError, match="stream not found"):
                await seen.log.head(KEY)
            with pytest.raises(UnavailableError):
                await seen.log.append(KEY, [next(drafts)], expected=1)
            await seen.until("no_responders")

    asyncio.run(run())


def test_a_permission_that_is_missing_is_named(tmp_path: Path) -> None:
    """A worker that may not write is told so with the subject, but for the session's name."""

    async def run() -> None:
        users = [{"user": "w", "password": "p", "permissions": {"publish": {"deny": ["retold.ev.>"]}}}]
        async with (
            started(tmp_path, {"authorization": {"users": users}}) as server,
            connect_log(f"nats://w:p@127.0.0.1:{server.port}") as log,
            open_monitor(log.broker, HandClock("monitor"), Settings(http_port=0, worker_name="w")) as monitor,
        ):
            seen = Watched(server, log, monitor)
            with suppress(UnavailableError):
                await log.append(KEY, list(islice(_drafts(), 1)))
            detail = await seen.until("no_permission")
            assert detail == "publish to retold.ev.…"
            assert KEY.session not in (await seen.get("/metrics"))[1]

    asyncio.run(run())


def test_a_store_that_is_full_is_named(tmp_path: Path) -> None:
    """Where the server may store no more, readiness and metrics say so, and what was acknowledged is there."""

    async def run() -> None:
        limits = {"jetstream": {"store_dir": str(tmp_path / "store"), "max_file_store": 300_000}}
        async with watched(tmp_path, limits) as seen:
            stored = 0
            with suppress(UnavailableError):
                for draft in islice(_drafts(os.urandom(20_000).hex()), 100):
                    await seen.log.append(KEY, [draft])
                    stored += 1
            assert 0 < stored < 100
            await seen.until("disk_full")
            assert 'retold_state{state="disk_full"} 1.0' in (await seen.get("/metrics"))[1]
            assert (await seen.log.head(KEY)).seq == stored

    asyncio.run(run())


def test_the_servers_own_health_counts(tmp_path: Path) -> None:
    """The broker's health page is asked where one is named; what it says is told."""

    async def run() -> None:
        async with watched(tmp_path) as seen:
            page = f"http://127.0.0.1:{seen.server.http_port}/healthz"
            look = health.Health(seen.monitor.meter, seen.log.broker, healthz=page)
            assert (await look.readiness()).ready
            wrong = health.Health(seen.monitor.meter, seen.log.broker, healthz=page + "?js-enabled-only=x&stream=none")
            found = {state.name for state in (await wrong.readiness()).states}
            assert "broker_unhealthy" in found
            away = health.Health(seen.monitor.meter, seen.log.broker, healthz="http://127.0.0.1:1/healthz")
            assert not (await away.readiness()).ready

    asyncio.run(run())


def test_a_worker_that_lags_is_not_ready(tmp_path: Path) -> None:
    """A worker that leaves a session waiting for too long says so."""

    async def run() -> None:
        async with watched(tmp_path, ready_lag_s=0.001) as seen:
            seen.monitor.meter.woke(KEY, 1)
            detail = await seen.until("lagging")
            assert KEY.session not in detail

    asyncio.run(run())


def test_an_address_in_use_is_told(tmp_path: Path) -> None:
    """A port that another program holds is named, instead of a worker that nobody can watch."""

    async def run() -> None:
        async with watched(tmp_path) as seen:
            taken = Settings(http_port=seen.monitor.port, worker_name="v")
            with pytest.raises(UnavailableError, match=str(seen.monitor.port)):
                async with open_monitor(seen.log.broker, HandClock("monitor"), taken):
                    pass

    asyncio.run(run())
