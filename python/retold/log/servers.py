"""Where a NATS server is, and how it lets us in: addresses, a credentials file, certificates.

Rules:
- An address may carry a user or token: it is told without (`plain_address`).
- Files are read when a connection is opened. nats-py reads the credentials again at each reconnect, so they may be
  renewed in place.
"""

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from retold.errors import InputError

SCHEMES = ("nats", "tls")
"""nats-py can do WebSockets too, with a package that we do not install."""
_EXPECTED_URL = "expected the URL of a NATS server, nats://host:port or tls://host:port"


class Server(Struct, frozen=True):
    """Name a server, or several of one cluster, with what opens it.

    Attributes:
        url: its address, which may carry a user or token; several with commas between.
        creds: a file of NATS credentials: a JWT and the seed of its key.
        tls_ca: the authorities that its certificate must come from, PEM; None are the system's.
        tls_cert: our own certificate, PEM.
        tls_key: the key of it.
    """

    url: str
    creds: Path | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @property
    def urls(self) -> list[str]:
        """Return the addresses, one by one."""
        return [one.strip() for one in self.url.split(",") if one.strip()]

    @property
    def address(self) -> str:
        """Return hosts and ports, without what opens them.

        Raises:
            InputError: if one is not the URL of a NATS server.
        """
        return ",".join([plain_address(one) for one in self.urls or [""]])

    def options(self) -> dict[str, Any]:
        """Return what nats-py needs beyond the addresses.

        Raises:
            InputError: if a file cannot be used; the message names it.
        """
        found: dict[str, Any] = {}
        if self.creds is not None:
            _check_credentials(self.creds)
            found["user_credentials"] = str(self.creds)
        if self.tls_ca or self.tls_cert or self.tls_key:
            found["tls"] = self._tls()
        return found

    def _tls(self) -> ssl.SSLContext:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InputError("expected a certificate and its key for TLS, got one of them")
        try:
            context = ssl.create_default_context(cafile=self.tls_ca)
        except (OSError, ValueError) as error:
            raise InputError(f"expected PEM certificates in {self.tls_ca}: {_reason(error)}") from None
        if self.tls_cert is not None and self.tls_key is not None:
            try:
                context.load_cert_chain(self.tls_cert, self.tls_key)
            except (OSError, ValueError) as error:
                pair = f"{self.tls_cert} and {self.tls_key}"
                raise InputError(f"expected a PEM certificate and its key in {pair}: {_reason(error)}") from None
        return context


def server_of(server: str | Server) -> Server:
    """Return *server*, of which only the address may be given."""
    return Server(server) if isinstance(server, str) else server


def plain_address(url: str) -> str:
    """Return host and port of *url*, without the token or password that it may carry.

    Raises:
        InputError: if it is not the URL of a NATS server.
    """
    try:
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        port = parts.port or 4222
    except ValueError:
        raise InputError(f"{_EXPECTED_URL}, got one whose host or port cannot be read") from None
    if parts.scheme not in SCHEMES:
        raise InputError(f"{_EXPECTED_URL}, got one that begins with {parts.scheme}://")
    if not parts.hostname:
        raise InputError(f"{_EXPECTED_URL}, got one without a host")
    return f"{parts.hostname}:{port}"


def _check_credentials(file: Path) -> None:
    try:
        held = file.read_bytes()
    except OSError as error:
        raise InputError(f"expected NATS credentials in {file}: {_reason(error)}") from None
    if b"BEGIN NATS USER JWT" not in held or b"NKEY SEED" not in held:
        raise InputError(f"expected NATS credentials in {file}: a JWT and an NKEY SEED between their marks")


def _reason(error: Exception) -> str:
    """Return what the system says is wrong, without the file's content."""
    return str(getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__)
