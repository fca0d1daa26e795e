"""One process beside a fleet: wakes on the sessions that grew and brings them up to date."""

import asyncio
import logging
from collections import OrderedDict
from contextlib import suppress
from weakref import WeakValueDictionary

import stamina

from retold.errors import CorruptLogError, RetoldError, SealError, UnavailableError
from retold.events import SessionKey
from retold.log.names import partition
from retold.model_ports import RemoteCompactor, Summarizer
from retold.ports import Aside, Clock, Log
from retold.telemetry import NoTelemetry, SessionSize, Telemetry
from retold.worker.compactor import Compactor
from retold.worker.hooks import Hooks
from retold.worker.live import LiveSession
from retold.worker.ownership import Everything, Ownership, tell_held

LIVE_MAX = 256
"""How many sessions are held folded; the one that was idle longest is dropped and loaded again when it grows."""

AT_ONCE_MAX = 16
"""How many sessions are worked on at once: enough to cover the waits, few enough to stay fair."""

ASIDE_RETRY_S_FIRST = 1.0
ASIDE_RETRY_S_MAX = 300.0
"""How long a damaged session is left alone at least when it grows; doubled each time, so that agents who go on writing
to it cost little, and a repaired one is taken up again."""

RETRY_SECONDS_MAX = 300.0
"""How long one session is tried again while the server cannot be reached, before the worker gives up and stops."""

LET_GO_S = 5.0
"""How long what is cancelled may take to end, when its partition is given up."""

_log = logging.getLogger(__name__)


class Worker:
    """Run the compactor over every session of a log.

    Sessions are worked on concurrently, one task each; within a session everything is in order. A damaged session is
    set aside, noted in the log, and the others go on. When it grows, as it does in a repair, it is tried again after a
    while, from its first event; the note goes when it is whole.
    """

    def __init__(
        self,
        log: Log,
        clock: Clock,
        summarizer: Summarizer,
        *,
        remote: RemoteCompactor | None = None,
        hooks: Hooks | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Work on *log*; *remote* compacts the sessions whose policy is ``codex-remote``.

        *hooks* take part in compactions, *telemetry* is told of what is done.
        """
        self._log = log
        self._working: dict[asyncio.Task[None], SessionKey] = {}
        self._telemetry = telemetry or NoTelemetry()
        self._compactor = Compactor(log, clock, summarizer, remote=remote, hooks=hooks, telemetry=self._telemetry)
        self._live: OrderedDict[SessionKey, LiveSession] = OrderedDict()
        self._places = asyncio.Semaphore(AT_ONCE_MAX)
        self._locks: WeakValueDictionary[SessionKey, asyncio.Lock] = WeakValueDictionary()
        self._waiting: set[SessionKey] = set()
        self._damaged: dict[SessionKey, CorruptLogError | SealError] = {}
        self._pauses: dict[SessionKey, float] = {}
        self._noted: set[SessionKey] = set()
        self._stopped = asyncio.Event()

    @property
    def damaged(self) -> dict[SessionKey, CorruptLogError | SealError]:
        """Return the sessions that were set aside, each with what is wrong: damage, or a key that is not here."""
        return dict(self._damaged)

    def stop(self) -> None:
        """Begin nothing more; `run` returns when what was begun is done."""
        self._stopped.set()

    async def run(self, ownership: Ownership | None = None) -> None:
        """Work until stopped or cancelled, on the sessions that *ownership* gives; None is all.

        What was being done when it is cancelled is done again by the next worker.
        """
        owned = ownership or Everything()
        self._noted |= (await self._log.aside()).keys()
        async with owned.kept(self._let_go), asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(tell_held(owned, self._telemetry.leases))
            taking = tasks.create_task(self._take(owned, tasks))
            await self._stopped.wait()
            telling.cancel()
            taking.cancel()

    async def _take(self, owned: Ownership, tasks: asyncio.TaskGroup) -> None:
        async for end in self._log.wakes(owned):
            if not owned.holds(end.key):
                continue
            self._telemetry.woke(end.key, end.seq)
            if end.key not in self._waiting:
                self._waiting.add(end.key)
                task = tasks.create_task(self._work_owned(end.key, owned))
                self._working[task] = end.key
                task.add_done_callback(self._working.pop)

    async def _let_go(self, partitions: frozenset[int], patience_s: float) -> None:
        """Stop working on the sessions of *partitions*, and forget them."""
        tasks = [task for task, key in self._working.items() if partition(key) in partitions]
        if tasks and patience_s:
            await asyncio.wait(tasks, timeout=patience_s)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=LET_GO_S)
        for key in [key for key in (*self._live, *self._waiting) if partition(key) in partitions]:
            self._waiting.discard(key)  # what waited for its turn is listed again when the partition comes back
            self._live.pop(key, None)
            self._compactor.forget(key)
        self._telemetry.let_go(partitions)

    async def drain(self) -> None:
        """Bring every session that exists now up to its end, then return. Safe beside `run`."""
        self._noted |= (await self._log.aside()).keys()
        async with asyncio.TaskGroup() as tasks:
            for end in await self._log.sessions():
                tasks.create_task(self._work(end.key))

    async def _work_owned(self, key: SessionKey, owned: Ownership) -> None:
        if pause_s := self._pauses.get(key, 0):
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopped.wait()
        if owned.holds(key):
            await self._work(key)

    async def _work(self, key: SessionKey) -> None:
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock, self._places:
            # A wake that comes from here on needs another pass: this one may have read past it already.
            self._waiting.discard(key)
            if self._stopped.is_set():
                return
            try:
                await self._bring_up(key)
            except CorruptLogError as error:
                await self._set_aside(key, error)
            except SealError as error:
                self._note(key, error)  # not damaged: it is tried again when it grows, the key may be here then

    def _note(self, key: SessionKey, error: CorruptLogError | SealError) -> None:
        if str(error) != str(self._damaged.get(key)):
            _log.error("set aside: %s", error)
        self._damaged[key] = error
        self._live.pop(key, None)
        self._telemetry.set_aside(key)

    async def _set_aside(self, key: SessionKey, error: CorruptLogError) -> None:
        self._note(key, error)
        self._noted.add(key)
        self._pauses[key] = min(2 * self._pauses.get(key, ASIDE_RETRY_S_FIRST / 2), ASIDE_RETRY_S_MAX)
        with suppress(UnavailableError):  # the next try notes it
            await self._log.set_aside(key, Aside(seq=error.seq, reason=error.reason))

    async def _take_back(self, key: SessionKey) -> None:
        """Read a session that was set aside from its first event, and remove the note.

        Raises:
            CorruptLogError: if it is damaged still; a snapshot would hide what lies before it.
        """
        async for _ in self._log.read(key):
            pass
        await self._log.release(key)
        self._noted.discard(key)
        self._damaged.pop(key, None)
        self._pauses.pop(key, None)
        self._telemetry.taken_back(key)

    async def _bring_up(self, key: SessionKey) -> None:
        async for attempt in stamina.retry_context(on=UnavailableError, attempts=None, timeout=RETRY_SECONDS_MAX):
            with attempt:
                try:
                    if key in self._noted:
                        await self._take_back(key)
                    await self._advance(key)
                except RetoldError:
                    self._live.pop(key, None)
                    raise

    async def _advance(self, key: SessionKey) -> None:
        while True:
            live = self._live.pop(key, None)
            before = 0 if live is None else live.read_events
            live = live or await self._compactor.open(key)
            await self._compactor.advance(live)
            if not live.is_stale:
                break
        self._live[key] = live
        self._telemetry.brought_up(_size_of(live), events=live.read_events - before)
        while len(self._live) > LIVE_MAX:
            forgotten, _ = self._live.popitem(last=False)
            self._compactor.forget(forgotten)
            self._telemetry.dropped(forgotten)


def _size_of(live: LiveSession) -> SessionSize:
    window = live.outline.window
    return SessionSize(
        key=live.key,
        seq=live.head.seq,
        tokens=live.upper_tokens,
        limit_tokens=window.hard_limit,
        pre_rot_tokens=window.pre_rot_tokens,
        version=live.outline.version,
    )
