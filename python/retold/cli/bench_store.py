"""Where the benchmarks of the log run: an embedded server of their own, filled, asked, stopped, and weighed."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from retold.cli.bench_session import Conversation, Message, in_batches
from retold.client import Client
from retold.events import HistoryReplaced, ItemAppended, Recorded, SessionKey, Window
from retold.fold import Builder, History, history_of
from retold.log.server_files import ServerFiles
from retold.settings import Profile
from retold.wiring import connect, embedded_server, worker_for

SESSION: Final = "bench"
_BLOCK_BYTES: Final = 512
"""What `st_blocks` counts in, whatever the file system's own blocks are."""


class Weight(Struct, frozen=True):
    """Hold what files take: their bytes, and the blocks that the file system gave them for these."""

    size_bytes: int
    allocated_bytes: int


class Kept(Struct, frozen=True, kw_only=True):
    """Hold a session as the log has it.

    Attributes:
        turn_seqs: the sequence of each turn's last message.
        compactions: how many replacement histories there are.
        events: how many events, the worker's included.
    """

    key: SessionKey
    turn_seqs: tuple[int, ...]
    compactions: int
    events: int


@contextmanager
def folder() -> Iterator[Path]:
    """Give a directory that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="retold-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@asynccontextmanager
async def served(directory: Path, profile: Profile) -> AsyncIterator[str]:
    """Give the URL of an embedded server in *directory* on a free port; it has ended afterwards."""
    async with embedded_server(directory, profile=profile) as server:
        yield server.url


def weigh(path: Path) -> Weight:
    """Return what the files under *path* take, or that file alone."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    found = [file.stat() for file in files]
    return Weight(sum(one.st_size for one in found), sum(one.st_blocks * _BLOCK_BYTES for one in found))


def weigh_store(directory: Path) -> Weight:
    """Return what the store of the embedded server in *directory* takes: streams, indexes, snapshots, all of it."""
    return weigh(ServerFiles(directory).store)


async def keep(url: str, conversation: Conversation, *, window: Window, at_least: int, name: str = SESSION) -> Kept:
    """Append *conversation* in batches of *at_least* messages, whole turns, a worker catching up after each."""
    async with connect(url) as client, connect(url, actor="worker") as behind:
        session = await client.session(name, window=window)
        worker = worker_for(behind.log)
        for batch in in_batches(conversation.turns, at_least=at_least):
            await session.append_many(batch)
            await worker.drain()
        return await _kept(client, session.key, conversation.turns)


async def states(client: Client, key: SessionKey, seqs: Sequence[int]) -> dict[int, History]:
    """Return the history at each of *seqs*, by folding all events once, from the first on."""
    asked, found = set(seqs), dict[int, History]()
    builder = Builder()
    async for recorded in client.log.read(key, until=max(asked)):
        builder.apply(recorded)
        if recorded.event.seq in asked:
            found[recorded.event.seq] = history_of(builder.freeze())
    return found


async def _kept(client: Client, key: SessionKey, turns: Sequence[Sequence[Message]]) -> Kept:
    items: list[int] = []
    compactions = events = 0
    async for recorded in client.log.read(key):
        events += 1
        compactions += _is_replacement(recorded)
        if isinstance(recorded.event.data, ItemAppended):
            items.append(recorded.event.seq)
    sizes = [len(turn) for turn in turns]
    assert len(items) == sum(sizes), "every message was appended as one item"
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    return Kept(key=key, turn_seqs=tuple(items[end - 1] for end in ends), compactions=compactions, events=events)


def _is_replacement(recorded: Recorded) -> bool:
    return isinstance(recorded.event.data, HistoryReplaced)
