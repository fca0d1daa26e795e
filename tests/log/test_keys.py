"""Data keys and erasures on a real server: keys are made once, turned, wrapped anew, lost and destroyed; crashes."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from nats.aio.msg import Msg
from tests.log.conftest import MASTERS, raw_client, read, saying, take
from tests.log.test_erasing_contract import fill, history, tombstone

from retold.errors import CorruptLogError, InputError, SealError, UnavailableError
from retold.events import Draft, Recorded, SessionKey, standing
from retold.log import EmbeddedServer, JetStreamLog, connect_log
from retold.log.link import Link
from retold.log.names import key_subjects
from retold.ports import Snapshot
from retold.security import MasterKey, MasterKeys

OTHER = MasterKey(id="other", secret=bytes(range(1, 33)))
SAID = "what nobody else may read"


class DyingLink(Link):
    """Die at one request, after it was sent: what comes of it, nobody learns. Unarmed it works."""

    left = -1

    async def ask(self, subject: str, payload: bytes = b"", *, headers: dict[str, str] | None = None) -> Msg:
        """Ask, unless it is time to die."""
        if self.left == 0:
            raise UnavailableError("planted: dead")
        message = await super().ask(subject, payload, headers=headers)
        self.left -= 1
        if self.left == 0:
            raise UnavailableError("planted: died after it was sent")
        return message


async def _key_ids(log: JetStreamLog, key: SessionKey) -> list[tuple[str, str]]:
    """Return the session's data keys, each with the master key that wraps it."""
    return [(entry.record.id, entry.record.master) for entry in await log.keys.entries(key_subjects(key))]


def test_writers_that_begin_at_once_share_one_key(sealed_url: str, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """When several processes write a new session's first events at once, it gets one key, and all can read it."""

    async def run() -> None:
        async with (
            connect_log(sealed_url, masters=MASTERS) as one,
            connect_log(sealed_url, masters=MASTERS) as two,
            connect_log(sealed_url, masters=MASTERS) as three,
        ):
            await asyncio.gather(*(log.append(key, take(drafts, 2)) for log in (one, two, three)))
            assert await _key_ids(one, key) == [("0.1", "test")]
            assert len({str(await read(log, key)) for log in (one, two, three)}) == 1

    asyncio.run(run())


def test_a_session_whose_key_is_missing_does_not_end_a_scan(
    sealed_url: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """Scanning all sessions without a key names each that I cannot read, and goes on to the next."""

    async def run() -> None:
        second = msgspec.structs.replace(key, session="second")
        async with connect_log(sealed_url, masters=MASTERS) as log, connect_log(sealed_url) as blind:
            for one in (key, second):
                await log.append(one, [saying(next(drafts), SAID)])
            told = {one: str(error) async for part in blind.scan() for one, error in part.sealed.items()}
            for one in (key, second):
                assert "name the key file" in told[one]

    asyncio.run(run())


def test_who_has_no_key_sees_where_sessions_end_and_nothing_else(
    sealed_url: str, key: SessionKey, drafts: Iterator[Draft], caplog: pytest.LogCaptureFixture
) -> None:
    """Without the master key I can list sessions and heads; reading and writing name the key that is missing."""

    async def run() -> None:
        async with connect_log(sealed_url, masters=MASTERS) as log, connect_log(sealed_url) as blind:
            events = await log.append(key, [saying(next(drafts), SAID)])
            await log.save_snapshot(key, Snapshot(seq=1, body=SAID.encode()))
            await log.publish_history(key, history(1))
            assert await blind.head(key) == events[0].head
            assert [end.seq for end in await blind.sessions() if end.key == key] == [1]
            told = []
            for call in (read(blind, key), blind.load_snapshot(key), blind.load_history(key)):
                with pytest.raises(
                    SealError, match=r"data key '0\.1' under master key 'test', which was not given"
                ) as no:
                    await call
                told.append(str(no.value))
            for drafted in (1, 2):
                with pytest.raises(SealError, match=r"which was not given|no master key was given"):
                    await blind.append(key, take(drafts, drafted))
            assert await read(log, key) == events
            assert SAID not in "".join(told)

    asyncio.run(run())
    assert SAID not in caplog.text


def test_a_log_that_becomes_sealed_keeps_what_it_had(tmp_path: Path, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Turning encryption on seals what comes from then on, whoever writes it; what was there stays readable."""

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as early:
            before = await early.append(key, [saying(next(drafts), "said in the open")])
            async with connect_log(server.url, masters=MASTERS) as log:
                after = await log.append(key, [saying(next(drafts), SAID)])
                assert await read(log, key) == [*before, *after]
            with pytest.raises(SealError, match="which was not given"):
                await early.append(key, take(drafts, 1))
            assert [one.event.seq for one in await read(early, key, until=1)] == [1]

    asyncio.run(run())
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"said in the open" in stored
    assert SAID.encode() not in stored


def test_turned_keys_seal_what_follows_and_open_what_was(
    sealed_url: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """After a rotation new events have a new data key, and under a new master key the old one is not needed."""
    both, new = MasterKeys(keys=(OTHER, *MASTERS.keys)), MasterKeys(keys=(OTHER,))

    async def run() -> None:
        async with connect_log(sealed_url, masters=MASTERS) as log:
            first = await log.append(key, [saying(next(drafts), SAID)])
            await log.keys.add(key, epoch=0)
        async with connect_log(sealed_url, masters=both) as log:
            second = await log.append(key, [saying(next(drafts), SAID)])
            assert b'"key":"0.1"' in first[0].body
            assert b'"key":"0.2"' in second[0].body
            entries = await log.keys.entries(key_subjects(key))
            assert [await log.keys.rewrap(entry) for entry in entries] == [True, True]
            entries = await log.keys.entries(key_subjects(key))
            assert [await log.keys.rewrap(entry) for entry in entries] == [False, False]
            assert await _key_ids(log, key) == [("0.1", "other"), ("0.2", "other")]
        async with connect_log(sealed_url, masters=new) as log:
            assert await read(log, key) == [*first, *second]
        async with connect_log(sealed_url, masters=MASTERS) as log:
            with pytest.raises(SealError, match="under master key 'other', which was not given"):
                await read(log, key)
            with pytest.raises(SealError, match="under master key 'other'"):
                await log.keys.rewrap(entries[0])
        async with raw_client(sealed_url) as client:
            state = (await client.jetstream().stream_info("KV_RETOLD_KEYS", subjects_filter=key_subjects(key))).state
            assert sum((state.subjects or {}).values()) == 2  # the old wrappings are gone

    asyncio.run(run())


def test_an_erasure_destroys_the_keys_and_what_follows_has_new_ones(
    sealed_url: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """After an erasure no key of before is left; a process that still holds one in memory does not write with it."""

    async def run() -> None:
        async with connect_log(sealed_url, masters=MASTERS) as log, connect_log(sealed_url, masters=MASTERS) as late:
            before = await fill(late, key, drafts)
            stone = (await log.append(key, [tombstone(next(drafts))]))[0]
            # It writes between the tombstone and the end of the erasure.
            (between,) = await late.append(key, [saying(next(drafts), SAID)])
            assert (await log.erase(key)).keys == 1
            assert await _key_ids(log, key) == [("6.1", "test")]
            assert b'"key":"6.1"' in between.body
            (after,) = await late.append(key, [saying(next(drafts), SAID)])
            for one in (log, late):
                assert await read(one, key) == [stone, between, after]
            assert b'"key":"0.1"' in before[0].body

    asyncio.run(run())


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
def test_an_erasure_that_dies_anywhere_serves_nothing_and_can_be_repeated(
    nats_url: str, sealed_url: str, key: SessionKey, drafts: Iterator[Draft], *, sealed: bool
) -> None:
    """Whenever an erasure is killed, no reader is given anything of before, and repeating it finishes it."""
    url, masters = (sealed_url, MASTERS) if sealed else (nats_url, None)

    async def die(name: str, requests: int) -> bool:
        """Kill an erasure after so many *requests*; return whether it had ended before."""
        one = msgspec.structs.replace(key, session=name)
        async with connect_log(url, masters=masters) as log:
            await fill(log, one, drafts)
            await log.append(one, [saying(next(drafts), os.urandom(160_000).hex())])
            stone = (await log.append(one, [tombstone(next(drafts))]))[0]
        ended = await _killed_erasure(url, masters, one, requests)
        async with connect_log(url, masters=masters) as log:
            assert await read(log, one) == [stone]
            assert (await log.load_snapshot(one), await log.load_history(one)) == (None, None)
            found = await log.erase(one)
            assert not ended or (found.events, found.projections, found.blobs, found.keys) == (0, 0, 0, 0)
            assert await read(log, one) == [stone]
        assert await _left(url, one) == 3  # the tombstone and the two marks
        return ended

    async def run() -> None:
        requests, ended = 1, False
        while not ended:
            ended = await die(f"s{requests}", requests)
            requests += 1 if requests < 8 else 4
        assert requests > 20

    asyncio.run(run())


async def _killed_erasure(url: str, masters: MasterKeys | None, key: SessionKey, requests: int) -> bool:
    link = await DyingLink.open(url, name="test")
    assert isinstance(link, DyingLink)
    async with JetStreamLog(link, masters=masters, is_sealed=masters is not None) as log:
        link.left = requests
        try:
            await log.erase(key)
        except UnavailableError:
            return False
    return True


async def _left(url: str, key: SessionKey) -> int:
    """Return how many messages the server has for the session in all, heads aside."""
    left = 0
    async with raw_client(url) as client:
        stream = client.jetstream()
        for name, subject in (
            ("RETOLD_EVENTS", f"retold.ev.*.{key.tenant}.{key.session}"),
            ("RETOLD_SNAPSHOTS", f"retold.snap.{key.tenant}.{key.session}"),
            ("KV_RETOLD_HISTORIES", f"$KV.RETOLD_HISTORIES.{key.tenant}.{key.session}"),
            ("OBJ_RETOLD_BLOBS", f"$O.RETOLD_BLOBS.C.{key.tenant}.{key.session}.>"),
        ):
            state = (await stream.stream_info(name, subjects_filter=subject)).state
            left += sum((state.subjects or {}).values())
    return left


def test_a_swapped_or_forged_key_opens_nothing(sealed_url: str, tenant: str, drafts: Iterator[Draft]) -> None:
    """Whoever can write to the server can put another session's key in place of mine; it opens nothing."""
    mine, theirs = (SessionKey(tenant=tenant, session=name) for name in ("mine", "theirs"))

    async def run() -> None:
        async with connect_log(sealed_url, masters=MASTERS) as log:
            for one in (mine, theirs):
                await log.append(one, [saying(next(drafts), SAID)])
        async with raw_client(sealed_url) as client:
            stream = client.jetstream()
            taken = await stream.get_last_msg("KV_RETOLD_KEYS", f"$KV.RETOLD_KEYS.{tenant}.theirs.0.1")
            await stream.publish(f"$KV.RETOLD_KEYS.{tenant}.mine.0.1", taken.data or b"")
        async with connect_log(sealed_url, masters=MASTERS) as log:
            with pytest.raises(SealError, match=r"data key '0\.1'"):
                await read(log, mine)
            assert len(await read(log, theirs)) == 1

    asyncio.run(run())


def test_a_sealed_event_that_was_moved_on_the_server_is_damage(
    sealed_url: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """A sealed event that somebody copies to another session of the log is named as damage there."""
    other = msgspec.structs.replace(key, session="other")

    async def run() -> None:
        async with connect_log(sealed_url, masters=MASTERS) as log:
            events: list[Recorded] = [
                *await log.append(key, take(drafts, 1)),
                *await log.append(other, take(drafts, 1)),
            ]
            assert [standing(one.body).seq for one in events] == [1, 1]
        async with raw_client(sealed_url) as client:
            stream = client.jetstream()
            last = await stream.get_last_msg("RETOLD_EVENTS", f"retold.ev.*.{key.tenant}.{key.session}")
            there = await stream.get_last_msg("RETOLD_EVENTS", f"retold.ev.*.{other.tenant}.{other.session}")
            assert there.seq is not None
            await stream.delete_msg("RETOLD_EVENTS", there.seq)
            await stream.publish(
                there.subject or "", last.data or b"", headers={"Retold-Seq": "1", "Retold-Sealed": "0.1"}
            )
        async with connect_log(sealed_url, masters=MASTERS) as log:
            with pytest.raises(CorruptLogError, match=r"was not sealed here|names another session"):
                await read(log, other)

    asyncio.run(run())


def test_keys_are_not_made_without_a_master_key(sealed_url: str, key: SessionKey) -> None:
    """Asking for a new data key without a master key is my mistake, and says so."""

    async def run() -> None:
        async with connect_log(sealed_url) as log:
            with pytest.raises(InputError, match="expected a master key to wrap"):
                await log.keys.add(key, epoch=0)

    asyncio.run(run())
