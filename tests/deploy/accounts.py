"""A server with the accounts and roles that are shipped, on a free port, for one test module."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from retold.log.embedded import server_program

NATS = Path(__file__).parents[2] / "deploy" / "nats"
TENANTS = ("acme", "globex")
ROLES = ("agent", "editor", "worker", "admin")
START_S = 20.0
POLL_S = 0.01


class Accounts(Struct, frozen=True):
    """Name the server."""

    port: int

    def url(self, tenant: str, role: str) -> str:
        """Return where a user of *role* of *tenant*'s account connects."""
        return f"nats://{tenant}-{role}:{password(tenant, role)}@127.0.0.1:{self.port}"


def password(tenant: str, role: str) -> str:
    """Return the password of a user."""
    return f"secret-of-{tenant}-{role}"


def passwords() -> dict[str, str]:
    """Return the environment that the shipped accounts take their passwords from."""
    named = {f"{tenant}_{role}_PASSWORD".upper(): password(tenant, role) for tenant in TENANTS for role in ROLES}
    return named | {"SYS_PASSWORD": "secret-of-sys"}


@contextmanager
def running_accounts(directory: Path) -> Iterator[Accounts]:
    """Run a server with the shipped accounts in *directory*, until the block ends."""
    for name in ("roles.conf", "accounts.conf"):
        (directory / name).write_text((NATS / name).read_text())
    config = {
        "host": "127.0.0.1",
        "port": -1,
        "ports_file_dir": str(directory),
        "log_file": str(directory / "log"),
        "jetstream": {"store_dir": str(directory / "js")},
    }
    own = json.dumps(config)[1:-1]
    (directory / "main.conf").write_text(f'{own}\ninclude "accounts.conf"\n')
    command = [server_program(), "-c", str(directory / "main.conf")]
    with subprocess.Popen(command, env=os.environ | passwords()) as process:
        try:
            yield Accounts(port=_port(process, directory))
        finally:
            process.kill()


def _port(process: "subprocess.Popen[bytes]", directory: Path) -> int:
    """Wait until the server has said which port it was given."""
    told = directory / f"nats-server_{process.pid}.ports"
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if told.is_file() and told.stat().st_size:
            found: dict[str, list[str]] = msgspec.json.decode(told.read_bytes())
            return int(found["nats"][0].rpartition(":")[2])
        time.sleep(POLL_S)
    log = directory / "log"
    raise AssertionError(f"no server: {log.read_text() if log.exists() else 'it did not start'}")
