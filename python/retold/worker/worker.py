"""One process beside a fleet: wakes on every session that grew and brings it up to date."""

import asyncio
import logging
from collections import OrderedDict
from weakref import WeakValueDictionary

import stamina

from retold.errors import CorruptLogError, RetoldError, SealError, UnavailableError
from retold.events import SessionKey
from retold.ports import Clock, Log, Summarizer
from retold.worker.compactor import Compactor
from retold.worker.live import LiveSession

LIVE_MAX = 256
"""How many sessions are held folded; the one that was idle longest is dropped and loaded again when it grows."""

AT_ONCE_MAX = 16
"""How many sessions are worked on at once: enough to cover the waits, few enough to stay fair."""

RETRY_SECONDS_MAX = 300.0
"""How long one session is tried again while the server cannot be reached, before the worker gives up and stops."""

_log = logging.getLogger(__name__)


class Worker:
    """Run the compactor over every session of a log.

    Sessions are worked on concurrently, one task each; within a session everything is in order. A damaged session is
    set aside and the others go on.
    """

    def __init__(self, log: Log, clock: Clock, summarizer: Summarizer, *, actor: str = "worker") -> None:
        """Work on *log*, writing as *actor*."""
        self._log = log
        self._compactor = Compactor(log, clock, summarizer, actor=actor)
        self._live: OrderedDict[SessionKey, LiveSession] = OrderedDict()
        self._places = asyncio.Semaphore(AT_ONCE_MAX)
        self._locks: WeakValueDictionary[SessionKey, asyncio.Lock] = WeakValueDictionary()
        self._waiting: set[SessionKey] = set()
        self._damaged: dict[SessionKey, CorruptLogError | SealError] = {}

    @property
    def damaged(self) -> dict[SessionKey, CorruptLogError | SealError]:
        """Return the sessions that were set aside, each with what is wrong: damage, or a key that is not here."""
        return dict(self._damaged)

    async def run(self) -> None:
        """Work until cancelled. What was being done when it is cancelled is done again by the next worker."""
        async with asyncio.TaskGroup() as tasks:
            async for end in self._log.wakes():
                if end.key not in self._waiting and end.key not in self._damaged:
                    self._waiting.add(end.key)
                    tasks.create_task(self._work(end.key))

    async def drain(self) -> None:
        """Bring every session that exists now up to its end, then return. Safe beside `run`."""
        async with asyncio.TaskGroup() as tasks:
            for end in await self._log.sessions():
                if end.key not in self._damaged:
                    tasks.create_task(self._work(end.key))

    async def _work(self, key: SessionKey) -> None:
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock, self._places:
            # A wake that comes from here on needs another pass: this one may have read past it already.
            self._waiting.discard(key)
            try:
                await self._bring_up(key)
            except (CorruptLogError, SealError) as error:
                self._damaged[key] = error
                self._live.pop(key, None)
                _log.error("set aside: %s", error)

    async def _bring_up(self, key: SessionKey) -> None:
        async for attempt in stamina.retry_context(on=UnavailableError, attempts=None, timeout=RETRY_SECONDS_MAX):
            with attempt:
                try:
                    await self._advance(key)
                except RetoldError:
                    self._live.pop(key, None)
                    raise

    async def _advance(self, key: SessionKey) -> None:
        while True:
            live = self._live.pop(key, None) or await self._compactor.open(key)
            await self._compactor.advance(live)
            if not live.is_stale:
                break
        self._live[key] = live
        while len(self._live) > LIVE_MAX:
            forgotten, _ = self._live.popitem(last=False)
            self._compactor.forget(forgotten)
