"""What a session has reached is written down beside its events, also when the log is closed at any time."""

import asyncio
from collections.abc import Iterator

import pytest
from nats.aio.msg import Msg
from tests.log.conftest import WAIT_S, log_over, take

from retold.events import Draft, SessionKey
from retold.log import connect_log, heads
from retold.log.link import Link
from retold.log.names import head_subject


class HeldLink(Link):
    """Hold the first try to write a head for ever."""

    def __init__(self, *, address: str) -> None:
        super().__init__(address=address)
        self.held = asyncio.Event()

    async def ask(self, subject: str, payload: bytes = b"", *, headers: dict[str, str] | None = None) -> Msg:
        """Ask, unless it is the first head."""
        if subject.startswith("retold.head.") and not self.held.is_set():
            self.held.set()
            await asyncio.Event().wait()
        return await super().ask(subject, payload, headers=headers)


def test_a_head_that_is_being_written_when_the_log_is_closed_is_not_lost(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing breaks off what is under way, and writes it down then."""
    monkeypatch.setattr(heads, "DELAY_S", 0.0)

    async def run() -> None:
        async with asyncio.timeout(WAIT_S), log_over(HeldLink, nats_url) as log:
            await log.append(key, take(drafts, 3))
            link = log._link  # noqa: SLF001 - the test's own
            assert isinstance(link, HeldLink)
            await link.held.wait()
        async with connect_log(nats_url) as other:
            assert await other.reached(key) == 3, head_subject(key)

    asyncio.run(run())
