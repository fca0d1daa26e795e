"""The connection: requests with retries, and inboxes that learn at once when the connection is lost.

Rules:
- A request whose fate is unknown (no answer in time, connection lost, nobody there) is `Lost`: the same bytes are sent
  again, after a jittered pause that doubles, within `RETRY_TOTAL_S`. Then the caller sees UnavailableError.
- nats-py's own request waits its whole timeout when the server dies. Here a lost connection fails every open request
  at that moment, so that a restart of the server costs a reconnect and not five seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from itertools import count
from typing import Any, Protocol, Self, TypeVar

import stamina
from nats import errors as nats_errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from retold.errors import UnavailableError
from retold.log.faults import Faults, denied
from retold.log.finishing import finish
from retold.log.names import BATCH_COMMIT
from retold.log.repeating import repeating
from retold.log.servers import Server, server_of
from retold.log.tap import Taker, Tap

T = TypeVar("T")

ANSWER_TIMEOUT_S = 5.0
"""How long one try waits: an append under a full disk queue takes seconds, a dead server none (see the module)."""
RETRY_TOTAL_S = 30.0
"""How long a call tries in all: a cluster that lost its leader answers 503 for 4 to 8 s."""
RETRIES_MAX = 100
RETRY_FIRST_S = 0.05
RETRY_PAUSE_S_MAX = 0.5
"""An election takes 4 to 8 s; a longer pause would add to that."""
CONNECT_TIMEOUT_S = 5.0
"""How long the first connection may take; later ones are retried for as long as the process lives."""
RECONNECT_PAUSE_S = 0.1
DRAIN_TIMEOUT_S = 5.0

STATUS = "Status"
NO_RESPONDERS = "503"


class Lost(Exception):  # noqa: N818 -- not an error yet: it is retried, and named UnavailableError when that ends
    """Say that a request's fate is unknown."""


class Sink(Protocol):
    """Take what arrives at an inbox. Both methods must return at once."""

    def deliver(self, message: Msg) -> None:
        """Take one message."""
        ...

    def lose(self, reason: Lost) -> None:
        """Learn that the connection was lost: nothing that was asked for will come."""
        ...


class Inbox:
    """Name a reply subject whose messages go to a sink, until it is closed."""

    def __init__(self, subject: str, close: Callable[[], None]) -> None:
        self.subject = subject
        self._close = close

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop taking messages."""
        self._close()


class _Answer:
    """Wait for one message, the answer to a request on *subject*."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.message: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()

    def deliver(self, message: Msg) -> None:
        if not self.message.done():
            self.message.set_result(message)

    def lose(self, reason: Exception) -> None:
        if not self.message.done():
            self.message.set_exception(reason)


class _Client(Client):
    """Read headers quickly: nats-py looks at every character of every name, which took half of a page's time."""

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        lines = (line.partition(":") for line in raw.decode("utf-8", "replace").split("\r\n"))
        return {name.strip(): value.strip() for name, colon, value in lines if colon}


class Link:
    """Hold one connection to the server. Open it with `Link.open`, and close it."""

    def __init__(self, *, address: str) -> None:
        self.address = address
        self.last_error = "no answer"
        self.faults = Faults()
        self._is_refused = False
        self._client = _Client()
        self._up = asyncio.Event()
        self._prefix = self._client.new_inbox()
        self.tap = Tap(self._client._ps, f"{self._prefix}.w")  # noqa: SLF001 -- see the module `tap`
        self._client._ps = self.tap  # type: ignore[assignment]  # noqa: SLF001 -- it has what nats-py calls of a parser
        self._tokens = count(1)
        self._sinks: dict[str, Sink] = {}

    @classmethod
    async def open(cls, url: str | Server, *, name: str) -> "Link":
        """Connect to *url* (which may carry a token or a user) and return the link.

        Raises:
            InputError: if *url* is not that of a NATS server, or a file that opens it cannot be used.
            UnavailableError: if no connection was made within `CONNECT_TIMEOUT_S`.
        """
        server = server_of(url)
        link, options = cls(address=server.address), server.options()
        try:
            await finish(link._connect(server.urls, options, name=name), limit_s=CONNECT_TIMEOUT_S)
        except (TimeoutError, OSError, nats_errors.Error) as error:
            await link.close()
            raise UnavailableError(
                f"expected a NATS server at {link.address}, could not connect within {CONNECT_TIMEOUT_S:g} s: "
                f"{link.last_error if isinstance(error, TimeoutError) else error}"
            ) from None
        return link

    async def _connect(self, urls: list[str], options: dict[str, Any], *, name: str) -> None:
        await self._client.connect(
            servers=urls,
            name=name,
            **options,
            error_cb=self._on_error,
            disconnected_cb=self._on_lost,
            reconnected_cb=self._on_back,
            closed_cb=self._on_lost,
            reconnect_time_wait=RECONNECT_PAUSE_S,  # type: ignore[arg-type] # it is slept: parts of a second are fine
            max_reconnect_attempts=-1,
            connect_timeout=2,
            drain_timeout=int(DRAIN_TIMEOUT_S),
            ping_interval=10,
            skip_subject_validation=True,
        )
        # Everything that comes was asked for, in bounded amounts: a limit here could only drop some of it.
        await self._client.subscribe(
            f"{self._prefix}.*", cb=self._on_message, pending_msgs_limit=0, pending_bytes_limit=0
        )
        self._up.set()

    async def close(self) -> None:
        """Send what is buffered, wait for it and disconnect. May be repeated."""
        if self._client.is_closed:
            return
        try:
            # Without a connection nothing can be sent, so there is nothing to wait for.
            await finish(self._client.drain() if self.is_up else self._client.close(), limit_s=DRAIN_TIMEOUT_S)
        except (TimeoutError, OSError, nats_errors.Error):
            with suppress(TimeoutError, OSError, nats_errors.Error):
                await finish(self._client.close(), limit_s=DRAIN_TIMEOUT_S)

    @property
    def is_up(self) -> bool:
        """Return whether there is a connection now."""
        return self._up.is_set()

    @property
    def max_payload_bytes(self) -> int:
        """Return the largest message that the server takes, headers included."""
        return self._client.max_payload

    @property
    def server(self) -> tuple[str, str]:
        """Return the server's version and its name, as it told them on connecting."""
        told = self._client._server_info  # noqa: SLF001 -- nats-py has no public door to the server's name
        return str(told.get("version", "")), str(told.get("server_name", ""))

    def inbox(self, sink: Sink) -> Inbox:
        """Return a new inbox whose messages go to *sink*; use it in a ``with``."""
        token = str(next(self._tokens))
        self._sinks[token] = sink

        def close() -> None:
            self._sinks.pop(token, None)

        return Inbox(f"{self._prefix}.{token}", close)

    @asynccontextmanager
    async def subscription(self, sink: Sink) -> AsyncIterator[str]:
        """Give *sink* a subscription of its own and yield its reply subject.

        Consumers need one: the server delivers a stream's message under its own subject, so that the inbox that it
        came by is not seen.

        Raises:
            Lost: if there is no connection.
        """

        async def deliver(message: Msg) -> None:
            sink.deliver(message)

        with self.inbox(sink):
            subject = self._client.new_inbox()
            try:
                held = await self._client.subscribe(subject, cb=deliver, pending_msgs_limit=0, pending_bytes_limit=0)
            except (OSError, nats_errors.Error) as error:
                raise Lost(f"could not subscribe: {type(error).__name__}") from None
            try:
                yield subject
            finally:
                with suppress(OSError, nats_errors.Error):
                    await held.unsubscribe()

    async def send(
        self, subject: str, payload: bytes = b"", *, headers: dict[str, str] | None = None, reply: str = ""
    ) -> None:
        """Send a message, and do not wait for an answer.

        Raises:
            Lost: if there is no connection.
        """
        if not self._client.is_connected:
            await self._reconnected()
        task = asyncio.current_task()
        assert task is not None, "runs in a task"
        cancels = task.cancelling()
        try:
            await self._client.publish(subject, payload, reply=reply, headers=headers)
        except (OSError, nats_errors.Error) as error:
            raise Lost(f"could not send: {type(error).__name__}") from None
        if task.cancelling() > cancels:
            # nats-py swallows a cancellation while it waits for room in its buffer.
            raise asyncio.CancelledError

    @asynccontextmanager
    async def tapped(self, taker: Taker) -> AsyncIterator[str]:
        """Give *taker* a subscription of its own, as raw frames, and yield its reply subject.

        Raises:
            Lost: if there is no connection.
        """
        run, subject = self.tap.new_run(), self._client.new_inbox()
        try:
            held = await self._client.subscribe(subject)
        except (OSError, nats_errors.Error) as error:
            raise Lost(f"could not subscribe: {type(error).__name__}") from None
        sid = held._id  # noqa: SLF001 -- the server names it in each frame
        self.tap.watch(sid, run)
        self.tap.open(run, taker)
        try:
            yield subject
        finally:
            self.tap.close(run)
            self.tap.watch(sid, None)
            with suppress(OSError, nats_errors.Error):
                await held.unsubscribe()

    @asynccontextmanager
    async def answering(self, subject: str, answer: Callable[[], bytes]) -> AsyncIterator[None]:
        """Answer every request on *subject* with what *answer* gives, also after a reconnect, until the block ends."""

        async def give(message: Msg) -> None:
            if message.reply:
                with suppress(OSError, nats_errors.Error):
                    await self._client.publish(message.reply, answer())

        held = await self._client.subscribe(subject, cb=give)
        try:
            yield
        finally:
            with suppress(OSError, nats_errors.Error):
                await held.unsubscribe()

    def write(self, frames: bytes) -> None:
        """Send whole frames as they are, behind what was sent before; the caller bounds what is under way.

        Raises:
            Lost: if there is no connection.
        """
        transport = self._client._transport  # noqa: SLF001 -- nats-py has no public door for bytes
        if not self._client.is_connected or transport is None:
            raise Lost("not connected")
        transport.write(frames)

    async def forget(self, subject: str) -> None:
        """Send a request whose answer does not matter, if there is a connection; never fails."""
        with suppress(Lost):
            if self._client.is_connected:
                await self.send(subject)

    async def ask(self, subject: str, payload: bytes = b"", *, headers: dict[str, str] | None = None) -> Msg:
        """Send one request and return the first answer; but for the end of a batch, it is sent again meanwhile.

        Raises:
            Lost: if no answer came within `ANSWER_TIMEOUT_S`, the connection was lost, or nobody is there.
            UnavailableError: if the server does not let this user ask.
        """
        answer = _Answer(subject)

        async def again() -> None:
            with suppress(Lost):
                await self.send(subject, payload, headers=headers, reply=inbox.subject)

        with self.inbox(answer) as inbox:
            await self.send(subject, payload, headers=headers, reply=inbox.subject)
            with nullcontext() if BATCH_COMMIT in (headers or {}) else repeating(again):
                message = await self.wait(answer.message)
        if message.headers and message.headers.get(STATUS) == NO_RESPONDERS:
            self.faults.note("no_responders")
            raise Lost("no responders: JetStream is not enabled, or has no leader now")
        return message

    async def wait(self, future: "asyncio.Future[T]") -> T:
        """Wait for *future* for `ANSWER_TIMEOUT_S`.

        Raises:
            Lost: when that time is over.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await future
        except TimeoutError:
            self.faults.note("time_out")
            raise Lost(f"no answer within {ANSWER_TIMEOUT_S:g} s") from None

    async def retry(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run *work* until it is not `Lost`; it must do the same each time.

        The first two tries follow at once: mostly the connection was lost, and sending waits for the new one.

        Raises:
            UnavailableError: when the tries or the time are used up.
        """
        with suppress(Lost):
            # Outside of the retry machinery, which costs 60 µs even where nothing fails.
            return await work()
        try:
            async for attempt in stamina.retry_context(
                on=Lost,
                attempts=RETRIES_MAX,
                timeout=RETRY_TOTAL_S,
                wait_initial=RETRY_FIRST_S,
                wait_max=RETRY_PAUSE_S_MAX,
                wait_jitter=RETRY_FIRST_S,
            ):
                with attempt:
                    return await work()
        except Lost as lost:
            raise UnavailableError(f"the NATS server at {self.address} did not answer: {lost}") from None
        raise AssertionError("retry_context ends by a result or by an exception")

    async def _reconnected(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._up.wait()
        except TimeoutError:
            raise Lost(f"not connected: {self.last_error}") from None

    async def _on_message(self, message: Msg) -> None:
        sink = self._sinks.get(message.subject.rpartition(".")[2])
        if sink is not None:
            sink.deliver(message)

    async def _on_error(self, error: Exception) -> None:
        if "Authorization" in str(error):
            self._is_refused = True
        if (what := denied(str(error))) is not None:
            self.faults.note("no_permission", what)
            self._refuse(str(error), UnavailableError(f"{self.address} does not let this user {what}"))
        refused = "the server refused the user, password or token of the URL"
        self.last_error = refused if self._is_refused else f"{type(error).__name__}: {error}"

    def _refuse(self, error: str, reason: UnavailableError) -> None:
        """Fail what waits for an answer from the subject that *error* names, which nats-py tells in lower case."""
        for sink in list(self._sinks.values()):
            if isinstance(sink, _Answer) and f'"{sink.subject.lower()}"' in error.lower():
                sink.lose(reason)

    async def _on_lost(self) -> None:
        self.faults.note("disconnected")
        self._up.clear()
        for sink in list(self._sinks.values()):
            sink.lose(Lost("the connection was lost"))
        self.tap.lose()

    async def _on_back(self) -> None:
        self.faults.reconnects += 1
        self._up.set()
