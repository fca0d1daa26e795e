"""Whatever happens to the files of a store, no read gives a silently different answer."""

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.acceptance.stores import Truth, copied, fill, judge, run_flips
from tests.log.conftest import api, raw_client

from retold.errors import CorruptLogError
from retold.events import Message, SessionKey, Text
from retold.log import EmbeddedServer, connect_log
from retold.log.names import EVENTS, SEQ, event_subject
from retold.wiring import client_of

FLIPS = int(os.environ.get("RETOLD_FLIPS", "16"))
"""How many bits are flipped, one after the other; `make damage` flips 200."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]

Store = tuple[Path, Truth]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Store]:
    """Give a store whose server was stopped in order, and one whose server was killed."""
    made = []
    for killed in (False, True):
        directory = tmp_path_factory.mktemp("killed" if killed else "stopped")
        made.append((directory, asyncio.run(fill(directory, killed=killed))))
    return made


def _blocks(store: Path, stream: str) -> list[Path]:
    return sorted(store.rglob(f"{stream}/msgs/*.blk"), key=lambda path: int(path.stem))


def _cut(store: Path, chance: random.Random) -> None:
    [block] = _blocks(store, EVENTS)
    os.truncate(block, chance.randrange(1, block.stat().st_size))


def _lose_block(store: Path, _: random.Random) -> None:
    [block] = _blocks(store, EVENTS)
    block.unlink()


def _lose_index_and_cut(store: Path, chance: random.Random) -> None:
    for index in store.rglob("msgs/index.db"):
        index.unlink()
    _cut(store, chance)


def test_no_flipped_bit_changes_an_answer_in_silence(stores: list[Store], tmp_path: Path) -> None:
    """When any one bit of my store's files has changed, every answer is still right, or names what is damaged."""
    found = run_flips(stores, tmp_path, seeds=range(FLIPS))
    named = sum(bool(judgement.named) for _, judgement in found)
    print(f"{len(found)} flips: {named} named, {len(found) - named} harmless")  # noqa: T201 - `make damage` shows it
    assert [(where, judgement.silent) for where, judgement in found if judgement.silent] == []
    assert named > 0


@pytest.mark.parametrize("harm", [_cut, _lose_block, _lose_index_and_cut], ids=lambda harm: harm.__name__[1:])
@pytest.mark.parametrize("which", [0, 1], ids=["stopped", "killed"])
def test_no_lost_part_of_the_events_goes_unnoticed(
    stores: list[Store], tmp_path: Path, harm: Callable[[Path, random.Random], None], which: int
) -> None:
    """When the events' file has lost its end, or is gone, every session that lost something says so."""
    store, truth = stores[which]
    for seed in range(3):
        chance = random.Random(seed)
        harm(copied(store, tmp_path), chance)
        judgement = asyncio.run(judge(tmp_path, truth, chance=chance))
        assert judgement.silent == ()
        assert judgement.named


def test_the_judge_calls_silent_what_is(stores: list[Store], tmp_path: Path) -> None:
    """Where every witness of the events is gone too, a shorter session looks whole: the law would see it."""
    store, truth = stores[1]
    copied(store, tmp_path)
    for stream in ("RETOLD_HEADS", "RETOLD_SNAPSHOTS", "KV_RETOLD_HISTORIES"):
        for block in _blocks(tmp_path, stream):
            block.unlink()
    _cut(tmp_path, random.Random(2))
    assert asyncio.run(judge(tmp_path, truth, chance=random.Random(2))).silent


@pytest.mark.parametrize("lost", [0, -1], ids=["first", "last"])
def test_a_lost_block_of_several_is_found(tmp_path: Path, lost: int) -> None:
    """When one of a store's block files is gone, no session that had events in it reads as if nothing were missing."""
    said = random.Random(5)  # what nothing can pack

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            sessions = [await client_of(log).session(name) for name in ("a", "b")]
            for _ in range(40):
                for session in sessions:
                    await session.append(Message(role="user", content=(Text(said.randbytes(120_000).hex()),)))
        blocks = _blocks(tmp_path, EVENTS)
        assert len(blocks) > 1
        blocks[lost].unlink()
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            for session in sessions:
                with pytest.raises(CorruptLogError):
                    async for _ in log.read(session.key):
                        pass

    asyncio.run(run())


def test_reordered_events_are_found(nats_url: str, tenant: str) -> None:
    """When two of a session's messages have changed places, reading stops at the first of them."""

    async def run() -> None:
        key = SessionKey(tenant, "s")
        async with connect_log(nats_url) as log, raw_client(nats_url) as client:
            session = await client_of(log).session("s", tenant=tenant)
            for number in range(9):
                await session.append(Message(role="user", content=(Text(f"{number}"),)))
            bodies = [recorded.body async for recorded in log.read(key)]
            await api(nats_url, f"STREAM.PURGE.{EVENTS}", {"filter": event_subject(key)})
            for seq in (1, 2, 3, 5, 4, 6, 7, 8, 9, 10):
                await client.jetstream().publish(event_subject(key), bodies[seq - 1], headers={SEQ: str(seq)})
        async with connect_log(nats_url) as log:
            got = []
            with pytest.raises(CorruptLogError) as found:
                got += [recorded.body async for recorded in log.read(key)]
            assert found.value.seq == 4

    asyncio.run(run())
