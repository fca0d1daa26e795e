"""Damage that only a real server can suffer: flipped bits, lost ends, foreign messages, broken blobs."""

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from contextlib import aclosing
from hashlib import sha256
from pathlib import Path

import pytest
from tests.log.conftest import WAIT_S, all_seqs, api, raw_client, take

from retold.errors import CorruptLogError
from retold.events import Draft, ItemAppended, Message, SessionKey, Text, record
from retold.log import (
    EmbeddedServer,
    connect_log,
)
from retold.log.names import EVENTS, event_subject
from retold.ports import SessionEnd, Snapshot


def damage(directory: Path, text: bytes) -> None:
    """Flip one bit inside *text*, in the files of the event stream."""
    for path in directory.rglob(f"{EVENTS}/msgs/*.blk"):
        content = bytearray(path.read_bytes())
        at = content.find(text)
        if at >= 0:
            content[at] ^= 1
            path.write_bytes(content)
            return
    raise AssertionError(f"{text!r} is in no file")


LARGE_BYTES = 700_000
"""The text of an event that is `large`."""


def large(draft: Draft) -> Draft:
    """Return *draft* with a text that packing does not keep out of the object store."""
    item = Message(role="user", content=(Text(text=random.Random(7).randbytes(LARGE_BYTES // 2).hex()),))
    return Draft(id=draft.id, at=draft.at, actor=draft.actor, data=ItemAppended(item=item))


@pytest.mark.parametrize("number", [1, 50, 99, 100])
def test_a_flipped_bit_is_found(tmp_path: Path, key: SessionKey, drafts: Iterator[Draft], number: int) -> None:
    """If one bit of a stored event changes on disk, reading stops there, and nobody can append over it."""

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            await log.append(key, take(drafts, 100))
        damage(tmp_path, b"text %06d" % number)
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            got = []
            with pytest.raises(CorruptLogError) as found:
                got += [recorded.event.seq async for recorded in log.read(key)]
            assert found.value.seq == number
            with pytest.raises(CorruptLogError):
                await log.append(key, take(drafts, 1))
            [end] = await log.sessions()
            assert end.key == key
            assert end.damaged == (number == 100)  # before the end, only reading shows it

    asyncio.run(run())


def test_an_end_cut_off_by_the_server_is_found_by_the_snapshot(
    tmp_path: Path, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """If a killed server drops all events after a damaged one, as it does in silence, the session's snapshot tells."""

    async def run() -> None:
        server = EmbeddedServer(tmp_path, profile="fast")
        await server.start()
        async with connect_log(server.url) as log:
            await log.append(key, take(drafts, 50))
            await log.save_snapshot(key, Snapshot(seq=50, body=b"state"))
        os.kill(server.running.pid, signal.SIGKILL)
        await server.stop()
        damage(tmp_path, b"text 000031")
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            with pytest.raises(CorruptLogError) as found:
                await all_seqs(log, key)
            assert found.value.seq == 31
            with pytest.raises(CorruptLogError):
                await log.append(key, take(drafts, 1))
            assert await log.sessions() == [SessionEnd(key=key, seq=30, damaged=True)]

    asyncio.run(run())


def test_a_follower_finds_out_that_the_server_lost_what_it_read(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """If the server loses events that I have read, I am told, instead of getting others in their place."""

    async def run() -> None:
        async with connect_log(nats_url) as log, connect_log(nats_url) as writer, asyncio.timeout(WAIT_S):
            await writer.append(key, take(drafts, 3))
            follow = log.follow(key)
            async with aclosing(follow):
                assert [(await anext(follow)).event.seq for _ in range(3)] == [1, 2, 3]
                await api(nats_url, f"STREAM.PURGE.{EVENTS}", {"filter": event_subject(key)})
                async with connect_log(nats_url) as other:
                    await other.append(key, take(drafts, 4))
                with pytest.raises(CorruptLogError) as found:
                    await anext(follow)
            assert found.value.seq == 4

    asyncio.run(run())


def test_a_follower_finds_out_that_the_server_came_back_without_its_end(
    tmp_path: Path, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """If the server restarts without events that I have read, I am told at once, and not when somebody writes again."""

    async def run() -> None:
        server = EmbeddedServer(tmp_path, profile="fast")
        await server.start()
        async with connect_log(server.url) as log, asyncio.timeout(WAIT_S):
            await log.append(key, take(drafts, 10))
            follow = log.follow(key)
            async with aclosing(follow):
                assert [(await anext(follow)).event.seq for _ in range(10)] == list(range(1, 11))
                os.kill(server.running.pid, signal.SIGKILL)
                await server.stop()
                damage(tmp_path, b"text 000008")
                await server.start()
                with pytest.raises(CorruptLogError) as found:
                    await anext(follow)
                assert found.value.seq == 10
        await server.stop()

    asyncio.run(run())


def test_an_event_that_breaks_the_chain_is_found(nats_url: str, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """If a foreign program writes an event with the right number but no true link to the one before, reading stops."""

    async def run() -> None:
        async with connect_log(nats_url) as log, raw_client(nats_url) as client:
            first = await log.append(key, take(drafts, 2))
            forged = record(take(drafts, 1), key=key, head=first[0].head)[0].body
            body = forged.replace(b'"seq":2', b'"seq":3')
            await client.jetstream().publish(event_subject(key), body, headers={"Retold-Seq": "3"})
            with pytest.raises(CorruptLogError, match="link to the event before is broken") as found:
                await all_seqs(log, key)
            assert found.value.seq == 3

    asyncio.run(run())


@pytest.mark.parametrize("body", [b"hello", b"{}", b"\xff\x00"])
@pytest.mark.parametrize("headers", [None, {"Retold-Seq": "3"}, {"Retold-Seq": "x"}])
def test_a_message_that_is_no_event_is_found(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft], body: bytes, headers: dict[str, str] | None
) -> None:
    """If a foreign program writes something else among my events, reading names the place and stops."""

    async def run() -> None:
        async with connect_log(nats_url) as log, raw_client(nats_url) as client:
            await log.append(key, take(drafts, 2))
            await client.jetstream().publish(event_subject(key), body, headers=headers)
            with pytest.raises(CorruptLogError) as found:
                await all_seqs(log, key)
            assert (found.value.session, found.value.seq) == (key.session, 3)
        async with connect_log(nats_url) as fresh:
            with pytest.raises(CorruptLogError):
                await fresh.append(key, take(drafts, 1))
            assert key in [end.key for end in await fresh.sessions()]

    asyncio.run(run())


def test_a_large_event_lies_in_a_standard_object_store(nats_url: str, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """A large event's message is small, and any NATS client can get the body by its hash; storing it again is free."""

    async def run() -> None:
        async with connect_log(nats_url) as log, raw_client(nats_url) as client:
            recorded = await log.append(key, [large(next(drafts))])
            stream = client.jetstream()
            store = await stream.object_store("RETOLD_BLOBS")
            blob = await store.get(recorded[0].hash)
            assert blob.data == recorded[0].body
            message = await stream.get_last_msg(EVENTS, event_subject(key))
            assert message.data is not None
            assert len(message.data) < 200
            await log.save_snapshot(key, Snapshot(seq=1, body=recorded[0].body))
            before = (await stream.stream_info("OBJ_RETOLD_BLOBS")).state.last_seq
            async with connect_log(nats_url) as another:
                await another.save_snapshot(key, Snapshot(seq=1, body=recorded[0].body))
            assert (await stream.stream_info("OBJ_RETOLD_BLOBS")).state.last_seq == before

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["missing", "cut", "changed"])
def test_a_damaged_large_payload_is_found(nats_url: str, key: SessionKey, drafts: Iterator[Draft], fault: str) -> None:
    """If the body of a large event is missing, cut short or changed in the object store, reading stops at the event."""

    async def run() -> None:
        async with connect_log(nats_url) as log, raw_client(nats_url) as client:
            await log.append(key, take(drafts, 1))
            recorded = await log.append(key, [large(next(drafts))])
            stream = client.jetstream()
            meta = await (await stream.object_store("RETOLD_BLOBS")).get_info(recorded[0].hash)
            chunks = f"$O.RETOLD_BLOBS.C.{meta.nuid}"
            last = await stream.get_last_msg("OBJ_RETOLD_BLOBS", chunks)
            assert last.seq is not None
            assert last.data is not None
            if fault == "missing":
                await (await stream.object_store("RETOLD_BLOBS")).delete(recorded[0].hash)
            else:
                await stream.delete_msg("OBJ_RETOLD_BLOBS", last.seq)
            if fault == "changed":
                await stream.publish(chunks, b"y" + last.data[1:])
            got = []
            with pytest.raises(CorruptLogError) as found:
                got += [one.event.seq async for one in log.read(key)]
            assert found.value.seq == 2

    asyncio.run(run())


def test_a_damaged_snapshot_is_passed_over(nats_url: str, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """If the newest snapshot is damaged I get the one before it: the events can make the newest again."""

    async def run() -> None:
        async with connect_log(nats_url) as log, raw_client(nats_url) as client:
            await log.append(key, take(drafts, 3))
            await log.save_snapshot(key, Snapshot(seq=2, body=b"state 2"))
            headers = {"Retold-Seq": "3", "Retold-Hash": sha256(b"state 3").hexdigest()}
            await client.jetstream().publish(f"retold.snap.{key.tenant}.{key.session}", b"st@te 3", headers=headers)
            assert await log.load_snapshot(key) == Snapshot(seq=2, body=b"state 2")
            async with connect_log(nats_url) as other:
                await other.save_snapshot(key, Snapshot(seq=3, body=b"state 3"))
                assert await other.load_snapshot(key) == Snapshot(seq=3, body=b"state 3")

    asyncio.run(run())


def test_one_damaged_end_hides_no_other_session(tmp_path: Path, tenant: str, drafts: Iterator[Draft]) -> None:
    """If the last event of one session cannot be read, all others are listed, woken and followed as before."""
    keys = [SessionKey(tenant=tenant, session=name) for name in "abc"]

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            for key in keys:
                await log.append(key, take(drafts, 10))
        damage(tmp_path, b"text 000020")
        async with (
            asyncio.timeout(WAIT_S),
            EmbeddedServer(tmp_path, profile="fast") as server,
            connect_log(server.url) as log,
        ):
            assert await log.sessions() == [SessionEnd(key, seq=10, damaged=key.session == "b") for key in keys]
            async with aclosing(log.wakes()) as wakes:
                assert {(await anext(wakes)).key for _ in keys} == set(keys)
                await log.append(keys[2], take(drafts, 1))
                assert await anext(wakes) == SessionEnd(keys[2], seq=11)
            for key in (keys[0], keys[2]):
                assert len(await all_seqs(log, key)) >= 10
            async with aclosing(log.follow(keys[1])) as follow:
                with pytest.raises(CorruptLogError) as found:
                    await anext(follow)
            assert found.value.seq == 10

    asyncio.run(run())


def test_an_end_cut_off_is_found_without_any_projection(
    tmp_path: Path, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """If a killed server drops the events after a damaged one, a session that nobody compacted yet knows it too."""

    async def run() -> None:
        server = EmbeddedServer(tmp_path, profile="fast")
        await server.start()
        async with connect_log(server.url) as log:
            await log.append(key, take(drafts, 50))
        os.kill(server.running.pid, signal.SIGKILL)
        await server.stop()
        damage(tmp_path, b"text 000031")
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            with pytest.raises(CorruptLogError) as found:
                await all_seqs(log, key)
            assert found.value.seq == 31
            with pytest.raises(CorruptLogError):
                await log.append(key, take(drafts, 1))
            assert await log.sessions() == [SessionEnd(key=key, seq=30, damaged=True)]

    asyncio.run(run())
