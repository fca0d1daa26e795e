"""A provider that counts more than we do: what is sent fits by its count, not only by ours."""

import asyncio

from tests.laws.lives import user
from tests.laws.logs import HandClock, worker_on, write
from tests.laws.stories import KEY
from tests.laws.texts import OUTPUT, PROSE

from retold.events import Fact, ItemAppended, Message, SessionOpened, Text, ToolCall, ToolResult, UsageReported, Window
from retold.fold import Context
from retold.log import MemoryLog
from retold.replay import load

WINDOW = Window(hard_limit=16_000, pre_rot=12_000, reserve=1_000)
OFFSET = 2_500


def _charged(context: Context) -> int:
    """Return what the provider takes for the history of *context*: half as much again, and its tools."""
    return OFFSET + context.tokens.total * 3 // 2


async def _sizes(*, reports: bool) -> list[int]:
    """Return what a provider takes for each request of a session of eighty steps."""
    log, clock, sizes = MemoryLog(), HandClock(), list[int]()
    worker = worker_on(log)
    await write(log, KEY, [SessionOpened(window=WINDOW), user(PROSE)], clock=clock)
    for step in range(80):
        await worker.drain()
        sizes.append(_charged(await load(log, KEY)))
        usage: list[Fact] = [UsageReported(input_tokens=sizes[-1])] if reports else []
        said = ItemAppended(item=Message(role="assistant", content=(Text(f"Step {step}."),)))
        call = ItemAppended(item=ToolCall(call_id=f"c{step}", name="run", arguments="{}"))
        result = ItemAppended(item=ToolResult(call_id=f"c{step}", content=(Text(OUTPUT),)))
        await write(log, KEY, [*usage, said, call, result, user(f"And step {step + 1}?")], clock=clock)
    assert not worker.damaged
    return sizes


def test_what_is_sent_fits_by_the_provider_s_count_once_it_reports() -> None:
    """My requests stay within my provider's window although its vocabulary is not ours and my tools are unseen."""

    async def run() -> None:
        reported, silent = await _sizes(reports=True), await _sizes(reports=False)
        assert max(reported) <= WINDOW.input_limit < max(silent)

    asyncio.run(run())
