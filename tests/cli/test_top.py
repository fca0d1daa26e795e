"""What all workers are doing, from their own answers."""

import asyncio
from io import StringIO

import msgspec
import pytest
from rich.console import Console
from tests.laws.lives import long_life
from tests.laws.logs import HandClock, write

from retold.cli import top
from retold.cli.options import Options
from retold.events import SessionKey
from retold.log import connect_log
from retold.monitoring.monitor import open_monitor
from retold.settings import Settings
from retold.summarizers import ExtractiveSummarizer
from retold.worker import Worker

pytestmark = pytest.mark.slow


def test_a_reading_shows_workers_and_their_sessions(nats_url: str, tenant: str) -> None:
    """Each worker that is up is there with what it did, and its sessions with their tokens against the window."""

    async def run() -> None:
        key = SessionKey(tenant, "grown")
        async with connect_log(nats_url) as log:
            await write(log, key, long_life(length=60), clock=HandClock(tenant))
            first = Settings(worker_name="first")
            async with (
                open_monitor(log.broker, HandClock("m"), first) as one,
                open_monitor(log.broker, HandClock("m"), Settings(worker_name="second")),
            ):
                await Worker(log, HandClock(f"{tenant}-worker"), ExtractiveSummarizer(), telemetry=one.meter).drain()
                options = Options(url=nats_url, data_dir=None, asked_tenant=None)
                rows = await top._run(options, once=True, interval_s=0.1)  # noqa: SLF001 - the command's own reading
        assert [row.report.worker for row in rows] == ["first", "second"]
        report = rows[0].report
        (size,) = [size for size in report.sessions if size.key == key]
        assert report.events >= size.seq > 0
        assert report.compactions >= size.version > 1
        assert report.tokens_saved > 0
        assert rows[0].rate is not None
        assert rows[0].rate.events == 0
        assert rows[1].report.live == 0
        assert msgspec.json.decode(msgspec.json.encode(rows))[0]["report"]["worker"] == "first"
        shown = _shown(rows)
        assert f"{tenant}/grown" in shown
        assert "second" in shown

    asyncio.run(run())


def _shown(rows: list[top.Row]) -> str:
    out = StringIO()
    Console(file=out, width=200).print(top._shown(rows))  # noqa: SLF001 - what the command prints
    return out.getvalue()


def test_nobody_at_work_is_told() -> None:
    """Where no worker answers, that is what is shown."""
    assert "no worker answers" in _shown([])
