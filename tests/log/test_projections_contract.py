"""What every log promises about snapshots and published histories."""

import asyncio
from collections.abc import Iterator

from tests.log.conftest import Logs, take

from retold.events import Draft, SessionKey
from retold.ports import Published, Snapshot


def test_every_snapshot_is_kept(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """I can go back to any snapshot, saving one again adds none, and an old one displaces none."""

    async def run() -> None:
        async with logs.open() as log:
            await log.append(key, take(drafts, 9))
            for seq in (3, 6, 9, 9, 4):
                await log.save_snapshot(key, Snapshot(seq=seq, body=b"state %d" % seq))
            kept = [Snapshot(seq=seq, body=b"state %d" % seq) for seq in (3, 6, 9)]
            assert [snapshot async for snapshot in log.snapshots(key)] == kept
            for until, seq in ((None, 9), (9, 9), (8, 6), (5, 3), (3, 3)):
                assert await log.load_snapshot(key, until=until) == Snapshot(seq=seq, body=b"state %d" % seq)
            assert await log.load_snapshot(key, until=2) is None
            await log.save_snapshot(key, Snapshot(seq=9, body=b"state 9, made anew"))
            assert await log.load_snapshot(key) == Snapshot(seq=9, body=b"state 9, made anew")

    asyncio.run(run())


def test_a_published_history_never_goes_backwards(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Readers never see an older history after a newer one, whoever publishes late."""

    def published(version: int, seq: int) -> Published:
        return Published(version=version, seq=seq, base_seq=1, hash=f"h{version}", body=b'{"v": %d}' % version)

    async def run() -> None:
        async with logs.open() as log, logs.open() as late:
            await log.append(key, take(drafts, 9))
            assert await log.publish_history(key, published(2, 6))
            assert not await late.publish_history(key, published(1, 3))
            assert not await late.publish_history(key, published(2, 6))
            assert await late.publish_history(key, published(3, 9))
            assert await log.load_history(key) == published(3, 9)

    asyncio.run(run())


def test_publishing_at_once_leaves_the_newest(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """When several workers publish at the same time, the newest version is what stays."""

    async def run() -> None:
        async with logs.open() as one, logs.open() as two:
            await one.append(key, take(drafts, 9))
            order = [published_at(version) for version in (3, 9, 1, 7, 5, 2, 8)]
            await asyncio.gather(
                *(log.publish_history(key, item) for log, item in zip([one, two] * 4, order, strict=False))
            )
            assert await two.load_history(key) == published_at(9)

    def published_at(version: int) -> Published:
        return Published(version=version, seq=version, base_seq=1, hash="h", body=b"{}")

    asyncio.run(run())
