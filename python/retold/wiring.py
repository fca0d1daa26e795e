"""What implements what: the only place that names implementations."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import uuid_utils

from retold.client import Client
from retold.log.embedded import EmbeddedServer, find_running, server_program
from retold.log.jetstream import connect_log, inspect_server
from retold.ports import Log
from retold.settings import Profile, Settings
from retold.summarizers import ExtractiveSummarizer
from retold.worker import Worker

__all__ = [
    "SystemClock",
    "client_of",
    "connect",
    "embedded_server",
    "find_running",
    "inspect_server",
    "run_worker",
    "server_program",
    "worker_for",
]


class SystemClock:
    """Tell the machine's time and make ids from it."""

    def now(self) -> datetime:
        """Return the present time in UTC."""
        return datetime.now(UTC)

    def new_id(self) -> str:
        """Return a new UUIDv7 as text."""
        return str(uuid_utils.uuid7())


@asynccontextmanager
async def connect(
    url: str | None = None, *, data_dir: Path | None = None, profile: Profile | None = None, actor: str = "agent"
) -> AsyncIterator[Client]:
    """Connect to the log at *url*; without one, to the embedded server of *data_dir*, started if it is not running.

    Raises:
        UnavailableError: if the server cannot be reached or started.
        InputError: if it holds streams of the same names that are not Retold's.
    """
    settings = Settings()
    async with AsyncExitStack() as stack:
        address = url or settings.url
        if address is None:
            directory = data_dir or settings.data_dir
            running = find_running(directory)
            if running is None:
                server = await stack.enter_async_context(embedded_server(directory, profile=profile))
                address = server.url
            else:
                address = running.url
        log = await stack.enter_async_context(connect_log(address))
        yield client_of(log, actor=actor)


def client_of(log: Log, *, actor: str = "agent") -> Client:
    """Return a client on *log* that writes as *actor*."""
    return Client(log, SystemClock(), actor=actor)


def embedded_server(directory: Path, *, profile: Profile | None = None) -> EmbeddedServer:
    """Return the embedded server of *directory*, to be started; *profile* is that of the settings if None."""
    return EmbeddedServer(directory, profile=profile or Settings().profile)


def worker_for(log: Log) -> Worker:
    """Return a worker on *log* with the extractive summarizer."""
    return Worker(log, SystemClock(), ExtractiveSummarizer())


@asynccontextmanager
async def run_worker(client: Client) -> AsyncIterator[Worker]:
    """Run a worker beside *client* in this process, until the block ends; `Worker.drain` waits until it is up to date.

    A worker that stops because the server stayed away ends the block with its error.
    """
    running = worker_for(client.log)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(running.run())
        yield running
        task.cancel()
