"""Faults on the way between a worker or an agent and the log: what is sent or delivered comes again, late, or unheard.

Rules:
- A fault says what happens to one request that stores something, or to one delivery; the list of them starts anew at
  its end. Whether something was lost is told by no fault: only that its answer was.
- No two answers in a row are lost, so that whoever sends again gets through.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import cycle
from typing import Generic, TypeVar

from hypothesis import strategies as st
from msgspec import Struct
from nats.aio.msg import Msg
from tests.laws.logs import LogProxy

from retold.errors import RetoldError, UnavailableError
from retold.events import Draft, Head, Recorded, SessionKey
from retold.lease_ports import Partitions
from retold.log.link import Link, Lost, Sink
from retold.log.tap import Taker
from retold.ports import Log, Published, SessionEnd, Snapshot

COPIES_MAX = 5
LATE_MAX = 4
HELD_S = 0.02
"""How long a delivery that is held back for the next one waits for it."""

T = TypeVar("T")


class Fault(Struct, frozen=True):
    """Say what happens to one request, or to one delivery.

    Attributes:
        copies: how often it comes.
        heard: which answer is heard: to the first copy (0), the second ….
        is_unheard: whether none is.
        late: after how many further ones it comes once more; 0 is never.
        is_held: whether a delivery comes after the next one.
    """

    copies: int = 1
    heard: int = 0
    is_unheard: bool = False
    late: int = 0
    is_held: bool = False


FAULTS = st.lists(
    st.builds(
        Fault,
        copies=st.integers(1, COPIES_MAX),
        heard=st.integers(0, COPIES_MAX - 1),
        is_unheard=st.booleans(),
        late=st.integers(0, LATE_MAX),
        is_held=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


class Plan:
    """Give one fault after the other, and remember what is to come late.

    Attributes:
        happened: how often what happened.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Give *faults*, and one that is none, again and again."""
        self._faults = cycle([*faults, Fault()])
        self.happened: Counter[str] = Counter()
        self._was_unheard = False
        self._late: list[tuple[int, Callable[[], Awaitable[object]]]] = []

    def next(self) -> Fault:
        """Return what happens next."""
        return next(self._faults)

    async def send(self, request: Callable[[], Awaitable[T]], *, lost: Exception) -> T:
        """Send *request* as often as the next fault says, and return the answer that is heard, or raise *lost*."""
        fault = self.next()
        await self._send_late()
        if fault.late:
            self._late.append((fault.late, request))
        self.happened["repeated"] += fault.copies - 1
        answers: list[T | RetoldError] = []
        for _ in range(fault.copies):
            try:
                answers.append(await request())
            except RetoldError as error:
                answers.append(error)
        if fault.is_unheard and not self._was_unheard:
            self._was_unheard = True
            self.happened["unheard"] += 1
            raise lost
        self._was_unheard = False
        answer = answers[min(fault.heard, len(answers) - 1)]
        if isinstance(answer, RetoldError):
            raise answer
        return answer

    async def _send_late(self) -> None:
        """Send what is due once more; nobody hears the answer."""
        due = [request for left, request in self._late if left == 1]
        self._late = [(left - 1, request) for left, request in self._late if left > 1]
        self.happened["came late"] += len(due)
        for request in due:
            with suppress(RetoldError, Lost):
                await request()


class FaultyLog(LogProxy):
    """Append, publish and save as a plan of faults says, and wake likewise."""

    def __init__(self, log: Log, faults: Sequence[Fault]) -> None:
        """Do what is done on *log* with *faults*."""
        super().__init__(log)
        self._stores = Plan(faults)
        self._wakes = Plan(faults)

    @property
    def happened(self) -> Counter[str]:
        """Return how often what happened."""
        return self._stores.happened + self._wakes.happened

    async def _store(self, request: Callable[[], Awaitable[T]]) -> T:
        return await self._stores.send(request, lost=UnavailableError("planted: the answer was lost"))

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append."""
        return await self._store(lambda: self.inner.append(key, drafts, expected=expected, are_new=are_new))

    async def save_snapshot(self, key: SessionKey, snapshot: Snapshot) -> None:
        """Save."""
        await self._store(lambda: self.inner.save_snapshot(key, snapshot))

    async def publish_history(self, key: SessionKey, published: Published) -> bool:
        """Publish."""
        return await self._store(lambda: self.inner.publish_history(key, published))

    async def withdraw_history(self, key: SessionKey, *, version: int, seq: int) -> bool:
        """Withdraw."""
        return await self._store(lambda: self.inner.withdraw_history(key, version=version, seq=seq))

    async def wakes(self, partitions: Partitions | None = None) -> AsyncGenerator[SessionEnd, None]:
        """Wake several times, late, and in another order."""
        old: list[SessionEnd] = []
        async with aclosing(self.inner.wakes(partitions)) as ends:
            async for end in ends:
                fault = self._wakes.next()
                old.append(end)
                self._wakes.happened["delivered again"] += fault.copies - 1
                for _ in range(fault.copies):
                    yield end
                if fault.late:
                    self._wakes.happened["delivered late"] += 1
                    yield old[-min(fault.late, len(old))]

    def arrived(self, key: SessionKey, *, head: Head) -> Sequence[Recorded]:
        """Bring nothing now and then: then what came is read."""
        found = self.inner.arrived(key, head=head)
        return () if self._wakes.next().is_held else found


class FaultyLink(Link):
    """Send what stores something, and deliver what consumers bring, as a plan of faults says."""

    stores = ("retold.", "$KV.", "$O.")
    _requests: Plan
    _deliveries: Plan

    def follow(self, faults: Sequence[Fault]) -> None:
        """Go by *faults* from now on."""
        self._requests = Plan(faults)
        self._deliveries = Plan(faults)

    @property
    def happened(self) -> Counter[str]:
        """Return how often what happened."""
        return self._requests.happened + self._deliveries.happened

    async def ask(self, subject: str, payload: bytes = b"", *, headers: dict[str, str] | None = None) -> Msg:
        """Ask."""
        if not subject.startswith(self.stores):
            return await super().ask(subject, payload, headers=headers)
        once = super().ask
        return await self._requests.send(
            lambda: once(subject, payload, headers=headers), lost=Lost("planted: the answer was lost")
        )

    @asynccontextmanager
    async def subscription(self, sink: Sink) -> AsyncIterator[str]:
        """Subscribe."""
        faulty = _FaultySink(self._deliveries, sink)
        try:
            async with super().subscription(faulty) as subject:
                yield subject
        finally:
            faulty.end()

    @asynccontextmanager
    async def tapped(self, taker: Taker) -> AsyncIterator[str]:
        """Subscribe to raw frames."""
        faulty = _FaultyTaker(self._deliveries, taker)
        try:
            async with super().tapped(faulty) as subject:
                yield subject
        finally:
            faulty.end()


class _Deliveries(Generic[T]):
    """Deliver several times, and some after the one that comes next, until the subscription ends."""

    def __init__(self, plan: Plan, deliver: Callable[[T], None]) -> None:
        """Deliver as *plan* says to *deliver*."""
        self._plan = plan
        self._deliver = deliver
        self._held: list[T] = []
        self._is_over = False

    def end(self) -> None:
        """Deliver nothing more: on a subscription that has ended nothing comes."""
        self._is_over = True

    def come(self, delivery: T) -> None:
        """Deliver, now or soon."""
        fault = self._plan.next()
        self._plan.happened["delivered again"] += fault.copies - 1
        if fault.is_held and not self._held:
            self._plan.happened["delivered late"] += 1
            self._held = [delivery] * fault.copies
            asyncio.get_running_loop().call_later(HELD_S, self._release)
            return
        for _ in range(fault.copies):
            self._deliver(delivery)
        self._release()

    def _release(self) -> None:
        held, self._held = [] if self._is_over else self._held, []
        for delivery in held:
            self._deliver(delivery)


class _FaultySink(_Deliveries[Msg]):
    """Hand messages on to a sink."""

    def __init__(self, plan: Plan, sink: Sink) -> None:
        """Hand on to *sink*."""
        super().__init__(plan, sink.deliver)
        self._sink = sink

    def deliver(self, message: Msg) -> None:
        """Hand on, as the plan says."""
        self.come(message)

    def lose(self, reason: Lost) -> None:
        """Hand on."""
        self._sink.lose(reason)


class _FaultyTaker(_Deliveries[bytes]):
    """Hand frames on to a taker."""

    def __init__(self, plan: Plan, taker: Taker) -> None:
        """Hand on to *taker*."""
        super().__init__(plan, taker.take)
        self._taker = taker

    def take(self, frames: bytes) -> None:
        """Hand on, as the plan says."""
        self.come(frames)

    def lose(self) -> None:
        """Hand on."""
        self._taker.lose()
