"""A server that wants credentials and certificates opens to those who have them, and to nobody else."""

import asyncio
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from tests.log.servers import certificates, operated, started

from retold.errors import InputError, UnavailableError
from retold.events import Draft, SessionKey
from retold.log import connect_log, link
from retold.log.servers import Server


@pytest.fixture
def is_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up connecting soon: a server that refuses does not tell when it would no longer."""
    monkeypatch.setattr(link, "CONNECT_TIMEOUT_S", 1.0)


@pytest.mark.slow
@pytest.mark.usefixtures("is_impatient")
def test_credentials_open_a_server_of_accounts(tmp_path: Path, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """With a file of NATS credentials I reach my account; without one I am told that I was refused."""

    async def run() -> None:
        setting = operated()
        creds = tmp_path / "user.creds"
        creds.write_text(setting.creds)
        async with started(tmp_path / "server", setting.config) as server:
            url = f"nats://127.0.0.1:{server.port}"
            async with connect_log(Server(url, creds=creds)) as log:
                await log.append(key, list(islice(drafts, 1)))
                assert (await log.head(key)).seq == 1
            with pytest.raises(UnavailableError, match="refused"):
                async with connect_log(Server(url)):
                    pass

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.usefixtures("is_impatient")
def test_certificates_are_checked_on_both_sides(tmp_path: Path) -> None:
    """I reach a server over TLS with my certificate; not one of another authority, nor one that wants mine in vain."""

    async def run() -> None:
        ours, others = certificates(tmp_path, name="ours"), certificates(tmp_path, name="others")
        tls = {"cert_file": str(ours.cert), "key_file": str(ours.key), "ca_file": str(ours.ca), "verify": True}
        async with started(tmp_path / "server", {"tls": tls}) as server:
            url = f"tls://127.0.0.1:{server.port}"
            whole = Server(url, tls_ca=ours.ca, tls_cert=ours.cert, tls_key=ours.key)
            async with connect_log(whole) as log:
                assert (await log.broker.inspect()).jetstream
            for wrong in (Server(url, tls_ca=others.ca), Server(url, tls_ca=ours.ca)):
                with pytest.raises(UnavailableError):
                    async with connect_log(wrong):
                        pass

    asyncio.run(run())


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (Server("nats://h", creds=Path("/nonexistent/u.creds")), "/nonexistent/u.creds"),
        (Server("nats://h", creds=Path(__file__)), "an NKEY SEED"),
        (Server("nats://h", tls_ca=Path("/nonexistent/ca.pem")), "/nonexistent/ca.pem"),
        (Server("nats://h", tls_ca=Path(__file__)), "PEM"),
        (Server("nats://h", tls_cert=Path(__file__)), "one of them"),
    ],
)
def test_a_file_that_opens_nothing_is_named(server: Server, told: str) -> None:
    """Credentials or certificates that cannot be used are named, before anything is connected."""
    with pytest.raises(InputError, match=told):
        server.options()


def test_several_servers_of_a_cluster_are_named_with_commas() -> None:
    """Addresses of one cluster stand in one URL, and are told without what opens them."""
    server = Server("nats://user:secret@a:4222, nats://b")
    assert server.urls == ["nats://user:secret@a:4222", "nats://b"]
    assert server.address == "a:4222,b:4222"


@pytest.mark.slow
def test_a_server_that_is_down_is_passed_over(tmp_path: Path) -> None:
    """Of several servers of a cluster, one that answers is enough."""

    async def run() -> None:
        async with (
            started(tmp_path / "server", {}) as server,
            connect_log(f"nats://127.0.0.1:1,nats://127.0.0.1:{server.port}") as log,
        ):
            assert (await log.broker.inspect()).jetstream

    asyncio.run(run())
