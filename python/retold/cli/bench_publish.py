"""``retold bench pipeline``, first part: appending small events, through Retold, nats-py and a bare socket, in turns.

All write the same messages (same bodies, same lengths) to the same server. Those with headers carry what Retold sends:
an id, the session's sequence, and the position that the session must end at; they go to the log itself, and Retold
reads them afterwards. Those without go to a stream of the same settings beside it.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, Self

from msgspec import Struct
from nats.aio.client import Client as NatsClient
from nats.js.client import JetStreamContext

from retold.cli.bench_figures import Figure, ratio_to
from retold.cli.bench_fleet import BESIDE, bare, beside_config, frames, message, names, prepared, texts
from retold.cli.bench_race import Difference, Timing, quiet, timing
from retold.cli.bench_wire import Frame, Wire
from retold.client import Client, Session
from retold.events import ItemAppended, SessionKey
from retold.log.drafting import drafts_of
from retold.log.names import EVENTS
from retold.ports import Row
from retold.wiring import connect

RETOLD: Final = "retold"
SESSIONS: Final = "retold, sessions"
ASYNC: Final = "publish_async"
ASYNC_HEADERS: Final = "publish_async, headers"
RAW: Final = "raw socket"
RAW_HEADERS: Final = "raw socket, headers"
_CHECKED: Final = 16
_SLOWEST: Final = 99


class Amounts(Struct, frozen=True, kw_only=True):
    """Hold how much is appended.

    Attributes:
        appends: by each in a round, pipelined.
        singles: by each in a round, one by one.
        windows: how many are on the way at once; as many sessions take part.
    """

    appends: int
    singles: int
    text_bytes: int
    windows: tuple[int, ...]


class Appended(Struct, kw_only=True):
    """Hold what was found.

    Attributes:
        body_bytes: the median size of a stored event.
    """

    timings: list[Timing]
    differences: list[Difference]
    body_bytes: int
    windows: tuple[int, ...]


def pipelined(window: int) -> str:
    """Return the name of the case with *window* events on the way."""
    return f"append, {window:,} on the way"


class _Ground:
    """Hold the connections of all that race."""

    def __init__(self, url: str, amounts: Amounts, *, seed: int) -> None:
        self._url = url
        self._stack = AsyncExitStack()
        self.seed = seed
        self.text_bytes = amounts.text_bytes
        self.found = Appended(timings=[], differences=[], body_bytes=0, windows=amounts.windows)

    async def __aenter__(self) -> Self:
        self.client: Client = await self._stack.enter_async_context(connect(self._url))
        self.wire = self._stack.enter_context(Wire(self._url))
        self.wire.ask(f"$JS.API.STREAM.CREATE.{BESIDE}", beside_config())
        self.nats = NatsClient()
        await self.nats.connect(servers=[self._url])
        self._stack.push_async_callback(self.nats.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def jetstream(self, window: int) -> JetStreamContext:
        return self.nats.jetstream(publish_async_max_pending=window)

    def said(self, number: int) -> list[str]:
        return texts(number, size=self.text_bytes, seed=self.seed)

    def ready(self, keys: Sequence[SessionKey], number: int) -> list[Frame]:
        """Return the events of a fleet that is open already, as frames; called right before they are published."""
        whole = prepared(keys, self.said(number))
        made = frames(keys, whole, base=self.wire.last_position(EVENTS))
        opened, rest = made[: len(keys)], made[len(keys) :]
        self.wire.publish(self.wire.prepare(opened), window=len(keys))
        self.found.body_bytes = int(statistics.median(len(frame.body) for frame in rest))
        return rest

    async def check(self, racer: str, keys: Sequence[SessionKey], number: int) -> None:
        """Compare where sessions end, by Retold's reader, with what was appended."""
        expected = 1 + number // len(keys)
        for key in keys[:: max(1, len(keys) // _CHECKED)]:
            head = await self.client.log.head(key)
            if head.seq != expected:
                case = f"events of a session that {racer} wrote"
                self.found.differences.append(Difference(case=case, racer=racer, ours=expected, theirs=head.seq))


async def append_race(url: str, amounts: Amounts, *, rounds: int, seed: int) -> Appended:
    """Append *amounts* by each in each round: with each window, then one by one."""
    chance = random.Random(f"appends {seed}")  # noqa: S311 - an order
    async with _Ground(url, amounts, seed=seed) as ground:
        for window in amounts.windows:
            number = max(window, amounts.appends // window * window)
            await _windowed(ground, window, number=number, rounds=rounds, chance=chance)
        await _one_by_one(ground, number=amounts.singles, rounds=rounds, chance=chance)
        return ground.found


async def _windowed(ground: _Ground, window: int, *, number: int, rounds: int, chance: random.Random) -> None:
    rates: dict[str, list[float]] = {name: [] for name in _PUBLISHERS}
    cpu: dict[str, list[float]] = {name: [] for name in _PUBLISHERS}
    for _ in range(rounds):
        for name in chance.sample(list(_PUBLISHERS), len(_PUBLISHERS)):
            keys = names(window)
            work = await _PUBLISHERS[name](ground, keys, number, window)
            with quiet():
                wall, processor = time.perf_counter(), time.process_time()
                stored = await work()
                rates[name].append(stored / (time.perf_counter() - wall) / 1e3)
                cpu[name].append((time.process_time() - processor) / number * 1e6)
            if stored != number:
                case = f"{pipelined(window)}, stored"
                ground.found.differences.append(Difference(case=case, racer=name, ours=number, theirs=stored))
            if name in _READABLE:
                await ground.check(name, keys, number)
    for name in _PUBLISHERS:
        shown = timing(pipelined(window), name, rates[name], unit="k events/s", more=True)
        used = timing(f"{pipelined(window)}, CPU", name, cpu[name], unit="µs/event")
        ground.found.timings += [shown, used]


_Work = Callable[[], Awaitable[int]]


async def _by_retold(ground: _Ground, keys: Sequence[SessionKey], number: int, window: int) -> _Work:
    """Append to all sessions in one call, one event after the other in each; drafts are made while it is timed."""
    log, clock = ground.client.log, ground.client.clock
    await asyncio.gather(*(ground.client.session(key.session, tenant=key.tenant) for key in keys))
    facts = [ItemAppended(item=message(text)) for text in ground.said(number)]
    share = number // window

    def row(nth: int) -> Row:
        drafts = drafts_of(facts[nth * share :][:share], clock, actor="bench")
        return Row(key=keys[nth], appends=[[draft] for draft in drafts])

    async def work() -> int:
        ends = await log.append_rows([row(nth) for nth in range(window)])
        return sum(end.appended for end in ends)

    return work


async def _by_sessions(ground: _Ground, keys: Sequence[SessionKey], number: int, window: int) -> _Work:
    """Append by `Session.append`, all sessions at once, one event after the other in each."""
    sessions = await asyncio.gather(*(ground.client.session(key.session, tenant=key.tenant) for key in keys))
    items = [message(text) for text in ground.said(number)]
    share = number // window

    async def one(session: Session, nth: int) -> None:
        for item in items[nth * share : (nth + 1) * share]:
            await session.append(item)

    async def work() -> int:
        await asyncio.gather(*(one(session, nth) for nth, session in enumerate(sessions)))
        return number

    return work


async def _by_async(ground: _Ground, keys: Sequence[SessionKey], number: int, window: int) -> _Work:
    made = bare(ground.ready(keys, number))
    stream = ground.jetstream(window)
    return lambda: _published(stream, [(frame.subject, frame.body, None) for frame in made])


async def _by_async_with_headers(ground: _Ground, keys: Sequence[SessionKey], number: int, window: int) -> _Work:
    made = ground.ready(keys, number)
    stream = ground.jetstream(window)
    return lambda: _published(stream, [(frame.subject, frame.body, dict(frame.headers)) for frame in made])


async def _published(stream: JetStreamContext, messages: Sequence[tuple[str, bytes, dict[str, Any] | None]]) -> int:
    futures = [await stream.publish_async(subject, body, headers=headers) for subject, body, headers in messages]
    await stream.publish_async_completed()
    return sum(future.exception() is None for future in futures)


async def _by_socket(ground: _Ground, keys: Sequence[SessionKey], number: int, window: int) -> _Work:
    return _sent(ground.wire, ground.wire.prepare(bare(ground.ready(keys, number))), window)


async def _by_socket_with_headers(ground: _Ground, keys: Sequence[SessionKey], number: int, window: int) -> _Work:
    return _sent(ground.wire, ground.wire.prepare(ground.ready(keys, number)), window)


def _sent(wire: Wire, made: Sequence[bytes], window: int) -> _Work:
    async def work() -> int:
        return wire.publish(made, window=window)

    return work


_PUBLISHERS: Final = {
    RETOLD: _by_retold,
    SESSIONS: _by_sessions,
    ASYNC: _by_async,
    ASYNC_HEADERS: _by_async_with_headers,
    RAW: _by_socket,
    RAW_HEADERS: _by_socket_with_headers,
}
_READABLE: Final = (RETOLD, SESSIONS, ASYNC_HEADERS, RAW_HEADERS)


async def _one_by_one(ground: _Ground, *, number: int, rounds: int, chance: random.Random) -> None:
    found: dict[str, list[list[float]]] = {name: [] for name in _SINGLES}
    for _ in range(rounds):
        for name in chance.sample(list(_SINGLES), len(_SINGLES)):
            keys = names(1)
            spent = await _SINGLES[name](ground, keys, number)
            found[name].append(spent)
            await ground.check(name, keys, number)
    for percent in (50, _SLOWEST):
        for name, rounds_spent in found.items():
            values = [statistics.quantiles(spent, n=100, method="inclusive")[percent - 1] for spent in rounds_spent]
            ground.found.timings.append(timing(f"append one by one, p{percent}", name, values, unit="µs"))


class _Laps:
    """Note how long each of several things took, in µs."""

    def __init__(self) -> None:
        self.spent: list[float] = []
        self._last = time.perf_counter()

    def note(self) -> None:
        now = time.perf_counter()
        self.spent.append((now - self._last) * 1e6)
        self._last = now


async def _single_retold(ground: _Ground, keys: Sequence[SessionKey], number: int) -> list[float]:
    session = await ground.client.session(keys[0].session, tenant=keys[0].tenant)
    items = [message(text) for text in ground.said(number)]
    with quiet():
        laps = _Laps()
        for item in items:
            await session.append(item)
            laps.note()
    return laps.spent


async def _single_nats(ground: _Ground, keys: Sequence[SessionKey], number: int) -> list[float]:
    made = [(frame.subject, frame.body, dict(frame.headers)) for frame in ground.ready(keys, number)]
    stream = ground.jetstream(1)
    with quiet():
        laps = _Laps()
        for subject, body, headers in made:
            await stream.publish(subject, body, headers=headers)
            laps.note()
    return laps.spent


async def _single_socket(ground: _Ground, keys: Sequence[SessionKey], number: int) -> list[float]:
    made = ground.wire.prepare(ground.ready(keys, number))
    with quiet():
        laps = _Laps()
        ground.wire.each(made, laps.note)
    return laps.spent


_SINGLES: Final = {RETOLD: _single_retold, "publish, headers": _single_nats, RAW_HEADERS: _single_socket}


def figures(found: Appended) -> list[Figure]:
    """Return the figures that are asked for beside what was measured."""
    shown: list[Figure] = []
    for window in found.windows:
        case = pipelined(window)
        shown += [
            ratio_to(f"{case}, to publish_async", found.timings, case, ASYNC, required=3),
            ratio_to(f"{case}, to a raw socket with the same headers", found.timings, case, RAW_HEADERS, required=0.6),
        ]
    return shown
