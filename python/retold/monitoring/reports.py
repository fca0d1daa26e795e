"""What a worker answers whoever asks how it is doing, and what is read out of several answers.

Rules:
- Counters are since the worker's start, with the worker's own clock beside them: a rate is the difference of two
  answers of one worker, and needs no clock of the reader's.
- Sessions are named here: it is for those who may read the log anyway.
"""

import os
import time

import msgspec
from msgspec import Struct

from retold.monitoring.health import Health, State
from retold.monitoring.meter import Lag, Meter
from retold.telemetry import SessionSize

SESSIONS_MAX = 64
"""How many of its sessions a worker tells, those that grew last: some 10 KB."""


class Report(Struct, frozen=True):
    """Say how a worker is doing.

    Attributes:
        worker: its name.
        up_s: how long it has been up.
        events, compactions, tokens_saved, published: since then.
        sessions: those that grew last, at most `SESSIONS_MAX`.
    """

    worker: str
    version: str
    pid: int
    up_s: float
    events: int
    compactions: int
    tokens_saved: int
    published: int
    conflicts: int
    live: int
    quarantined: int
    leases: int
    lag: Lag
    states: tuple[State, ...]
    sessions: tuple[SessionSize, ...]


class Reporter:
    """Write the reports of one worker."""

    def __init__(self, name: str, meter: Meter, health: Health) -> None:
        self._name = name
        self._meter = meter
        self._health = health
        self._began_s = time.monotonic()

    def report(self) -> Report:
        """Return how the worker is doing now; its states are those of the last look at its health."""
        meter, total = self._meter, self._meter.metrics.total
        return Report(
            worker=self._name,
            version=meter.metrics.version,
            pid=os.getpid(),
            up_s=time.monotonic() - self._began_s,
            events=meter.events,
            compactions=int(total("retold_compactions_total")),
            tokens_saved=int(
                total("retold_compaction_before_tokens_total") - total("retold_compaction_after_tokens_total")
            ),
            published=int(total("retold_histories_published_total")),
            conflicts=int(total("retold_conflicts_total")),
            live=len(meter.sizes),
            quarantined=meter.quarantined,
            leases=meter.held_leases,
            lag=meter.lag,
            states=self._health.states,
            sessions=tuple(meter.sizes[-SESSIONS_MAX:]),
        )

    def answer(self) -> bytes:
        """Return the report as JSON."""
        return msgspec.json.encode(self.report())


def read_report(answer: bytes) -> Report | None:
    """Return the report in *answer*; None if it is none that this release can read."""
    try:
        return msgspec.json.decode(answer, type=Report)
    except msgspec.MsgspecError:
        return None
