"""Whether a worker can do its work, and if not, why: each reason by a name that alerts and runbooks use.

Rules:
- A state is `blocking` where new work would wait or fail; the others are told, and the worker stays ready.
- A probe is bounded: a server that does not answer within `PROBE_S` is a state, not a wait.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import msgspec
from msgspec import Struct

from retold.errors import UnavailableError
from retold.log.broker import Broker
from retold.log.faults import FaultName
from retold.log.streams import ServerFacts
from retold.monitoring.meter import Lag, Meter

PROBE_S = 3.0
"""How long a look at the server may take: kubelet waits a second by default, our charts say five."""
RECENT_S = 30.0
"""For so long after it happened a fault counts as a state."""
CACHE_S = 1.0
"""A look at the server is shared by who asks within so many seconds."""
HEALTHZ_BYTES_MAX = 64 * 1024
FULL_PERCENT = 95
"""An account that stores more than so much of what it may is as good as full: one large session can fill the rest."""

StateName = Literal[
    "disconnected",
    "time_outs",
    "no_responders",
    "disk_full",
    "no_permission",
    "jetstream_off",
    "stream_missing",
    "stream_unusable",
    "broker_unhealthy",
    "lagging",
    "stopping",
    "quarantined",
    "not_durable",
    "durability_unknown",
]
BLOCKING: frozenset[StateName] = frozenset(
    {
        "disconnected",
        "time_outs",
        "no_responders",
        "disk_full",
        "no_permission",
        "jetstream_off",
        "stream_missing",
        "stream_unusable",
        "broker_unhealthy",
        "lagging",
        "stopping",
    }
)
TOLD: frozenset[StateName] = frozenset({"quarantined", "not_durable", "durability_unknown"})
"""States that leave a worker ready: the other sessions go on, or there is nothing that it could do."""

_OF_FAULT: dict[FaultName, StateName] = {
    "time_out": "time_outs",
    "no_responders": "no_responders",
    "disk_full": "disk_full",
    "no_permission": "no_permission",
}


class State(Struct, frozen=True):
    """Say that something is not as it should be.

    Attributes:
        detail: what was found, without names of sessions.
    """

    name: StateName
    detail: str

    @property
    def blocking(self) -> bool:
        """Return whether it keeps the worker from being ready."""
        return self.name in BLOCKING


class Readiness(Struct, frozen=True):
    """Say whether a worker is ready.

    Attributes:
        ready: whether no state is in `BLOCKING`.
        profile: how soon the broker makes events durable, where it tells: ``safe``, ``balanced`` or ``fast``.
        states: what is not as it should be.
    """

    ready: bool
    profile: str | None
    lag: Lag
    quarantined: int
    live: int
    states: tuple[State, ...]


class Health:
    """Look whether the worker can do its work."""

    def __init__(self, meter: Meter, broker: Broker, *, healthz: str | None = None, lag_s_max: float = 60.0) -> None:
        """Look at *meter* and *broker*, and at the page *healthz* of the server, if there is one."""
        self._meter = meter
        self._broker = broker
        self._healthz = healthz
        self._lag_s_max = lag_s_max
        self._looked: tuple[float, Readiness] | None = None
        self._lock = asyncio.Lock()
        self._dead: dict[str, int] = {}
        self.is_stopping = False

    @property
    def states(self) -> tuple[State, ...]:
        """Return what the last look found, if there was one."""
        return () if self._looked is None else self._looked[1].states

    async def readiness(self) -> Readiness:
        """Return how things stand, as found within the last `CACHE_S` seconds; within about `PROBE_S` seconds."""
        async with self._lock:
            if self._looked is None or time.monotonic() - self._looked[0] > CACHE_S or self.is_stopping:
                found = await self._look()
                self._looked = (time.monotonic(), found)
                self._tell(found)
            return self._looked[1]

    async def _look(self) -> Readiness:
        facts, healthz = await asyncio.gather(self._facts(), self._broker_page())
        lag = self._meter.lag
        states = {state.name: state for state in [*self._own(lag), *healthz, *_of_server(facts), *self._faults(facts)]}
        return Readiness(
            ready=not any(state.blocking for state in states.values()),
            profile=None if facts is None else facts.profile,
            lag=lag,
            quarantined=self._meter.quarantined,
            live=len(self._meter.sizes),
            states=tuple(states.values()),
        )

    def _own(self, lag: Lag) -> Iterator[State]:
        if self.is_stopping:
            yield State("stopping", "told to stop")
        if lag.seconds > self._lag_s_max:
            yield State("lagging", f"{lag.sessions} sessions wait, one for {lag.seconds:.0f} s")
        if self._meter.quarantined:
            yield State("quarantined", f"{self._meter.quarantined} sessions: `retold dead list`")

    def _faults(self, facts: ServerFacts | None) -> Iterator[State]:
        if not self._broker.is_up:
            yield State("disconnected", "no connection to the broker")
            return
        for name, fault in self._broker.faults.recent(RECENT_S).items():
            # A lost connection that is back is no state, nor is a leader that was missing while the server was away.
            if name in _OF_FAULT:
                yield State(_OF_FAULT[name], fault.detail or f"within the last {RECENT_S:.0f} s")
        if facts is None:
            yield State("time_outs", f"the broker did not answer within {PROBE_S:g} s")

    async def _facts(self) -> ServerFacts | None:
        if not self._broker.is_up:
            return None
        with suppress(TimeoutError, UnavailableError):
            async with asyncio.timeout(PROBE_S):
                facts = await self._broker.inspect()
                if not facts.problems:
                    self._dead = await self._broker.dead_letters()
                return facts
        return None

    async def _broker_page(self) -> list[State]:
        if self._healthz is None:
            return []
        try:
            async with asyncio.timeout(PROBE_S + 1.0):
                wrong = await asyncio.to_thread(_ask_healthz, self._healthz)
        except TimeoutError:
            wrong = "no answer"
        return [] if wrong is None else [State("broker_unhealthy", wrong)]

    def _tell(self, found: Readiness) -> None:
        gauge = self._meter.metrics.gauge
        gauge("retold_ready").set(found.ready)
        named = {state.name for state in found.states}
        for name in BLOCKING | TOLD:
            gauge("retold_state", state=name).set(name in named)
        for kind, count in self._dead.items():
            gauge("retold_dead_letters", of=kind).set(count)


def _of_server(facts: ServerFacts | None) -> Iterator[State]:
    if facts is None:
        return
    if not facts.jetstream:
        yield State("jetstream_off", "JetStream is not enabled for this account")
        return
    missing = [stream.name for stream in facts.streams if stream.problem and not stream.format]
    unusable = [stream.problem for stream in facts.streams if stream.problem and stream.format]
    if missing:
        yield State("stream_missing", ", ".join(missing))
    if unusable:
        yield State("stream_unusable", "; ".join(unusable))
    limit = facts.storage_limit_bytes
    if limit > 0 and facts.storage_bytes * 100 > limit * FULL_PERCENT:
        yield State("disk_full", f"the account stores {facts.storage_bytes} of {limit} bytes")
    if facts.profile is None:
        yield State("durability_unknown", "the broker does not tell how often it syncs: see sync_interval there")
    elif facts.profile != "safe":
        yield State("not_durable", f"profile {facts.profile}: a power cut loses what was acknowledged last")


def _ask_healthz(url: str) -> str | None:
    """Return what the server's health page *url* says is wrong, or None."""
    try:
        with urlopen(url, timeout=PROBE_S) as answer:  # noqa: S310 - the settings take http and https alone
            body = answer.read(HEALTHZ_BYTES_MAX)
    except HTTPError as error:
        body = error.read(HEALTHZ_BYTES_MAX)
    except (URLError, OSError, ValueError) as error:
        return f"its health page cannot be read: {type(error).__name__}"
    try:
        told = msgspec.json.decode(body, type=dict[str, object])
    except msgspec.MsgspecError:
        return "its health page holds no JSON"
    return None if told.get("status") == "ok" else f"{told.get('status')}: {told.get('error', '')}"
