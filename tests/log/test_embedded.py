"""The embedded server: shared by all who use it, stopped by the last, and whole again after any kind of end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from retold.errors import InputError, UnavailableError
from retold.events import Draft, SessionKey
from retold.log import EmbeddedServer, Profile, Running, connect_log, find_running, inspect_server, is_used
from retold.wiring import connect

WAIT_S = 30

USER = """
import asyncio, sys
from pathlib import Path
from retold.log import EmbeddedServer

async def run():
    async with EmbeddedServer(Path(sys.argv[1])) as server:
        print(server.running.pid, server.running.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(run())
"""


@contextmanager
def other_user(directory: Path) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """Start another process that uses the server of *directory*; give it, the server's process and port."""
    user = subprocess.Popen(
        [sys.executable, "-c", USER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert user.stdin is not None
    assert user.stdout is not None
    with user:
        try:
            pid, port = (int(word) for word in user.stdout.readline().split())
            yield user, pid, port
        finally:
            user.stdin.close()
            user.wait(WAIT_S)


@contextmanager
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that has nothing to do with us."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.communicate(b"\n", timeout=WAIT_S)


def is_gone(pid: int) -> bool:
    """Return whether process *pid* has ended; a zombie that nobody has waited for counts, it has no command line."""
    path = Path(f"/proc/{pid}/cmdline")
    return not path.exists() or not path.read_bytes()


def test_a_server_is_found_by_others_while_it_runs(tmp_path: Path) -> None:
    """Any process of mine can find the server that runs in a directory and connect; afterwards there is none."""

    async def run() -> None:
        assert find_running(tmp_path) is None
        async with EmbeddedServer(tmp_path, profile="fast") as server:
            running = find_running(tmp_path)
            assert running == server.running
            assert (await inspect_server(running.url)).jetstream
        assert find_running(tmp_path) is None
        with pytest.raises(UnavailableError):
            _ = server.url

    asyncio.run(run())


def test_starting_and_stopping_twice_is_harmless(tmp_path: Path) -> None:
    """Starting a started server gives the same one; stopping a stopped one does nothing."""

    async def run() -> None:
        server = EmbeddedServer(tmp_path, profile="fast")
        await server.stop()
        assert await server.start() == await server.start()
        await server.stop()
        await server.stop()
        await server.start()
        await server.stop()

    asyncio.run(run())


def test_stopping_ends_the_process_and_keeps_the_events(
    tmp_path: Path, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """After an orderly stop the process is gone, and the next start has every event, at the same address."""

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            before = server.running
            await log.append(key, list(islice(drafts, 20)))
        assert is_gone(before.pid)
        assert "Initiating Shutdown" in (tmp_path / "server.log").read_text()
        async with EmbeddedServer(tmp_path, profile="safe") as server, connect_log(server.url) as log:
            assert server.running.url == before.url
            assert (await log.head(key)).seq == 20

    asyncio.run(run())


@pytest.mark.parametrize("profile", ["safe", "balanced", "fast"])
def test_the_profile_is_told_to_every_client(tmp_path: Path, profile: Profile) -> None:
    """Whoever connects can see how safely the server writes."""

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile=profile) as server:
            assert (await inspect_server(server.url)).profile == profile

    asyncio.run(run())


def test_an_unknown_profile_is_refused(tmp_path: Path) -> None:
    """A profile that does not exist is refused by name, with those that do."""
    with pytest.raises(InputError, match="safe, balanced, fast"):
        EmbeddedServer(tmp_path, profile="turbo")  # type: ignore[arg-type]


def test_what_holds_the_token_is_for_the_owner_alone(tmp_path: Path) -> None:
    """Other users of the machine can neither read the token nor use the server without it."""

    async def run() -> None:
        async with EmbeddedServer(tmp_path / "new", profile="fast") as server:
            token = server.url.removeprefix("nats://").partition("@")[0]
            holders = [path for path in (tmp_path / "new").rglob("*") if path.is_file() and holds(path, token)]
            assert {path.name for path in holders} == {"server.conf", "server.json"}
            assert {path.stat().st_mode & 0o777 for path in holders} == {0o600}
            assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
            assert token not in server.running.address

    def holds(path: Path, token: str) -> bool:
        return token.encode() in path.read_bytes()

    asyncio.run(run())


def test_it_listens_on_the_loopback_alone(tmp_path: Path) -> None:
    """The server cannot be reached from another machine."""

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server:
            for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
                rows = [line.split()[1] for line in table.read_text().splitlines()[1:]]
                ours = [row for row in rows if row.endswith(f":{server.running.port:04X}")]
                assert all(row.startswith("0100007F:") for row in ours)

    asyncio.run(run())


def test_a_server_stays_until_its_last_user_leaves(tmp_path: Path, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Whoever started the server, it runs on while I use it, and ends when I leave as the last."""

    async def run() -> None:
        with other_user(tmp_path) as (first, pid, _):
            async with EmbeddedServer(tmp_path) as server, connect_log(server.url) as log:
                assert server.running.pid == pid
                assert first.stdin is not None
                first.stdin.close()
                first.wait(WAIT_S)
                assert (await log.append(key, list(islice(drafts, 1))))[0].event.seq == 1
                async with EmbeddedServer(tmp_path) as again:
                    assert again.running.pid == pid
                assert find_running(tmp_path) == server.running
            assert is_gone(pid)

    asyncio.run(run())


def test_users_that_come_together_share_one_server(tmp_path: Path) -> None:
    """When several of my processes start at the same moment, one starts the server and the others wait for it."""

    async def run() -> None:
        servers = [EmbeddedServer(tmp_path, profile="fast") for _ in range(4)]
        pids = {running.pid for running in await asyncio.gather(*(server.start() for server in servers))}
        assert len(pids) == 1
        await asyncio.gather(*(server.stop() for server in servers))
        assert is_gone(pids.pop())

    asyncio.run(run())


def test_a_killed_user_leaves_a_server_that_is_taken_over(
    tmp_path: Path, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """If the only user is killed, the next one takes its server over with all events, and stops it at the end."""

    async def run() -> None:
        with other_user(tmp_path) as (user, pid, _):
            running = find_running(tmp_path)
            assert running is not None
            assert await is_used(running)
            async with connect_log(running.url) as log:
                await log.append(key, list(islice(drafts, 5)))
            user.kill()
            user.wait(WAIT_S)
            assert find_running(tmp_path) == running
            assert not await is_used(running)
            async with EmbeddedServer(tmp_path) as server, connect_log(server.url) as log:
                assert server.running == running
                assert (await log.head(key)).seq == 5
            assert is_gone(pid)

    asyncio.run(run())


def test_an_unused_server_of_another_profile_is_started_again(tmp_path: Path) -> None:
    """A server that was left with another durability is not used as it is: it is started with the one I ask for."""

    async def run() -> None:
        with other_user(tmp_path) as (user, pid, port):
            async with EmbeddedServer(tmp_path, profile="fast") as server:
                assert (server.running.pid, server.running.profile) == (pid, "safe")
            user.kill()
            user.wait(WAIT_S)
            async with EmbeddedServer(tmp_path, profile="fast") as server:
                assert is_gone(pid)
                assert (server.running.port, server.running.profile) == (port, "fast")

    asyncio.run(run())


def test_a_server_that_was_never_noted_is_ended(tmp_path: Path) -> None:
    """If a user was killed before it could note its server, the next one still finds and ends that server."""

    async def run() -> None:
        with other_user(tmp_path) as (user, pid, _):
            user.kill()
            user.wait(WAIT_S)
            (tmp_path / "server.json").unlink()
            async with EmbeddedServer(tmp_path):
                assert is_gone(pid)

    asyncio.run(run())


def test_a_recorded_process_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """If the noted process number belongs to another program by now, that program is neither used nor ended."""

    async def run() -> None:
        with stranger() as other:
            url = "nats://x@127.0.0.1:1"
            state = Running(pid=other.pid, port=1, url=url, profile="safe", directory=str(tmp_path))
            (tmp_path / "server.json").write_bytes(msgspec.json.encode(state))
            assert find_running(tmp_path) is None
            async with EmbeddedServer(tmp_path) as server:
                assert find_running(tmp_path) == server.running
            assert other.poll() is None

    asyncio.run(run())


def test_a_port_that_is_taken_is_replaced_by_a_free_one(tmp_path: Path) -> None:
    """If another program has taken the port of the last time, the server starts on another."""

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server:
            port = server.running.port
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))
            taken.listen()
            async with EmbeddedServer(tmp_path, profile="fast") as server:
                assert server.running.port != port
                assert (await inspect_server(server.url)).jetstream

    asyncio.run(run())


def test_a_failed_start_shows_the_servers_own_words(tmp_path: Path) -> None:
    """If the server cannot start, the error has the end of its log and names the file; nothing is left running."""

    async def run() -> None:
        (tmp_path / "jetstream").mkdir()
        (tmp_path / "jetstream" / "jetstream").write_text("not a directory")
        with pytest.raises(UnavailableError, match=r"(?s)server\.log:\n.*storage directory is not a directory"):
            await EmbeddedServer(tmp_path).start()
        assert find_running(tmp_path) is None
        (tmp_path / "jetstream" / "jetstream").unlink()
        async with EmbeddedServer(tmp_path):
            pass

    asyncio.run(run())


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """If the directory cannot be made, I am told which."""

    async def run() -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UnavailableError, match="file/under"):
            await EmbeddedServer(tmp_path / "file" / "under").start()

    asyncio.run(run())


def test_a_cancelled_start_leaves_no_server(tmp_path: Path) -> None:
    """Cancelling a start at any moment leaves no process behind, and the directory free."""

    async def run() -> None:
        for steps in (1, 3, 6, 10, 15):
            server = EmbeddedServer(tmp_path, profile="fast")
            task = asyncio.create_task(server.start())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await server.stop()
            assert find_running(tmp_path) is None
        async with EmbeddedServer(tmp_path, profile="fast"):
            pass

    asyncio.run(run())


def test_a_killed_server_can_be_stopped_and_started_again(tmp_path: Path) -> None:
    """If the server itself is killed, stopping and starting again brings it back at the same address."""

    async def run() -> None:
        server = EmbeddedServer(tmp_path, profile="fast")
        before = await server.start()
        os.kill(before.pid, signal.SIGKILL)
        await server.stop()
        assert find_running(tmp_path) is None
        assert (await server.start()).url == before.url
        await server.stop()

    asyncio.run(run())


def test_a_directory_may_be_given_as_text(tmp_path: Path) -> None:
    """`retold.connect` takes the data directory as text as well as a path."""

    async def run() -> None:
        async with connect(data_dir=str(tmp_path), profile="fast") as client:
            assert await client.sessions() == []
        assert (tmp_path / "server.json").exists()

    asyncio.run(run())
