"""What the log's tests share: drafts that are the same in every run, and every implementation behind one door."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Protocol

import msgspec
import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from retold.errors import CorruptLogError
from retold.events import Draft, ItemAppended, Message, Recorded, SessionKey, Text
from retold.log import EmbeddedServer, JetStreamLog, MemoryLog, connect_log
from retold.log.link import Link, Lost, Sink
from retold.log.server_files import ServerFiles
from retold.ports import Log
from retold.security import MasterKey, MasterKeys

WAIT_S = 30
"""How long a test waits for what must come: far above what it takes, so that a slow machine fails no test."""


class Logs(Protocol):
    """Open logs that share their events, as several processes would, and plant faults in them."""

    def open(self) -> AbstractAsyncContextManager[Log]:
        """Open a log that knows nothing yet."""
        ...

    async def lose(self, key: SessionKey, seq: int) -> None:
        """Lose one event, behind the log's back."""
        ...


class InMemory:
    """Share one log: a process has no other way to."""

    def __init__(self) -> None:
        self._log = MemoryLog()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Log]:
        """Give the log."""
        yield self._log

    async def lose(self, key: SessionKey, seq: int) -> None:
        """Take the event out of the list."""
        self._log.lose(key, seq)


class OnJetStream:
    """Open one connection for each log."""

    def __init__(self, url: str, masters: MasterKeys | None = None) -> None:
        self._url = url
        self._masters = masters

    def open(self) -> AbstractAsyncContextManager[JetStreamLog]:
        """Connect."""
        return connect_log(self._url, masters=self._masters)

    async def lose(self, key: SessionKey, seq: int) -> None:
        """Delete the message by JetStream's own means."""
        client = await nats.connect(self._url)
        stream = client.jetstream()
        position = 1
        while True:
            subject = f"retold.ev.*.{key.tenant}.{key.session}"
            message = await stream.get_msg("RETOLD_EVENTS", seq=position, subject=subject, next=True)
            assert message.seq is not None
            if (message.headers or {})["Retold-Seq"] == str(seq):
                break
            position = message.seq + 1
        await stream.delete_msg("RETOLD_EVENTS", message.seq)
        await client.close()


class ForgetfulLink(Link):
    """Lose the answer to every second request that stores an event: the server has stored it, nobody was told."""

    calls = 0
    stores = "retold.ev."

    async def ask(self, subject: str, payload: bytes = b"", *, headers: dict[str, str] | None = None) -> Msg:
        """Ask, and lose the answer."""
        message = await super().ask(subject, payload, headers=headers)
        if subject.startswith(self.stores):
            self.calls += 1
            if self.calls % 2:
                raise Lost("planted: the answer was lost")
        return message


class HolesLink(Link):
    """Lose some deliveries, as a network between server and client may."""

    deliveries = 0
    lost = frozenset({3, 8})
    """Of five: the third, so that the fourth shows the loss; then, of the consumer made for that, the last."""

    @asynccontextmanager
    async def subscription(self, sink: Sink) -> AsyncIterator[str]:
        """Subscribe, and lose some messages."""
        deliver = sink.deliver

        def lossy(message: Msg) -> None:
            """Deliver what is not lost."""
            self.deliveries += 1
            if self.deliveries not in self.lost:
                deliver(message)

        sink.deliver = lossy  # type: ignore[method-assign]
        async with super().subscription(sink) as subject:
            yield subject


@asynccontextmanager
async def log_over(kind: type[Link], url: str) -> AsyncIterator[JetStreamLog]:
    """Open a log over a link that fails as planned."""
    async with connect_log(url):  # sets up the streams
        pass
    async with JetStreamLog(await kind.open(url, name="test")) as log:
        yield log


MASTERS = MasterKeys(keys=(MasterKey(id="test", secret=bytes(range(32))),))


@pytest.fixture(scope="session")
def sealed_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a second server, whose log is sealed: one is sealed as a whole."""
    server = EmbeddedServer(tmp_path_factory.mktemp("sealed"), profile="fast")
    running = asyncio.run(server.start())
    yield running.url
    asyncio.run(server.stop())


@pytest.fixture(params=["memory", "jetstream", "sealed"])
def logs(request: pytest.FixtureRequest) -> Logs:
    """Give one implementation after the other."""
    match request.param:
        case "memory":
            return InMemory()
        case "sealed":
            return OnJetStream(request.getfixturevalue("sealed_url"), MASTERS)
        case _:
            return OnJetStream(request.getfixturevalue("nats_url"))


def take(drafts: Iterator[Draft], number: int) -> list[Draft]:
    """Return the next *number* drafts."""
    return list(islice(drafts, number))


def saying(draft: Draft, text: str) -> Draft:
    """Return *draft* with another text."""
    return msgspec.structs.replace(draft, data=ItemAppended(item=Message(role="user", content=(Text(text=text),))))


async def read(log: Log, key: SessionKey, *, after: int = 0, until: int | None = None) -> list[Recorded]:
    """Return all that a read yields."""
    return [recorded async for recorded in log.read(key, after=after, until=until)]


async def read_to_damage(log: Log, key: SessionKey, *, after: int = 0) -> tuple[list[int], int]:
    """Return the sequences that a read yields, and the one it calls damaged."""
    got: list[int] = []
    try:
        async for recorded in log.read(key, after=after):
            got.append(recorded.event.seq)  # noqa: PERF401 -- what came before the damage is kept
    except CorruptLogError as damage:
        return got, damage.seq
    raise AssertionError(f"expected damage, read {len(got)} events")


def seqs(events: list[Recorded]) -> list[int]:
    """Return the sequences of *events*."""
    return [recorded.event.seq for recorded in events]


async def all_seqs(log: Log, key: SessionKey) -> list[int]:
    """Return the sequences of the whole session."""
    return seqs(await read(log, key))


@asynccontextmanager
async def raw_client(url: str) -> AsyncIterator[Client]:
    """Connect as a foreign program would."""
    client = await nats.connect(url)
    try:
        yield client
    finally:
        await client.close()


async def api(url: str, verb: str, request: dict[str, object]) -> dict[str, object]:
    """Ask the JetStream API behind the log's back."""
    async with raw_client(url) as client:
        answer = await client.request(f"$JS.API.{verb}", json.dumps(request).encode(), timeout=WAIT_S)
    found: dict[str, object] = json.loads(answer.data)
    return found


@pytest.fixture
def key(tenant: str) -> SessionKey:
    """Give a session that no other test uses."""
    return SessionKey(tenant=tenant, session="s")


@pytest.fixture
def drafts(tenant: str) -> Iterator[Draft]:
    """Give an endless row of small drafts, each with an id of its own."""

    def row() -> Iterator[Draft]:
        for number in count(1):
            yield Draft(
                id=f"{tenant}-{number}",
                at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
                actor="test",
                data=ItemAppended(item=Message(role="user", content=(Text(text=f"text {number:06}"),))),
            )

    return row()


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """Give a directory, and end the servers that a failed test has left in it."""
    yield tmp_path
    for pid in ServerFiles(tmp_path.resolve()).servers():
        os.kill(pid, signal.SIGKILL)
