"""Damage in the store is found and named, whatever the server makes of it."""

import asyncio
from pathlib import Path

import pytest

from retold.events import Message, SessionKey, Text
from retold.log.embedded import EmbeddedServer
from retold.log.jetstream import connect_log
from retold.replay import Verdict, verify
from retold.wiring import client_of

EVENTS = 40


async def _write(directory: Path) -> SessionKey:
    async with EmbeddedServer(directory, profile="safe") as server, connect_log(server.url) as log:
        session = await client_of(log).session("flipped")
        for number in range(2, EVENTS + 1):
            await session.append(Message(role="user", content=(Text(f"event number {number:04}"),)))
        return session.key


async def _verify(directory: Path, key: SessionKey) -> Verdict:
    async with EmbeddedServer(directory, profile="safe") as server, connect_log(server.url) as log:
        return await verify(log, key)


@pytest.mark.slow
@pytest.mark.parametrize("seq", [2, 17, EVENTS])
def test_one_flipped_byte_is_found_at_its_sequence(tmp_path: Path, seq: int) -> None:
    """When one byte of one stored event has changed on disk, verifying the session names that event's sequence."""
    key = asyncio.run(_write(tmp_path))
    blocks = [path for path in tmp_path.rglob("*.blk") if f"event number {seq:04}".encode() in path.read_bytes()]
    assert len(blocks) == 1
    body = bytearray(blocks[0].read_bytes())
    body[body.index(f"event number {seq:04}".encode()) + 3] ^= 0x04
    blocks[0].write_bytes(bytes(body))
    verdict = asyncio.run(_verify(tmp_path, key))
    assert not verdict.ok
    assert verdict.damaged_seq == seq
