"""What every log promises about scanning all sessions, in memory and on a real server."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from tests.log.conftest import WAIT_S, Logs, log_over, raw_client, read, saying, take
from tests.log.test_damage import LARGE_BYTES, damage, large

from retold.errors import CorruptLogError, InputError
from retold.events import Draft, Recorded, SessionKey, SessionOpened, Window
from retold.log import EmbeddedServer, connect_log, scanning
from retold.log.link import Link
from retold.log.names import event_subject, partition
from retold.log.tap import Taker
from retold.ports import Log, Row


def keys_of(tenant: str, number: int) -> list[SessionKey]:
    """Return *number* sessions, whose names no other test uses either."""
    return [SessionKey(tenant=tenant, session=f"{tenant}-{at}") for at in range(number)]


async def scanned(
    log: Log, keys: Sequence[SessionKey], *, partitions: Sequence[int] = ()
) -> tuple[dict[SessionKey, list[Recorded]], dict[str, int]]:
    """Return what a scan gives of *keys*, and the first damaged sequence of each damaged session."""
    found: dict[SessionKey, list[Recorded]] = {key: [] for key in keys}
    errors: dict[SessionKey, CorruptLogError] = {}
    async for part in log.scan(partitions=partitions):
        errors |= part.damage
        for one in part.events:
            found.get(one.event.key, []).append(one)
    return found, {key.session: error.seq for key, error in errors.items() if key in keys}


async def fill(log: Log, keys: Sequence[SessionKey], drafts: Iterator[Draft]) -> None:
    """Open the sessions, and append to them by turns."""
    opened = SessionOpened(window=Window(hard_limit=1000))
    for key in keys:
        first = take(drafts, 1)[0]
        await log.append(key, [Draft(id=first.id, at=first.at, actor="test", data=opened)], expected=0)
    for _ in range(2):
        await log.append_rows([Row(key=key, appends=[take(drafts, 1 + at % 2) for at in range(4)]) for key in keys])


def test_a_scan_gives_what_reading_each_session_gives(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """Scanning the log gives me every event of every session, in order, the same as reading them one by one."""

    async def run() -> None:
        keys = keys_of(tenant, 8)
        async with logs.open() as log:
            await fill(log, keys, drafts)
            found, damaged = await scanned(log, keys)
            assert damaged == {}
            for key in keys:
                assert len(found[key]) == 13
                assert found[key] == await read(log, key)

    asyncio.run(run())


def test_a_scan_can_be_shared_by_partitions(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """Several processes can share a scan: each partition's sessions come in its part, wholly, and nowhere else."""

    async def run() -> None:
        keys = keys_of(tenant, 6)
        async with logs.open() as log:
            await fill(log, keys, drafts)
            mine = partition(keys[0])
            for part in ([mine], [number for number in range(64) if number != mine]):
                found, _ = await scanned(log, keys, partitions=part)
                for key in keys:
                    assert len(found[key]) == (13 if partition(key) in part else 0)
            with pytest.raises(InputError, match="partitions from 0 to 63"):
                await scanned(log, keys, partitions=[64])

    asyncio.run(run())


def test_a_damaged_session_does_not_end_a_scan(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """A session that has lost an event is named with its place; I get what came before, and all other sessions."""

    async def run() -> None:
        keys = keys_of(tenant, 3)
        async with logs.open() as log:
            await fill(log, keys, drafts)
            await logs.lose(keys[1], 5)
            found, damaged = await scanned(log, keys)
            assert damaged == {keys[1].session: 5}
            assert [len(found[key]) for key in keys] == [13, 4, 13]

    asyncio.run(run())


def test_a_scan_knows_large_events(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """An event that is too large for a message comes in its place."""

    async def run() -> None:
        keys = keys_of(tenant, 2)
        async with logs.open() as log:
            await fill(log, keys, drafts)
            await log.append(keys[0], [large(take(drafts, 1)[0])])
            await log.append(keys[0], take(drafts, 1))
            found, damaged = await scanned(log, keys)
            assert damaged == {}
            assert found[keys[0]] == await read(log, keys[0])
            assert [len(found[key]) for key in keys] == [15, 13]

    asyncio.run(run())


def test_a_scan_knows_packed_events(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """An event that lies in the store in fewer bytes comes as it was, however it was appended."""

    async def run() -> None:
        keys = keys_of(tenant, 3)
        async with logs.open() as log:
            await fill(log, keys, drafts)
            long = [saying(one, "the same words again " * 200) for one in take(drafts, 6)]
            await log.append_rows([Row(key=keys[0], appends=[long[:1], long[1:3]])])
            await log.append(keys[1], long[3:])
            found, damaged = await scanned(log, keys)
            assert damaged == {}
            assert [len(found[key]) for key in keys] == [16, 16, 13]
            for key in keys:
                assert found[key] == await read(log, key)

    asyncio.run(run())


@pytest.mark.parametrize(
    "written",
    [b'"robot"', b'robot"', b'"us\xffr"', b"[" * 9000 + b"]" * 9000],
    ids=["no role", "no JSON", "no text", "nested too deep"],
)
def test_an_event_that_no_reader_takes_is_damage_of_its_session(
    nats_url: str, tenant: str, drafts: Iterator[Draft], written: bytes
) -> None:
    """What a foreign program wrote into a session, well chained but no event, damages that session alone."""

    async def run() -> None:
        keys = keys_of(tenant, 3)
        async with log_over(Link, nats_url) as log:
            await fill(log, keys, drafts)
            last = (await log.append(keys[0], take(drafts, 1)))[0]
            (next_one,) = await log.append(keys[1], take(drafts, 1))
            body = next_one.body.replace(keys[1].session.encode(), keys[0].session.encode())
            body = body.replace(next_one.event.prev.encode(), last.hash.encode()).replace(b'"user"', written)
            body = body.replace(b'"seq":14', b'"seq":15')
            async with raw_client(nats_url) as client:
                await client.jetstream().publish(event_subject(keys[0]), body, headers={"Retold-Seq": "15"})
            found, damaged = await scanned(log, keys)
            assert damaged == {keys[0].session: 15}
            assert [len(found[key]) for key in keys] == [14, 14, 13]

    asyncio.run(run())


def test_a_scan_passes_what_the_server_cannot_read(
    tmp_path: Path, tenant: str, drafts: Iterator[Draft], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer that stands still before damaged messages is left before its pull ends; the others are all given."""
    pull = msgspec.json.decode(scanning._PULL) | {"expires": 3600 * 10**9}  # noqa: SLF001 - no test waits so long
    monkeypatch.setattr(scanning, "_PULL", msgspec.json.encode(pull))

    async def run() -> None:
        keys = keys_of(tenant, 3)
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            await fill(log, keys, drafts)
        for text in (b"text 000005", b"text 000006", b"text 000038"):
            damage(tmp_path, text)
        async with (
            asyncio.timeout(WAIT_S),
            EmbeddedServer(tmp_path, profile="fast") as server,
            connect_log(server.url) as log,
        ):
            found, damaged = await scanned(log, keys)
            assert len(damaged) in {1, 2}
            for key in keys:
                assert len(found[key]) == damaged.get(key.session, 14) - 1

    asyncio.run(run())


def test_a_long_session_of_large_events_comes_in_pages(
    nats_url: str, tenant: str, drafts: Iterator[Draft], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that needs a closer look is not held whole."""
    monkeypatch.setattr(scanning, "PAGE_BYTES", 3 * LARGE_BYTES)

    async def run() -> None:
        [key] = keys_of(tenant, 1)
        async with connect_log(nats_url) as log:
            for one in take(drafts, 8):
                await log.append(key, [large(one)])
            parts = [part.events async for part in log.scan(partitions=[partition(key)])]
            mine = [[one.event.seq for one in part if one.event.session == key.session] for part in parts]
            assert max(map(len, mine)) == 3
            assert [seq for part in mine for seq in part] == list(range(1, 9))

    asyncio.run(run())


class HolesLink(Link):
    """Lose some of what consumers deliver, and once the whole connection."""

    takes = 0

    @asynccontextmanager
    async def tapped(self, taker: Taker) -> AsyncIterator[str]:
        """Tap, and lose some frames."""
        deliver = taker.take

        def lossy(frames: bytes) -> None:
            """Deliver what is not lost."""
            self.takes += 1
            if self.takes == 2:
                taker.lose()
            if self.takes not in {1, 4}:
                deliver(frames)

        taker.take = lossy  # type: ignore[method-assign]
        async with super().tapped(taker) as reply:
            yield reply


def test_a_scan_whose_deliveries_are_lost_misses_nothing(nats_url: str, tenant: str, drafts: Iterator[Draft]) -> None:
    """When messages or connections are lost while I scan, I still get every event once, in order."""

    async def run() -> None:
        keys = keys_of(tenant, 4)
        async with log_over(HolesLink, nats_url) as log:
            await fill(log, keys, drafts)
            found, damaged = await scanned(log, keys)
            assert damaged == {}
            for key in keys:
                assert found[key] == await read(log, key)

    asyncio.run(run())
