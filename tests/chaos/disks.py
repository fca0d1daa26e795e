"""A small disk of a test's own: a file system in memory that only the processes see that are started on it."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

_MOUNT = 'mount -t tmpfs -o "size=$2" tmpfs "$1" && echo mounted && exec sleep infinity'
_BALLAST = "ballast"


class Disk(Struct, frozen=True):
    """Hold a disk.

    Attributes:
        directory: where it is, for those who are on it.
        inside: what makes a command line run there.
    """

    directory: Path
    inside: tuple[str, ...]

    def fill(self, *, free_bytes: int) -> None:
        """Take all of the disk but *free_bytes*."""
        told = self._run("df", "--output=avail", "--block-size=1", str(self.directory))
        size_bytes = int(told.split()[-1]) - free_bytes
        assert size_bytes > 0, "the disk is fuller than that"
        self._run("fallocate", "--length", str(size_bytes), str(self.directory / _BALLAST))

    def clear(self) -> None:
        """Give back what `fill` took."""
        self._run("rm", str(self.directory / _BALLAST))

    def _run(self, *command: str) -> str:
        done = subprocess.run([*self.inside, *command], check=True, capture_output=True, text=True)
        return done.stdout


@contextmanager
def small_disk(directory: Path, *, size_bytes: int) -> Iterator[Disk | None]:
    """Give a disk at *directory*, or None where this machine lets nobody mount one."""
    directory.mkdir()
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", _MOUNT, "sh", str(directory), str(size_bytes)]
    try:
        holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except FileNotFoundError:
        yield None
        return
    with holder:
        assert holder.stdout is not None
        try:
            is_mounted = holder.stdout.readline() == "mounted\n"
            yield Disk(directory, _inside(holder.pid)) if is_mounted else None
        finally:
            holder.kill()


def _inside(pid: int) -> tuple[str, ...]:
    command: Sequence[str] = ["nsenter", "--target", str(pid), "--user", "--mount", "--preserve-credentials", "--"]
    return tuple(command)
