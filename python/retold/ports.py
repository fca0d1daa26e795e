"""What the shell needs from outside, as protocols; of models: `model_ports`. `wiring` alone names what implements them.

Each port has one contract suite in ``tests/``, which every implementation passes, the in-memory ones included.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from retold.errors import CorruptLogError, RetoldError, SealError
from retold.events import Draft, Head, Kept, Recorded, SessionKey
from retold.fold import Context, Rows, Run, context_body
from retold.lease_ports import Leases, Partitions

E = TypeVar("E")


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


def snapshot_of(context: Context, *, rows: Rows | None = None) -> Snapshot:
    """Return the snapshot of *context*, with *rows* if they are of its entries. O(bytes of these)."""
    return Snapshot(
        seq=context.seq,
        body=context_body(context, rows=rows),
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
        damaged: whether its end is known to be damaged without reading it; damage before that only shows in reading.
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


class Scanned(Struct, Generic[E], frozen=True):
    """Hold a part of what a scan found.

    Attributes:
        events: events of many sessions, checked against the chain of each; with `scan_runs`, plain items in runs.
        damage: the first damage of each session that has some; nothing behind it is given.
        sealed: which key is missing, for each session with an event that it would open; nothing behind that is given.
    """

    events: Sequence[E]
    damage: Mapping[SessionKey, CorruptLogError] = {}
    sealed: Mapping[SessionKey, SealError] = {}


class Log(Protocol):
    """Remember events, in one total order per session, and the projections made from them.

    Every method raises UnavailableError when the server cannot be reached within the log's own retries; nothing is
    lost then, and the call may be repeated. Cancelling an append leaves it either wholly stored or not at all.
    """

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append *drafts* to the session, all or none, and return them as recorded.

        *expected* is the sequence that the session must end at (0: it must not exist yet); None appends wherever it
        ends. Repeating a call with the same draft ids stores nothing twice and returns what was recorded: always with
        *expected*, without it for two minutes at least. Another reader may see the first of several events a moment
        before the last.

        *are_new* says that no log has stored these drafts: where the session ends elsewhere, they need not be looked
        for, and the error's `actual` is the next sequence, however far the session has come.

        Raises:
            ConflictError: if the session ends elsewhere; read on, decide again.
            InputError: if there are no drafts, they are more or larger than the log takes (`retold.log.names`), or
                *expected* is no sequence.
            CorruptLogError: if the session's end is damaged.
        """

    async def erase(self, key: SessionKey) -> Erased:
        """Remove everything of the session that lies before its newest tombstone, for good; return what was removed.

        A tombstone is a `SessionErased` that carries how the session was opened, appended before. From then on a
        session begins with it: no earlier event, snapshot or published history is given out, removed yet or not. May
        be repeated, and must be after a failure: what was left is removed then.

        Raises:
            InputError: if the session has no tombstone.
            CorruptLogError: if its end is damaged.
        """

    async def append_rows(self, rows: Sequence[Row]) -> list[RowEnd]:
        """Append to many sessions at once, and return how far each got, in the order of *rows*.

        Strictly in order within a session; sessions do not wait for each other. What `append` promises holds for each
        append of a row, so the call may be repeated with the same drafts. A row's error is returned, not raised; a
        cancelled call leaves each append wholly stored or not at all.

        Raises:
            InputError: if two rows name the same session, or a key is out of range; nothing was appended.
        """

    async def head(self, key: SessionKey) -> Head:
        """Return where the session ends; `Head()` if there is none. Needs no key.

        Raises:
            CorruptLogError: if its end is damaged or missing.
        """

    def read(self, key: SessionKey, *, after: int = 0, until: int | None = None) -> AsyncGenerator[Recorded, None]:
        """Yield the events of sequence ``after < seq <= until`` in order, checked against the chain; None is the end.

        An erased session begins with its newest tombstone, whose `prev` names the end of what was erased.

        Raises:
            SealError: if an event is sealed and its key is not there.
            CorruptLogError: at the first sequence that is missing or damaged; what came before was yielded.
        """

    def read_kept(self, key: SessionKey, *, after: int = 0, until: int | None = None) -> AsyncGenerator[Kept, None]:
        """Yield the same as they are kept, what is sealed unopened; raises as `read`, but for what needs a key."""
        ...

    def scan(self, *, partitions: Sequence[int] = ()) -> AsyncGenerator[Scanned[Recorded], None]:
        """Yield the events of all sessions, in order within each, until there are no more; then end.

        Mostly in the order in which they were appended, some thousands at a time. *partitions* (0 to 63, by
        `retold.log.names.partition`) limits it to the sessions of these, so that several processes can share the work.
        A damaged session does not end it, nor one whose key is missing. That a session lost its newest events shows in
        `read` and `sessions`, not here. What a tombstone further on erases is given until `erase` has removed it.

        Raises:
            InputError: if a partition is out of range.
        """

    def scan_runs(self, *, partitions: Sequence[int] = ()) -> AsyncGenerator[Scanned[Recorded | Run], None]:
        """Yield the events of all sessions as `scan` does, items that were appended one after the other as one.

        A run comes when something else follows it in its session, or at the end; some tens of megabytes of them are
        held back at most. A run that cannot be read is damage of its session: `read` says where. Raises as `scan`.
        """

    def salvage(self, key: SessionKey) -> AsyncGenerator[Kept, None]:
        """Yield every event of the session that can still be read, in the order they lie, unchecked: for a repair."""
        ...

    async def stored_end(self, key: SessionKey) -> Head:
        """Return the head that the last event stored gives, even if the session is known to have gone further.

        Raises:
            CorruptLogError: if that event cannot be read.
        """

    async def copy(self, key: SessionKey, events: AsyncIterable[Kept], *, until: int) -> None:
        """Store *events*, which follow `stored_end` and go on to sequence *until*, byte for byte as they are.

        Until all are stored, nobody can append to the session and reading it ends in damage. Broken off, it is taken
        up again from `stored_end`.

        Raises:
            ConflictError: if somebody else wrote to the session.
            CorruptLogError: if an event does not follow the one before, or they end before *until*.
        """
        ...

    async def replace(
        self, key: SessionKey, events: AsyncIterable[Kept], *, until: int, instead_of: Head | None
    ) -> None:
        """Store *events*, from sequence 1 to *until*, in place of all that is stored for the session.

        What is there counts until all of them are stored, and is replaced only if it ended at *instead_of* when that
        began; None: at an event that cannot be read. Broken off, it is done again. Raises as `copy`.
        """
        ...

    async def reached(self, key: SessionKey) -> int:
        """Return the largest sequence that anything beside the events proves the session to have had."""
        ...

    def follow(self, key: SessionKey, *, after: int = 0) -> AsyncGenerator[Recorded, None]:
        """Yield the events after *after* and then each new one as it is appended, without a gap and without an end."""
        ...

    def wakes(self, partitions: Partitions | None = None) -> AsyncGenerator[SessionEnd, None]:
        """Yield every session once with its present end, then again whenever it has grown; never ends.

        Wakes may be merged and repeated, never lost: a reader that reads each woken session to its head sees all. Given
        *partitions*, only of those that are followed, and each session of one once when it is taken up.
        """
        ...

    def arrived(self, key: SessionKey, *, head: Head) -> Sequence[Recorded]:
        """Return events behind *head*, checked, that `wakes` brought along; it does so from now on. `read` has more."""

    def leave(self, key: SessionKey) -> None:
        """Bring nothing of the session along any more."""

    @property
    def leases(self) -> Leases:
        """Return the table by which workers share the sessions."""

    async def sessions(self) -> list[SessionEnd]:
        """Return every session and where it ends, ordered by tenant and name; also one that lost all its events."""
        ...

    async def set_aside(self, key: SessionKey, aside: Aside) -> None:
        """Note that the session is damaged, for all who list sessions. Locks nothing; may be repeated."""
        ...

    async def release(self, key: SessionKey) -> None:
        """Remove the note: the session is whole again. May be repeated."""
        ...

    async def aside(self) -> dict[SessionKey, Aside]:
        """Return the sessions that are set aside."""
        ...

    async def save_snapshot(self, key: SessionKey, snapshot: Snapshot) -> None:
        """Keep *snapshot* of a sequence that the session has, unless one of a later sequence is kept. May be repeated.

        All are kept; what neighbours share is stored once.
        """
        ...

    async def load_snapshot(self, key: SessionKey, *, until: int | None = None) -> Snapshot | None:
        """Return the newest kept snapshot with ``seq <= until``, or None if there is none."""
        ...

    async def find_snapshot(self, key: SessionKey, before: Before) -> Snapshot | None:
        """Return the newest kept snapshot that is early enough, or None if there is none."""
        ...

    def snapshots(self, key: SessionKey) -> AsyncGenerator[Snapshot | Unreadable, None]:
        """Yield every kept snapshot in order; one that is damaged or lost by its sequence alone."""
        ...

    async def swap_projections(self, key: SessionKey, made: AsyncIterable[Snapshot | Published]) -> None:
        """Put what *made* yields in place of the session's snapshots and of its published history.

        It yields snapshots in ascending order, then at most one history. Readers see the old snapshots or the new ones,
        and the old history or the new one; so does who comes after a crash. May be repeated.

        Raises:
            ConflictError: if somebody else has written a snapshot meanwhile; nothing was changed, repeat the call.
        """
        ...

    async def publish_history(self, key: SessionKey, published: Published) -> bool:
        """Publish *published* unless the same or a newer one is there, or withdrawn; return whether it was written."""
        ...

    async def withdraw_history(self, key: SessionKey, *, version: int, seq: int) -> bool:
        """Take back what is older than (*version*, *seq*), for good; return whether that was published. Repeatable."""
        ...

    async def load_history(self, key: SessionKey) -> Published | None:
        """Return the newest published history, or None; made from the events where a snapshot of it is damaged."""
        ...


class Clock(Protocol):
    """Tell the time and make ids. Nothing below the shell needs either."""

    def now(self) -> datetime:
        """Return the present time in UTC."""
        ...

    def new_id(self) -> str:
        """Return a new UUIDv7 as text."""
        ...
