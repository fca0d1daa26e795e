"""What every log promises about snapshots and published histories."""

import asyncio
from collections.abc import AsyncGenerator, Iterator

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


def test_what_is_withdrawn_is_not_published_again(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """After a withdrawal nobody is given a history, and who lags publishes nothing of before; the next one is found."""

    def published(version: int, seq: int) -> Published:
        return Published(version=version, seq=seq, base_seq=1, hash=f"h{version}", body=b'{"v": %d}' % version)

    async def run() -> None:
        async with logs.open() as log, logs.open() as late:
            await log.append(key, take(drafts, 9))
            assert not await log.withdraw_history(key, version=1, seq=2)  # there is nothing, and yet it holds
            assert not await late.publish_history(key, published(1, 1))
            assert await log.publish_history(key, published(2, 3))
            assert not await late.withdraw_history(key, version=2, seq=3)
            assert await late.load_history(key) == published(2, 3)
            assert await late.withdraw_history(key, version=5, seq=6)
            assert not await late.withdraw_history(key, version=5, seq=6)
            for one in (log, late):
                assert await one.load_history(key) is None
                for lagging in (published(2, 3), published(4, 5), published(5, 6)):
                    assert not await one.publish_history(key, lagging)
            assert await log.publish_history(key, published(6, 7))
            assert not await late.withdraw_history(key, version=5, seq=6)
            assert await late.load_history(key) == published(6, 7)

    asyncio.run(run())


def test_a_rebuild_brings_nothing_back_that_was_withdrawn(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """A history that is withdrawn while a rebuild makes it anew stays away."""
    old = Published(version=2, seq=3, base_seq=1, hash="h", body=b'{"v": 2}')

    async def run() -> None:
        async with logs.open() as log, logs.open() as other:

            async def made() -> AsyncGenerator[Snapshot | Published, None]:
                yield Snapshot(seq=3, body=b"state 3")
                assert await other.withdraw_history(key, version=4, seq=5)
                yield old

            await log.append(key, take(drafts, 9))
            assert await log.publish_history(key, old)
            await log.swap_projections(key, made())
            assert await log.load_history(key) is None
            assert not await log.publish_history(key, old)

    asyncio.run(run())
