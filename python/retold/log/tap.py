"""A tap on the link's connection: what the core asked for is taken out of what the server sends, as raw frames.

Rules:
- It stands where nats-py has its parser and hands on, unchanged, all that is not the core's. So connecting, TLS, users
  and keys, reconnecting and every other message stay nats-py's.
- A run is asked for by number; when the connection is lost, every run is told at once, as every inbox is.
"""

from itertools import count
from typing import Protocol

from nats.protocol.parser import Parser

from retold.wire import Splitter


class Taker(Protocol):
    """Take what arrives for one run. Both methods must return at once."""

    def take(self, frames: bytes) -> None:
        """Take whole frames."""
        ...

    def lose(self) -> None:
        """Learn that the connection was lost: nothing that was asked for will come."""
        ...


class Tap:
    """Part the core's messages from the others'. A run's messages are those to `subject(run)` and what follows it."""

    def __init__(self, parser: Parser, prefix: str) -> None:
        """Hand everything but messages to *prefix* and a number on to *parser*."""
        self._parser = parser
        self._prefix = prefix
        self._splitter = Splitter(prefix)
        self._takers: dict[int, Taker] = {}
        self._runs = count(1)

    async def parse(self, data: bytes = b"") -> None:
        """Take the connection's next bytes; nats-py calls it."""
        taken, rest = self._splitter.take(bytes(data))
        for run, frames in taken:
            taker = self._takers.get(run)
            if taker is not None:
                taker.take(frames)
        if rest:
            await self._parser.parse(rest)

    def reset(self) -> None:
        """Start anew on a new connection; nats-py calls it."""
        self._splitter.reset()
        self._parser.reset()

    def new_run(self) -> int:
        """Return a number that no run has had."""
        return next(self._runs)

    def subject(self, run: int) -> str:
        """Return how the subjects of the run's messages begin; letters, digits and ``-`` may follow."""
        return f"{self._prefix}{run}-"

    def open(self, run: int, taker: Taker) -> None:
        """Give the run's messages to *taker* from now on."""
        self._takers[run] = taker

    def watch(self, sid: int, run: int | None) -> None:
        """Take the messages of nats-py's subscription *sid* for those of *run*; None: leave them to nats-py again."""
        self._splitter.watch(sid, run)

    def close(self, run: int) -> None:
        """Drop the run's messages from now on."""
        self._takers.pop(run, None)

    def lose(self) -> None:
        """Tell every run that the connection was lost."""
        for taker in list(self._takers.values()):
            taker.lose()
