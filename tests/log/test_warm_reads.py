"""A reader that knows a session asks for what it wants and for its end at once, and is given nothing erased."""

import asyncio
from collections.abc import Iterator

from nats.aio.msg import Msg
from tests.log.conftest import WAIT_S, read, seqs, take
from tests.log.test_erasing_contract import tombstone

from retold.events import Draft, SessionKey
from retold.log import JetStreamLog, connect_log
from retold.log.link import Link
from retold.log.names import EVENTS


class PatientLink(Link):
    """Keep back the answers about the stream's newest messages until a page was asked for, once told to."""

    patient = False

    def __init__(self, *, address: str) -> None:
        super().__init__(address=address)
        self.asked = asyncio.Event()

    async def send(
        self, subject: str, payload: bytes = b"", *, headers: dict[str, str] | None = None, reply: str = ""
    ) -> None:
        """Send, and note a page."""
        if subject.startswith(f"$JS.API.DIRECT.GET.{EVENTS}"):
            self.asked.set()
        await super().send(subject, payload, reply=reply, headers=headers)

    async def ask(self, subject: str, payload: bytes = b"", *, headers: dict[str, str] | None = None) -> Msg:
        """Ask, and wait."""
        message = await super().ask(subject, payload, headers=headers)
        if self.patient and subject.startswith(f"$JS.API.STREAM.MSG.GET.{EVENTS}"):
            await self.asked.wait()
        return message


def test_what_is_known_is_asked_for_at_once(nats_url: str, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Reading on from a place that this process knows takes one round trip, not two."""

    async def run() -> None:
        async with connect_log(nats_url):  # sets up the streams
            pass
        link = await PatientLink.open(nats_url, name="test")
        assert isinstance(link, PatientLink)
        async with JetStreamLog(link) as log, asyncio.timeout(WAIT_S):
            await log.append(key, take(drafts, 9))
            await read(log, key, until=5)
            link.patient = True
            for until in (None, 7):
                link.asked.clear()
                got = await read(log, key, after=5, until=until)
                assert seqs(got) == [6, 7, 8, 9][: None if until is None else 2]

    asyncio.run(run())


def test_a_known_place_that_was_erased_gives_nothing_of_before(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """However much a reader knows, from the tombstone on it gives none of what came before, removed yet or not."""

    async def run() -> None:
        async with connect_log(nats_url) as log, connect_log(nats_url) as other:
            await log.append(key, take(drafts, 9))
            await read(log, key)
            stone = await other.append(key, [tombstone(next(drafts))])
            assert await read(log, key, after=5, until=8) == []
            assert await read(log, key, after=5) == stone
            await other.erase(key)
            later = await other.append(key, take(drafts, 2))
            assert await read(log, key, after=5) == [*stone, *later]
            assert await read(log, key, after=9, until=9) == []

    asyncio.run(run())
