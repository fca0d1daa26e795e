"""What only a real server can show: restarts, answers that get lost, and servers that stay away."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest
from tests.log.conftest import WAIT_S, ForgetfulLink, HolesLink, all_seqs, api, log_over, raw_client, take

from retold.errors import ConflictError, InputError, RetoldError, UnavailableError
from retold.events import Draft, SessionKey
from retold.lease_ports import PARTITIONS
from retold.log import (
    EmbeddedServer,
    JetStreamLog,
    connect_log,
    link,
    writer,
)
from retold.log.link import Link, Lost
from retold.log.names import EVENTS


async def restart(server: EmbeddedServer, directory: Path, *, number: signal.Signals) -> EmbeddedServer:
    """End the server's process by signal *number* and start one on the same files."""
    os.kill(server.running.pid, number)
    await server.stop()
    again = EmbeddedServer(directory)
    await again.start()
    return again


@pytest.mark.slow
def test_following_misses_nothing_when_the_server_is_killed(
    tmp_path: Path, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """If the server is killed and comes back, a follower goes on where it was: no event missed, none twice."""

    async def run() -> None:
        server = EmbeddedServer(tmp_path)
        await server.start()
        async with connect_log(server.url) as log, connect_log(server.url) as writer, asyncio.timeout(WAIT_S):
            await writer.append(key, take(drafts, 5))
            got = []
            async with aclosing(log.follow(key)) as events:
                async for recorded in events:
                    got.append(recorded.event.seq)
                    if recorded.event.seq in (3, 8):
                        server = await restart(server, tmp_path, number=signal.SIGKILL)
                        await writer.append(key, take(drafts, 5))
                    if recorded.event.seq == 15:
                        break
            assert got == list(range(1, 16))
        await server.stop()

    asyncio.run(run())


@pytest.mark.slow
def test_waking_misses_nothing_when_the_server_is_killed(tmp_path: Path, tenant: str, drafts: Iterator[Draft]) -> None:
    """If the server is killed and comes back, a worker is still woken for every session that grew meanwhile."""
    keys = [SessionKey(tenant=tenant, session=f"s{number}") for number in range(3)]

    async def run() -> None:
        server = EmbeddedServer(tmp_path)
        await server.start()
        async with connect_log(server.url) as log, connect_log(server.url) as writer, asyncio.timeout(WAIT_S):
            await writer.append(keys[0], take(drafts, 1))
            want = {keys[0]: 1}
            restarts = 0
            async with aclosing(log.wakes()) as wakes:
                async for wake in wakes:
                    if want.get(wake.key) == wake.seq:
                        del want[wake.key]
                    if not want and restarts == 2:
                        break
                    if not want:
                        restarts += 1
                        server = await restart(server, tmp_path, number=signal.SIGKILL)
                        for one in keys:
                            end = await writer.append(one, take(drafts, 2))
                            want[one] = end[-1].event.seq
        await server.stop()

    asyncio.run(run())


@pytest.mark.slow
def test_appending_goes_on_when_the_server_is_killed(tmp_path: Path, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """What was appended while the server was killed and restarted is stored once, without gaps, under profile safe."""

    async def write(log: JetStreamLog, started: asyncio.Event) -> None:
        for number in range(300):
            await log.append(key, take(drafts, 1 + number % 3))
            if number == 100:
                started.set()

    async def run() -> None:
        server = EmbeddedServer(tmp_path)
        await server.start()
        async with connect_log(server.url) as log, asyncio.timeout(WAIT_S):
            started = asyncio.Event()
            writing = asyncio.create_task(write(log, started))
            await started.wait()
            server = await restart(server, tmp_path, number=signal.SIGKILL)
            await writing
        async with connect_log(server.url) as fresh:
            assert await all_seqs(fresh, key) == list(range(1, 601))
        await server.stop()

    asyncio.run(run())


@pytest.mark.parametrize("expected", [None, 0])
@pytest.mark.parametrize("number", [1, 3])
def test_an_append_whose_answer_is_lost_is_stored_once(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft], number: int, expected: int | None
) -> None:
    """If the server stored my events but its answer got lost, my call still succeeds, and they are stored once."""

    async def run() -> None:
        async with log_over(ForgetfulLink, nats_url) as log:
            recorded = await log.append(key, take(drafts, number), expected=expected)
            more = await log.append(key, take(drafts, number))
            assert await all_seqs(log, key) == list(range(1, 2 * number + 1))
            assert [one.event.seq for one in recorded + more] == list(range(1, 2 * number + 1))

    asyncio.run(run())


def test_a_lost_answer_is_not_taken_for_success_when_another_wrote(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """If another's event is where mine was to go, I get a conflict, however my own answer got lost."""

    async def run() -> None:
        async with log_over(ForgetfulLink, nats_url) as log, connect_log(nats_url) as other:
            assert (await log.head(key)).seq == 0
            await other.append(key, take(drafts, 1))
            with pytest.raises(ConflictError):
                await log.append(key, take(drafts, 1), expected=0)
            assert await all_seqs(log, key) == [1]

    asyncio.run(run())


def test_a_server_that_does_not_answer_is_unavailable(
    tmp_path: Path, key: SessionKey, drafts: Iterator[Draft], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the server stays away, my call ends with an error that names the address, and never shows the token."""

    async def run() -> None:
        server = EmbeddedServer(tmp_path, profile="fast")
        running = await server.start()
        token = running.url.partition("@")[0].removeprefix("nats://")
        attempts: list[Callable[[], Awaitable[object]]] = []
        async with connect_log(running.url) as log:
            mine = take(drafts, 1)
            attempts += [lambda: log.append(key, mine), lambda: log.head(key), log.sessions]
            attempts += [lambda: all_seqs(log, key), partial(JetStreamLog.open, running.url)]
            await server.stop()
            monkeypatch.setattr(link, "RETRY_TOTAL_S", 0.3)
            monkeypatch.setattr(link, "ANSWER_TIMEOUT_S", 0.1)
            monkeypatch.setattr(link, "CONNECT_TIMEOUT_S", 0.3)
            for attempt in attempts:
                with pytest.raises(UnavailableError, match=running.address) as unavailable:
                    await attempt()
                assert token not in str(unavailable.value)

    asyncio.run(run())


def test_a_wrong_token_is_named(nats_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the URL's token is wrong I am told that, and not that the server is away."""
    monkeypatch.setattr(link, "CONNECT_TIMEOUT_S", 0.5)

    async def run() -> None:
        with pytest.raises(UnavailableError, match="refused the user, password or token"):
            await JetStreamLog.open(nats_url.replace("nats://", "nats://wrong"))

    asyncio.run(run())


def test_nothing_is_left_on_the_server_by_readers(nats_url: str, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """When I stop following, waking or scanning, were it for nothing, the server's consumers for it are gone."""

    async def run() -> None:
        async with connect_log(nats_url) as log, raw_client(nats_url) as client, asyncio.timeout(WAIT_S):
            await log.append(key, take(drafts, 3))
            for feed in (log.follow(key), log.wakes()):
                async with aclosing(feed):
                    await anext(feed)
            await log.sessions()
            for number in range(PARTITIONS):
                async with aclosing(log.scan(partitions=[number])) as parts:
                    _ = [part async for part in parts]
            # They are deleted without waiting for it: ask until it is done, or the time is over.
            while (await client.jetstream().stream_info(EVENTS)).state.consumer_count > 0:
                pass

    asyncio.run(run())


@pytest.mark.parametrize("number", [1, 3])
def test_a_repeat_from_another_process_is_known_to_the_server(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where my drafts lie too far back to be searched for, the server knows for two minutes that it has them."""
    monkeypatch.setattr(writer, "REPEAT_SCAN_EVENTS", 1)

    async def run() -> None:
        async with connect_log(nats_url) as log, connect_log(nats_url) as another:
            mine = take(drafts, number)
            recorded = await log.append(key, mine)
            await log.append(key, take(drafts, 5))
            assert await another.append(key, mine) == recorded
            assert (await log.head(key)).seq == number + 5

    asyncio.run(run())


def test_an_id_of_another_session_is_refused(nats_url: str, tenant: str, drafts: Iterator[Draft]) -> None:
    """If I use the id of another session's event, I am told, instead of getting that event for mine."""

    async def run() -> None:
        async with connect_log(nats_url) as log, connect_log(nats_url) as another:
            mine = take(drafts, 1)
            await log.append(SessionKey(tenant=tenant, session="a"), mine)
            for batch in (mine, mine + take(drafts, 1)):
                with pytest.raises(InputError, match="another session"):
                    await another.append(SessionKey(tenant=tenant, session="b"), batch)

    asyncio.run(run())


def test_an_event_that_is_lost_on_the_way_to_a_follower_comes_all_the_same(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """If messages to a follower get lost on the way, the newest included, they come all the same, in order."""

    async def run() -> None:
        async with log_over(HolesLink, nats_url) as log, asyncio.timeout(WAIT_S):
            await log.append(key, take(drafts, 5))
            follow = log.follow(key)
            async with aclosing(follow):
                assert [(await anext(follow)).event.seq for _ in range(5)] == [1, 2, 3, 4, 5]

    asyncio.run(run())


def test_a_wake_that_is_lost_on_the_way_comes_all_the_same(
    tmp_path: Path, tenant: str, drafts: Iterator[Draft]
) -> None:
    """If a worker's wake for a session gets lost on the way, it comes all the same, though nobody writes again."""
    keys = {SessionKey(tenant=tenant, session=f"s{number}") for number in range(5)}

    async def run() -> None:
        server = EmbeddedServer(tmp_path, profile="fast")
        running = await server.start()
        async with log_over(HolesLink, running.url) as log, asyncio.timeout(WAIT_S):
            for key in keys:
                await log.append(key, take(drafts, 1))
            wakes = log.wakes()
            async with aclosing(wakes):
                missing = set(keys)
                while missing:
                    missing.discard((await anext(wakes)).key)
        await server.stop()

    asyncio.run(run())


def test_a_lost_connection_ends_a_request_at_once(tmp_path: Path) -> None:
    """When the server dies, an open request knows at that moment, and does not wait for its time to be over."""

    async def run() -> None:
        server = EmbeddedServer(tmp_path, profile="fast")
        running = await server.start()
        opened = await Link.open(running.url, name="test")
        async with raw_client(running.url) as deaf:
            await deaf.subscribe("deaf")
            await deaf.flush()
            asking = asyncio.create_task(opened.ask("deaf"))
            await opened.ask("$JS.API.INFO")
            os.kill(running.pid, signal.SIGKILL)
            with pytest.raises(Lost, match="the connection was lost"):
                await asking
        await opened.close()
        await server.stop()

    asyncio.run(run())


def test_a_deleted_stream_is_named(tmp_path: Path, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """If somebody deletes a stream under a running log, my calls end with an error of Retold's own."""

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            await log.append(key, take(drafts, 1))
            for stream in ("RETOLD_EVENTS", "RETOLD_SNAPSHOTS", "KV_RETOLD_HISTORIES"):
                await api(server.url, f"STREAM.DELETE.{stream}", {})
            for attempt in (log.sessions, partial(log.load_history, key), partial(log.head, key)):
                with pytest.raises(RetoldError):
                    await attempt()

    asyncio.run(run())
