"""The embedded server: one owner, found by others, and whole again after any kind of end."""

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
from retold.log import EmbeddedServer, Profile, Running, connect_log, find_running, inspect_server

WAIT_S = 30

OWNER = """
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
def other_owner(directory: Path) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """Start another process that owns the server of *directory*; give it, the server's process and port."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    with owner:
        try:
            pid, port = (int(word) for word in owner.stdout.readline().split())
            yield owner, pid, port
        finally:
            owner.stdin.close()
            owner.wait(WAIT_S)


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
            assert running.owner_pid == os.getpid()
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


def test_a_second_owner_is_refused_and_told_the_first(tmp_path: Path) -> None:
    """If another process owns the directory I am told which, and where its server is; that one runs on."""

    async def run() -> None:
        with other_owner(tmp_path) as (owner, pid, port):
            with pytest.raises(UnavailableError, match=f"process {owner.pid}, server at 127.0.0.1:{port}"):
                await EmbeddedServer(tmp_path).start()
            running = find_running(tmp_path)
            assert running is not None
            assert (running.pid, running.owner_pid) == (pid, owner.pid)
        async with EmbeddedServer(tmp_path):
            with pytest.raises(UnavailableError, match=f"process {os.getpid()}"):
                await EmbeddedServer(tmp_path).start()

    asyncio.run(run())


def test_a_killed_owner_leaves_nothing_that_hinders(tmp_path: Path, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """If the owner is killed, its server can still be used; the next owner ends it and goes on with all events."""

    async def run() -> None:
        with other_owner(tmp_path) as (owner, pid, port):
            running = find_running(tmp_path)
            assert running is not None
            async with connect_log(running.url) as log, asyncio.timeout(WAIT_S):
                await log.append(key, list(islice(drafts, 5)))
                owner.kill()
                owner.wait(WAIT_S)
                await log.append(key, list(islice(drafts, 5)))
                orphan = find_running(tmp_path)
                assert orphan is not None
                async with EmbeddedServer(tmp_path) as server:
                    assert server.running.pid != pid
                    assert server.running.port == port
                    assert find_running(tmp_path) == server.running
                    assert is_gone(pid)
                    end = await log.append(key, list(islice(drafts, 1)))
                    assert end[0].event.seq == 11

    asyncio.run(run())


def test_an_orphan_is_found_even_without_the_state_file(tmp_path: Path) -> None:
    """If the owner was killed before it could note its server, the next owner still finds and ends that server."""

    async def run() -> None:
        with other_owner(tmp_path) as (owner, pid, _):
            owner.kill()
            owner.wait(WAIT_S)
            (tmp_path / "server.json").unlink()
            async with EmbeddedServer(tmp_path):
                assert is_gone(pid)

    asyncio.run(run())


def test_a_recorded_process_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """If the noted process number belongs to another program by now, that program is neither used nor ended."""

    async def run() -> None:
        with stranger() as other:
            url = "nats://x@127.0.0.1:1"
            state = Running(pid=other.pid, owner_pid=1, port=1, url=url, profile="safe", directory=str(tmp_path))
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
