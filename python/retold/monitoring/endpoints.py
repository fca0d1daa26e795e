"""What a worker serves by HTTP: ``/livez``, ``/readyz`` and ``/metrics``, in the worker's own event loop.

Rules:
- ``/livez`` says that the loop turns: where it does not, nobody answers, and whoever asks restarts the process. It asks
  nothing of the broker, or a broker that is away would restart all workers.
- ``/readyz`` is 200 or 503, both with what was found.
- Nothing here is secret, and nothing names a session.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import msgspec
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from retold.errors import UnavailableError
from retold.log.broker import Broker
from retold.monitoring.health import Health
from retold.monitoring.meter import Meter

STOP_S = 2.0
"""How long a request that is being answered may take when the worker ends."""
KEEP_ALIVE_S = 5
REQUESTS_MAX = 64
"""At once: probes and a scraper need two."""
JSON = "application/json"


def application(meter: Meter, health: Health, broker: Broker) -> Starlette:
    """Return the application that tells of *meter*, *health* and *broker*."""
    faults = broker.faults
    meter.metrics.read_from("retold_broker_reconnects_total", lambda: {(): faults.reconnects})
    meter.metrics.read_from("retold_broker_faults_total", lambda: {(name,): n for name, n in faults.counts().items()})

    async def livez(_: Request) -> Response:
        return Response(b'{"live":true}\n', media_type=JSON)

    async def readyz(_: Request) -> Response:
        found = await health.readiness()
        return Response(msgspec.json.encode(found) + b"\n", 200 if found.ready else 503, media_type=JSON)

    async def metrics(_: Request) -> Response:
        await health.readiness()
        meter.metrics.gauge("retold_broker_up").set(broker.is_up)
        return Response(generate_latest(meter.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)])


@asynccontextmanager
async def serving(app: Starlette, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve *app* until the block ends, and give the port: any free one for 0.

    Raises:
        UnavailableError: if the address is in use, or not this machine's.
    """
    with _bound(host, port) as bound:
        server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                limit_concurrency=REQUESTS_MAX,
                timeout_graceful_shutdown=int(STOP_S),
            )
        )
        task = asyncio.create_task(server.serve(sockets=[bound]))
        try:
            yield bound.getsockname()[1]
        finally:
            server.should_exit = True
            await asyncio.wait({task}, timeout=STOP_S + 1.0)
            task.cancel()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the worker, which stops this server, too."""
        yield


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        with bound:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen()
            yield bound
    except OSError as error:
        raise UnavailableError(f"cannot serve health and metrics on {host}:{port}: {error.strerror or error}") from None
