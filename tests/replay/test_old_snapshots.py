"""After an upgrade: what an old release kept beside the log is passed over, and nobody calls it damage."""

import asyncio

from tests.laws.logs import HandClock, read, write
from tests.laws.stories import KEY, Move, Story

from retold.fold import decode_context, encode_context, fold
from retold.log import MemoryLog
from retold.ports import Snapshot
from retold.replay import load, verify


def test_a_snapshot_of_an_older_schema_is_passed_over_and_no_damage() -> None:
    """When I upgrade, my sessions are read from their events, and ``retold verify`` finds nothing wrong."""
    story = Story().tell([Move("user", 2), Move("usage", 9), Move("say", 3)])

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        await write(log, KEY, [recorded.event.data for recorded in story.events], clock=clock)
        state = fold(await read(log, KEY))
        body = encode_context(state)
        assert encode_context(decode_context(body, key=KEY)) == body
        for kept, is_proven in ((body.replace(b'"schema":4', b'"schema":3', 1), False), (body, True)):
            await log.save_snapshot(KEY, Snapshot(seq=state.seq, body=kept))
            assert await load(log, KEY) == state
            verdict = await verify(log, KEY)
            assert verdict.ok
            assert verdict.snapshots == is_proven

    asyncio.run(run())
