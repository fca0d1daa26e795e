"""Everything that watches one worker, opened and closed together."""

import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from msgspec import Struct

from retold.log.broker import Broker
from retold.monitoring.endpoints import application, serving
from retold.monitoring.health import Health
from retold.monitoring.meter import Meter
from retold.monitoring.reports import Reporter
from retold.monitoring.tracing import tracing
from retold.ports import Clock
from retold.settings import Settings

NAME_LENGTH_MAX = 64


class Monitor(Struct, frozen=True):
    """Hold what watches a worker.

    Attributes:
        name: what the worker is called.
        port: where health and metrics are served; None if they are not.
    """

    name: str
    meter: Meter
    health: Health
    port: int | None


@asynccontextmanager
async def open_monitor(broker: Broker, clock: Clock, settings: Settings) -> AsyncIterator[Monitor]:
    """Watch a worker on *broker*: serve its health and metrics where *settings* say so, and answer `retold top`.

    Raises:
        UnavailableError: if it cannot be served there.
        InputError: if spans are to be sent and cannot be (`tracing`).
    """
    name = settings.worker_name or default_name()
    meter = Meter(clock)
    meter.metrics.gauge("retold_worker_info", worker=name).set(1)
    health = Health(meter, broker, healthz=settings.nats_healthz, lag_s_max=settings.ready_lag_s)
    async with AsyncExitStack() as stack:
        stack.enter_context(tracing(name))
        port = None
        if settings.http_port is not None:
            app = application(meter, health, broker)
            port = await stack.enter_async_context(serving(app, host=settings.http_host, port=settings.http_port))
        await stack.enter_async_context(broker.watching_strays())
        await stack.enter_async_context(broker.reporting(Reporter(name, meter, health).answer))
        yield Monitor(name=name, meter=meter, health=health, port=port)


def default_name() -> str:
    """Return the host's name with the process's number: two workers on one host are two."""
    host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())
    return f"{host[: NAME_LENGTH_MAX - 12]}-{os.getpid()}"
