"""Batches that the server stores only the beginning of: it does so where an account gets full in the middle."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.log.conftest import read, saying, seqs
from tests.log.servers import Started, launch, listening, write_config

from retold.errors import UnavailableError
from retold.events import Draft, SessionKey
from retold.log import JetStreamLog, connect_log

pytestmark = pytest.mark.slow
LIMIT_BYTES = 200_000
HALF_BYTES = 15_000
"""A text of so many random bytes takes twice as many letters."""


def _config(directory: Path, max_file: int) -> dict[str, Any]:
    """Return the configuration of a server whose one account may store so much."""
    account = {"jetstream": {"max_file": max_file, "max_mem": 1_000_000}, "users": [{"user": "u", "password": "p"}]}
    return {"jetstream": {"store_dir": str(directory / "store")}, "accounts": {"A": account}, "no_auth_user": "u"}


@asynccontextmanager
async def _server(directory: Path) -> AsyncIterator[Started]:
    write_config(directory, _config(directory, LIMIT_BYTES))
    process = launch(directory)
    try:
        yield await listening(directory, process)
    finally:
        process.kill()
        process.wait()


async def _leave(log: JetStreamLog, draft: Callable[[], Draft], *, free_bytes: int) -> None:
    """Fill the account up to *free_bytes*."""
    while True:
        facts = await log.broker.inspect()
        if facts.storage_limit_bytes - facts.storage_bytes < free_bytes + 2_000:
            return
        await log.append(SessionKey("filler", "s"), [saying(draft(), os.urandom(500).hex())])


async def _raise_limit(directory: Path, log: JetStreamLog, server: Started) -> None:
    file = write_config(directory, _config(directory, 10 * LIMIT_BYTES) | {"port": server.port})
    assert file.exists()
    os.kill(server.process.pid, 1)
    async with asyncio.timeout(20):
        while (await log.broker.inspect()).storage_limit_bytes == LIMIT_BYTES:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(("expected", "behind"), [(None, 0), (None, 1), (1, 0)], ids=["alone", "overtaken", "expected"])
def test_an_append_that_was_stored_in_part_is_finished_when_it_is_repeated(
    tmp_path: Path, key: SessionKey, drafts: Iterator[Draft], *, expected: int | None, behind: int
) -> None:
    """What failed for want of room is made whole by the same call, of another process, too, and nothing comes twice."""

    async def run() -> None:
        async with _server(tmp_path) as server, connect_log(f"nats://127.0.0.1:{server.port}") as log:
            await log.append(key, [next(drafts)])
            await _leave(log, lambda: next(drafts), free_bytes=3 * HALF_BYTES)
            batch: Sequence[Draft] = [saying(next(drafts), os.urandom(HALF_BYTES).hex()) for _ in range(3)]
            with pytest.raises(UnavailableError):
                await log.append(key, batch, expected=expected)
            assert 1 < (await log.head(key)).seq < 4, "the server does not break off any more: this rule can go"
            await _raise_limit(tmp_path, log, server)
            if behind:
                await log.append(key, [next(drafts)])
            async with connect_log(f"nats://127.0.0.1:{server.port}") as other:
                for one in (log, other, other):
                    recorded = await one.append(key, batch, expected=expected)
                    assert [each.event.id for each in recorded] == [draft.id for draft in batch]
                events = await read(other, key)
            assert seqs(events) == list(range(1, 5 + behind))
            assert len({one.event.id for one in events}) == 4 + behind

    asyncio.run(run())
