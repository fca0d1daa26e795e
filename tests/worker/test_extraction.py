"""An extraction that takes long holds up nobody else, and gives what it gives otherwise."""

import asyncio

import pytest
from tests.laws.lives import user
from tests.laws.logs import HandClock, write
from tests.laws.stories import KEY

from retold.events import Fact, SessionOpened, Window
from retold.fold import Context
from retold.log import MemoryLog
from retold.policy import SummarizeSpan, decide, extract_for
from retold.replay import load
from retold.summarizers import ExtractiveSummarizer
from retold.worker import summarising
from retold.worker.summarising import SummaryWriter

_WINDOW = Window(hard_limit=40_000, pre_rot=30_000)
_TEXT = "Use port 8{number:03} for service {number}. Do not touch branch main-{number}. "


async def _due() -> tuple[Context, SummarizeSpan]:
    """Return a session that needs a long summary."""
    log = MemoryLog()
    said: list[Fact] = [user("".join(_TEXT.format(number=30 * at + nth) for nth in range(30))) for at in range(60)]
    await write(log, KEY, [SessionOpened(window=_WINDOW), *said], clock=HandClock())
    context = await load(log, KEY)
    decision = decide(context, context.window)
    assert isinstance(decision, SummarizeSpan)
    return context, decision


def test_other_sessions_have_their_turns_during_a_long_extraction(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one session of mine waits for a long summary, the worker does other things; the summary is the same."""
    monkeypatch.setattr(summarising, "THREAD_TOKENS", 1)

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


def test_a_short_extraction_needs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is little to read, nothing is handed to a thread and back."""
    monkeypatch.setattr(summarising, "THREAD_TOKENS", 1_000_000)
    monkeypatch.setattr(summarising, "in_own_thread", None)

    async def run() -> None:
        context, decision = await _due()
        written = [one async for one in SummaryWriter(ExtractiveSummarizer()).write(context, decision)]
        assert written == [(decision, extract_for(context, decision))]

    asyncio.run(run())
