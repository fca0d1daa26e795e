"""A snapshot that is damaged or lost hides nothing: what names it is made from the events, and the worker goes on."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.laws.lives import long_life
from tests.laws.logs import HandClock, worker_on, write
from tests.laws.stories import KEY
from tests.log.conftest import api, raw_client

from retold.events import Fact
from retold.log import EmbeddedServer, JetStreamLog, connect_log
from retold.log.names import SNAPSHOTS, snapshot_subject
from retold.ports import Unreadable
from retold.replay import rebuild, verify

_LIFE = long_life(length=60)
_LATER = long_life(seed=8, length=30)[1:]


async def _live(log: JetStreamLog, facts: Sequence[Fact], *, name: str) -> None:
    """Tell *facts* with a worker that comes by all the time."""
    clock, worker = HandClock(name), worker_on(log, f"worker {name}")
    for fact in facts:
        await write(log, KEY, [fact], clock=clock)
        await worker.drain()
    assert not worker.damaged
    assert not await log.aside()


async def _lose_snapshots(url: str) -> int:
    """Lose every snapshot but the first, behind everybody's back; return how many."""
    positions = [0]
    while True:
        request: dict[str, object] = {"seq": positions[-1] + 1, "next_by_subj": snapshot_subject(KEY)}
        message = (await api(url, f"STREAM.MSG.GET.{SNAPSHOTS}", request)).get("message")
        if not isinstance(message, dict):
            break
        positions.append(message["seq"])
    for position in positions[2:]:
        await api(url, f"STREAM.MSG.DELETE.{SNAPSHOTS}", {"seq": position})
    return len(positions) - 2


def test_a_history_whose_snapshots_are_lost_is_read_as_it_was_published(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Readers are given the same bytes, verify names the damage, the worker goes on, and a rebuild mends it."""

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server:
            async with connect_log(server.url) as log:
                await _live(log, _LIFE, name="first")
                published = await log.load_history(KEY)
                assert published is not None
                assert published.version > 1
            assert await _lose_snapshots(server.url) > 2
            async with connect_log(server.url) as log:
                with caplog.at_level(logging.WARNING):
                    assert await log.load_history(KEY) == published
                assert "made from the events" in caplog.text
                worker = worker_on(log, "second")
                await worker.drain()
                assert not worker.damaged
            async with connect_log(server.url) as log:
                await _live(log, _LATER, name="third")
                newer = await log.load_history(KEY)
                assert newer is not None
                assert newer.version > published.version
            async with connect_log(server.url) as log:
                caplog.clear()
                assert await log.load_history(KEY) == newer
                assert "made from the events" not in caplog.text  # the next snapshot has what it names
                await rebuild(log, KEY)
                assert (await verify(log, KEY)).ok

    asyncio.run(run())


def test_a_lost_snapshot_is_named_by_verify_until_a_rebuild(tmp_path: Path) -> None:
    """Verify says which snapshot cannot be read, and that the events are whole; after a rebuild there is nothing."""

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server:
            async with connect_log(server.url) as log:
                await _live(log, _LIFE, name="first")
                kept = [one.seq async for one in log.snapshots(KEY)]
                assert len(kept) > 3
            request: dict[str, object] = {"last_by_subj": snapshot_subject(KEY)}
            message = (await api(server.url, f"STREAM.MSG.GET.{SNAPSHOTS}", request))["message"]
            assert isinstance(message, dict)
            position = message["seq"]
            for back, lost in ((1, kept[-2]), (2, kept[-3])):
                await api(server.url, f"STREAM.MSG.DELETE.{SNAPSHOTS}", {"seq": position - back})
                async with connect_log(server.url) as log:
                    assert Unreadable(lost) in [one async for one in log.snapshots(KEY)]
                    verdict = await verify(log, KEY)
                    assert (verdict.ok, verdict.whole, verdict.damaged_seq) == (False, True, lost)
                    assert "snapshot" in verdict.reason
            async with connect_log(server.url) as log:
                rebuilt = await rebuild(log, KEY)
                assert rebuilt.differed >= 2
                assert (await verify(log, KEY)).ok

    asyncio.run(run())


def test_a_snapshot_whose_bytes_changed_is_named_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """If the newest snapshot is not what was written, verify names it, and the next builds on the one before it."""

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server:
            async with connect_log(server.url) as log:
                await _live(log, _LIFE, name="first")
                kept = [one.seq async for one in log.snapshots(KEY)]
                forged = {"Retold-Seq": str(kept[-1]), "Retold-Hash": "00"}
            async with raw_client(server.url) as client:
                await client.jetstream().publish(snapshot_subject(KEY), b"changed", headers=forged)
            async with connect_log(server.url) as log:
                assert [one async for one in log.snapshots(KEY)][-1] == Unreadable(kept[-1])
                assert not (await verify(log, KEY)).ok
                await _live(log, _LATER, name="second")
                seqs = [one.seq async for one in log.snapshots(KEY)]
                assert seqs[: len(kept)] == kept
                assert (await verify(log, KEY)).ok

    asyncio.run(run())
