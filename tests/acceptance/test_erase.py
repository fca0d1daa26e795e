"""Erased is erased: nothing that a session said is found anywhere afterwards, in the log or in the server's files."""

import asyncio
import base64
import json
import random
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import nats
import pytest

from retold.client import Session
from retold.events import (
    Block,
    Message,
    Opaque,
    Reasoning,
    SessionErased,
    SessionKey,
    Text,
    ToolCall,
    ToolResult,
    Window,
)
from retold.log import EmbeddedServer, JetStreamLog, connect_log
from retold.log.packing import WORDS
from retold.replay import verify
from retold.security import MasterKey, MasterKeys
from retold.wiring import client_of, worker_for

CANARIES = 200
INFLATED_BYTES = 512 * 1024
"""How much of what was deflated is looked at: the canaries stand at the beginning of what holds them."""
WINDOW = Window(hard_limit=8_000, pre_rot=4_000)
MASTERS = MasterKeys(keys=(MasterKey(id="test", secret=bytes(range(32))),))
STREAMS = ("RETOLD_EVENTS", "RETOLD_SNAPSHOTS", "RETOLD_DEAD", "KV_RETOLD_HISTORIES", "OBJ_RETOLD_BLOBS")


def canary(name: str, number: int) -> str:
    """Return a word that stands nowhere else; it needs escapes in JSON, and is long enough for any encoding of it."""
    return f'Zq{name}"é{number:03}"qZcanary'


def planted(name: str) -> Iterator[Any]:
    """Yield what a session says, `CANARIES` canaries in all: in texts, arguments, blocks, large bodies, names."""
    word = (canary(name, number) for number in range(CANARIES))
    large = "".join(random.Random(name).choices("abcdefgh ijklmnop", k=600_000))  # does not compress below a claim
    for turn in range(CANARIES // 10):
        call = f"call-{turn}"
        yield Message(role="user", content=(Text(f"{next(word)} Please look at failure {turn}."),), name=next(word))
        yield Message(role="assistant", content=(Text(f"I will. {next(word)} " + "and so on " * 60),))
        yield ToolCall(call_id=call, name="run", arguments=json.dumps({"path": next(word), "content": "row " * 200}))
        yield ToolResult(call_id=call, content=(Text(f"{next(word)} FAILED test_x: 1 != 2\n" * 30),))
        yield Reasoning(text=f"{next(word)} hm", body=json.dumps({"type": "reasoning", "encrypted": next(word)}))
        yield Opaque(form="responses", kind="compaction", body=json.dumps({"type": "x", "data": next(word)}))
        image = json.dumps({"type": "image_url", "image_url": {"url": "data:" + next(word)}})
        yield Message(role="user", content=(Block(form="chat", kind="image_url", body=image),))
        yield f" {next(word)} streamed"
        if turn % 10 == 0:
            yield Message(role="user", content=(Text(f"{canary(name, turn)} {large} {canary(name, turn)}"),))


async def live(session: Session, log: JetStreamLog) -> None:
    """Say what is planted while a worker compacts; pin, edit and request on the way."""
    worker = worker_for(log)
    for number, said in enumerate(planted(session.key.session)):
        if isinstance(said, str):
            await session.append(Message(role="assistant", content=(Text("Streaming:"),)))
            await session.extend(said)
        else:
            await session.append(said)
        if number % 12 == 11:
            await worker.drain()
        if number % 60 == 20:
            await session.pin((await session.history()).items[0].id)
            await session.request_compaction(reason=canary(session.key.session, 1))
    await worker.drain()
    assert (await session.history()).version > 3
    assert await log.load_history(session.key) is not None
    assert await log.load_snapshot(session.key) is not None


def forms(name: str) -> re.Pattern[bytes]:
    """Return what finds any canary of *name*: as it is, escaped in JSON, and in base64 at each of its three shifts."""
    core = f'Zq{name}"'.encode()
    parts = [core, f"Zq{name}\\\\".encode(), f"Zq{name}".encode()]
    for shift in range(3):
        # Whole groups of three bytes that lie in the word whatever comes before it.
        start = (3 - shift) % 3
        whole = core[start : start + (len(core) - start) // 3 * 3]
        parts.append(base64.b64encode(whole))
    return re.compile(b"|".join(re.escape(part) for part in parts))


def inflated(stored: bytes) -> bytes:
    """Return *stored* with everything in it that can be inflated, after our dictionary or without, anywhere."""
    parts = [stored]
    for match in re.finditer(rb"\x78(?:[\x01\x5e\x9c\xda]|([\x20\x7d\xbb\xf9]))", stored):
        inflater = zlib.decompressobj(zdict=WORDS) if match[1] else zlib.decompressobj()
        with suppress(zlib.error):
            parts.append(inflater.decompress(stored[match.start() : match.start() + INFLATED_BYTES], INFLATED_BYTES))
    return b"\n".join(parts)


def in_files(directory: Path, name: str) -> list[str]:
    """Return the files of the store that hold a canary of *name*, deflated or not."""
    wanted = forms(name)
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return [path.name for path in files if wanted.search(inflated(path.read_bytes()))]


async def in_streams(url: str, name: str) -> list[str]:
    """Return the streams that give out a message with a canary of *name*, read as any NATS client reads them."""
    found, wanted = [], forms(name)
    client = await nats.connect(url)
    stream = client.jetstream()
    for each in STREAMS:
        state = (await stream.stream_info(each)).state
        for position in range(max(1, state.first_seq), state.last_seq + 1):
            try:
                message = await stream.get_msg(each, seq=position)
            except nats.js.errors.NotFoundError:
                continue
            if wanted.search(inflated(message.data or b"")) or wanted.search(str(message.headers).encode()):
                found.append(each)
                break
    await client.close()
    return found


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("masters", [None, MASTERS], ids=["plain", "sealed"])
def test_no_canary_is_left_after_an_erasure(tmp_path: Path, masters: MasterKeys | None) -> None:
    """I erase a session that said 200 canaries: no stream, bucket or file holds one; the other session has its own."""

    async def run() -> tuple[SessionKey, SessionKey]:
        async with EmbeddedServer(tmp_path, profile="fast") as server:
            async with connect_log(server.url, masters=masters) as log:
                gone, kept = [
                    await client_of(log).session(name, window=WINDOW) for name in ("gonesession", "keptsession")
                ]
                for session in (gone, kept):
                    await live(session, log)
                history = await kept.history()
                is_found = "RETOLD_EVENTS" in await in_streams(server.url, "gonesession")
                assert is_found == (masters is None)
                found = await gone.erase(by="the owner", reason="asked on paper")
                assert found.events > CANARIES
                assert found.blobs >= 2
                assert (found.projections >= 2, found.keys) == (True, 0 if masters is None else 1)
                assert (await gone.history()).items == ()
                assert await kept.history() == history
            async with connect_log(server.url, masters=masters) as log:
                assert await in_streams(server.url, "gonesession") == []
                for key in (gone.key, kept.key):
                    assert (await verify(log, key)).ok
                events = [recorded async for recorded in log.read(gone.key)]
                assert [type(one.event.data) for one in events] == [SessionErased]
                stone = events[0].event
                assert isinstance(stone.data, SessionErased)
                assert (stone.data.by, stone.data.reason, stone.seq) == ("the owner", "asked on paper", found.seq)
                assert await worker_drains(log)
            return gone.key, kept.key

    asyncio.run(run())
    assert in_files(tmp_path, "gonesession") == []
    assert bool(in_files(tmp_path, "keptsession")) == (masters is None)
    asyncio.run(reopened(tmp_path, masters))
    assert in_files(tmp_path, "gonesession") == []


async def worker_drains(log: JetStreamLog) -> bool:
    """Return whether a worker brings everything up to date and finds nothing damaged."""
    worker = worker_for(log)
    await worker.drain()
    return not worker.damaged


async def reopened(directory: Path, masters: MasterKeys | None) -> None:
    """Start the server again, and go on in the erased session."""
    async with (
        EmbeddedServer(directory, profile="fast") as server,
        connect_log(server.url, masters=masters) as log,
    ):
        session = await client_of(log).existing("gonesession")
        assert (await session.history()).items == ()
        seq = await session.append({"role": "user", "content": "A new beginning."})
        history = await session.history()
        assert [item.id for item in history.items] != ["i1"]
        assert (history.seq, len(history.items)) == (seq, 1)
        assert (await verify(log, session.key)).ok
