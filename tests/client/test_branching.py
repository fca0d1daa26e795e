"""Rewinds, restores and tags as an agent makes them: what names no place or no item is refused, and changes nothing."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.laws.lives import WINDOW, long_life
from tests.laws.logs import HandClock, read, worker_on, write
from tests.laws.stories import KEY

from retold.client import Client, Session
from retold.errors import CorruptLogError, InputError
from retold.events import Fact, ItemsOffloaded
from retold.fold import history_of, item_hash
from retold.log import MemoryLog
from retold.replay import load, verify


async def _lived(facts: Sequence[Fact], *, with_worker: bool = True) -> tuple[MemoryLog, Session]:
    log, clock = MemoryLog(), HandClock()
    worker = worker_on(log)
    for fact in facts:
        await write(log, KEY, [fact], clock=clock)
        if with_worker:
            await worker.drain()
    return log, await Client(log, HandClock("mine")).existing(KEY.session, tenant=KEY.tenant)


def test_a_rewind_by_sequence_time_and_tag_comes_to_the_same() -> None:
    """However I name the place, I am back at the history as it was there; and a rewind can be rewound."""

    async def run() -> None:
        log, session = await _lived(long_life(length=40))
        past = await session.history(at=20)
        then = (await read(log, KEY))[19].event.at
        end = await session.tag("before")
        whole = await session.history()
        await session.tag("here", at=20)
        for place in (20, then, "here"):
            seq = await session.rewind(place)
            now = await session.history()
            assert (now.seq, now.hash, now.items) == (seq, past.hash, past.items)
        await session.rewind("before")
        assert (await session.history()).hash == whole.hash
        assert (await session.history(at="before")).seq == end - 1
        assert (await verify(log, KEY)).ok

    asyncio.run(run())


@pytest.mark.parametrize("to", [0, -1, 10_000, True, "nowhere", 2.5], ids=repr)
def test_a_rewind_to_nowhere_is_refused(to: int | str) -> None:
    """A place that the session does not have would damage it; it is refused, and nothing is recorded."""

    async def run() -> None:
        log, session = await _lived(long_life(length=10), with_worker=False)
        end = await log.head(KEY)
        with pytest.raises(InputError):
            await session.rewind(to)
        assert await log.head(KEY) == end

    asyncio.run(run())


def _offloaded(facts: Sequence[Fact]) -> list[tuple[str, str]]:
    return [(one.item, one.sha256) for fact in facts if isinstance(fact, ItemsOffloaded) for one in fact.items]


def test_every_offloaded_item_can_be_restored_also_in_a_fork() -> None:
    """Whatever stands behind a placeholder returns with the hash that was recorded, wherever its original lies."""

    async def run() -> None:
        log, session = await _lived(long_life(seed=4, length=40))
        child = await (await session.fork("child")).fork("grandchild")
        hashes = dict(_offloaded([one.event.data for one in await read(log, KEY)]))
        for found in (session, child):
            context = await load(log, found.key)
            placeholders = [entry for entry in context.entries if entry.form == "placeholder"]
            assert placeholders
            for entry in placeholders:
                await found.restore(entry.item.id)
                items = {item.id: item for item in (await found.history()).items}
                assert item_hash(items[entry.item.id]) == entry.original == hashes[entry.item.id]
            assert (await verify(log, found.key)).ok

    asyncio.run(run())


def test_what_i_restore_is_not_offloaded_again_at_once() -> None:
    """The worker leaves what I asked for where it is, until the history has grown."""

    async def run() -> None:
        log, session = await _lived(long_life(seed=4, length=40))
        for entry in (await load(log, KEY)).entries:
            if entry.form == "placeholder":
                await session.restore(entry.item.id)
                restored = await load(log, KEY)
                await worker_on(log, f"after-{entry.item.id}").drain()
                if restored.tokens.upper <= WINDOW.input_limit:
                    assert history_of(await load(log, KEY)) == history_of(restored)

    asyncio.run(run())


def test_a_restore_of_what_is_no_placeholder_is_refused() -> None:
    """An item that is whole, and one that is not in the history, are told apart."""

    async def run() -> None:
        log, session = await _lived(long_life(seed=4, length=40))
        whole = next(one.item.id for one in (await load(log, KEY)).entries if one.form == "whole")
        with pytest.raises(InputError, match="is whole in the history"):
            await session.restore(whole)
        with pytest.raises(InputError, match="got 'i9999'"):
            await session.restore("i9999")

    asyncio.run(run())


def test_a_restore_whose_original_is_damaged_is_refused() -> None:
    """An original that the log lost is never made up."""

    async def run() -> None:
        log, session = await _lived(long_life(seed=4, length=40))
        context = await load(log, KEY)
        entry = next(one for one in context.entries if one.form == "placeholder")
        await session.history()
        log.lose(KEY, entry.seq)
        with pytest.raises(CorruptLogError):
            await session.restore(entry.item.id)

    asyncio.run(run())


def test_tags_are_put_moved_taken_off_and_followed() -> None:
    """A tag stands for a place wherever one is taken; moved or taken off, it is what was said last."""

    async def run() -> None:
        log, session = await _lived(long_life(length=20))
        await session.tag("a.b-c_1", at=5)
        await session.tag("now")
        assert (await session.tags())["a.b-c_1"] == 5
        assert (await session.history(at="a.b-c_1")).seq == 5
        await session.tag("a.b-c_1", at="now")
        assert (await session.tags())["a.b-c_1"] == (await session.tags())["now"]
        await session.untag("now")
        with pytest.raises(InputError, match="there is no tag 'now'"):
            await session.history(at="now")
        with pytest.raises(InputError, match="there is no tag 'now'"):
            await session.untag("now")
        forked = await session.fork("child", at="a.b-c_1")
        assert await forked.tags() == {}
        assert (await verify(log, KEY)).ok

    asyncio.run(run())


@pytest.mark.parametrize("name", ["", "1st", "i12", "s3", "a b", "a/b", "x" * 65, "2026-01-01", "ä"])
def test_a_name_that_could_mean_something_else_is_no_tag(name: str) -> None:
    """A tag is told from a sequence, a time and an item at a glance."""

    async def run() -> None:
        log, session = await _lived(long_life(length=5), with_worker=False)
        end = await log.head(KEY)
        with pytest.raises(InputError, match="expected a tag of a letter"):
            await session.tag(name)
        assert await log.head(KEY) == end

    asyncio.run(run())
