"""What went wrong between us and the server, by name: for health and metrics, which ask later.

Rules:
- A fault has one name out of `FaultName`, whatever text the server gives; the text may change between releases.
- Nothing here decides anything: requests are retried or given up where they are made.
"""

import time
from collections.abc import Mapping
from typing import Literal, get_args

from msgspec import Struct

FaultName = Literal["disconnected", "time_out", "no_responders", "disk_full", "no_permission"]
FAULT_NAMES: tuple[FaultName, ...] = get_args(FaultName)


class Fault(Struct, frozen=True):
    """Say how often something went wrong, and when it last did.

    Attributes:
        count: how often since the connection was opened.
        at_s: when it last happened, on the clock of `time.monotonic`.
        detail: what the server said, without subjects of sessions.
    """

    count: int = 0
    at_s: float = float("-inf")
    detail: str = ""


class Faults:
    """Count what goes wrong on one connection.

    Attributes:
        reconnects: how often the connection was made again.
    """

    def __init__(self) -> None:
        self._found: dict[FaultName, Fault] = {}
        self.reconnects = 0

    def note(self, name: FaultName, detail: str = "") -> None:
        """Count *name*, which happens now."""
        self._found[name] = Fault(self._found.get(name, Fault()).count + 1, time.monotonic(), detail)

    def recent(self, within_s: float) -> Mapping[FaultName, Fault]:
        """Return what happened within the last *within_s* seconds."""
        since = time.monotonic() - within_s
        return {name: fault for name, fault in self._found.items() if fault.at_s >= since}

    def counts(self) -> Mapping[FaultName, int]:
        """Return how often each happened."""
        return {name: self._found.get(name, Fault()).count for name in FAULT_NAMES}


def denied(error: str) -> str | None:
    """Return what *error* of the server says was not permitted, without the session in it; None if it says nothing.

    nats-server 2.15: ``permissions violation for publish to "retold.ev.12.tenant.session"``.
    """
    told = error.lower()
    if "permissions violation" not in told:
        return None
    subject = error.partition('"')[2].partition('"')[0]
    verb = "subscribe to" if "subscription" in told else "publish to"
    return f"{verb} {'.'.join(subject.split('.')[:2])}.…"
