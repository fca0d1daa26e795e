"""One process beside a fleet: wakes on the sessions that grew and brings them up to date."""

import asyncio
import logging
from contextlib import suppress
from functools import partial

import stamina

from retold.errors import CorruptLogError, RetoldError, SealError, UnavailableError
from retold.events import SessionKey
from retold.log.names import partition
from retold.model_ports import RemoteCompactor, Summarizer
from retold.ports import Aside, Clock, Log, SessionEnd
from retold.telemetry import NoTelemetry, SessionSize, Telemetry
from retold.worker.compactor import Compactor
from retold.worker.holding import Holding
from retold.worker.hooks import Hooks
from retold.worker.limits import Limits
from retold.worker.live import LiveSession
from retold.worker.ownership import Everything, Ownership, tell_held
from retold.worker.summarising import SummaryWriter
from retold.worker.turns import Turns

AT_ONCE_MAX = 16
"""How many sessions are worked on at once: enough to cover the waits, few enough to stay fair."""

TENANT_AT_ONCE_MAX = 12
"""How many of them may be one tenant's: where all of these wait for something slow, the others have four."""

WAITING_MAX = 100_000
"""How many sessions may wait for their turn, at some 300 bytes each; then no more wakes are taken for a while."""

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

    Sessions are worked on concurrently, in turns that are fair among tenants (`retold.worker.turns`); within a session
    everything is in order. A damaged session is set aside, noted in the log, and the others go on. When it grows, as it
    does in a repair, it is tried again after a while, from its first event; the note goes when it is whole.
    """

    def __init__(  # noqa: PLR0913 - what it works on and with; all but three may be left out
        self,
        log: Log,
        clock: Clock,
        summarizer: Summarizer,
        *,
        remote: RemoteCompactor | None = None,
        hooks: Hooks | None = None,
        limits: Limits | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """Work on *log*; *remote* compacts the sessions whose policy is ``codex-remote``.

        *hooks* take part in compactions; *limits* bound memory and models; *telemetry* is told of what is done.
        """
        self._log = log
        self._limits = limits or Limits()
        self._working: dict[asyncio.Task[SessionEnd | None], SessionKey] = {}
        self._telemetry = telemetry or NoTelemetry()
        self.live = Holding(bytes_max=self._limits.live_bytes)
        self._turns = Turns(places=AT_ONCE_MAX, tenant_places=TENANT_AT_ONCE_MAX)
        writer = SummaryWriter(summarizer, remote=remote, limits=self._limits, away=self._turns.away)
        self._compactor = Compactor(log, clock, writer, hooks=hooks, telemetry=self._telemetry)
        self._damaged: dict[SessionKey, CorruptLogError | SealError] = {}
        self._pauses: dict[SessionKey, float] = {}
        self._paused: set[SessionKey] = set()
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
            tasks.create_task(self._work(tasks, owned))
            await self._stopped.wait()
            telling.cancel()
            taking.cancel()
            self._turns.forget(lambda _: True)

    async def _take(self, owned: Ownership, tasks: asyncio.TaskGroup) -> None:
        async for end in self._log.wakes(owned):
            if owned.holds(end.key):
                self._telemetry.woke(end.key, end.seq)
                self._admit(end, tasks)
            while self._turns.waiting >= WAITING_MAX:
                await self._turns.change()

    async def _let_go(self, partitions: frozenset[int], patience_s: float) -> None:
        """Stop working on the sessions of *partitions*, and forget them."""
        if patience_s and (running := self._tasks_of(partitions)):
            await asyncio.wait(running, timeout=patience_s)
        running = self._tasks_of(partitions)
        for task in running:
            task.cancel()
        # All at once: what is listed again from here on, because the partition came back, is to be worked on.
        self._turns.forget(lambda key: partition(key) in partitions)
        for key in self.live.forget(lambda key: partition(key) in partitions):
            self._compactor.forget(key)
        self._telemetry.let_go(partitions)
        if running:
            await asyncio.wait(running, timeout=LET_GO_S)

    def _tasks_of(self, partitions: frozenset[int]) -> list[asyncio.Task[SessionEnd | None]]:
        return [task for task, key in self._working.items() if partition(key) in partitions]

    async def drain(self) -> None:
        """Bring every session that exists now up to its end, then return. Safe beside `run`."""
        self._noted |= (await self._log.aside()).keys()
        ends = await self._log.sessions()
        for end in ends:
            self._turns.wake(end)
        async with asyncio.TaskGroup() as tasks:
            for end in ends:
                while self._turns.holds(end.key):
                    await self._next_turn(tasks, Everything())

    def _admit(self, end: SessionEnd, tasks: asyncio.TaskGroup) -> None:
        """Let a session that grew wait for its turn; every wake comes through here."""
        pause_s = self._pauses.get(end.key)
        if pause_s is None:
            self._turns.wake(end)
        elif end.key not in self._paused:
            self._paused.add(end.key)
            tasks.create_task(self._wake_later(end, pause_s))

    async def _wake_later(self, end: SessionEnd, pause_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._stopped.wait()
        self._paused.discard(end.key)
        self._turns.wake(end)

    async def _work(self, tasks: asyncio.TaskGroup, owned: Ownership) -> None:
        """Give turns until stopped, and then until those that were begun have ended."""
        while self._working or not self._stopped.is_set():
            await self._next_turn(tasks, owned)

    async def _next_turn(self, tasks: asyncio.TaskGroup, owned: Ownership) -> None:
        """Begin a turn as one of *tasks*, or wait until there may be one; what is not *owned* any more has none."""
        turn = self._turns.take()
        if turn is None:
            await self._turns.change()
        elif self._stopped.is_set() or not owned.holds(turn.key):
            self._turns.end(turn.key)
        else:
            task = tasks.create_task(self._turn(turn))
            self._working[task] = turn.key
            task.add_done_callback(partial(self._ended, turn))

    def _ended(self, turn: SessionEnd, task: "asyncio.Task[SessionEnd | None]") -> None:
        """End a turn however its task ended, also one that was cancelled before it began."""
        del self._working[task]
        failed = task.cancelled() or task.exception() is not None
        self._turns.end(turn.key, left=turn if failed else task.result())

    async def _turn(self, turn: SessionEnd) -> SessionEnd | None:
        """Work on a session for a while; return what is left to do."""
        try:
            return await self._bring_up(turn)
        except CorruptLogError as error:
            await self._set_aside(turn.key, error)
        except SealError as error:
            self._note(turn.key, error)  # not damaged: it is tried again when it grows, the key may be here then
        return None

    def _note(self, key: SessionKey, error: CorruptLogError | SealError) -> None:
        if str(error) != str(self._damaged.get(key)):
            _log.error("set aside: %s", error)
        self._damaged[key] = error
        self.live.take(key)
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

    async def _bring_up(self, turn: SessionEnd) -> SessionEnd | None:
        async for attempt in stamina.retry_context(on=UnavailableError, attempts=None, timeout=RETRY_SECONDS_MAX):
            with attempt:
                try:
                    if turn.key in self._noted:
                        await self._take_back(turn.key)
                    return await self._advance(turn)
                except RetoldError:
                    self.live.take(turn.key)
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _advance(self, turn: SessionEnd) -> SessionEnd | None:
        live = self.live.take(turn.key)
        if live is None or live.is_stale:
            live = await self._compactor.open(turn.key)
            is_over = await self._compactor.advance(live)
        else:
            is_over = await self._compactor.advance(live, until=turn.seq)
        if is_over:
            self._telemetry.brought_up(_size_of(live), events=live.read_events - live.told_events)
            live.told_events = live.read_events
        for dropped in self.live.put(live):
            await self._compactor.drop(dropped)
            self._telemetry.dropped(dropped.key)
        return None if is_over else SessionEnd(key=turn.key, seq=live.head.seq)


def _size_of(live: LiveSession) -> SessionSize:
    window = live.outline.window
    return SessionSize(
        key=live.key,
        seq=live.head.seq - live.behind,  # what is read lies here, what is not decided on waits
        tokens=live.upper_tokens,
        limit_tokens=window.hard_limit,
        pre_rot_tokens=window.pre_rot_tokens,
        version=live.outline.version,
    )
