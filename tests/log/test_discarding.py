"""What a published history replaced is gone from the store, and nobody who publishes waits for that."""

import asyncio

from msgspec import structs
from tests.log.conftest import Logs

from retold.events import SessionKey
from retold.log import connect_log, streams
from retold.log.discarding import WAITING_MAX
from retold.log.link import Link
from retold.log.names import HISTORIES, history_subject
from retold.ports import Published

SESSIONS = WAITING_MAX + 10


def _published(version: int) -> Published:
    return Published(version=version, seq=version, base_seq=1, hash=f"h{version}", body=b"%d" % version)


def test_what_was_replaced_is_gone_when_the_log_is_closed(nats_url: str, key: SessionKey) -> None:
    """However many histories a worker published in a hurry, its log leaves the newest of each session, nothing else."""
    keys = [structs.replace(key, session=f"{key.session}-{nth}") for nth in range(SESSIONS)]

    async def run() -> None:
        async with connect_log(nats_url) as log:
            for version in (1, 2, 3):
                await asyncio.gather(*(log.publish_history(one, _published(version)) for one in keys))
        link = await Link.open(nats_url, name="test")
        try:
            subjects = [history_subject(one) for one in keys]
            assert [await streams.counts(link, HISTORIES, one) for one in subjects] == [{one: 1} for one in subjects]
        finally:
            await link.close()

    asyncio.run(run())


def test_who_publishes_next_finds_what_others_published_meanwhile(logs: Logs, key: SessionKey) -> None:
    """Two workers that publish in turn never put an older history in the place of a newer one."""

    async def run() -> None:
        async with logs.open() as one, logs.open() as other:
            for version in range(1, 9):
                log = one if version % 3 else other
                assert await log.publish_history(key, _published(version))
                assert not await (other if log is one else one).publish_history(key, _published(version - 1))
            assert await one.load_history(key) == _published(8)

    asyncio.run(run())
