"""Who uses an embedded server: a locked file a user, which the kernel lets go when the user ends, however it ends.

Every method is called within the gate (`gate`): one process at a time comes, goes, starts or stops the server.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import filelock

from retold.errors import UnavailableError

GATE_TIMEOUT_S = 60.0
"""How long to wait for another process that starts or stops the server: both take about a second, and have limits."""
GATE_POLL_S = 0.02


class Users:
    """Keep the users of one server in *directory*."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def enter(self) -> filelock.BaseFileLock:
        """Count the caller as a user until it releases what is returned, or dies."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        seat = _lock(self._directory / f"{secrets.token_hex(8)}.lock")
        seat.acquire()
        return seat

    def leave(self, seat: filelock.BaseFileLock) -> None:
        """Count the caller no more. May be repeated."""
        seat.release()
        Path(seat.lock_file).unlink(missing_ok=True)

    def count(self, *, beside: filelock.BaseFileLock | None = None) -> int:
        """Return how many users live, *beside* the caller's own; the files of dead ones are removed."""
        own = None if beside is None else Path(beside.lock_file)
        return sum(_is_held(path) for path in self._directory.glob("*.lock") if path != own)


@asynccontextmanager
async def gate(path: Path) -> AsyncIterator[None]:
    """Hold the lock at *path* for the block.

    Raises:
        UnavailableError: if it was not free within `GATE_TIMEOUT_S`.
    """
    lock = _lock(path)
    deadline = time.monotonic() + GATE_TIMEOUT_S
    while True:
        try:
            lock.acquire()
            break
        except filelock.Timeout:
            if time.monotonic() >= deadline:
                raise UnavailableError(
                    f"another process has been starting or stopping the embedded server for {GATE_TIMEOUT_S:g} s; "
                    f"it holds {path}"
                ) from None
        await asyncio.sleep(GATE_POLL_S)
    try:
        yield
    finally:
        lock.release()


def _lock(path: Path) -> filelock.BaseFileLock:
    # Not of a thread: who stops a server may be another thread than the one that started it.
    return filelock.FileLock(path, timeout=0, thread_local=False)


def _is_held(path: Path) -> bool:
    lock = _lock(path)
    try:
        lock.acquire()
    except filelock.Timeout:
        return True
    lock.release()
    path.unlink(missing_ok=True)
    return False
