"""A NATS client without anything: prepared bytes out through a blocking socket, answers counted and dropped.

It is what the server itself allows one Python process: the yardstick for `retold bench pipeline`. It knows publishing
with acknowledgements, requests, and a push consumer as an ordered consumer has it, and none of what a client is for.
"""

import json
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self
from urllib.parse import urlsplit

from msgspec import Struct

from retold.errors import UnavailableError

TIMEOUT_S: Final = 30.0
_CHUNK_BYTES: Final = 1 << 20
_END: Final = b"}\r\n"
"""Ends each acknowledgement."""
_ERROR: Final = b'"error":'
_BEGIN: Final = b"NATS/1.0\r\n"
"""Begins the headers of each stored message; of a status message they begin otherwise."""
_FLOW: Final = re.compile(rb"\$JS\.FC\.[^ \r]+(?=[ \r])")
_TAIL_BYTES: Final = 256
"""What is kept of a piece, so that nothing is missed where it was cut."""


class Frame(Struct, frozen=True):
    """Hold one message to be published."""

    subject: str
    body: bytes
    headers: Mapping[str, str] = {}


class Wire:
    """Hold one connection; use it in a ``with``."""

    def __init__(self, url: str) -> None:
        """Connect to *url*, whose user is the token, if it has one.

        Raises:
            UnavailableError: if there is no server, or it refuses the token.
        """
        parts = urlsplit(url)
        try:
            self._socket = socket.create_connection((parts.hostname, parts.port or 4222), timeout=TIMEOUT_S)
        except OSError as error:
            raise UnavailableError(f"expected a NATS server at {parts.hostname}:{parts.port}: {error}") from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hello = {"verbose": False, "headers": True, "no_responders": True, "lang": "python", "version": "0"}
        if parts.username:
            hello["auth_token"] = parts.username
        self._inbox = f"_INBOX.{id(self):x}"
        self._socket.sendall(b"CONNECT %b\r\nSUB %b.a 1\r\nPING\r\n" % (_json(hello), self._inbox.encode()))
        heard = b""
        while b"PONG\r\n" not in heard:
            heard += self._receive()
            if b"-ERR" in heard:
                raise UnavailableError("the server refused the connection")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._socket.close()

    def prepare(self, frames: Sequence[Frame]) -> list[bytes]:
        """Return *frames* as the bytes that publish them."""
        reply = f"{self._inbox}.a"
        return [_published(frame, reply) for frame in frames]

    def publish(self, prepared: Sequence[bytes], *, window: int) -> int:
        """Publish what was prepared, at most *window* unacknowledged; return how many were acknowledged as stored."""
        size = max(1, window // 2)
        parts = [
            (b"".join(prepared[at : at + size]), len(prepared[at : at + size])) for at in range(0, len(prepared), size)
        ]
        sent = answered = refused = 0
        tail = b""
        for data, count in [*parts, (b"", 0)]:
            while sent + count - answered > (window if data else 0):
                good, bad, tail = self._answers(tail)
                answered, refused = answered + good, refused + bad
            self._socket.sendall(data)
            sent += count
        return answered - refused

    def each(self, prepared: Sequence[bytes], note: Callable[[], None]) -> int:
        """Publish one by one, each acknowledged first, calling *note* after each; return how many were stored."""
        stored = 0
        for data in prepared:
            stored += self.publish([data], window=1)
            note()
        return stored

    def ask(self, subject: str, request: object = None) -> dict[str, Any]:
        """Return the answer to one request of JetStream's interface."""
        body = b"" if request is None else _json(request)
        self._socket.sendall(b"PUB %b %b.a %d\r\n%b\r\n" % (subject.encode(), self._inbox.encode(), len(body), body))
        heard = self._receive()
        while not heard.endswith(_END):
            heard += self._receive()
        answer: dict[str, Any] = json.loads(heard[heard.index(b"{") :])
        if "error" in answer:
            raise UnavailableError(
                f"expected {subject} to answer, got {answer['error'].get('description', 'an error')}"
            )
        return answer

    def last_position(self, stream: str) -> int:
        """Return the sequence of the stream's newest message."""
        return int(self.ask(f"$JS.API.STREAM.INFO.{stream}")["state"]["last_seq"])

    def read(self, stream: str, *, subject: str, count: int, take: Callable[[bytes], object] | None = None) -> int:
        """Read *count* messages of *stream* off a push consumer, dropped, or given to *take* as they come in.

        The consumer is what an ordered consumer has: no acknowledgements, flow control, memory. Returns the bytes read.
        """
        inbox = f"{self._inbox}.{stream}"
        config = {
            "deliver_subject": inbox,
            "deliver_policy": "all",
            "filter_subject": subject,
            "ack_policy": "none",
            "max_deliver": 1,
            "mem_storage": True,
            "num_replicas": 1,
            "flow_control": True,
            "idle_heartbeat": 5_000_000_000,
            "inactive_threshold": 60_000_000_000,
        }
        self._socket.sendall(b"SUB %b 2\r\n" % inbox.encode())
        request = _json({"stream_name": stream, "config": config})
        self._socket.sendall(
            b"PUB $JS.API.CONSUMER.CREATE.%b %b.a %d\r\n%b\r\n"
            % (stream.encode(), self._inbox.encode(), len(request), request)
        )
        got = size = 0
        tail, answered = b"", set[bytes]()
        while got < count:
            chunk = self._receive()
            size += len(chunk)
            if take is not None:
                take(chunk)
            got += (tail[1 - len(_BEGIN) :] + chunk).count(_BEGIN)
            seen = tail + chunk
            for subject_asked in set(_FLOW.findall(seen)) - answered:
                self._socket.sendall(b"PUB %b 0\r\n\r\n" % subject_asked)
                answered.add(subject_asked)
            tail = seen[-_TAIL_BYTES:]
        self._socket.sendall(b"UNSUB 2\r\n")
        return size

    def _answers(self, tail: bytes) -> tuple[int, int, bytes]:
        """Return how many answers came, how many of them are errors, and the beginning of what did not come whole."""
        heard = tail + self._receive()
        end = heard.rfind(_END) + len(_END)
        whole = heard[:end] if end >= len(_END) else b""
        return whole.count(_END), whole.count(_ERROR), heard[len(whole) :]

    def _receive(self) -> bytes:
        try:
            chunk = self._socket.recv(_CHUNK_BYTES)
        except TimeoutError:
            raise UnavailableError(f"the server was silent for {TIMEOUT_S:g} s") from None
        if not chunk:
            raise UnavailableError("the server closed the connection")
        if b"PING\r\n" in chunk:
            self._socket.sendall(b"PONG\r\n")
        return chunk


def _published(frame: Frame, reply: str) -> bytes:
    size = len(frame.body)
    if not frame.headers:
        return f"PUB {frame.subject} {reply} {size}\r\n".encode() + frame.body + b"\r\n"
    lines = "".join(f"{name}: {value}\r\n" for name, value in frame.headers.items())
    head = f"NATS/1.0\r\n{lines}\r\n".encode()
    return f"HPUB {frame.subject} {reply} {len(head)} {len(head) + size}\r\n".encode() + head + frame.body + b"\r\n"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
