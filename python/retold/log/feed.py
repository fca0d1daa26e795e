"""Feeds: an ordered pull consumer that is made anew whenever anything about it is in doubt.

Rules:
- The server's consumer is a convenience that may vanish at any time. The place is kept here, in the stream's own
  positions, and a new consumer starts behind it.
- Deliveries are numbered by the server: a number that jumps means a loss on the way, and a new consumer. So does a
  heartbeat that names a later number than has come: else a lost last message would be missed until the next one.
- Silence is noticed by missing heartbeats, a lost connection at once.
- A consumer stands still for ever before a message that the server cannot read. A heartbeat that comes while something
  should be under way ends it; what it did not bring is asked for by name, and what cannot be had is named.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from msgspec import Struct
from nats.aio.msg import Msg

from retold.log import api, streams
from retold.log.api import Refused, Stored
from retold.log.consumers import SILENCE_S, consumer, pull_of
from retold.log.link import STATUS, Link, Lost
from retold.log.packing import unpack

PULL_EVENTS = 256
"""Messages asked for at a time: what may lie here unread."""
GETS_AT_ONCE = 64
"""How many subjects are asked for one by one at once, where a consumer stood still."""
PULL_BYTES_MAX = 16 * 1024 * 1024
"""The most bytes asked for at a time: holds 64 of the largest messages."""

_HEARTBEAT = "100"
_CONFLICT = "409"
_SIZE_REACHED = "MaxBytes"
_COUNT_REACHED = "Batch Completed"
_LAST_SENT = "Nats-Last-Consumer"
_PULL_OVER = frozenset({"404", "408"})
LISTING_HEARTBEAT_S = 0.5
"""A list of what is there waits no longer than this on a consumer that stands still."""
_LASTS = {"deliver_policy": "last_per_subject", "headers_only": True}
_PULL = pull_of(events=PULL_EVENTS, bytes_max=PULL_BYTES_MAX)
_LISTING_PULL = pull_of(events=PULL_EVENTS, bytes_max=PULL_BYTES_MAX, heartbeat_s=LISTING_HEARTBEAT_S)


class Delivery(Struct, frozen=True):
    """Pair a message with how many more lay here already when it was taken."""

    stored: Stored
    buffered: int


class _Pull:
    """Take the deliveries of one consumer, and wake the one who waits."""

    def __init__(self) -> None:
        self.messages: deque[Msg] = deque()
        self.delivered = 0
        """How many of them are messages of the stream: the others tell how the pull stands."""
        self.arrived = asyncio.Event()
        self.is_lost = False

    def deliver(self, message: Msg) -> None:
        self.messages.append(message)
        self.delivered += _is_stored(message)
        self.arrived.set()

    def lose(self, reason: Lost) -> None:
        del reason
        self.is_lost = True
        self.arrived.set()

    async def next(self) -> Msg:
        while not self.messages:
            if self.is_lost:
                raise Lost("the connection was lost")
            self.arrived.clear()
            try:
                async with asyncio.timeout(SILENCE_S):
                    await self.arrived.wait()
            except TimeoutError:
                raise Lost("the consumer fell silent") from None
        message = self.messages.popleft()
        self.delivered -= _is_stored(message)
        return message


class _Consumer:
    """Hold one consumer on the server, while it is not in doubt.

    Attributes:
        pending: how many messages it found waiting when it was made.
    """

    def __init__(self, link: Link, pull: _Pull, *, subject: str, reply: str, pending: int) -> None:
        self._link = link
        self._pull = pull
        self._subject = subject
        self._reply = reply
        self.pending = pending

    async def deliveries(self, pull: bytes = _PULL) -> AsyncIterator[Delivery]:
        """Yield what it delivers, in order and without a gap.

        Raises:
            Lost: when that cannot be said any more, or it stands still.
        """
        delivered = 0
        while True:
            await self._link.send(self._subject, pull, reply=self._reply)
            for _ in range(PULL_EVENTS):
                message = await self._message(delivered)
                if message is None:
                    break
                stored, number = _read(message)
                if number != delivered + 1:
                    raise Lost("a delivery was lost on the way")
                delivered = number
                yield Delivery(stored=stored, buffered=self._pull.delivered)

    async def _message(self, delivered: int) -> Msg | None:
        """Return the next message; None when the server has ended this pull and wants another.

        Raises:
            Lost: if a heartbeat shows that more than *delivered* messages were sent, or the consumer is gone.
        """
        while True:
            message = await self._pull.next()
            headers = message.headers or {}
            status = headers.get(STATUS)
            if status is None:
                return message
            description = headers.get("Description", "")
            if status in _PULL_OVER or (status == _CONFLICT and _SIZE_REACHED in description):
                return None
            if status == _CONFLICT and description == _COUNT_REACHED:
                continue  # it may come after we have counted that ourselves, and asked for more
            if status != _HEARTBEAT:
                raise Lost(f"the consumer ended with status {status} {description}")
            if int(headers.get(_LAST_SENT, delivered)) != delivered:
                raise Lost("the last delivery was lost on the way")
            if delivered < self.pending:
                raise Lost("the consumer stands still before a message that cannot be read")


class Feed:
    """Deliver a stream's messages on one or several subject filters, which have none in common."""

    def __init__(self, link: Link, stream: str, *subjects: str) -> None:
        self._link = link
        self._stream = stream
        self._subjects = subjects

    async def after(self, position: int, *, check: Callable[[int], Awaitable[None]]) -> AsyncGenerator[Stored, None]:
        """Yield the messages after stream *position*, without an end.

        *check* is awaited with the position before each new consumer but the first.

        Raises:
            UnavailableError: if the server does not come back within the link's retries.
        """
        while True:
            config = {"deliver_policy": "by_start_sequence", "opt_start_seq": position + 1}
            with suppress(Lost):
                async with self._consumer(config) as consumer:
                    async for delivery in consumer.deliveries():
                        position = delivery.stored.position
                        yield delivery.stored
            await check(position)

    async def lasts_now(self) -> list[Stored]:
        """Return the last message of every subject as it stands, headers only.

        One that the server cannot read is there without headers, at position 0.

        Raises:
            UnavailableError: if the server does not answer within the link's retries.
        """
        subjects: set[str] = set()
        for filtered in self._subjects:
            subjects |= (await streams.counts(self._link, self._stream, filtered)).keys()
        found = {stored.subject: stored for stored in await self._link.retry(self._lasts_once)}
        missing = [subject for subject in subjects if subject not in found]
        for first in range(0, len(missing), GETS_AT_ONCE):
            some = missing[first : first + GETS_AT_ONCE]
            found |= zip(some, await asyncio.gather(*map(self._last, some)), strict=True)
        return list(found.values())

    async def now(self, *, after: int = 0) -> AsyncGenerator[Stored, None]:
        """Yield every message after stream position *after* as it stands, headers only, and end.

        Raises:
            Lost: when it cannot be said any more that nothing is missing, or a message cannot be read.
        """
        config = {"deliver_policy": "by_start_sequence", "opt_start_seq": after + 1, "headers_only": True}
        async with self._consumer(config) as consumer:
            left = consumer.pending
            if left:
                async for delivery in consumer.deliveries(_LISTING_PULL):
                    yield delivery.stored
                    left -= 1
                    if not left:
                        return

    async def _lasts_once(self) -> list[Stored]:
        """Return what a consumer brings, which is all unless it stands still."""
        got: list[Stored] = []
        async with self._consumer(_LASTS) as consumer:
            if consumer.pending:
                with suppress(Lost):
                    async for delivery in consumer.deliveries(_LISTING_PULL):
                        got.append(delivery.stored)
                        if len(got) >= consumer.pending:
                            break
        return got

    async def _last(self, subject: str) -> Stored:
        with suppress(Refused):
            stored = await api.get(self._link, self._stream, {"last_by_subj": subject})
            if stored is not None:
                return stored
        return Stored(subject=subject, position=0, headers={}, body=b"")

    @asynccontextmanager
    async def _consumer(self, config: dict[str, Any]) -> AsyncIterator[_Consumer]:
        pull = _Pull()
        one = len(self._subjects) == 1
        wanted = {"filter_subject": self._subjects[0]} if one else {"filter_subjects": self._subjects}
        async with (
            consumer(self._link, self._stream, config | wanted) as made,
            self._link.subscription(pull) as reply,
        ):
            yield _Consumer(self._link, pull, subject=made.next_subject, reply=reply, pending=made.pending)


def _is_stored(message: Msg) -> bool:
    return STATUS not in (message.headers or {})


def _read(message: Msg) -> tuple[Stored, int]:
    """Return the message and its number in the consumer.

    The reply subject is ``$JS.ACK.<stream>.<consumer>.<tries>.<position>.<number>.<time>.<pending>``, or the same with
    domain and account before the stream and a token at the end.
    """
    tokens = message.reply.split(".")
    shift = 0 if len(tokens) == 9 else 2
    headers = message.headers or {}
    stored = Stored(
        subject=message.subject,
        position=int(tokens[5 + shift]),
        headers=headers,
        body=unpack(message.data, headers),
    )
    return stored, int(tokens[6 + shift])
