"""Erasing where the server holds an event that it cannot read: nothing is removed, for others would be lost with it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.log.conftest import all_seqs, take
from tests.log.test_damage import damage
from tests.log.test_erasing_contract import tombstone

from retold.errors import CorruptLogError
from retold.events import Draft, SessionKey
from retold.log import EmbeddedServer, connect_log
from retold.ports import Aside


def test_nothing_is_removed_beside_an_event_that_cannot_be_read(tmp_path: Path, drafts: Iterator[Draft]) -> None:
    """I erase a damaged session, or another in a log with a damaged one: I am told, and all that was whole still is."""
    keys = [SessionKey("default", name) for name in ("damaged", "other", "third")]

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            for _ in range(10):
                for key in keys:
                    await log.append(key, take(drafts, 1))
        damage(tmp_path, b"text %06d" % 13)
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            await log.set_aside(keys[0], Aside(seq=5, reason="a flipped bit"))
            for key in keys[:2]:
                await log.append(key, [tombstone(take(drafts, 1)[0])], expected=10)
                with pytest.raises(CorruptLogError, match="restore into a new store") as found:
                    await log.erase(key)
                assert (found.value.session, found.value.seq) == ("damaged", 5)
                assert await all_seqs(log, key) == [11]
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            assert await all_seqs(log, keys[2]) == list(range(1, 11))
            assert [one.standing.seq async for one in log.salvage(keys[1])] == [11]

    asyncio.run(run())
