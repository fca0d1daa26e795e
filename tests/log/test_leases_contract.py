"""What every log promises to workers that share it: a table of claims, and wakes of some partitions."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import aclosing

import pytest
from tests.log.conftest import WAIT_S, ForgetfulLink, Logs, log_over, take

from retold.events import Draft, SessionKey
from retold.log.leases import JetStreamLeases
from retold.log.names import partition


def test_an_entry_is_written_where_it_stands_as_expected_and_nowhere_else(logs: Logs, tenant: str) -> None:
    """Of two who claim the same entry one has it, and learns the revision to go on from."""
    name = f"{tenant}.a"

    async def run() -> None:
        async with logs.open() as one, logs.open() as other:
            first = await one.leases.put(name, b"one", revision=0)
            assert first is not None
            assert await other.leases.put(name, b"other", revision=0) is None
            assert await one.leases.put(name, b"one", revision=0) == first  # the answer was lost
            second = await other.leases.put(name, b"other", revision=first)
            assert second is not None
            assert second > first
            assert await one.leases.put(name, b"one", revision=first, quietly=True) is None
            claim = (await one.leases.claims())[name]
            assert (claim.value, claim.revision) == (b"other", second)
            assert await one.leases.claim(name) == claim

    asyncio.run(run())


def test_an_entry_is_removed_at_its_revision_alone(logs: Logs, tenant: str) -> None:
    """Whoever is late neither removes an entry that was renewed, nor renews one that was removed."""
    name = f"{tenant}.b"

    async def run() -> None:
        async with logs.open() as one, logs.open() as other:
            first = await one.leases.put(name, b"one", revision=0)
            assert first is not None
            second = await one.leases.put(name, b"one again", revision=first)
            assert second is not None
            assert not await other.leases.remove(name, revision=first)
            assert await other.leases.remove(name, revision=second)
            assert await other.leases.remove(name, revision=second)
            assert await one.leases.put(name, b"one", revision=second) is None
            assert name not in await one.leases.claims()
            assert await one.leases.claim(name) is None

    asyncio.run(run())


def test_changes_are_told_but_quiet_ones(logs: Logs, tenant: str) -> None:
    """A worker learns when others claim or leave, and is not woken by each renewal."""
    name = f"{tenant}.c"

    async def run() -> None:
        async with logs.open() as one, logs.open() as other, asyncio.timeout(WAIT_S):
            changes = one.leases.changes()
            async with aclosing(changes):
                await anext(changes)
                waiting = asyncio.ensure_future(anext(changes))
                revision = await other.leases.put(name, b"1", revision=0, quietly=True)
                assert revision is not None
                revision = await other.leases.put(name, b"2", revision=revision)
                assert revision is not None
                await waiting
                assert (await one.leases.claims())[name].value == b"2"
                waiting = asyncio.ensure_future(anext(changes))
                await other.leases.remove(name, revision=revision)
                await waiting

    asyncio.run(run())


class Followed:
    """Follow what a test says."""

    def __init__(self, followed: Mapping[int, int]) -> None:
        """Begin with *followed*."""
        self.followed = followed
        self._change = asyncio.Event()

    def follow(self, followed: Mapping[int, int]) -> None:
        """Follow these from now on."""
        self.followed = followed
        self._change.set()
        self._change = asyncio.Event()

    async def changed(self, since: Mapping[int, int]) -> None:
        """Wait for a change."""
        while self.followed == since:
            await self._change.wait()


def _keys(tenant: str) -> dict[int, SessionKey]:
    """Return a session of each of four partitions."""
    keys = [SessionKey(tenant=tenant, session=f"s{number}") for number in range(500)]
    found = {partition(key): key for key in keys}
    return {number: found[number] for number in sorted(found)[:4]}


def test_wakes_of_some_partitions_follow_what_is_held(logs: Logs, tenant: str, drafts: Iterator[Draft]) -> None:
    """A partition that I take up is listed once, then woken; one that stays is not listed again; others are absent."""
    keys = _keys(tenant)
    a, b, c, _ = keys

    async def run() -> None:
        async with logs.open() as log, logs.open() as writer, asyncio.timeout(WAIT_S):
            for key in keys.values():
                await writer.append(key, take(drafts, 1))
            held = Followed({a: 1, b: 1})
            woken: list[SessionKey] = []

            async def until(number: int, seq: int) -> None:
                async for wake in wakes:
                    if wake.key.tenant == tenant:
                        woken.append(wake.key)
                        if (wake.key, wake.seq) == (keys[number], seq):
                            return

            wakes = log.wakes(held)
            async with aclosing(wakes):
                await until(a, 1)
                if len(woken) == 1:
                    await until(b, 1)
                assert sorted(woken) == sorted([keys[a], keys[b]])
                woken.clear()
                held.follow({b: 1, c: 1})
                await writer.append(keys[a], take(drafts, 1))
                await until(c, 1)
                await writer.append(keys[b], take(drafts, 1))
                await until(b, 2)
                assert set(woken) == {keys[b], keys[c]}
                assert len(woken) == 2
                woken.clear()
                held.follow({b: 2})
                await until(b, 2)
                held.follow({})
                await asyncio.sleep(0)
                held.follow({a: 3})
                await until(a, 2)

    asyncio.run(run())


@pytest.mark.parametrize("removed", [False, True])
def test_an_answer_that_was_lost_is_found_again(nats_url: str, tenant: str, *, removed: bool) -> None:
    """A claim or a leave whose answer was lost is known for what it is: made, by me."""
    name = f"{tenant}.{removed}"

    class Forgetful(ForgetfulLink):
        stores = f"$KV.RETOLD_LEASES.{name}"

    async def run() -> None:
        async with log_over(Forgetful, nats_url) as log:
            assert isinstance(log.leases, JetStreamLeases)
            revision = await log.leases.put(name, b"me", revision=0)
            assert revision is not None
            if removed:
                assert await log.leases.remove(name, revision=revision)
            else:
                assert await log.leases.put(name, b"me again", revision=revision) is not None

    asyncio.run(run())
