"""A worker that is told to stop leaves in order, and its log says what it did without a word of what was said."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from tests.laws.small import message, work

from retold.client import Session
from retold.events import Window
from retold.log.jetstream import connect_log
from retold.replay import verify
from retold.wiring import client_of, worker_for

pytestmark = pytest.mark.slow
WAIT_S = 40
CANARY = "quokka-7741"
WINDOW = Window(hard_limit=4_000, pre_rot=2_400)
KEYLESS = {"OPENAI_API_KEY": "none", "NO_PROXY": "*"}


@asynccontextmanager
async def _worker(url: str, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ``retold worker`` as a process of its own; it is killed if it is there at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "retold.cli", "--url", url, "worker", "--log-format", "json", *words),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **KEYLESS},
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _line(process: asyncio.subprocess.Process, word: str, *, lines: list[dict[str, Any]]) -> None:
    """Read the log, into *lines*, until one tells *word*."""
    assert process.stderr is not None
    async with asyncio.timeout(WAIT_S):
        while line := await process.stderr.readline():
            lines.append(json.loads(line))
            if word in lines[-1]["event"]:
                return
    raise AssertionError(f"the worker ended without a word of {word}: {lines[-3:]}")


async def _ended(process: asyncio.subprocess.Process, *, lines: list[dict[str, Any]]) -> int:
    """Read the rest of the log and return the exit code."""
    assert process.stderr is not None
    async with asyncio.timeout(WAIT_S):
        lines.extend(json.loads(line) for line in (await process.stderr.read()).splitlines())
        return await process.wait()


async def _say(session: Session, turn: int, text: str) -> None:
    for item in (message("user", f"{text[:20]} {turn}"), *work(4, text=text, first=9 * turn)):
        await session.append(item)


def test_a_worker_told_to_stop_ends_with_zero_and_loses_nothing(nats_url: str, tenant: str) -> None:
    """SIGTERM under load: the worker ends in order, another goes on, and every hash is right; no text is in the log."""

    async def run() -> None:
        lines: list[dict[str, Any]] = []
        async with connect_log(nats_url) as log, _worker(nats_url) as process:
            client = client_of(log)
            sessions = [await client.session(f"s{at}", window=WINDOW, tenant=tenant) for at in range(4)]
            for turn in range(6):
                for session in sessions:
                    await _say(session, turn, f"{CANARY} " * 90)
            await _line(process, "compacted", lines=lines)
            process.send_signal(signal.SIGTERM)
            assert await _ended(process, lines=lines) == 0
            await worker_for(log).drain()
            for session in sessions:
                verdict = await verify(log, session.key)
                assert verdict.reason == ""
                assert verdict.replacements > 0
        assert {"event", "level", "logger", "timestamp"} <= lines[0].keys()
        assert any("stopping" in line["event"] for line in lines)
        assert CANARY not in json.dumps(lines)

    asyncio.run(run())


@asynccontextmanager
async def _silent_model() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Give the address of a model that takes requests and never answers, and what is set when one has come."""
    asked = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readline()
            asked.set()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", asked
    finally:
        server.close()


@pytest.mark.parametrize(("signals", "code"), [(1, 0), (2, 128 + signal.SIGTERM)])
def test_a_worker_whose_model_hangs_gives_up_in_time(nats_url: str, tenant: str, signals: int, code: int) -> None:
    """A model that never answers does not keep the process: it is given up after a while, or at once if told twice."""

    async def run() -> None:
        lines: list[dict[str, Any]] = []
        async with connect_log(nats_url) as log, _silent_model() as (address, asked):
            session = await client_of(log).session("s", window=WINDOW, tenant=tenant, policy="codex")
            for turn in range(8):
                await _say(session, turn, "word " * 90)
            async with _worker(nats_url, "--summarizer", "openai:slow", "--summarizer-url", address) as process:
                async with asyncio.timeout(WAIT_S):
                    await asked.wait()
                process.send_signal(signal.SIGTERM)
                await _line(process, "stopping", lines=lines)
                for _ in range(signals - 1):
                    process.send_signal(signal.SIGTERM)
                assert await _ended(process, lines=lines) == code

    asyncio.run(run())
