"""A worker that is killed loses nothing and changes nothing."""

import asyncio
import random
import signal
import sys
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from retold.client import Client, Session
from retold.events import HistoryReplaced, Item, Message, Text, ToolCall, ToolResult, Window
from retold.fold import encode_history, replacement_of
from retold.log.jetstream import connect_log
from retold.replay import load, verify
from retold.wiring import client_of, worker_for

KILLS = 20
# Small enough that every part of the conversation calls for a compaction.
WINDOW = Window(hard_limit=4_000, pre_rot=2_400)


def _conversation(turns: int) -> list[Item]:
    chance = random.Random(11)
    words = "alpha beta gamma delta error file worker stream offset retry cursor token".split()
    items: list[Item] = []
    for turn in range(turns):
        said = " ".join(chance.choices(words, k=12))
        items.append(Message(role="user", content=(Text(f"Request {turn}: never drop {said}."),)))
        for step in range(2):
            call_id = f"call-{turn}-{step}"
            items.append(ToolCall(call_id=call_id, name="read_file", arguments=f'{{"path":"src/{turn}.py"}}'))
            items.append(ToolResult(call_id=call_id, content=(Text(" ".join(chance.choices(words, k=180))),)))
        items.append(Message(role="assistant", content=(Text(f"Decided on {said} because of {turn}."),)))
    return items


async def _append(session: Session, items: Sequence[Item]) -> None:
    for item in items:
        await session.append(item)


async def _killed_worker(url: str, client: Client, session: Session, *, after: int, chance: random.Random) -> int:
    """Start a worker, kill it -9 as soon as it has written something after *after*; return where the session ended."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "retold.cli", "--url", url, "worker", stdout=-3, stderr=-3
    )
    writes = chance.choice((1, 1, 2, 3))
    seq = after
    async with asyncio.timeout(30), aclosing(client.log.follow(session.key, after=after)) as events:
        async for recorded in events:
            seq = recorded.event.seq
            writes -= recorded.event.actor == "worker"
            if writes <= 0:
                break
    worker.send_signal(signal.SIGKILL)
    await worker.wait()
    return seq


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_worker_killed_twenty_times_comes_to_the_same_history(nats_url: str, tenant: str) -> None:
    """However often my worker is killed while a session grows, the histories are those of an undisturbed run."""

    async def run() -> None:
        items = _conversation(120)
        step = len(items) // (KILLS + 1)
        chance = random.Random(5)
        async with connect_log(nats_url) as log:
            client = client_of(log)
            calm = await client.session("calm", tenant=tenant, window=WINDOW)
            await _append(calm, items)
            await worker_for(log).drain()

            killed = await client.session("killed", tenant=tenant, window=WINDOW)
            seq = 1
            for number in range(KILLS):
                await _append(killed, items[number * step : (number + 1) * step])
                seq = await _killed_worker(nats_url, client, killed, after=seq, chance=chance)
            await _append(killed, items[KILLS * step :])
            await worker_for(log).drain()

            one, other = await load(log, calm.key), await load(log, killed.key)
            assert one.version == other.version > KILLS
            assert [entry.item for entry in one.entries] == [entry.item for entry in other.entries]
            assert one.tokens == other.tokens
            assert await _hashes(client, calm) == await _hashes(client, killed)
            assert replacement_of(one).hash == replacement_of(other).hash
            published = await log.load_history(killed.key)
            assert published is not None
            assert published.body == encode_history(replacement_of(other))
            assert (await verify(log, killed.key)).ok

    asyncio.run(run())


async def _hashes(client: Client, session: Session) -> list[tuple[int, str]]:
    facts = [recorded.event.data async for recorded in client.log.read(session.key)]
    return [(fact.version, fact.hash) for fact in facts if isinstance(fact, HistoryReplaced)]
