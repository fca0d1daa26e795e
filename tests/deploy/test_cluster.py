"""Three servers with the configuration that is shipped, and the certificates and passwords that `prepare.sh` makes."""

import asyncio
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, aclosing
from pathlib import Path

import pytest
from msgspec import Struct
from tests.deploy.accounts import NATS

from retold.errors import UnavailableError
from retold.events import Window
from retold.log.embedded import server_program
from retold.log.inspecting import inspect_server
from retold.log.jetstream import connect_log
from retold.log.servers import Server
from retold.wiring import client_of, run_worker

WAIT_S = 60.0
TRIES = 12
NAMES = ("nats-1", "nats-2", "nats-3")

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="prepare.sh makes certificates with openssl")


class Cluster(Struct, frozen=True):
    """Name the servers, and what opens them."""

    ports: tuple[int, ...]
    secrets: Path
    passwords: dict[str, str]

    def server(self, role: str, *, tls_ca: bool = True, tls_cert: bool = True) -> Server:
        """Return where a user of *role* of acme connects, with or without what TLS wants."""
        word = self.passwords[f"ACME_{role}_PASSWORD".upper()]
        urls = [f"tls://acme-{role}:{word}@127.0.0.1:{port}" for port in self.ports]
        return Server(
            url=",".join(urls),
            tls_ca=self.secrets / "ca.pem" if tls_ca else None,
            tls_cert=self.secrets / "client.pem" if tls_cert else None,
            tls_key=self.secrets / "client.key" if tls_cert else None,
        )


def _free_ports(number: int) -> list[int]:
    """Return ports that nobody uses now: the routes of a cluster have to be known before it starts."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _config(directory: Path, name: str, *, client: int, routes: dict[str, int]) -> str:
    """Return the shipped configuration with the addresses and folders of this machine."""
    text = (NATS / "nats.conf").read_text()
    changes = {
        '"0.0.0.0:4222"': f'"127.0.0.1:{client}"',
        '"0.0.0.0:8222"': '"127.0.0.1:-1"',
        '"0.0.0.0:6222"': f'"127.0.0.1:{routes[name]}"',
        '"/etc/nats-tls/server': f'"{directory}/secrets/{name}',
        '"/etc/nats-tls/ca': f'"{directory}/secrets/ca',
        '"/data"': f'"{directory}/{name}"',
        '"accounts.conf"': '"nats/accounts.conf"',
    } | {f'"nats://{one}:6222"': f'"nats://127.0.0.1:{port}"' for one, port in routes.items()}
    for shipped, here in changes.items():
        assert shipped in text
        text = text.replace(shipped, here)
    return text


def _passwords(directory: Path) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(\w+)$", (directory / ".env").read_text(), flags=re.MULTILINE))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give three servers that run, with acme's streams on all of them."""
    directory = tmp_path_factory.mktemp("cluster")
    shutil.copytree(NATS, directory / "nats")
    subprocess.run([NATS.parent / "compose" / "prepare.sh", directory], check=True, capture_output=True)
    passwords, ports = _passwords(directory), _free_ports(6)
    routes = dict(zip(NAMES, ports[3:], strict=True))
    made = Cluster(ports=tuple(ports[:3]), secrets=directory / "secrets", passwords=passwords)
    with ExitStack() as stack:
        for name, port in zip(NAMES, made.ports, strict=True):
            config = directory / f"{name}.conf"
            config.write_text(_config(directory, name, client=port, routes=routes))
            command = [server_program(), "-c", str(config), "--log", str(directory / f"{name}.log")]
            process = stack.enter_context(subprocess.Popen(command, env=os.environ | passwords | {"NATS_NAME": name}))
            stack.callback(process.kill)
        asyncio.run(_create_streams(made))
        yield made


async def _create_streams(made: Cluster) -> None:
    """Create acme's streams with three copies; servers that are just starting are asked again."""
    for tried in range(TRIES):
        try:
            async with connect_log(made.server("admin"), replicas=3):
                return
        except UnavailableError:
            if tried == TRIES - 1:
                raise


def test_every_stream_is_kept_on_three_servers(cluster: Cluster) -> None:
    """With RETOLD_REPLICAS=3 each stream has three copies, and nothing is missing that workers and agents need."""
    facts = asyncio.run(inspect_server(cluster.server("agent")))
    assert facts.problems == ()
    assert {stream.replicas for stream in facts.streams} == {3}


def test_agents_and_workers_work_over_tls(cluster: Cluster) -> None:
    """An agent appends, a worker compacts, the agent reads: each with its own password and a certificate."""

    async def run() -> None:
        async with (
            connect_log(cluster.server("agent")) as log,
            connect_log(cluster.server("worker")) as worker_log,
            run_worker(client_of(worker_log, actor="worker")),
            asyncio.timeout(WAIT_S),
        ):
            session = await client_of(log).session("s", window=Window(hard_limit=2_000))
            for number in range(30):
                await session.append({"role": "user", "content": f"Look at failure {number}. " * 20})
            async with aclosing(session.watch()) as histories:
                assert (await anext(histories)).version > 0

    asyncio.run(run())


def test_nobody_gets_in_without_certificates(cluster: Cluster) -> None:
    """A client without a certificate of the authority is refused, and one that does not know the authority refuses."""

    async def check(server: Server) -> None:
        with pytest.raises(UnavailableError) as refused:
            async with connect_log(server):
                pass
        assert cluster.passwords["ACME_AGENT_PASSWORD"] not in str(refused.value)

    async def run() -> None:
        strangers = [cluster.server("agent", tls_ca=False), cluster.server("agent", tls_cert=False)]
        await asyncio.gather(*map(check, strangers))

    asyncio.run(run())
