"""Drafts that are said to be new are refused at once where the session ends elsewhere, and stored where it does not."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.log.conftest import OnJetStream, take
from tests.log.test_copies_contract import each

from retold.errors import ConflictError, CorruptLogError
from retold.events import Draft, SessionKey


def test_a_session_that_has_moved_on_refuses_them(nats_url: str, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """Behind somebody else's event my two are refused, none of them is stored, and at the true end both are."""
    logs = OnJetStream(nats_url)

    async def run() -> None:
        async with logs.open() as agent, logs.open() as worker:
            await worker.append(key, take(drafts, 3))
            await agent.append(key, take(drafts, 1))
            mine = take(drafts, 2)
            with pytest.raises(ConflictError):
                await worker.append(key, mine, expected=3, are_new=True)
            recorded = await worker.append(key, mine, expected=4, are_new=True)
            assert [one.event.seq for one in recorded] == [5, 6]
            assert [one.event.seq async for one in agent.read(key)] == [1, 2, 3, 4, 5, 6]

    asyncio.run(run())


def test_events_that_a_repair_has_moved_keep_nobody_out(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """Where a repair stored my events anew, at another place of the stream, the second try gets through."""
    logs = OnJetStream(nats_url)

    async def run() -> None:
        async with logs.open() as worker, logs.open() as repairer:
            events = await worker.append(key, take(drafts, 9))
            await repairer.replace(key, each(events), until=9, instead_of=await repairer.stored_end(key))
            mine = take(drafts, 2)
            with pytest.raises(ConflictError):
                await worker.append(key, mine, expected=9, are_new=True)
            recorded = await worker.append(key, mine, expected=9, are_new=True)
            assert [one.event.seq for one in recorded] == [10, 11]

    asyncio.run(run())


def test_a_log_that_lost_its_end_is_told_at_the_second_try(
    nats_url: str, key: SessionKey, drafts: Iterator[Draft]
) -> None:
    """Where the log lost my newest event, the worker is not told for ever that somebody was faster."""
    logs = OnJetStream(nats_url)

    async def run() -> None:
        async with logs.open() as worker:
            await worker.append(key, take(drafts, 9))
            await logs.lose(key, 9)
            mine = take(drafts, 2)
            with pytest.raises(ConflictError):
                await worker.append(key, mine, expected=9, are_new=True)
            with pytest.raises((ConflictError, CorruptLogError)) as told:
                await worker.append(key, mine, expected=9, are_new=True)
            assert not isinstance(told.value, ConflictError) or told.value.actual == 8

    asyncio.run(run())
