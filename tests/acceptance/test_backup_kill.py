"""A backup, or a restore, that is killed at any moment is taken up by the next, and comes to the same bytes."""

import asyncio
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.log.conftest import raw_client

from retold.backup import Backup, prove
from retold.errors import CorruptLogError
from retold.events import Draft, ItemAppended, Message, SessionKey, SessionOpened, Text, Window
from retold.log import EmbeddedServer, JetStreamLog, connect_log
from retold.replay import verify

EVENTS = 2_000
KILLS = 3
LARGE = 2
"""How many events are so large that they lie in the object store."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


async def _fill(log: JetStreamLog, key: SessionKey) -> list[bytes]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    opened = Draft(id="0", at=at, actor="test", data=SessionOpened(window=Window(hard_limit=10_000_000)))
    await log.append(key, [opened], expected=0)
    for first in range(1, EVENTS, 500):
        drafts = []
        for number in range(first, min(first + 500, EVENTS)):
            size = 60_000 if number % (EVENTS // LARGE) == 7 else 80
            item = Message(role="user", content=(Text(f"{number} " + "a word " * size),))
            drafts.append(Draft(id=str(number), at=at, actor="test", data=ItemAppended(item=item)))
        await log.append(key, drafts)
    return [recorded.body async for recorded in log.read(key)]


async def _killed(url: str, *words: str, after_s: float) -> bool:
    """Run a command and kill it -9 after *after_s*; return whether it was still running."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "retold.cli", "--url", url, *words, stdout=-3, stderr=-3
    )
    try:
        await asyncio.wait_for(process.wait(), after_s)
    except TimeoutError:
        process.send_signal(signal.SIGKILL)
        await process.wait()
        return True
    return False


async def _finished(url: str, *words: str) -> None:
    assert not await _killed(url, *words, after_s=60)


def _wait_for(path: Path, size: int) -> None:
    deadline = time.monotonic() + 30
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < deadline


async def _killed_at_size(url: str, *words: str, path: Path, size: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "retold.cli", "--url", url, *words, stdout=-3, stderr=-3
    )
    await asyncio.to_thread(_wait_for, path, size)
    process.send_signal(signal.SIGKILL)
    await process.wait()


def test_a_backup_that_is_killed_comes_to_the_same_bytes(tmp_path: Path) -> None:
    """I kill my backup again and again while it writes; the run that ends has every event, and adds none twice."""
    key, directory = SessionKey("default", "s"), tmp_path / "backup"
    path = directory / "sessions" / "default" / "s.jsonl"

    async def run() -> None:
        async with EmbeddedServer(tmp_path / "store", profile="fast") as server, connect_log(server.url) as log:
            bodies = await _fill(log, key)
            whole = b"".join(body + b"\n" for body in bodies)
            for kill in range(KILLS):
                size = len(whole) * (kill + 1) // (KILLS + 1)
                await _killed_at_size(server.url, "backup", "write", str(directory), path=path, size=size)
            await _finished(server.url, "backup", "write", str(directory))
            assert path.read_bytes() == whole
            assert (await prove(Backup(directory), key)).events == EVENTS

    asyncio.run(run())


def test_a_restore_that_is_killed_is_never_taken_for_whole(tmp_path: Path) -> None:
    """I kill my restore again and again while it writes; in between the session says that it is not whole."""
    key, directory = SessionKey("default", "s"), tmp_path / "backup"

    async def run() -> None:
        async with EmbeddedServer(tmp_path / "store", profile="fast") as server, connect_log(server.url) as log:
            bodies = await _fill(log, key)
            await _finished(server.url, "backup", "write", str(directory))
        async with EmbeddedServer(tmp_path / "new", profile="fast") as server, raw_client(server.url) as client:
            await _finished(server.url, "sessions")
            stream, broken_off = client.jetstream(), 0
            for kill in range(KILLS):
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "retold.cli", "--url", server.url, "backup", "restore", str(directory),
                    stdout=-3, stderr=-3,
                )  # fmt: skip
                async with asyncio.timeout(30):
                    while (await stream.stream_info("RETOLD_EVENTS")).state.messages < (kill + 1) * 200:
                        pass
                process.send_signal(signal.SIGKILL)
                await process.wait()
                async with connect_log(server.url) as log:
                    end = (await log.stored_end(key)).seq
                    if end < EVENTS:
                        broken_off += 1
                        with pytest.raises(CorruptLogError):
                            await log.head(key)
            assert broken_off > 0
            await _finished(server.url, "backup", "restore", str(directory))
            async with connect_log(server.url) as log:
                assert [recorded.body async for recorded in log.read(key)] == bodies
                assert (await verify(log, key)).ok

    asyncio.run(run())
