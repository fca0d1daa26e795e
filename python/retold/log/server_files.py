"""The files of an embedded server: its configuration, its state for other processes, and who its process is.

<directory>/
  lock          held while the server is started, joined, left or stopped
  users/        a locked file for each user of the server
  server.conf   the server's configuration, with its token: readable by the owner alone
  server.json   process, port, URL and profile of the server: readable by the owner alone
  server.log    the server's own log, turned over at 10 MiB
  ports/        where the server tells which port it was given
  jetstream/    the store
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from retold.log.streams import server_name

Profile = Literal["safe", "balanced", "fast"]
"""How often the server syncs to disk: at every message, every second, or every two minutes."""

SYNC_INTERVAL: dict[Profile, str] = {"safe": "always", "balanced": "1s", "fast": "2m"}
"""What may be lost when the machine (not the process) stops: nothing, a second, two minutes (the server's default)."""

DISK_RESERVE_BYTES = 1024 * 1024 * 1024
"""Room on the disk that the store never takes: a full disk shows as time-outs, a full store as a clear refusal."""
DISK_MIN_BYTES = 64 * 1024 * 1024
"""What the store is given at least, even where the reserve is already gone."""
MEMORY_STORE_BYTES_MAX = 256 * 1024 * 1024
"""Only the places of consumers live in memory."""
LOG_BYTES_MAX = 10 * 1024 * 1024
LOG_LINES_SHOWN = 8
COMMAND_TIMEOUT_S = 5
ANY_PORT = -1


class Running(Struct, frozen=True):
    """Say which server runs in a directory.

    Attributes:
        pid: the server's process.
        url: where to connect; carries the server's token.
    """

    pid: int
    port: int
    url: str
    profile: Profile
    directory: str

    @property
    def address(self) -> str:
        """Return host and port, without the token: for messages."""
        return f"127.0.0.1:{self.port}"


class ServerFiles:
    """Name, write and read the files of one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lock = directory / "lock"
        self.config = directory / "server.conf"
        self.state = directory / "server.json"
        self.log = directory / "server.log"
        self.ports = directory / "ports"
        self.users = directory / "users"
        self.store = directory / "jetstream"

    def prepare(self) -> None:
        """Make the directories, for their owner alone where they are new."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.ports.mkdir(mode=0o700, exist_ok=True)
        self.store.mkdir(mode=0o700, exist_ok=True)

    def write_config(self, *, profile: Profile, port: int, token: str, tag: str) -> None:
        """Write the configuration. *port* may be `ANY_PORT`."""
        for old in self.ports.glob("*.ports"):
            old.unlink(missing_ok=True)
        config: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port,
            "server_name": server_name(profile, tag),
            "authorization": {"token": token},
            "log_file": str(self.log),
            "logfile_size_limit": LOG_BYTES_MAX,
            "ports_file_dir": str(self.ports),
            "jetstream": {
                "store_dir": str(self.store),
                "sync_interval": SYNC_INTERVAL[profile],
                "max_file_store": self.store_bytes_max(),
                "max_memory_store": MEMORY_STORE_BYTES_MAX,
            },
        }
        # JSON is a part of the server's configuration language, and leaves no question of quoting.
        _write_private(self.config, msgspec.json.format(msgspec.json.encode(config)))

    def store_bytes_max(self) -> int:
        """Return what the store may grow to: what it has and what is free, less a reserve.

        The server's own default is a share of what is free at its start. A store that has filled most of its disk would
        be over that limit after a restart, and would refuse every event.
        """
        used = sum(path.stat().st_size for path in self.store.rglob("*") if path.is_file())
        return max(used + shutil.disk_usage(self.directory).free - DISK_RESERVE_BYTES, used + DISK_MIN_BYTES)

    def write_state(self, running: Running) -> None:
        """Write *running* for other processes, in one step."""
        _write_private(self.state, msgspec.json.encode(running))

    def read_state(self) -> Running | None:
        """Return the state as last written, or None. The server may have died since."""
        try:
            return msgspec.json.decode(self.state.read_bytes(), type=Running)
        except (OSError, msgspec.MsgspecError):
            return None

    def port_given(self, pid: int) -> int | None:
        """Return the port that server *pid* was given, or None while it has not said."""
        for path in self.ports.glob(f"*_{pid}.ports"):
            try:
                told = msgspec.json.decode(path.read_bytes(), type=dict[str, list[str]])
            except (OSError, msgspec.MsgspecError):
                return None  # being written
            return int(told["nats"][0].rpartition(":")[2])
        return None

    def log_end(self) -> str:
        """Return the last lines of the server's log, for a message; they hold no events and no token."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return "(no log)"
        return "\n".join(lines[-LOG_LINES_SHOWN:])

    def is_ours(self, pid: int) -> bool:
        """Return whether process *pid* is alive and serves this directory, by its command line."""
        program, *arguments = _command_line(pid) or [""]
        return Path(program).name == "nats-server" and arguments[:2] == ["-c", str(self.config)]

    def servers(self) -> list[int]:
        """Return the processes that are servers on this directory: two of them would ruin the store.

        Where there is no ``/proc`` only the one in the state file can be found.
        """
        state = self.read_state()
        listed = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        known = [state.pid] if state is not None else []
        return [pid for pid in sorted({*listed, *known}) if self.is_ours(pid)]


def is_alive(pid: int) -> bool:
    """Return whether process *pid* exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _command_line(pid: int) -> list[str]:
    """Return the arguments of process *pid*; empty if it is gone, or a zombie."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return _command_line_by_ps(pid) if not Path("/proc/self").exists() else []
    return raw.decode(errors="replace").split("\0")


def _command_line_by_ps(pid: int) -> list[str]:
    ps = shutil.which("ps")
    if ps is None:
        return []
    answer = subprocess.run(  # noqa: S603 -- fixed arguments, and a number
        [ps, "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_TIMEOUT_S,
    )
    # ps joins the arguments by spaces: a path that holds one is not found again, and its process not taken for ours.
    return answer.stdout.split()


def _write_private(path: Path, content: bytes) -> None:
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    new.replace(path)
