"""Who has no key proves that nothing of a sealed session is missing or changed, and is told that this is all."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.log.conftest import MASTERS, Logs, api, raw_client, read, take

from retold.backup import Backup, write
from retold.errors import CorruptLogError
from retold.events import Draft, ForkPoint, SessionKey, SessionOpened, Window
from retold.log import connect_log
from retold.log.names import EVENTS, event_subject
from retold.replay import verify, verify_chain


def opening(draft: Draft, parent: ForkPoint | None = None) -> Draft:
    """Return *draft* as one that opens its session."""
    return msgspec.structs.replace(draft, data=SessionOpened(window=Window(hard_limit=9_000), parent=parent))


def test_events_are_read_as_they_are_kept(logs: Logs, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Reading them unopened gives the same bytes and hashes, from and up to where I say, and the same damage."""

    async def run() -> None:
        async with logs.open() as log, logs.open() as other:
            await log.append(key, take(drafts, 9))
            whole = await read(log, key)
            kept = [one async for one in other.read_kept(key)]
            assert [(one.body, one.head) for one in kept] == [(one.body, one.head) for one in whole]
            assert [one.standing.seq async for one in other.read_kept(key, after=3, until=6)] == [4, 5, 6]
            await logs.lose(key, 5)
        async with logs.open() as log:
            with pytest.raises(CorruptLogError) as found:
                assert [one async for one in log.read_kept(key)]
            assert found.value.seq == 5

    asyncio.run(run())


def test_without_the_key_the_chain_is_proven_and_labelled(
    sealed_url: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """Verify without the key gives a verdict on the chain, forks included, and says what it could not prove."""

    async def run() -> None:
        child = msgspec.structs.replace(key, session="child")
        async with connect_log(sealed_url, masters=MASTERS) as log, connect_log(sealed_url) as blind:
            parent = await log.append(key, [opening(next(drafts)), *take(drafts, 8)])
            point = ForkPoint(session=key.session, seq=4, head=parent[3].hash)
            await log.append(child, [opening(next(drafts), point)])
            await log.append(child, take(drafts, 2))
            for one, events in ((key, 9), (child, 3)):
                full, chain, asked = await verify(log, one), await verify(blind, one), await verify_chain(log, one)
                assert (full.ok, full.events, full.proof, full.missing) == (True, events, "all", "")
                assert (chain.ok, chain.events, chain.proof) == (True, events, "chain")
                assert "master key 'test', which was not given" in chain.missing
                assert (asked.ok, asked.events, asked.proof, asked.missing) == (True, events, "chain", "")

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["lost", "changed", "end"])
def test_damage_is_named_without_the_key(sealed_url: str, key: SessionKey, drafts: Iterator[Draft], fault: str) -> None:
    """A sealed event that was lost, changed or added by a stranger is named, and so are forks that inherit it."""

    async def run() -> None:
        child = msgspec.structs.replace(key, session="child")
        async with connect_log(sealed_url, masters=MASTERS) as log, raw_client(sealed_url) as client:
            parent = await log.append(key, [opening(next(drafts)), *take(drafts, 5)])
            point = ForkPoint(session=key.session, seq=6, head=parent[5].hash)
            await log.append(child, [opening(next(drafts), point)])
            last = await client.jetstream().get_last_msg(EVENTS, event_subject(key))
            assert last.seq is not None
            if fault == "end":
                body = parent[-1].body.replace(b'"seq":6', b'"seq":7')
                headers = {**(last.headers or {}), "Retold-Seq": "7"}
                headers = {name: value for name, value in headers.items() if name.startswith("Retold-")}
                await client.jetstream().publish(event_subject(key), body, headers=headers)
            else:
                await api(sealed_url, f"STREAM.MSG.DELETE.{EVENTS}", {"seq": last.seq})
            if fault == "changed":
                body = parent[-1].body[:-20] + b'AAAAAAAAAAAAAAAA"}}}'
                headers = {name: value for name, value in (last.headers or {}).items() if name.startswith("Retold-")}
                await client.jetstream().publish(event_subject(key), body, headers=headers)
        async with connect_log(sealed_url) as blind:
            verdict = await verify(blind, key)
            assert (verdict.ok, verdict.whole, verdict.proof) == (fault == "changed", fault == "changed", "chain")
            if fault != "changed":  # the hash of the last event stands nowhere but in what follows it: in the fork
                assert verdict.damaged_seq == (6 if fault == "lost" else 7)
            forked = await verify(blind, child)
            assert forked.ok == (fault == "end")
            assert fault == "end" or "forked from" in forked.reason

    asyncio.run(run())


def test_a_backup_needs_no_key(tmp_path: Path, sealed_url: str, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Who may not read what was said backs it up all the same, byte for byte."""

    async def run() -> None:
        async with connect_log(sealed_url, masters=MASTERS) as log, connect_log(sealed_url) as blind:
            events = await log.append(key, take(drafts, 5))
            [written] = [one async for one in write(blind, Backup(tmp_path / "backup"), [key])]
            assert (written.ok, written.events) == (True, 5)
            kept = Backup(tmp_path / "backup").read(key)
            assert [one.body async for one in kept] == [one.body for one in events]

    asyncio.run(run())
