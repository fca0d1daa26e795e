"""What somebody else has just appended is read from right before the session's end, not looked for among all events."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.log.conftest import OnJetStream, take

from retold.events import Draft, SessionKey, session_key
from retold.log import pages
from retold.log.api import Stored


class _Looking:
    """Count the pages that the server has to look for."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.pages = 0
        self._page = pages.page
        patch.setattr(pages, "page", self._counted)

    async def _counted(self, *args: object, **named: object) -> list[Stored]:
        self.pages += 1
        return await self._page(*args, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize("events", [1, 3, 16])
def test_what_one_append_wrote_is_not_looked_for(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft], monkeypatch: pytest.MonkeyPatch, events: int
) -> None:
    """Between others' events, behind a worker's append: the agent's next append and reads get along without."""
    logs, looking = OnJetStream(nats_url), _Looking(monkeypatch)
    other = session_key("other", tenant=key.tenant)

    async def run() -> None:
        async with logs.open() as agent, logs.open() as worker:
            await agent.append(key, take(drafts, 2))
            await agent.append(other, take(drafts, 5))
            await worker.append(key, take(drafts, events), expected=2)
            looking.pages = 0
            await agent.append(other, take(drafts, 5))
            recorded = await agent.append(key, take(drafts, 1))
            assert recorded[0].event.seq == 3 + events
            assert [one.event.seq async for one in worker.read(key, after=2 + events)] == [3 + events]
            assert looking.pages == 0

    asyncio.run(run())


def test_what_several_appends_wrote_is_found(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With others' events between those of the session the server looks for them, and all are read."""
    logs, looking = OnJetStream(nats_url), _Looking(monkeypatch)
    other = session_key("another", tenant=key.tenant)

    async def run() -> None:
        async with logs.open() as agent, logs.open() as worker:
            await agent.append(key, take(drafts, 2))
            for _ in range(3):
                await worker.append(key, take(drafts, 2))
                await worker.append(other, take(drafts, 2))
            recorded = await agent.append(key, take(drafts, 1))
            assert recorded[0].event.seq == 9
            looking.pages = 0
            assert [one.event.seq async for one in agent.read(key, after=2)] == list(range(3, 10))
            assert looking.pages > 0

    asyncio.run(run())
