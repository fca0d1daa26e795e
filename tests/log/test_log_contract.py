"""What every log promises about events, run over each implementation: in memory, and JetStream on a real server."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.log.conftest import WAIT_S, Logs, read, read_to_damage, saying, seqs, take

from retold.errors import ConflictError, CorruptLogError, InputError
from retold.events import Draft, Head, Recorded, SessionKey, check_follows
from retold.log import (
    APPEND_BYTES_MAX,
    APPEND_EVENTS_MAX,
    EVENT_BYTES_MAX,
    JetStreamLog,
)
from retold.ports import Log, Published, Snapshot


def test_append_numbers_events_from_one_without_gaps(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """My session's events are numbered 1, 2, 3 …, whether I append one or several."""

    async def run() -> None:
        async with logs.open() as log:
            first = await log.append(key, take(drafts, 1))
            more = await log.append(key, take(drafts, 3))
            last = await log.append(key, take(drafts, 1), expected=4)
            assert seqs(first + more + last) == [1, 2, 3, 4, 5]
            assert await log.head(key) == last[0].head
            assert await read(log, key) == first + more + last

    asyncio.run(run())


def test_a_session_that_nobody_wrote_is_empty(logs: Logs, key: SessionKey) -> None:
    """Asking for a session that does not exist gives nothing, and is no error."""

    async def run() -> None:
        async with logs.open() as log:
            assert await log.head(key) == Head()
            assert await read(log, key) == []
            assert await log.load_snapshot(key) is None
            assert await log.load_history(key) is None

    asyncio.run(run())


def test_append_behind_another_writer_is_a_conflict(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """If somebody wrote after I looked, my append is refused, I am told both ends, and nothing of mine is stored."""

    async def run() -> None:
        async with logs.open() as mine, logs.open() as other:
            await mine.append(key, take(drafts, 1), expected=0)
            await other.append(key, take(drafts, 2))
            for number in (1, 3):
                with pytest.raises(ConflictError) as conflict:
                    await mine.append(key, take(drafts, number), expected=1)
                assert (conflict.value.expected, conflict.value.actual) == (1, 3)
            with pytest.raises(ConflictError):
                await mine.append(key, take(drafts, 1), expected=9)
            assert seqs(await read(mine, key)) == [1, 2, 3]

    asyncio.run(run())


@pytest.mark.parametrize("expected", [-1, 1.0, "1", True])
def test_an_end_that_is_no_sequence_is_refused(
    logs: Logs, key: SessionKey, drafts: Iterator[Draft], expected: Any
) -> None:
    """If I name an end that no session can have, that is my mistake, not the log's damage, and nothing is stored."""

    async def run() -> None:
        async with logs.open() as log:
            await log.append(key, take(drafts, 1))
            for number in (1, 3):
                with pytest.raises(InputError, match="expected a sequence of 0 or more"):
                    await log.append(key, take(drafts, number), expected=expected)
            assert seqs(await read(log, key)) == [1]

    asyncio.run(run())


@pytest.mark.parametrize("number", [1, 4])
@pytest.mark.parametrize("expected", [None, 2])
def test_repeating_an_append_stores_nothing_twice(
    logs: Logs, key: SessionKey, drafts: Iterator[Draft], number: int, expected: int | None
) -> None:
    """Repeating a call returns what it recorded, also when others have written since, also from another process."""

    async def run() -> None:
        async with logs.open() as log, logs.open() as another:
            await log.append(key, take(drafts, 2))
            mine = take(drafts, number)
            recorded = await log.append(key, mine, expected=expected)
            assert await log.append(key, mine, expected=expected) == recorded
            await log.append(key, take(drafts, 3))
            assert await log.append(key, mine, expected=expected) == recorded
            assert await another.append(key, mine, expected=expected) == recorded
            assert (await log.head(key)).seq == 2 + number + 3

    asyncio.run(run())


def test_repeating_only_some_of_the_drafts_is_refused(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """A call that mixes recorded drafts with new ones is a mistake that I am told of; nothing is stored."""

    async def run() -> None:
        async with logs.open() as log:
            old, new = take(drafts, 2), take(drafts, 1)
            await log.append(key, old)
            with pytest.raises(InputError, match="same drafts"):
                await log.append(key, old + new)
            with pytest.raises(InputError, match="same drafts"):
                await log.append(key, new + old)
            assert (await log.head(key)).seq == 2

    asyncio.run(run())


def test_many_writers_get_everything_in_without_gaps(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """When several processes append to one session at once, every event gets in once, each writer's in its order."""

    async def write(log: Log, rows: list[list[Draft]]) -> None:
        for row in rows:
            await log.append(key, row)

    async def run() -> None:
        async with logs.open() as one, logs.open() as two, logs.open() as three:
            parts = [[take(drafts, 1 + number % 3) for number in range(20)] for _ in range(3)]
            await asyncio.gather(*(write(log, part) for log, part in zip((one, two, three), parts, strict=True)))
            events = await read(one, key)
        stored = [recorded.event.id for recorded in events]
        for part in parts:
            mine = [draft.id for row in part for draft in row]
            assert [draft for draft in stored if draft in set(mine)] == mine
        assert seqs(events) == list(range(1, 1 + sum(len(row) for part in parts for row in part)))
        head = Head()
        for recorded in events:
            check_follows(recorded, head=head, key=key)
            head = recorded.head

    asyncio.run(run())


def test_a_cancelled_append_is_wholly_stored_or_not_at_all(
    logs: Logs, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """Cancelling an append at any moment leaves all of its events or none, and the session can be written on."""

    async def run() -> None:
        async with logs.open() as log:
            size = 0
            for steps in range(25):
                task = asyncio.create_task(log.append(key, take(drafts, 3)))
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                after = await log.append(key, take(drafts, 1))
                assert after[0].event.seq - size in (1, 4)
                size = after[0].event.seq
            assert len(await read(log, key)) == size

    asyncio.run(run())


def test_read_gives_the_range_asked_for(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """I can read any range: after is excluded, until included, and ends beyond the session give what there is."""

    async def run() -> None:
        async with logs.open() as log, logs.open() as another:
            whole: list[Recorded] = []
            for _ in range(4):
                whole += await log.append(key, take(drafts, 300))
            for reader in (log, another):
                for after, until in ((0, 1), (0, None), (1199, None), (1199, 1200), (600, 610), (5, 5), (700, 3)):
                    assert await read(reader, key, after=after, until=until) == whole[after:until]
                assert await read(reader, key, after=1100, until=9000) == whole[1100:]
                assert await read(reader, key, after=1200) == []
                assert await read(reader, key, after=9000) == []
            with pytest.raises(InputError):
                await read(log, key, after=-1)

    asyncio.run(run())


@pytest.mark.parametrize("lost", [1, 7, 12])
def test_a_lost_event_is_named_and_never_skipped(
    logs: Logs, key: SessionKey, drafts: Iterator[Draft], lost: int
) -> None:
    """If an event is gone, reading gives me all that comes before it and then names it; so does following."""

    async def run() -> None:
        async with logs.open() as log:
            await log.append(key, take(drafts, 12))
            await logs.lose(key, lost)
            assert await read_to_damage(log, key) == (list(range(1, lost)), lost)
            if lost < 12:
                async with logs.open() as another, asyncio.timeout(WAIT_S):
                    assert await read_to_damage(another, key) == (list(range(1, lost)), lost)
                    with pytest.raises(CorruptLogError) as damage:
                        async for _ in another.follow(key):
                            pass
                    assert damage.value.seq == lost

    asyncio.run(run())


def test_a_lost_event_does_not_spoil_what_comes_later(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Damage in the middle leaves the events after it readable, if I ask for them alone."""

    async def run() -> None:
        async with logs.open() as log:
            await log.append(key, take(drafts, 12))
            await logs.lose(key, 5)
        async with logs.open() as another:
            assert seqs(await read(another, key, after=8)) == [9, 10, 11, 12]
            assert await read_to_damage(another, key, after=4) == ([], 5)

    asyncio.run(run())


@pytest.mark.parametrize("witness", ["history", "snapshot"])
def test_a_lost_end_is_found_by_what_was_made_from_it(
    logs: Logs, key: SessionKey, drafts: Iterator[Draft], witness: str
) -> None:
    """If a session's newest events are gone, its published history or snapshot gives it away, to any process."""

    async def run() -> None:
        async with logs.open() as log:
            await log.append(key, take(drafts, 5))
            if witness == "history":
                await log.publish_history(key, Published(version=1, seq=5, base_seq=4, hash="h", body=b"{}"))
            else:
                await log.save_snapshot(key, Snapshot(seq=5, body=b"state"))
        await logs.lose(key, 5)
        await logs.lose(key, 4)
        async with logs.open() as another:
            if isinstance(another, JetStreamLog):
                with pytest.raises(CorruptLogError) as damage:
                    await another.append(key, take(drafts, 1))
                assert damage.value.seq == 4
            assert await read_to_damage(another, key) == ([1, 2, 3], 4)

    asyncio.run(run())


def test_large_payloads_come_back_byte_for_byte(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """An event, a snapshot or a history of several megabytes is stored and read like any other."""
    text = "".join(chr(0x4E00 + number % 5000) for number in range(1_200_000))

    async def run() -> None:
        async with logs.open() as log, logs.open() as another, asyncio.timeout(WAIT_S):
            before = await log.append(key, take(drafts, 1))
            large = await log.append(key, [saying(next(drafts), text)])
            mixed = await log.append(key, [next(drafts), saying(next(drafts), text[:300_000]), next(drafts)])
            body = text.encode()
            await log.save_snapshot(key, Snapshot(seq=2, body=body))
            await log.publish_history(key, Published(version=1, seq=2, base_seq=1, hash="h", body=body))
            assert await read(another, key) == before + large + mixed
            assert await another.head(key) == mixed[-1].head
            assert (await another.load_snapshot(key)) == Snapshot(seq=2, body=body)
            history = await another.load_history(key)
            assert history is not None
            assert history.body == body
            assert await another.append(key, take(drafts, 1), expected=5)

    asyncio.run(run())


def test_appends_over_a_limit_are_refused_whole(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Too many, too large, none, or one id twice: I am told the limit, and nothing is stored."""

    async def run() -> None:
        async with logs.open() as log:
            third = saying(next(drafts), "x" * (APPEND_BYTES_MAX // 3))
            refused = [
                ([], "at least one"),
                (take(drafts, APPEND_EVENTS_MAX + 1), "APPEND_EVENTS_MAX"),
                ([saying(next(drafts), "x" * EVENT_BYTES_MAX)], "EVENT_BYTES_MAX"),
                ([msgspec.structs.replace(third, id=f"{third.id}.{part}") for part in range(3)], "APPEND_BYTES_MAX"),
                ([third, third], "twice"),
            ]
            for batch, limit in refused:
                with pytest.raises(InputError, match=limit):
                    await log.append(key, batch)
            assert (await log.head(key)).seq == 0
            most = await log.append(key, take(drafts, APPEND_EVENTS_MAX))
            assert seqs(await read(log, key)) == seqs(most)

    asyncio.run(run())


@pytest.mark.parametrize("name", ["a.b", "a b", "", "*", ">", "x" * 129, "a\r\nPUB x 0"])
def test_names_that_a_subject_cannot_carry_are_refused(logs: Logs, tenant: str, name: str) -> None:
    """A session name with a character that means something to the server is refused, however the key was made."""

    async def run() -> None:
        async with logs.open() as log:
            for bad in (SessionKey(tenant=tenant, session=name), SessionKey(tenant=name, session="s")):
                with pytest.raises(InputError):
                    await log.head(bad)
                with pytest.raises(InputError):
                    await read(log, bad)

    asyncio.run(run())
