"""What operations need of the server beside the log: how it stands, what went wrong, and who else works on it.

Rules:
- Workers answer a question on `REPORTS`; nothing is stored, so a worker that died is not in the next answer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from nats.aio.msg import Msg

from retold.errors import UnavailableError
from retold.log import streams
from retold.log.dead_letters import DeadLetters
from retold.log.faults import Faults
from retold.log.link import Link, Lost
from retold.log.names import DEAD, DEAD_ALL, LETTERS_ALL, STRAYS_ALL
from retold.log.servers import Server
from retold.log.streams import ServerFacts

REPORTS = "retold.workers.report"
"""Who asks here gets an answer from every worker on the account."""
STRAYS_EVERY_S = 10.0
"""How often messages are looked for that are no session's; a look at a stream that has not grown is one request."""


class _Answers:
    """Collect every answer that comes to an inbox."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def deliver(self, message: Msg) -> None:
        if not message.headers:  # the server's own word that nobody is there
            self.bodies.append(message.data)

    def lose(self, reason: Lost) -> None:
        """Keep what came."""


@asynccontextmanager
async def open_broker(url: str | Server, *, name: str = "retold top") -> AsyncIterator["Broker"]:
    """Give a look at the server at *url*, without a log; nothing is created. Raises as `Link.open`."""
    link = await Link.open(url, name=name)
    try:
        yield Broker(link)
    finally:
        await link.close()


class Broker:
    """Look at the server that a log is on, over the same connection."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def faults(self) -> Faults:
        """Return what went wrong on this connection."""
        return self._link.faults

    @property
    def is_up(self) -> bool:
        """Return whether there is a connection now."""
        return self._link.is_up

    async def inspect(self) -> ServerFacts:
        """Return how the server and the streams stand; raises UnavailableError after the link's retries."""
        return await streams.inspect(self._link)

    async def dead_letters(self) -> dict[str, int]:
        """Return how many of each kind there are: sessions that were set aside, messages in them, and strays."""
        letters = await streams.counts(self._link, DEAD, LETTERS_ALL)
        strays = sum(subject.startswith(STRAYS_ALL.removesuffix("*")) for subject in letters)
        sessions = len(await streams.counts(self._link, DEAD, DEAD_ALL))
        return {"session": sessions, "message": len(letters) - strays, "stray": strays}

    @asynccontextmanager
    async def watching_strays(self) -> AsyncIterator[None]:
        """Write letters on messages that are no session's, until the block ends."""
        task = asyncio.create_task(self._watch_strays())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _watch_strays(self) -> None:
        letters = DeadLetters(self._link)
        while True:
            with suppress(UnavailableError):  # the next look finds them
                await letters.write_strays()
            await asyncio.sleep(STRAYS_EVERY_S)

    @asynccontextmanager
    async def reporting(self, report: Callable[[], bytes]) -> AsyncIterator[None]:
        """Answer with what *report* gives whenever somebody asks, until the block ends."""
        async with self._link.answering(REPORTS, report):
            yield

    async def reports(self, *, wait_s: float) -> list[bytes]:
        """Return the answers of all workers that come within *wait_s* seconds; [] where there is no connection."""
        answers = _Answers()
        with self._link.inbox(answers) as inbox, suppress(Lost):
            await self._link.send(REPORTS, reply=inbox.subject)
            await asyncio.sleep(wait_s)
        return answers.bodies
