"""A repair gives back what was there, byte for byte, or changes nothing and says why."""

import asyncio
import os
import signal
import sys
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs
from tests.laws.logs import HandClock, LogProxy, read, write
from tests.log.conftest import raw_client
from tests.log.test_damage import damage

from retold.backup import Backup, Replica, repair
from retold.backup import write as back_up
from retold.events import Draft, Fact, Head, ItemAppended, Kept, Message, SessionKey, SessionOpened, Text, Window
from retold.log import EmbeddedServer, MemoryLog, connect_log
from retold.ports import Log

KEY = SessionKey("default", "s")


def facts(number: int, *, first: int = 1) -> list[Fact]:
    """Return what opens a session, or goes on in one, up to event *number*."""
    opened: list[Fact] = [SessionOpened(window=Window(hard_limit=100_000))] if first == 1 else []
    said = [
        ItemAppended(item=Message(role="user", content=(Text(f"text {at:06}"),))) for at in range(first, number + 1)
    ]
    return [*opened, *said[len(opened) :]]


async def logs(number: int = 12) -> tuple[MemoryLog, MemoryLog]:
    """Return a log with one session, and one that has the same."""
    both = MemoryLog(), MemoryLog()
    for log in both:
        await write(log, KEY, facts(number), clock=HandClock())
    assert await read(both[0], KEY) == await read(both[1], KEY)
    return both


@pytest.mark.parametrize("lost", [[1], [5], [12], [2, 3, 11], [8, 9, 10, 11, 12], list(range(1, 13))], ids=str)
def test_what_was_lost_is_put_back(lost: Sequence[int]) -> None:
    """Whatever part of my session was lost, a copy of the whole gives it back, and the report names the sequences."""

    async def run() -> None:
        log, replica = await logs()
        for seq in lost:
            log.lose(KEY, seq)
        done = await repair(log, Replica(replica), KEY)
        assert (done.verdict.ok, done.reason, done.damaged_seq, list(done.put_back)) == (True, "", lost[0], list(lost))
        assert await read(log, KEY) == await read(replica, KEY)
        again = await repair(log, Replica(replica), KEY)
        assert (again.reason, again.put_back) == ("nothing is damaged", ())

    asyncio.run(run())


def test_what_came_after_the_copy_is_kept() -> None:
    """Events that were appended since the backup stay, in their places."""

    async def run() -> None:
        log, replica = await logs()
        await write(log, KEY, facts(20, first=13), clock=HandClock("later"))
        whole = await read(log, KEY)
        log.lose(KEY, 4)
        done = await repair(log, Replica(replica), KEY)
        assert (done.verdict.ok, done.put_back) == (True, (4,))
        assert await read(log, KEY) == whole

    asyncio.run(run())


async def _refused(log: MemoryLog, source: Log, words: str) -> None:
    before = [one async for one in log.salvage(KEY)]
    done = await repair(log, Replica(source), KEY)
    assert not done.verdict.ok
    assert done.put_back == ()
    assert words in done.reason
    assert [one async for one in log.salvage(KEY)] == before


def test_a_copy_that_does_not_prove_it_is_refused() -> None:
    """A copy of other events, one that is damaged itself, one without the session, or too short, changes nothing."""

    async def run() -> None:
        log, damaged = await logs()
        log.lose(KEY, 4)
        damaged.lose(KEY, 6)
        await _refused(log, damaged, "the copy is damaged too")
        await _refused(log, MemoryLog(), "no events of it")
        other = MemoryLog()
        await write(other, KEY, facts(12), clock=HandClock("other"))
        await _refused(log, other, "another event at 1")
        _, short = await logs()
        for seq in range(9, 13):
            log.lose(KEY, seq)
            short.lose(KEY, seq)
        shorter = MemoryLog()
        await write(shorter, KEY, facts(8), clock=HandClock())
        await _refused(log, shorter, "the copy ends at 8, and what must follow up to 12 is damaged or lost too")

    asyncio.run(run())


def _drafts(number: int) -> list[Draft]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return [Draft(id=str(seq), at=at, actor="test", data=fact) for seq, fact in enumerate(facts(number), start=1)]


async def _backed_up(log: Log, path: Path) -> Backup:
    assert all([one.ok async for one in back_up(log, Backup(path), [KEY])])
    return Backup(path)


@pytest.mark.parametrize("seq", [1, 30, 60], ids=["first", "middle", "last"])
@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_a_flipped_bit_is_mended_from_a_backup(tmp_path: Path, seq: int, killed: bool) -> None:  # noqa: FBT001
    """After a bit of an event has changed on disk, or the end was cut off there, the backup gives it back for all."""
    text = b"hard_limit" if seq == 1 else b"text %06d" % seq

    async def run() -> None:
        server = EmbeddedServer(tmp_path / "store", profile="fast")
        await server.start()
        async with connect_log(server.url) as log:
            await log.append(KEY, _drafts(60), expected=0)
            whole = await read(log, KEY)
            source = await _backed_up(log, tmp_path / "backup")
        if killed:
            os.kill(server.running.pid, signal.SIGKILL)
        await server.stop()
        damage(tmp_path / "store", text)
        async with (
            EmbeddedServer(tmp_path / "store", profile="fast") as server,
            connect_log(server.url) as log,
            connect_log(server.url) as other,
        ):
            assert not (await log.sessions())[0].damaged or killed or seq == 60
            done = await repair(log, source, KEY)
            assert (done.verdict.ok, done.reason, done.damaged_seq) == (True, "", seq)
            assert done.put_back == (tuple(range(seq, 61)) if killed else (seq,))
            for reader in (log, other):
                assert await read(reader, KEY) == whole
            assert (await other.append(KEY, [Draft("more", whole[0].event.at, "test", facts(2)[1])]))[0].event.seq == 61
            assert len({one.hash async for one in log.salvage(KEY)}) == 61
        async with EmbeddedServer(tmp_path / "store", profile="fast") as server, connect_log(server.url) as log:
            assert (await read(log, KEY))[:60] == whole

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_repair_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    """I kill my repair while it writes: the session is damaged as before, and the next repair brings it all back."""

    async def run() -> None:
        async with EmbeddedServer(tmp_path / "store", profile="fast") as server, connect_log(server.url) as log:
            await log.append(KEY, _drafts(950), expected=0)
            whole = await read(log, KEY)
            await _backed_up(log, tmp_path / "backup")
        damage(tmp_path / "store", b"text 000500")
        async with (
            EmbeddedServer(tmp_path / "store", profile="fast") as server,
            raw_client(server.url) as client,
            connect_log(server.url) as log,
        ):
            more = await log.append(KEY, [Draft("more", whole[0].event.at, "test", facts(2)[1])])
            command = ["--url", server.url, "repair", "s", "--from", str(tmp_path / "backup")]
            for stored in (1_100, 2_100):
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "retold.cli", *command, stdout=-3, stderr=-3
                )
                async with asyncio.timeout(60):
                    while process.returncode is None:
                        if (await client.jetstream().stream_info("RETOLD_EVENTS")).state.last_seq > stored:
                            break
                if process.returncode is None:
                    process.send_signal(signal.SIGKILL)
                await process.wait()
                async with connect_log(server.url) as reader:
                    found = {one.standing.seq: one.body async for one in reader.salvage(KEY)}
                    assert found[951] == more[0].body
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "retold.cli", *command)
            assert await process.wait() == 0
            async with connect_log(server.url) as reader:
                assert await read(reader, KEY) == [*whole, *more]

    asyncio.run(run())


class _Fresh(LogProxy):
    """Give each event as bytes of its own, as a server does, and keep nothing of what is put in place."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.heads: list[Head] = []

    async def salvage(self, key: SessionKey) -> AsyncGenerator[Kept, None]:
        """Copy each."""
        async for one in self.inner.salvage(key):
            yield structs.replace(one, body=bytes(bytearray(one.body)))

    async def replace(
        self, key: SessionKey, events: AsyncIterable[Kept], *, until: int, instead_of: Head | None
    ) -> None:
        """Note what would be written."""
        del key, until, instead_of
        self.heads = [one.head async for one in events]


def test_a_repair_from_an_old_copy_holds_no_texts() -> None:
    """However much came since the backup, a repair holds hashes of it, and one event's text at a time."""
    large = 100_000

    async def run() -> None:
        log, replica = await logs(5)
        clock = HandClock("later")
        for at in range(60):
            text = Text(f"{at} " * (large // 3))
            await write(log, KEY, [ItemAppended(item=Message(role="user", content=(text,)))], clock=clock)
        whole = [one.head for one in await read(log, KEY)]
        log.lose(KEY, 3)
        fresh = _Fresh(log)
        tracemalloc.start()
        await repair(fresh, Replica(replica), KEY)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert fresh.heads == whole
        assert peak_bytes < 20 * large

    asyncio.run(run())


def test_what_came_after_is_found_wherever_it_lies() -> None:
    """Events behind the copy that lie before others they follow, as repairs that broke off leave them, are kept."""

    async def run() -> None:
        log, replica = await logs(5)
        await write(log, KEY, facts(12, first=6), clock=HandClock("later"))
        whole = [one.head for one in await read(log, KEY)]
        log.lose(KEY, 3)
        turned = _Turned(log)
        await repair(turned, Replica(replica), KEY)
        assert turned.heads == whole

    asyncio.run(run())


class _Turned(_Fresh):
    """Give the events from the last to the first."""

    async def salvage(self, key: SessionKey) -> AsyncGenerator[Kept, None]:
        """Turn them round."""
        for one in reversed([one async for one in self.inner.salvage(key)]):
            yield one
