"""Erasures beside others: a rebuild that is under way leaves nothing of before, wherever it dies."""

import asyncio
import base64
import random
from collections.abc import AsyncGenerator, Iterator

import pytest
from msgspec import structs
from tests.log.conftest import api, raw_client, take
from tests.log.test_copies_contract import each
from tests.log.test_erasing_contract import erased, fill, history, tombstone

from retold.errors import ConflictError
from retold.events import Draft, SessionKey
from retold.log import connect_log
from retold.log.names import BLOBS, EVENTS, SNAPSHOTS, event_subject, snapshot_subjects
from retold.ports import Published, Snapshot


async def _states(url: str, key: SessionKey) -> list[bytes]:
    """Return what the server holds of the session's snapshots, those written aside included."""
    found: list[bytes] = []
    async with raw_client(url) as client:
        stream = client.jetstream()
        info = await stream.stream_info(SNAPSHOTS)
        for seq in range(info.state.first_seq, info.state.last_seq + 1):
            try:
                message = await stream.get_msg(SNAPSHOTS, seq)
            except Exception:  # noqa: BLE001, S112 - a message that was removed
                continue
            if message.subject in snapshot_subjects(key) and message.data:
                found.append(message.data)
    return found


class Killed(Exception):  # noqa: N818 - what happens to the process
    """Stand for the death of the process."""


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_rebuild_that_meets_an_erasure_and_dies_leaves_nothing(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft], before: int
) -> None:
    """However many states a rebuild had written aside when its session was erased, none is there afterwards."""

    async def run() -> None:
        async with connect_log(nats_url) as log, connect_log(nats_url) as other:
            await fill(log, key, drafts)

            async def made() -> AsyncGenerator[Snapshot | Published, None]:
                for seq in range(1, before + 1):
                    yield Snapshot(seq=seq, body=b"state %d" % seq)
                await other.append(key, [tombstone(take(drafts, 1)[0])])
                await other.erase(key)
                for seq in range(before + 1, 5):
                    yield Snapshot(seq=seq, body=b"state %d" % seq)
                raise Killed

            with pytest.raises((Killed, ConflictError)):
                await log.swap_projections(key, made())
            assert await _states(nats_url, key) == []
            await log.append(key, take(drafts, 3))
            later = Snapshot(seq=8, body=b"later")

            async def anew() -> AsyncGenerator[Snapshot | Published, None]:
                yield later
                yield history(8)

            for _ in range(2):
                await log.swap_projections(key, anew())
                assert await other.load_snapshot(key) == later
                assert await other.load_history(key) == history(8)
            assert (await other.erase(key)).events == 0
            assert await log.load_snapshot(key) == later

    asyncio.run(run())


async def _bodies(url: str, key: SessionKey) -> int:
    """Return how many large bodies the object store has of the session."""
    answer = await api(url, f"STREAM.INFO.{BLOBS}", {"subjects_filter": f"$O.*.C.{key.tenant}.{key.session}.>"})
    state = answer.get("state", {})
    assert isinstance(state, dict)
    return len(state.get("subjects") or {})


def test_who_lags_behind_an_erasure_stores_no_large_body(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """A worker that comes with a large snapshot and history of what was erased leaves nothing in the object store."""
    large = base64.b64encode(random.Random(1).randbytes(400_000))

    async def run() -> None:
        async with connect_log(nats_url) as worker, connect_log(nats_url) as owner:
            await fill(worker, key, drafts)
            await worker.save_snapshot(key, Snapshot(seq=5, body=large))
            assert await _bodies(nats_url, key) > 0  # that is where it goes
            await erased(owner, key, drafts)
            await owner.erase(key)
            assert await _bodies(nats_url, key) == 0
            await worker.save_snapshot(key, Snapshot(seq=5, body=large[::-1]))
            assert not await worker.publish_history(key, structs.replace(history(5), body=large[::-1]))
            assert await _bodies(nats_url, key) == 0
            assert await owner.load_snapshot(key) is None
            assert await owner.load_history(key) is None

    asyncio.run(run())


def test_an_erasure_goes_by_where_the_tombstone_lies(nats_url: str, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Who remembers places of before a repair erases what the repair wrote, too."""

    async def run() -> None:
        async with connect_log(nats_url) as writer, connect_log(nats_url) as repairer:
            events = await fill(writer, key, drafts)
            await repairer.replace(key, each(events), until=5, instead_of=await repairer.stored_end(key))
            await erased(repairer, key, drafts)
            await writer.erase(key)
            left = await api(nats_url, f"STREAM.INFO.{EVENTS}", {"subjects_filter": event_subject(key)})
            state = left["state"]
            assert isinstance(state, dict)
            assert state["subjects"] == {event_subject(key): 1}

    asyncio.run(run())
