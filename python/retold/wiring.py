"""What implements what: the only place that names implementations."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import uuid_utils

from retold.client import Client
from retold.errors import UnavailableError
from retold.key_files import read_key_file
from retold.log.embedded import EmbeddedServer, find_running, is_used, server_program
from retold.log.inspecting import inspect_aside, inspect_keys, inspect_server
from retold.log.jetstream import connect_log
from retold.log.sweeping import Sweeper, open_sweeper
from retold.ports import Log
from retold.security import MasterKeys
from retold.settings import Profile, read_settings
from retold.summarizers import ExtractiveSummarizer
from retold.worker import Worker

__all__ = [
    "SystemClock",
    "client_of",
    "connect",
    "embedded_server",
    "find_running",
    "inspect_aside",
    "inspect_keys",
    "inspect_server",
    "is_used",
    "run_worker",
    "server_program",
    "sweeper",
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
    url: str | None = None,
    *,
    data_dir: str | Path | None = None,
    profile: Profile | None = None,
    actor: str = "agent",
    keys: str | Path | MasterKeys | None = None,
) -> AsyncIterator[Client]:
    """Connect to the log at *url*; without one, to the embedded server of *data_dir*, started if it is not running.

    The embedded server is shared: it runs until the last process that uses it leaves. With *keys*, master keys or the
    file that holds them (by default that of the settings), the log is sealed from now on, for all who use it.

    Raises:
        UnavailableError: if the server cannot be reached or started, or others use it with another *profile*.
        InputError: if it holds streams of the same names that are not Retold's, or *keys* are none.
    """
    masters = keys if isinstance(keys, MasterKeys) else _masters(keys or read_settings().key_file)
    async with _address(url, data_dir, profile) as address, connect_log(address, masters=masters) as log:
        yield client_of(log, actor=actor)


@asynccontextmanager
async def sweeper(url: str | None = None, *, data_dir: str | Path | None = None) -> AsyncIterator[Sweeper]:
    """Give what finds and removes large bodies that nothing claims, on the log that `connect` would open.

    Raises as `connect`.
    """
    async with _address(url, data_dir, None) as address, open_sweeper(address) as found:
        yield found


@asynccontextmanager
async def _address(url: str | None, data_dir: str | Path | None, profile: Profile | None) -> AsyncIterator[str]:
    """Give the server that is asked for, by argument or setting; else the embedded one, while it is used."""
    settings = read_settings()
    async with AsyncExitStack() as stack:
        address = url or settings.url
        if address is None:
            directory = settings.data_dir if data_dir is None else Path(data_dir)
            address = (await stack.enter_async_context(embedded_server(directory, profile=profile))).url
        yield address


def _masters(file: str | Path | None) -> MasterKeys | None:
    return None if file is None else read_key_file(Path(file).expanduser())


def client_of(log: Log, *, actor: str = "agent") -> Client:
    """Return a client on *log* that writes as *actor*."""
    return Client(log, SystemClock(), actor=actor)


@asynccontextmanager
async def embedded_server(directory: Path, *, profile: Profile | None = None) -> AsyncIterator[EmbeddedServer]:
    """Use the embedded server of *directory*; it is started with *profile*, or that of the settings if None.

    Raises:
        UnavailableError: if it cannot be started, or others use it with another profile than *profile*.
    """
    async with EmbeddedServer(directory, profile=profile or read_settings().profile) as server:
        running = server.running
        if profile not in (None, running.profile):
            raise UnavailableError(
                f"expected the profile {profile}, the server in {running.directory} is used with {running.profile}: "
                "end its other users first"
            )
        yield server


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
