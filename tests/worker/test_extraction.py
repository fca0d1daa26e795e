"""An extraction that takes long holds up nobody else, and gives what it gives otherwise."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer

import pytest
from tests.laws.lives import user
from tests.laws.logs import HandClock, write
from tests.laws.stories import KEY

from retold import extracting
from retold.events import Fact, SessionOpened, Window
from retold.extracting import ExtractionProcess
from retold.fold import Context
from retold.log import MemoryLog
from retold.policy import SummarizeSpan, decide, extract_for
from retold.replay import load
from retold.summarizers import ExtractiveSummarizer
from retold.worker import summarising
from retold.worker.summarising import SummaryWriter

_WINDOW = Window(hard_limit=40_000, pre_rot=30_000)
_TEXT = "Use port 8{number:03} for service {number}. Do not touch branch main-{number}. "


async def _due(window: Window = _WINDOW, *, messages: int = 60) -> tuple[Context, SummarizeSpan]:
    """Return a session that needs a long summary."""
    log, numbers = MemoryLog(), range(messages)
    said: list[Fact] = [user("".join(_TEXT.format(number=30 * at + nth) for nth in range(30))) for at in numbers]
    await write(log, KEY, [SessionOpened(window=window), *said], clock=HandClock())
    context = await load(log, KEY)
    decision = decide(context, context.window)
    assert isinstance(decision, SummarizeSpan)
    return context, decision


def test_other_sessions_have_their_turns_during_a_long_extraction(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one session of mine waits for a long summary, the worker does other things; the summary is the same."""
    monkeypatch.setattr(summarising, "APART_TOKENS", 1)

    async def run() -> None:
        context, decision = await _due()
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        beside = asyncio.create_task(others())
        written = [one async for one in SummaryWriter(ExtractiveSummarizer()).write(context, decision)]
        beside.cancel()
        assert turns > 1
        assert written == [(decision, extract_for(context, decision))]

    asyncio.run(run())


def test_a_short_extraction_needs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is little to read, nothing is handed to a process and back."""
    monkeypatch.setattr(summarising, "APART_TOKENS", 1_000_000)
    monkeypatch.setattr(summarising, "in_own_thread", None)

    async def run() -> None:
        context, decision = await _due()
        written = [one async for one in SummaryWriter(ExtractiveSummarizer()).write(context, decision)]
        assert written == [(decision, extract_for(context, decision))]

    asyncio.run(run())


def test_a_process_that_dies_costs_no_summary() -> None:
    """Killed between two summaries, or in the middle of one, it costs none, and another process takes its place."""
    context, decision = asyncio.run(_due(Window(hard_limit=6_000, pre_rot=4_000), messages=8))
    wanted, apart = extract_for(context, decision), ExtractionProcess()
    assert apart.extract(context, decision) == wanted
    first = apart.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert apart.extract(context, decision) == wanted
    assert apart.extract(context, decision) == wanted
    second = apart.pid
    assert second not in (first, None)
    killing = Timer(0.02, os.kill, (second, signal.SIGKILL))
    killing.start()
    assert all(apart.extract(context, decision) == wanted for _ in range(3))
    killing.join()


def test_a_process_that_does_not_answer_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it hangs, my history waits for a while and not for ever, and nothing is left of it."""
    context, decision = asyncio.run(_due(Window(hard_limit=6_000, pre_rot=4_000), messages=8))
    wanted, apart = extract_for(context, decision), ExtractionProcess()
    assert apart.extract(context, decision) == wanted
    stopped = apart.pid
    assert stopped is not None
    os.kill(stopped, signal.SIGSTOP)
    monkeypatch.setattr(extracting, "ANSWER_S", 0.1)
    assert apart.extract(context, decision) == wanted
    assert not Path(f"/proc/{stopped}").exists()


@pytest.mark.parametrize("interpreter", [None, "", sys.executable, "/bin/true", "/nowhere/python"])
def test_where_no_process_can_be_had_the_worker_extracts_itself(
    interpreter: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever keeps it from starting, the summary is the same, and after three tries nothing is started any more."""
    context, decision = asyncio.run(_due(Window(hard_limit=6_000, pre_rot=4_000), messages=8))
    monkeypatch.setattr(sys, "executable", interpreter)
    if interpreter == sys.executable:
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    wanted, apart = extract_for(context, decision), ExtractionProcess()
    assert all(apart.extract(context, decision) == wanted for _ in range(5))
    assert len(caplog.records) == extracting.FAILURES_MAX


def test_what_lies_in_the_working_directory_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of mine that has a module's name is never taken for it."""
    (tmp_path / "msgspec.py").write_text("open('ran', 'w').close()")
    monkeypatch.chdir(tmp_path)
    context, decision = asyncio.run(_due(Window(hard_limit=6_000, pre_rot=4_000), messages=8))
    apart = ExtractionProcess()
    assert apart.extract(context, decision) == extract_for(context, decision)
    assert apart.pid is not None
    assert not (tmp_path / "ran").exists()


def test_the_process_ends_when_nobody_can_ask_it_any_more() -> None:
    """Kill my worker, however hard: what it started ends by itself."""
    code = (
        "import time; from retold.extracting import _started\n"
        "from retold.extracting import ExtractionProcess\n"
        "owner = ExtractionProcess(); running = _started(owner); print(running.process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        apart = int(worker.stdout.readline())
        assert _is_running(apart)
        worker.kill()
    until = time.monotonic() + 30
    while _is_running(apart):
        assert time.monotonic() < until
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
