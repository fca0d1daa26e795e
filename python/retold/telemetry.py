"""What a worker tells while it works, as a protocol, and an implementation that nobody listens to.

Rules:
- Every method returns at once and never raises: what is told changes nothing that is done.
- Sessions are told by key, so that states can be kept; what is exported as metrics never names one.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from retold.events import Fact, SessionKey
from retold.fold import Context
from retold.policy import Decision

GivenUp = Literal["failed", "abandoned"]
"""How a compaction ends that replaced nothing: it could not be carried out, or its base changed under it."""


class SessionSize(Struct, frozen=True):
    """Say how large a session is that a worker has brought up to date.

    Attributes:
        tokens: the size of its history, upper bound.
        limit_tokens: what the model accepts.
        pre_rot_tokens: from where on compaction is due, before shares are taken of it.
    """

    key: SessionKey
    seq: int
    tokens: int
    limit_tokens: int
    pre_rot_tokens: int
    version: int


class Telemetry(Protocol):
    """Learn what a worker does."""

    def woke(self, key: SessionKey, seq: int) -> None:
        """Learn that the session ends at *seq* now, or further on."""
        ...

    def brought_up(self, size: SessionSize, *, events: int) -> None:
        """Learn that *events* were folded, up to the sequence of *size*, and that the session is held in memory."""
        ...

    def dropped(self, key: SessionKey) -> None:
        """Learn that the session is no longer held."""
        ...

    def set_aside(self, key: SessionKey) -> None:
        """Learn that the session cannot be worked on: damaged, or its key is missing. May be repeated."""
        ...

    def taken_back(self, key: SessionKey) -> None:
        """Learn that the session is whole again."""
        ...

    def compacting(self, context: Context, decision: Decision) -> None:
        """Learn that *decision* is being carried out on *context*, by the task that tells it."""
        ...

    def compacted(self, context: Context, facts: Sequence[Fact]) -> None:
        """Learn that it was, and recorded as *facts*."""
        ...

    def gave_up(self, context: Context, how: GivenUp) -> None:
        """Learn that the history of *context* was not replaced; maybe nobody tried."""
        ...

    def published(self, key: SessionKey) -> None:
        """Learn that the history of the newest compaction was published."""
        ...

    def conflicted(self) -> None:
        """Learn that somebody else wrote first."""
        ...

    def leases(self, held: int) -> None:
        """Learn how many partitions this worker holds now."""
        ...

    def let_go(self, partitions: frozenset[int]) -> None:
        """Learn that the sessions of *partitions* are other workers' now."""
        ...


class NoTelemetry:
    """Let everything be told to nobody."""

    def woke(self, key: SessionKey, seq: int) -> None:
        """Do nothing."""

    def brought_up(self, size: SessionSize, *, events: int) -> None:
        """Do nothing."""

    def dropped(self, key: SessionKey) -> None:
        """Do nothing."""

    def set_aside(self, key: SessionKey) -> None:
        """Do nothing."""

    def taken_back(self, key: SessionKey) -> None:
        """Do nothing."""

    def compacting(self, context: Context, decision: Decision) -> None:
        """Do nothing."""

    def compacted(self, context: Context, facts: Sequence[Fact]) -> None:
        """Do nothing."""

    def gave_up(self, context: Context, how: GivenUp) -> None:
        """Do nothing."""

    def published(self, key: SessionKey) -> None:
        """Do nothing."""

    def conflicted(self) -> None:
        """Do nothing."""

    def leases(self, held: int) -> None:
        """Do nothing."""

    def let_go(self, partitions: frozenset[int]) -> None:
        """Do nothing."""
