"""One worker, many tenants: what is slow or loud in one of them keeps no other waiting."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from tests.laws.lives import lived, long_life, user
from tests.laws.logs import HandClock, LogProxy, outcome, worker_on, write
from tests.laws.stories import KEY

from retold.events import Recorded, SessionKey
from retold.log import MemoryLog
from retold.ports import Log
from retold.worker import worker as worker_module

_QUIET = SessionKey("quiet", "only")


class _WatchedLog(LogProxy):
    """Note whose events are read, and let a test stop or interrupt a read."""

    def __init__(self, log: Log, *, before: Callable[[SessionKey], asyncio.Future[None] | None]) -> None:
        """Await what *before* gives before each read."""
        super().__init__(log)
        self.read_keys: list[SessionKey] = []
        self._before = before

    async def read(
        self, key: SessionKey, *, after: int = 0, until: int | None = None
    ) -> AsyncGenerator[Recorded, None]:
        """Note, wait, and pass on."""
        self.read_keys.append(key)
        waited = self._before(key)
        if waited is not None:
            await waited
        async for recorded in self.inner.read(key, after=after, until=until):
            yield recorded


async def _filled(noisy: int) -> tuple[MemoryLog, list[SessionKey]]:
    """Return a log in which one tenant has *noisy* sessions, and another one session, that came last."""
    log, clock = MemoryLog(), HandClock()
    keys = [*(SessionKey("noisy", f"s{nth}") for nth in range(noisy)), _QUIET]
    for key in keys:
        await write(log, key, long_life(length=6), clock=clock)
    return log, keys


def test_a_tenant_with_many_sessions_keeps_no_other_waiting() -> None:
    """My one session is read among the first, though another tenant's five hundred were there before it."""

    async def run() -> None:
        log, keys = await _filled(500)
        watched = _WatchedLog(log, before=lambda _: None)
        await worker_on(watched).drain()
        assert watched.read_keys.index(_QUIET) < worker_module.AT_ONCE_MAX
        assert set(watched.read_keys) == set(keys)

    asyncio.run(run())


def test_slow_sessions_of_one_tenant_leave_places_to_others() -> None:
    """All sessions of another tenant stand still, and mine is compacted all the same."""

    async def run() -> None:
        log, keys = await _filled(50)
        await write(log, _QUIET, long_life(length=60)[1:], clock=HandClock("later"))
        never = asyncio.get_running_loop().create_future()
        watched = _WatchedLog(log, before=lambda key: None if key == _QUIET else never)
        running = asyncio.create_task(worker_on(watched).run())
        async with asyncio.timeout(60):
            while await log.load_history(_QUIET) is None:  # noqa: ASYNC110 - the log tells by its state alone
                await asyncio.sleep(0)
        assert set(watched.read_keys) < set(keys)
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(run())


def test_sessions_in_full_flow_let_others_have_their_turns() -> None:
    """My session is brought up to date while more sessions than there are places grow without an end."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        flows = {SessionKey("one", f"flow{nth}") for nth in range(worker_module.AT_ONCE_MAX + 4)}
        other = SessionKey("one", "other")
        for key in (*flows, other):
            await write(log, key, long_life(length=60), clock=clock)

        async def grow(key: SessionKey) -> None:
            await write(log, key, [user("and on")] * 20, clock=clock)

        def before(key: SessionKey) -> asyncio.Future[None] | None:
            return asyncio.ensure_future(grow(key)) if key in flows else None

        running = asyncio.create_task(worker_on(_WatchedLog(log, before=before)).run())
        async with asyncio.timeout(60):
            while await log.load_history(other) is None:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(run())


def test_a_long_session_is_brought_up_in_many_turns_to_the_same_history() -> None:
    """A session of several turns, among others, comes to the history that it comes to alone."""
    facts = long_life(length=400)

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        for fact in facts:
            await write(log, KEY, [fact], clock=clock)
        for nth in range(20):
            await write(log, SessionKey("noisy", f"s{nth}"), long_life(length=20), clock=clock)
        await worker_on(log).drain()
        assert await outcome(log, KEY) == await lived(facts, [False])

    asyncio.run(run())
