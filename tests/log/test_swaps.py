"""Swaps beside others: who remembers what was there before the swap does no harm with it."""

import asyncio
from collections.abc import AsyncGenerator

from msgspec import structs
from tests.laws.stories import Move, Story

from retold.events import SessionKey
from retold.fold import Context, encode_history, fold, replacement_of
from retold.log.jetstream import connect_log
from retold.ports import Published, Snapshot, snapshot_of


def _states(key: SessionKey) -> list[Context]:
    """Return the states of a session that only grows."""
    events = Story().tell([Move(verb, at % 12) for at in range(40) for verb in ("user", "say")]).events
    return [structs.replace(fold(events[:at]), key=key, base_seq=at) for at in range(8, len(events), 8)]


def _published(state: Context) -> Published:
    history = replacement_of(state)
    return Published(
        version=state.seq, seq=state.seq, base_seq=state.seq, hash=history.hash, body=encode_history(history)
    )


def test_who_publishes_after_anothers_swap_names_nothing_that_is_gone(nats_url: str, key: SessionKey) -> None:
    """A worker that has kept snapshots before somebody rebuilt the session publishes what everybody can read."""

    async def run() -> None:
        *states, last = _states(key)

        async def made() -> AsyncGenerator[Snapshot | Published, None]:
            for state in states[::2]:
                yield snapshot_of(state)
            yield _published(states[0])

        async with connect_log(nats_url) as worker, connect_log(nats_url) as other:
            for state in states:
                await worker.save_snapshot(key, snapshot_of(state))
            await other.swap_projections(key, made())
            assert await worker.publish_history(key, _published(last))
            assert await other.load_history(key) == _published(last)

    asyncio.run(run())


def test_what_is_published_while_a_swap_is_made_can_be_read_after_it(nats_url: str, key: SessionKey) -> None:
    """A history newer than the one that a rebuild makes stays, and names none of the snapshots that went."""

    async def run() -> None:
        *states, last = _states(key)

        async with connect_log(nats_url) as worker, connect_log(nats_url) as other:

            async def made() -> AsyncGenerator[Snapshot | Published, None]:
                for state in states[::2]:
                    yield snapshot_of(state)
                assert await worker.publish_history(key, _published(last))
                yield _published(states[0])

            for state in states:
                await worker.save_snapshot(key, snapshot_of(state))
            await other.swap_projections(key, made())
            for reader in (worker, other):
                assert await reader.load_history(key) == _published(last)

    asyncio.run(run())
