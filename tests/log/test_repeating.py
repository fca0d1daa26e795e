"""A request without an answer is sent again before it is given up: whoever was to answer it may be gone."""

import asyncio

import pytest
from nats.aio.msg import Msg
from tests.log.conftest import raw_client

from retold.log import link as link_module
from retold.log import repeating
from retold.log.link import Link, Lost
from retold.log.names import BATCH_COMMIT


async def _asked(url: str, headers: dict[str, str] | None) -> tuple[bytes, list[bytes]]:
    """Ask somebody who answers from the second time on; return the answer, and what came."""
    came: list[bytes] = []

    async def answer(message: Msg) -> None:
        came.append(message.data)
        if len(came) > 1:
            await message.respond(b"here")

    async with raw_client(url) as client:
        await client.subscribe("test.repeating", cb=answer)
        await client.flush()
        link = await Link.open(url, name="test")
        try:
            return (await link.ask("test.repeating", b"there?", headers=headers)).data, came
        finally:
            await link.close()


def test_a_request_is_sent_again_until_it_is_answered(nats_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first went to somebody who died: I am answered by the next one long before I would have given up."""
    monkeypatch.setattr(repeating, "AGAIN_S", 0.05)
    answer, came = asyncio.run(_asked(nats_url, None))
    assert answer == b"here"
    assert set(came) == {b"there?"}
    assert len(came) > 1


def test_the_end_of_a_batch_is_sent_once(nats_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, without the messages before it, it would be refused: the whole batch is sent again instead."""
    monkeypatch.setattr(repeating, "AGAIN_S", 0.05)
    monkeypatch.setattr(link_module, "ANSWER_TIMEOUT_S", 0.4)
    with pytest.raises(Lost):
        asyncio.run(_asked(nats_url, {BATCH_COMMIT: "1"}))
