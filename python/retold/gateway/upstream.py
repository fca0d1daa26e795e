"""The server behind the gateway: where it is, what it speaks, and one request to it.

aiohttp, not httpx: it parses in C and gives all that has come at once, so a chunk of a stream costs a fifth of the
processor time (ARCHITECTURE.md).
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from msgspec import Struct
from multidict import CIMultiDict
from yarl import URL

from retold.errors import InputError, UnavailableError
from retold.events import Form
from retold.gateway.faults import Fault

PATHS: Final[Mapping[Form, str]] = {
    "responses": "/responses",
    "chat": "/chat/completions",
    "anthropic": "/messages",
}
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
"""An answer that is read as a whole is no longer."""
PIECES_FROM_BYTES: Final = 1024 * 1024
"""A larger body is sent piece by piece: at once, it would stop all streams while it is copied."""
CONNECT_S: Final = 10.0
KEEP_S: Final = 4.0
"""How long an unused connection is kept: servers on uvicorn (vLLM) close theirs after 5 seconds."""

_VERSION: Final = re.compile(r"/v\d+[a-z0-9]*\Z")
_ANTHROPIC_VERSION: Final = "2023-06-01"
_OWN: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-retold-session",
    }
)
"""Headers of one connection, and those that we write ourselves."""
_ANSWERED: Final = frozenset({"connection", "content-length", "keep-alive", "trailer", "transfer-encoding", "upgrade"})


class Place(Struct, frozen=True):
    """Say where a server is and which form it speaks."""

    url: str
    form: Form


def place_of(url: str, form: Form) -> Place:
    """Return the server at *url*, written as its clients write it: with or without the version at the end.

    Raises:
        InputError: if it is no address of a server; it is not told, for it may hold a password.
    """
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or any(mark in url for mark in (" ", "?", "#")):
        raise InputError(
            "expected the upstream's address as http://HOST[:PORT][/PATH] or https://…, got something else"
        )
    base = url.rstrip("/")
    path = urlsplit(base).path
    versioned = _VERSION.search(path) or (path and form != "anthropic")
    return Place(url=base if versioned else f"{base}/v1", form=form)


def sent_headers(headers: Iterable[tuple[str, str]], *, client: Form, upstream: Form) -> CIMultiDict[str]:
    """Return the *headers* of a client that the upstream gets; its key moves where the upstream looks for it."""
    sent = CIMultiDict((name, value) for name, value in headers if name.lower() not in _OWN)
    sent["accept-encoding"] = "identity"
    if upstream == "anthropic" and client != "anthropic":
        scheme, _, key = sent.pop("authorization", "").partition(" ")
        if key and scheme.lower() == "bearer":
            sent["x-api-key"] = key
        sent["anthropic-version"] = _ANTHROPIC_VERSION
    elif client == "anthropic" and upstream != "anthropic":
        for name in [name for name in sent if name.lower().startswith("anthropic-")]:
            sent.popall(name, None)
        key = sent.pop("x-api-key", "")
        if key:
            sent["authorization"] = f"Bearer {key}"
    return sent


class Upstream:
    """Send requests to one server. Get it from `open_upstream`."""

    def __init__(self, place: Place, session: aiohttp.ClientSession) -> None:
        """Send to *place* by *session*."""
        self.place = place
        self._session = session
        self._base = str(URL(place.url))

    @asynccontextmanager
    async def ask(
        self, method: str, path: str, *, headers: CIMultiDict[str], body: bytes | None = None, query: str = ""
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Give the answer to one request, as soon as its head is there; the call ends with the block.

        *path* and *query* are sent as they are.

        Raises:
            Fault: if the server cannot be reached, or is silent for too long.
        """
        url = URL(f"{self._base}{path}?{query}" if query else f"{self._base}{path}", encoded=True)
        data = body if body is None or len(body) < PIECES_FROM_BYTES else BytesIO(body)
        if body is not None:
            headers = headers.copy()
            headers.setdefault("content-type", "application/json")
        try:
            async with self._session.request(method, url, headers=headers, data=data, allow_redirects=False) as answer:
                yield answer
        except TimeoutError:
            raise Fault(504, "the upstream did not answer in time", code="upstream_timeout") from None
        except aiohttp.ClientError:
            raise Fault(502, "the upstream cannot be reached, or broke off", code="upstream_unreachable") from None


def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for *url*; looked up once, for it takes a millisecond."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


@asynccontextmanager
async def open_upstream(place: Place, *, idle_s: float) -> AsyncIterator[Upstream]:
    """Give the server at *place*; all calls end with the block. It may be silent for *idle_s* seconds."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=idle_s)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_S)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=proxy_of(place.url),
    ) as session:
        yield Upstream(place, session)


async def whole_body(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body of *answer*.

    Raises:
        UnavailableError: if it is longer than `ANSWER_BYTES_MAX`.
    """
    held = bytearray()
    async for data in answer.content.iter_any():
        held += data
        if len(held) > ANSWER_BYTES_MAX:
            raise UnavailableError("expected an answer of a bounded size, the upstream sent a longer one")
    return bytes(held)


def answered_headers(answer: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    """Return the headers of *answer* that the client gets."""
    return [(name, value) for name, value in answer.headers.items() if name.lower() not in _ANSWERED]


def is_stream(answer: aiohttp.ClientResponse) -> bool:
    """Return whether *answer* comes as events."""
    return answer.content_type == "text/event-stream"


def json_object(body: bytes, *, decode: Any) -> dict[str, Any] | None:
    """Return the object that *body* is by *decode*; None if it is none."""
    try:
        value = decode(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
