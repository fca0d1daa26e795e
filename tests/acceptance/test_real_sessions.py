"""Every real session of the shared data goes in, fits, and proves itself."""

import asyncio
from pathlib import Path

import pytest

from retold.client import import_transcript, read_lines
from retold.events import CompactionFailed, HistoryReplaced, Window
from retold.fold import encode_history, fold, history_of
from retold.log.jetstream import connect_log
from retold.replay import history_at, verify
from retold.wiring import client_of, worker_for

DATA = Path(__file__).parents[2].parent / "shared" / "data"
FILES = sorted([*DATA.glob("codex/**/*.jsonl"), *DATA.glob("claude-code/**/*.jsonl")])

# Small enough that most sessions are compacted, some of them often.
WINDOW = Window(hard_limit=60_000, pre_rot=40_000)


@pytest.mark.skipif(not FILES, reason="the shared data is not beside this checkout")
@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem[-20:])
def test_a_real_session_goes_in_fits_and_verifies(path: Path, nats_url: str, tenant: str) -> None:
    """Every item of my agent's session is in the log, every history fits its window, and the whole verifies."""

    async def run() -> None:
        async with connect_log(nats_url) as log:
            client = client_of(log)
            reports = await import_transcript(client, read_lines(path), name=path.name, tenant=tenant, window=WINDOW)
            assert all(report.ok for report in reports)
            await worker_for(log).drain()
            for report in reports:
                assert report.session is not None
                facts = [recorded.event.data async for recorded in log.read(report.session)]
                replaced = [fact for fact in facts if isinstance(fact, HistoryReplaced)]
                assert not [fact for fact in facts if isinstance(fact, CompactionFailed)]
                assert all(fact.receipt.tokens_after <= WINDOW.pre_rot_tokens for fact in replaced)
                assert (await history_at(log, report.session)).tokens <= WINDOW.input_limit
                verdict = await verify(log, report.session)
                assert verdict.ok, verdict
                assert verdict.replacements == len(replaced)

    asyncio.run(run())


@pytest.mark.skipif(not FILES, reason="the shared data is not beside this checkout")
@pytest.mark.slow
def test_every_past_history_is_that_of_a_fresh_fold(nats_url: str, tenant: str) -> None:
    """At every sequence of my session the history has the bytes that folding its events from the first one gives."""

    async def run() -> None:
        path = min((path for path in FILES if path.stat().st_size > 400_000), key=lambda path: path.stat().st_size)
        async with connect_log(nats_url) as log:
            reports = await import_transcript(
                client_of(log), read_lines(path), name=path.name, tenant=tenant, window=WINDOW
            )
            await worker_for(log).drain()
            key = reports[0].session
            assert key is not None
            events = [recorded async for recorded in log.read(key)]
            assert any(isinstance(recorded.event.data, HistoryReplaced) for recorded in events)
            for seq in range(1, len(events) + 1):
                fresh = encode_history(history_of(fold(events[:seq])))
                assert encode_history(await history_at(log, key, seq)) == fresh
                assert encode_history(await history_at(log, key, seq)) == fresh

    asyncio.run(run())


@pytest.mark.skipif(not FILES, reason="the shared data is not beside this checkout")
@pytest.mark.slow
def test_a_second_import_adds_nothing(nats_url: str, tenant: str) -> None:
    """When I import the same file twice, the second time finds everything there."""

    async def run() -> None:
        async with connect_log(nats_url) as log:
            client = client_of(log)
            first = await import_transcript(client, read_lines(FILES[0]), name=FILES[0].name, tenant=tenant)
            again = await import_transcript(client, read_lines(FILES[0]), name=FILES[0].name, tenant=tenant)
            assert [report.appended for report in again] == [0] * len(first)
            assert [report.present for report in again] == [report.appended for report in first]

    asyncio.run(run())
