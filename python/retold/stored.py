"""What a log is given and gives, as values of the ports: snapshots, published histories, rows, what a scan found."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from retold.errors import CorruptLogError, RetoldError, SealError
from retold.events import Draft, Head, Recorded, SessionKey
from retold.fold import Context, encode_context


class Snapshot(Struct, frozen=True):
    """Hold a folded state as bytes, and what it is found by.

    Attributes:
        seq: the sequence that it was folded up to, inclusive.
        body: the state (`retold.fold.encode_context`).
        head: the hash of that last event; empty if it is not known.
        latest: the latest time that an event up to there names; None if it is not known.
        next_item: the number of the next item without an id of its own; 0 if it is not known.
        version: how many replacements there had been.
    """

    seq: int
    body: bytes
    head: str = ""
    latest: datetime | None = None
    next_item: int = 0
    version: int = 0


def snapshot_of(context: Context) -> Snapshot:
    """Return the snapshot of *context*. O(bytes of its entries)."""
    return Snapshot(
        seq=context.seq,
        body=encode_context(context),
        head=context.head,
        latest=context.latest,
        next_item=context.next_item,
        version=context.version,
    )


class Unreadable(Struct, frozen=True):
    """Name a snapshot that is kept and cannot be read, by the sequence that it was folded up to."""

    seq: int


class Before(Struct, frozen=True):
    """Say how early a snapshot must be: by all that is not None.

    Attributes:
        seq: folded up to this sequence at most.
        at: no event in it names a later time.
        item: the item of this number had not come.
        version: the replacement of this number had not come.
    """

    seq: int | None = None
    at: datetime | None = None
    item: int | None = None
    version: int | None = None

    def holds(self, snapshot: Snapshot) -> bool:
        """Return whether *snapshot* is early enough; where that is not known of it, it is not."""
        return (
            (self.seq is None or snapshot.seq <= self.seq)
            and (self.at is None or (snapshot.latest is not None and snapshot.latest <= self.at))
            and (self.item is None or 0 < snapshot.next_item <= self.item)
            and (self.version is None or snapshot.version < self.version)
        )


class Published(Struct, frozen=True):
    """Hold a replacement history as readers find it.

    Attributes:
        version: the number of the replacement, 1, 2, 3 ….
        seq: the sequence of the event that recorded it.
        base_seq: the sequence of the source event that it replaced the history at.
        hash: the content hash of the items.
        body: the history as JSON bytes (`retold.fold.History`).
    """

    version: int
    seq: int
    base_seq: int
    hash: str
    body: bytes


class SessionEnd(Struct, frozen=True):
    """Name a session and the sequence of its last event.

    Attributes:
        damaged: whether its end is known to be damaged without reading it: the last event cannot be read, or a snapshot
            or published history was made from events that are gone. Damage before the end only shows in reading.
    """

    key: SessionKey
    seq: int
    damaged: bool = False


class Erased(Struct, frozen=True):
    """Say what an erasure removed.

    Attributes:
        seq: the sequence of the tombstone; everything before it is gone.
        events: how many events were removed now.
        projections: how many snapshots and published histories were.
        blobs: how many large bodies were.
        keys: how many data keys were destroyed.
    """

    seq: int
    events: int = 0
    projections: int = 0
    blobs: int = 0
    keys: int = 0


class Aside(Struct, frozen=True):
    """Say why a session was set aside: the first damaged sequence, and what is wrong there."""

    seq: int
    reason: str


class Row(Struct, frozen=True):
    """Ask for appends to one session, in order; each is all or none.

    Attributes:
        key: the session.
        appends: the drafts of each append.
        expected: the sequence that the session must end at before the first (0: it must not exist yet); None is any.
    """

    key: SessionKey
    appends: Sequence[Sequence[Draft]]
    expected: int | None = None


class RowEnd(Struct, frozen=True):
    """Say how far a row got.

    Attributes:
        appended: how many of its appends are stored: all of them, unless there is an error.
        head: where the last one that is stored ends; None if none is.
        error: why the next one is not stored, as `Log.append` would have raised it; none behind it was tried.
    """

    appended: int
    head: Head | None
    error: RetoldError | None = None


class Scanned(Struct, frozen=True):
    """Hold a part of what a scan found.

    Attributes:
        events: events of many sessions, checked against the chain of each.
        damage: the first damage of each session that has some; nothing behind it is given.
        sealed: which key is missing, for each session with an event that it would open; nothing behind that is given.
    """

    events: list[Recorded]
    damage: Mapping[SessionKey, CorruptLogError] = {}
    sealed: Mapping[SessionKey, SealError] = {}
