"""Whatever is published into the event stream, each message that is no event is noted, and the others are worked on."""

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.laws.lives import long_life
from tests.laws.logs import HandClock, worker_on, write
from tests.log.conftest import raw_client, read
from tests.log.servers import started

from retold.errors import CorruptLogError, InputError
from retold.events import SessionKey
from retold.log import connect_log
from retold.log.names import event_subject, partition

pytestmark = pytest.mark.slow
STRAYS = (
    "retold.ev.garbage",
    "retold.ev.1.two",
    "retold.ev.1.a.b.c",
    "retold.ev.99.tenant.session",
    "retold.ev.x.tenant.session",
    "retold.ev.1.tenant.a$b",
    f"retold.ev.{(partition(SessionKey('tenant', 'session')) + 1) % 64}.tenant.session",
)
"""Subjects that the event stream takes, and that no session's events lie on."""
SESSIONS = int(os.environ.get("RETOLD_POISONED", "6"))
"""How many sessions there are beside each other, thirty events each; of 400, one in twenty is poisoned."""


async def _publish(url: str, subject: str, *bodies: bytes) -> None:
    async with raw_client(url) as client:
        for body in bodies:
            await client.jetstream().publish(subject, body)


def test_a_stray_is_passed_over_and_noted_once(tmp_path: Path) -> None:
    """Messages on subjects that are no session's stop no worker, make no session, and have a letter each."""

    async def run() -> None:
        async with started(tmp_path, {}) as server:
            url = f"nats://127.0.0.1:{server.port}"
            async with connect_log(url) as log:
                for subject in STRAYS:
                    await _publish(url, subject, b"\xffgarbage", b"{}")
                key = SessionKey("tenant", "good")
                await write(log, key, long_life(length=5), clock=HandClock("agent"))
                await worker_on(log).drain()
                assert [end.key for end in await log.sessions()] == [key]
                async with aclosing(log.wakes()) as wakes:
                    assert (await anext(wakes)).key == key
                assert {one.event.key async for part in log.scan() for one in part.events} == {key}
                for expected in (2 * len(STRAYS), 0):
                    assert await log.letters.write_strays() == expected
                found = await log.letters.all()
                assert [letter.position for letter in found] == list(range(1, 2 * len(STRAYS) + 1))
                assert {letter.subject for letter in found} == set(STRAYS)
                assert {letter.of for letter in found} == {"stray"}
                assert await log.broker.dead_letters() == {"session": 0, "message": 0, "stray": 2 * len(STRAYS)}

    asyncio.run(run())


def test_a_stray_can_be_looked_at_and_removed(tmp_path: Path) -> None:
    """A stray is shown as it was stored; removed, it is gone with its letter; gone by other means, its letter goes."""

    async def run() -> None:
        async with started(tmp_path, {}) as server:
            url = f"nats://127.0.0.1:{server.port}"
            async with connect_log(url) as log:
                await _publish(url, "retold.ev.garbage", b"one", b"two")
                letters = log.letters
                await letters.write_strays()
                first, second = await letters.all()
                assert (await letters.body(first.position), first.size_bytes) == (b"one", 3)
                assert await letters.retry(first) == first
                await letters.remove(first)
                async with raw_client(url) as client:
                    await client.jetstream().delete_msg("RETOLD_EVENTS", second.position)
                assert await letters.body(second.position) is None
                assert await letters.retry(second) is None
                assert await letters.all() == []

    asyncio.run(run())


@pytest.mark.timeout(600)
def test_each_bad_message_in_sessions_has_a_letter_and_the_others_go_on(nats_url: str, tenant: str) -> None:
    """N bad messages give N letters with position and reason; their sessions are set aside, the others compacted."""

    async def run() -> None:
        keys = [SessionKey(tenant, f"s{at}") for at in range(SESSIONS)]
        bad = keys[::2] if SESSIONS < 100 else keys[::20]
        async with connect_log(nats_url) as log:
            for key in keys:
                await write(log, key, long_life(length=30), clock=HandClock(key.session))
            events = await read(log, keys[1])
            for key in bad:
                await _publish(nats_url, event_subject(key), b"\xff\x00", b'{"seq":3}', events[0].body)
            for _ in range(2):
                await worker_on(log).drain()
            aside = await log.aside()
            assert {key for key in aside if key.tenant == tenant} == set(bad)
            found = [one for one in await log.letters.all() if one.key is not None and one.key.tenant == tenant]
            assert len(found) == 3 * len(bad)
            assert len({letter.position for letter in found}) == len(found)
            assert {letter.key for letter in found} == set(bad)
            assert all(letter.reason and letter.of == "message" for letter in found)
            for key in keys:
                assert (await log.load_history(key) is not None) == (key not in bad)
            with pytest.raises(InputError, match="lies in a session"):
                await log.letters.remove(found[0])
            for key in bad:
                with pytest.raises(CorruptLogError):
                    await read(log, key)
                await log.release(key)
            assert [one for one in await log.letters.all() if one.key in bad] == []

    asyncio.run(run())
