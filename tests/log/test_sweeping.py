"""Large bodies that nothing claims are removed; one that anything claims, or is about to, never is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from tests.log.conftest import api, raw_client, read, saying, take
from tests.log.test_damage import damage

from retold.errors import InputError
from retold.events import Draft, SessionKey
from retold.log import EmbeddedServer, JetStreamLog, connect_log
from retold.log.blobs import CHUNK_BYTES
from retold.log.link import Link
from retold.log.names import BLOBS, CLAIM_BYTES, SNAPSHOTS
from retold.log.sweeping import GRACE, Sweeper, open_sweeper
from retold.ports import Aside, Snapshot

NOW = timedelta(0)
_LARGE_BYTES = CLAIM_BYTES + CHUNK_BYTES


class Killed(Exception):  # noqa: N818 - what happens to the process, no error of Retold's
    """Stand for the death of the process."""


class MortalLink(Link):
    """Die at the first request on a subject that begins with `dies_at`."""

    dies_at = ""

    async def ask(self, subject: str, payload: bytes = b"", *, headers: dict[str, str] | None = None) -> Msg:
        """Ask, or die before."""
        if self.dies_at and subject.startswith(self.dies_at):
            raise Killed
        return await super().ask(subject, payload, headers=headers)


class InterruptedLink(Link):
    """Let somebody else act just before the first request on a subject that begins with `before`."""

    before = ""
    acts: tuple[Callable[[], Awaitable[object]], ...] = ()

    @property
    def has_acted(self) -> bool:
        """Whether the other has acted."""
        return not self.acts

    @classmethod
    async def to(cls, url: str, *, before: str, act: Callable[[], Awaitable[object]]) -> "InterruptedLink":
        """Connect; *act* is awaited before the first request on *before*."""
        link = await cls.open(url, name="test")
        assert isinstance(link, InterruptedLink)
        link.before, link.acts = before, (act,)
        return link

    async def ask(self, subject: str, payload: bytes = b"", *, headers: dict[str, str] | None = None) -> Msg:
        """Ask, after the other has acted if it is time."""
        if subject.startswith(self.before):
            acts, self.acts = self.acts, ()
            for act in acts:
                await act()
        return await super().ask(subject, payload, headers=headers)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a server of this file's own: a sweep looks at everything that there is."""
    server = EmbeddedServer(tmp_path_factory.mktemp("sweeping"), profile="fast")
    running = asyncio.run(server.start())
    asyncio.run(set_up(running.url))
    yield running.url
    asyncio.run(server.stop())


async def set_up(url: str) -> None:
    """Make the streams."""
    async with connect_log(url):
        pass


@asynccontextmanager
async def log_that_dies(url: str, *, at: str) -> AsyncIterator[JetStreamLog]:
    """Give a log whose process dies at a request on *at*."""
    link = await MortalLink.open(url, name="test")
    assert isinstance(link, MortalLink)
    link.dies_at = at
    async with JetStreamLog(link) as log:
        yield log


async def cleaned(url: str) -> None:
    """Remove what other tests have left."""
    async with open_sweeper(url) as sweeper:
        await sweeper.sweep(older_than=NOW)


async def bodies(url: str) -> int:
    """Return how many messages the object store has."""
    state = (await api(url, f"STREAM.INFO.{BLOBS}", {}))["state"]
    assert isinstance(state, dict)
    return int(state["messages"])


def large(drafts: Iterator[Draft], letter: str) -> Draft:
    """Return a draft whose body goes to the object store, and does not pack."""
    draft = next(drafts)
    return saying(draft, "".join(f"{letter}{number:x}" for number in range(_LARGE_BYTES // 4)))


@pytest.mark.parametrize("at", ["retold.ev.", "$O.RETOLD_BLOBS.M."])
def test_what_a_killed_writer_left_is_removed(store: str, key: SessionKey, drafts: Iterator[Draft], at: str) -> None:
    """A body whose writer died before the event, or while storing it, goes after the grace time; claimed ones stay."""

    async def run() -> None:
        draft = large(drafts, "a")
        async with connect_log(store) as log, open_sweeper(store) as sweeper:
            await sweeper.sweep(older_than=NOW)
            kept = await log.append(key, [large(drafts, "b")])
            before = await bodies(store)
            async with log_that_dies(store, at=at) as mortal:
                with pytest.raises(Killed):
                    await mortal.append(key, [draft])
            assert await bodies(store) > before
            assert await sweeper.orphans() == await sweeper.sweep() == []
            found = await sweeper.orphans(older_than=NOW)
            assert [bool(orphan.name) for orphan in found] == [at == "retold.ev."]
            assert found[0].size_bytes > CLAIM_BYTES
            assert await sweeper.sweep(older_than=NOW) == found
            assert await sweeper.sweep(older_than=NOW) == []
            assert await bodies(store) == before
            kept += await log.append(key, [draft])
            async with connect_log(store) as another:
                assert await read(another, key) == kept

    asyncio.run(run())


@pytest.mark.parametrize("request_before", ["$JS.API.STREAM.MSG.DELETE.", "$JS.API.STREAM.PURGE."])
def test_a_body_that_is_claimed_during_the_sweep_can_be_read(
    store: str, key: SessionKey, drafts: Iterator[Draft], request_before: str
) -> None:
    """If somebody claims an old orphan just before, or while, it is removed, what they appended can be read."""

    async def run() -> None:
        draft = large(drafts, "c")
        await cleaned(store)
        async with log_that_dies(store, at="retold.ev.") as mortal:
            with pytest.raises(Killed):
                await mortal.append(key, [draft])
        async with connect_log(store) as log, connect_log(store) as another:
            link = await InterruptedLink.to(store, before=request_before, act=lambda: log.append(key, [draft]))
            swept = await Sweeper(link, log).sweep(older_than=NOW)
            await link.close()
            assert link.has_acted
            assert len(swept) == ("PURGE" in request_before)
            assert [one.event.id for one in await read(another, key)] == [draft.id]
            async with open_sweeper(store) as sweeper:
                assert await sweeper.sweep(older_than=NOW) == []
            assert [one.event.id for one in await read(another, key)] == [draft.id]

    asyncio.run(run())


def test_a_claim_made_between_looking_and_storing_is_kept(store: str, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """If the sweep removes a body after a writer found it there, the writer stores it again."""

    async def run() -> None:
        draft = large(drafts, "d")
        async with log_that_dies(store, at="retold.ev.") as mortal:
            with pytest.raises(Killed):
                await mortal.append(key, [draft])
        async with open_sweeper(store) as sweeper:
            link = await InterruptedLink.to(
                store, before="$O.RETOLD_BLOBS.M.", act=lambda: sweeper.sweep(older_than=NOW)
            )
            async with JetStreamLog(link) as log:
                await log.append(key, [draft])
            assert link.has_acted
            async with connect_log(store) as another:
                assert [one.event.id for one in await read(another, key)] == [draft.id]

    asyncio.run(run())


def test_a_body_that_is_about_to_be_claimed_is_young_again(
    store: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """Whoever is about to claim an old body has the whole grace time to do it."""

    async def run() -> None:
        draft = large(drafts, "e")
        await cleaned(store)
        async with open_sweeper(store) as sweeper:
            for _ in range(2):
                async with log_that_dies(store, at="retold.ev.") as mortal:
                    with pytest.raises(Killed):
                        await mortal.append(key, [draft])
                found = await sweeper.orphans(older_than=NOW)
                assert len(found) == 1
                times.append(found[0].at)
        assert times[0] < times[1]

    times: list[datetime] = []
    asyncio.run(run())


def test_what_snapshots_and_other_programs_hold_is_kept(store: str, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """A body that only a snapshot claims stays until the snapshot goes; objects that others put there stay."""

    async def run() -> None:
        async with connect_log(store) as log, open_sweeper(store) as sweeper, raw_client(store) as client:
            await sweeper.sweep(older_than=NOW)
            objects = await client.jetstream().object_store("RETOLD_BLOBS")
            await objects.put("somebody's", b"else")
            await log.append(key, take(drafts, 1))
            state = bytes(str([number * number for number in range(200_000)]), "ascii")
            await log.save_snapshot(key, Snapshot(seq=1, body=state))
            held = await bodies(store)
            assert await sweeper.sweep(older_than=NOW) == []
            assert await log.load_snapshot(key) == Snapshot(seq=1, body=state)
            await api(store, f"STREAM.PURGE.{SNAPSHOTS}", {"filter": f"retold.snap.{key.tenant}.{key.session}"})
            assert len(await sweeper.sweep(older_than=NOW)) == 1
            assert await bodies(store) < held
            assert (await objects.get("somebody's")).data == b"else"

    asyncio.run(run())


def test_a_damaged_session_keeps_its_bodies_and_the_others_are_swept(
    store: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """What a damaged session claims cannot be seen: its bodies stay until it is repaired, and it is named."""
    other = SessionKey(key.tenant, "other")

    async def run() -> None:
        await cleaned(store)
        async with connect_log(store) as log, open_sweeper(store) as sweeper:
            for one, letter in ((key, "a"), (other, "b")):
                await log.append(one, take(drafts, 1))
                async with log_that_dies(store, at="retold.ev.") as mortal:
                    with pytest.raises(Killed):
                        await mortal.append(one, [large(drafts, letter)])
            await log.set_aside(key, Aside(seq=1, reason="planted"))
            assert len(await sweeper.sweep(older_than=NOW)) == 1
            assert await sweeper.sweep(older_than=NOW) == []
            assert sweeper.damaged == {key: "set aside: damaged at 1: planted"}
            await log.release(key)
            assert len(await sweeper.sweep(older_than=NOW)) == 1
            assert sweeper.damaged == {}
            with pytest.raises(InputError, match="grace time of 0 or more"):
                await sweeper.sweep(older_than=-GRACE)

    asyncio.run(run())


def test_an_event_that_the_server_cannot_read_keeps_its_sessions_bodies(
    tmp_path: Path, tenant: str, drafts: Iterator[Draft]
) -> None:
    """If one event's bytes are damaged on disk, bodies that its session may claim stay; what others left goes."""
    hurt, other = SessionKey(tenant, "hurt"), SessionKey(tenant, "other")

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            claimed = await log.append(other, [large(drafts, "a")])
            await log.append(hurt, take(drafts, 2))
            lost = await log.append(hurt, [large(drafts, "b")])
            await log.append(hurt, take(drafts, 2))
            held = await bodies(server.url)
            for one, letter in ((hurt, "c"), (other, "d")):
                async with log_that_dies(server.url, at="retold.ev.") as mortal:
                    with pytest.raises(Killed):
                        await mortal.append(one, [large(drafts, letter)])
        damage(tmp_path, lost[0].hash.encode())  # in the claim
        async with EmbeddedServer(tmp_path, profile="fast") as server, connect_log(server.url) as log:
            async with open_sweeper(server.url) as sweeper:
                assert len(await sweeper.sweep(older_than=NOW)) == 1
                assert sweeper.damaged.keys() == {hurt}
                assert await sweeper.orphans(older_than=NOW) == []
            assert await read(log, other) == claimed
            assert await bodies(server.url) > held  # what was lost with its claim is there still

    asyncio.run(run())
