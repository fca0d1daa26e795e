"""What does one append cost through the embedded server? One past state? Decoding and folding what was read?"""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from retold.cli.bench_fleet import message, names, prepared, texts
from retold.cli.bench_session import make_conversation
from retold.cli.bench_store import folder, keep, served
from retold.client import Client
from retold.events import Window, decode
from retold.fold import fold
from retold.wiring import connect

TURNS_TOKENS = 60_000
MESSAGES = 600


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """Give the event loop that all of this runs in."""
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def client(runner: asyncio.Runner) -> Iterator[Client]:
    """Give a client on an embedded server that holds a session which a worker compacted."""
    conversation = make_conversation(messages=MESSAGES, budget_tokens=TURNS_TOKENS, seed=7)
    with folder() as directory:
        server = served(directory, "fast")
        url = runner.run(server.__aenter__())
        runner.run(keep(url, conversation, window=Window(hard_limit=20_000), at_least=50, name="long"))
        connection = connect(url)
        yield runner.run(connection.__aenter__())
        runner.run(connection.__aexit__(None, None, None))
        runner.run(server.__aexit__(None, None, None))


def test_append_of_one_message(benchmark: BenchmarkFixture, runner: asyncio.Runner, client: Client) -> None:
    """Append a message of 32 bytes and wait until it is stored."""
    session = runner.run(client.session("short"))
    item = message("x" * 32)

    async def work() -> int:
        return await session.append(item)

    assert benchmark(lambda: runner.run(work())) > 1


def test_past_state_of_a_long_session(benchmark: BenchmarkFixture, runner: asyncio.Runner, client: Client) -> None:
    """Read the history at a random event of a session of 600 messages that was compacted a few times."""
    session = runner.run(client.existing("long"))
    end = runner.run(session.history()).seq
    chance = random.Random(7)

    async def work() -> Any:
        return await session.history(at=chance.randrange(2, end + 1))

    assert benchmark(lambda: runner.run(work())).tokens > 0


def test_decode_and_fold_of_a_short_session(benchmark: BenchmarkFixture) -> None:
    """Decode a hundred events of 450 bytes and fold them."""
    bodies = [recorded.body for recorded in prepared(names(1), texts(99, size=100, seed=7))[0]]
    assert benchmark(lambda: fold([decode(body) for body in bodies])).seq == 100
