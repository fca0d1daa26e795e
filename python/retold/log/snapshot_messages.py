"""What one message of the stream of snapshots holds, and what is remembered of the newest one."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec
from msgspec import Struct

from retold.events import Head
from retold.layouts import Layout
from retold.log.api import Stored
from retold.log.segments import NOTHING_STORED, Segmented
from retold.log.steps import Holds, Step, extended
from retold.log.trails import Mark
from retold.ports import Before, Snapshot

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Placed(Struct, frozen=True):
    """Hold a snapshot.

    Attributes:
        mark: where the event that it ends with lies in the stream of events; None if that is not known.
        newest_seq: the sequence of the newest one that is kept.
    """

    snapshot: Snapshot
    mark: Mark | None
    newest_seq: int = 0


class Message(Struct, frozen=True, array_like=True):
    """Hold the body of one message: the state, what it is found by, and the steps to those before.

    Attributes:
        step: its own; the position in it is 0, for nobody knows it when it is written.
        event_position: where its last event lies in the stream of events; 0 if that was not known.
    """

    kept: Segmented
    step: Step
    head: str
    event_position: int
    steps: tuple[Step, ...]


class Found(Struct, frozen=True):
    """Hold a message as it was read."""

    message: Message
    stored: Stored

    @property
    def step(self) -> Step:
        """Return its step, with the position that it was stored at."""
        return msgspec.structs.replace(self.message.step, position=self.stored.position)


class Chain(Struct, frozen=True):
    """Remember the newest snapshot of a session: what the next one builds on.

    Attributes:
        position: where the session's subject ends; 0 before the first message.
        newest: the snapshot there; None if it cannot be read: then the next one starts anew.
        sha256: of its body.
        steps: to those before it.
        layout: where its entries are stored.
        erased: the sequence of the tombstone whose mark ends the subject; 0 for none.
    """

    position: int = 0
    newest: Step | None = None
    sha256: bytes = b""
    steps: tuple[Step, ...] = ()
    layout: Layout = NOTHING_STORED
    erased: int = 0

    @property
    def steps_on(self) -> tuple[Step, ...]:
        """Return the steps that the next snapshot has."""
        return () if self.newest is None else extended(self.steps, self.newest)

    def is_past(self, snapshot: Snapshot) -> bool:
        """Return whether *snapshot* need not be kept: a later one is, or the very same, or it was erased."""
        if snapshot.seq < self.erased:
            return True
        if self.newest is None or self.newest.seq < snapshot.seq:
            return False
        return self.newest.seq > snapshot.seq or self.sha256 == sha256(snapshot.body).digest()


MESSAGES = msgspec.msgpack.Decoder(Message)


def holds_before(before: Before) -> Holds:
    """Return what says of a step whether its snapshot is early enough; where that is not known of it, it is not."""
    latest_us = None if before.at is None else _microseconds(before.at)

    def holds(step: Step) -> bool:
        return (
            (before.seq is None or step.seq <= before.seq)
            and (latest_us is None or 0 <= step.latest_us <= latest_us)
            and (before.item is None or 0 < step.next_item <= before.item)
            and (before.version is None or step.version < before.version)
        )

    return holds


def step_of(snapshot: Snapshot, *, number: int) -> Step:
    """Return the step of *snapshot*, which is number *number*; its position is not known yet."""
    return Step(
        number=number,
        position=0,
        seq=snapshot.seq,
        latest_us=-1 if snapshot.latest is None else _microseconds(snapshot.latest),
        next_item=snapshot.next_item,
        version=snapshot.version,
    )


def placed(found: Found, body: bytes) -> Placed:
    """Return the snapshot that *found* is, with its *body*."""
    message, step = found.message, found.step
    latest = None if step.latest_us < 0 else _EPOCH + timedelta(microseconds=step.latest_us)
    snapshot = Snapshot(
        seq=step.seq, body=body, head=message.head, latest=latest, next_item=step.next_item, version=step.version
    )
    known = message.event_position > 0 and message.head != ""
    head = Head(seq=step.seq, hash=message.head)
    return Placed(snapshot=snapshot, mark=Mark(head=head, position=message.event_position) if known else None)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
