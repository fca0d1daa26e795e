"""Real nats-servers with a configuration of the test's own: accounts, credentials, certificates, limits."""

import asyncio
import base64
import json
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import nkeys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from retold.log.embedded import server_program

START_S = 20
"""How long a server may take to start, on a busy machine."""


class Started(NamedTuple):
    """Name a server that runs: its process, its port for clients, and the one that it is watched on."""

    process: "subprocess.Popen[bytes]"
    port: int
    http_port: int


@asynccontextmanager
async def started(directory: Path, config: Mapping[str, Any]) -> AsyncIterator[Started]:
    """Run a server with *config* on free ports, its store and files in *directory*."""
    with _launch(directory, config) as process:
        try:
            async with asyncio.timeout(START_S):
                while (ports := _ports(directory, process)) is None:  # noqa: ASYNC110 - another process writes them
                    await asyncio.sleep(0.01)
            yield Started(process, ports["nats"], ports["monitoring"])
        finally:
            process.terminate()
            process.wait(START_S)


def _launch(directory: Path, config: Mapping[str, Any]) -> "subprocess.Popen[bytes]":
    directory.mkdir(parents=True, exist_ok=True)
    own = {"host": "127.0.0.1", "port": -1, "http": "127.0.0.1:-1", "ports_file_dir": str(directory)}
    file = directory / "server.conf"
    file.write_text(json.dumps({**own, "jetstream": {"store_dir": str(directory / "store")}, **config}))
    with (directory / "server.log").open("wb") as log:
        return subprocess.Popen([server_program(), "-c", str(file)], stdout=log, stderr=log)


def _ports(directory: Path, process: "subprocess.Popen[bytes]") -> dict[str, int] | None:
    """Return the ports that the server was given; None while it has not said."""
    assert process.poll() is None, (directory / "server.log").read_text()
    for path in directory.glob(f"*_{process.pid}.ports"):
        told = json.loads(path.read_text() or "{}")
        if told:
            return {name: int(urls[0].rpartition(":")[2]) for name, urls in told.items() if urls}
    return None


class Certificates(NamedTuple):
    """Name the files of an authority, and of one certificate of it, good for a server and for a client."""

    ca: Path
    cert: Path
    key: Path


def certificates(directory: Path, *, name: str) -> Certificates:
    """Write an authority of its own and a certificate for 127.0.0.1 into *directory*."""
    authority = ec.generate_private_key(ec.SECP256R1())
    own = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    ca = _certificate(issuer, issuer, authority, authority, is_authority=True)
    cert = _certificate(subject, issuer, own, authority, is_authority=False)
    found = Certificates(directory / f"{name}-ca.pem", directory / f"{name}.pem", directory / f"{name}-key.pem")
    pem = serialization.Encoding.PEM
    found.ca.write_bytes(ca.public_bytes(pem))
    found.cert.write_bytes(cert.public_bytes(pem))
    plain = serialization.NoEncryption()
    found.key.write_bytes(own.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return found


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    own: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    )
    return builder.sign(signer, hashes.SHA256())


class Operated(NamedTuple):
    """Hold the configuration of a server in operator mode, and the credentials of one user on it."""

    config: dict[str, Any]
    creds: str


def operated() -> Operated:
    """Return an operator with a system account, one account with JetStream, and a user of it."""
    operator, system, account, user = (
        _key(prefix)
        for prefix in (
            nkeys.PREFIX_BYTE_OPERATOR,
            nkeys.PREFIX_BYTE_ACCOUNT,
            nkeys.PREFIX_BYTE_ACCOUNT,
            nkeys.PREFIX_BYTE_USER,
        )
    )
    unlimited = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1, "leaf": -1}
    stores = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    accounts = {
        _public(system): _claims("SYS", system, operator, "account", {"limits": unlimited}),
        _public(account): _claims("A", account, operator, "account", {"limits": unlimited | stores}),
    }
    config = {
        "operator": _claims("O", operator, operator, "operator", {"system_account": _public(system)}),
        "system_account": _public(system),
        "resolver": "MEMORY",
        "resolver_preload": accounts,
    }
    jwt = _claims("u", user, account, "user", {"subs": -1, "data": -1, "payload": -1})
    dashes = "-----", "------"
    creds = (
        f"{dashes[0]}BEGIN NATS USER JWT{dashes[0]}\n{jwt}\n{dashes[1]}END NATS USER JWT{dashes[1]}\n\n"
        f"{dashes[0]}BEGIN USER NKEY SEED{dashes[0]}\n{bytes(user.seed).decode()}\n"
        f"{dashes[1]}END USER NKEY SEED{dashes[1]}\n"
    )
    return Operated(config, creds)


def _key(prefix: int) -> nkeys.KeyPair:
    return nkeys.from_seed(bytearray(nkeys.encode_seed(os.urandom(32), prefix)))


def _public(key: nkeys.KeyPair) -> str:
    return bytes(key.public_key).decode()


def _claims(name: str, key: nkeys.KeyPair, issuer: nkeys.KeyPair, kind: str, nats: dict[str, Any]) -> str:
    body = {"iat": 1_700_000_000, "iss": _public(issuer), "name": name, "sub": _public(key)}
    claims: dict[str, Any] = body | {"nats": nats | {"type": kind, "version": 2}}
    claims["jti"] = base64.b32encode(sha256(json.dumps(claims).encode()).digest()).decode().rstrip("=")
    signed = f"{_base64({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_base64(claims)}"
    signature = base64.urlsafe_b64encode(bytes(issuer.sign(signed.encode()))).decode().rstrip("=")
    return f"{signed}.{signature}"


def _base64(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
