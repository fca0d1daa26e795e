"""What was rewound, undone or edited away is in no published history, even if what is left cannot be sent."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.laws.lives import WINDOW, said, user
from tests.laws.logs import FailingLog, HandClock, Killed, drained, worker_on, write
from tests.laws.stories import KEY
from tests.laws.texts import PROSE

from retold.client import Client, Session
from retold.events import ItemAppended, Message, SessionRewound, Text
from retold.log import MemoryLog
from retold.ports import Log, Published
from retold.replay import load, rebuild, verify

_LONG = PROSE * 12
_LAST = 60
_TO = 40

Step = Callable[[Session], Awaitable[int]]


def _text(at: int) -> str:
    return f"{at} {_LONG}"


async def _compacted() -> tuple[MemoryLog, Published]:
    """Return a log whose session grew far above its window, and was compacted then."""
    log, clock = MemoryLog(), HandClock()
    await write(log, KEY, said([]), clock=clock)
    for at in range(2, _LAST + 1):
        await write(log, KEY, [user(_text(at))], clock=clock)
    await worker_on(log).drain()
    published = await log.load_history(KEY)
    assert published is not None
    assert published.base_seq > _TO
    return log, published


async def _session(log: Log) -> Session:
    return await Client(log, HandClock("mine")).existing(KEY.session, tenant=KEY.tenant)


async def _rewind(session: Session) -> int:
    return await session.rewind(_TO)


async def _undo(session: Session) -> int:
    while True:
        seq = await session.undo()
        if (await session.history()).tokens > WINDOW.input_limit:
            return seq


async def _edit(session: Session) -> int:
    return await session.edit([{"role": "user", "content": _text(at)} for at in range(2, _LAST + 1)])


@pytest.mark.parametrize("step", [_rewind, _undo, _edit], ids=["rewind", "undo", "edit"])
def test_what_i_took_back_is_published_no_more(step: Step) -> None:
    """Before any worker comes by, readers find no history; then they find the compacted one."""

    async def run() -> None:
        log, before = await _compacted()
        await step(await _session(log))
        assert (await load(log, KEY)).tokens.upper > WINDOW.input_limit
        assert await log.load_history(KEY) is None
        assert not await log.publish_history(KEY, before)
        await worker_on(log, "second").drain()
        published = await log.load_history(KEY)
        assert published is not None
        assert published.version > before.version
        assert (await verify(log, KEY)).ok

    asyncio.run(run())


@pytest.mark.parametrize("dies_at", range(1, 7))
def test_what_no_compaction_brings_under_the_window_leaves_nothing_published(dies_at: int) -> None:
    """If what I rewound to can never be sent, a worker takes the old history back, whoever died before or at it."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        await write(
            log, KEY, [*said([]), ItemAppended(item=Message(role="system", content=(Text(PROSE * 400),)))], clock=clock
        )
        await write(log, KEY, [user("a"), SessionRewound(to_seq=1)], clock=clock)
        for at in range(5, _LAST):
            await write(log, KEY, [user(_text(at))], clock=clock)
        await worker_on(log).drain()
        assert await log.load_history(KEY) is not None
        await write(log, KEY, [SessionRewound(to_seq=2)], clock=clock)  # whoever wrote it died before the next step
        for name, after in (("second", False), ("third", True)):
            await drained(worker_on(FailingLog(log, at=dies_at, after=after, error=Killed()), name))
        await worker_on(log, "successor").drain()
        assert (await load(log, KEY)).tokens.upper > WINDOW.input_limit
        assert await log.load_history(KEY) is None
        assert (await rebuild(log, KEY)).published == "none"
        assert await log.load_history(KEY) is None
        assert (await verify(log, KEY)).ok

    asyncio.run(run())
