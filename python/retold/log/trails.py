"""Trails: where in the stream a session's events lie, as far as this process has seen. Bounded, and only ever a hint.

The server checks every append against the true end, and every read checks the chain, so a stale trail costs a round
trip and never correctness.
"""

from asyncio import Lock
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import repeat
from weakref import WeakValueDictionary

from msgspec import Struct

from retold.events import Head, SessionKey

TRAILS_MAX = 10_000
"""Sessions remembered; about 1 KiB each."""
MARKS_MAX = 8
"""Places remembered per session: the ends of the latest reads and appends."""
WRITTEN_MAX = 65_536
"""Appends remembered by the id of their first draft, to know a repeated call; the last half of these at least, and
the newest append's always. About 200 bytes each."""


class Mark(Struct, frozen=True):
    """Pair a place in the session with its place in the stream."""

    head: Head
    position: int


START = Mark(head=Head(), position=0)


class Trail:
    """Remember one session.

    Attributes:
        end: where it ended when last written or asked, or None if that must be asked again.
        marks: some places, by session sequence.
        last: the sequence and the position of its last message when the stream's leader was asked; only a hint.
        hinted: a place that a snapshot tells of. Positions may have changed since, so it is to be checked.
        begin: the stream position that the session begins after: 0 unless it was written anew.
        seen: the largest sequence known to have been stored.
        witnessed: whether the published history and the snapshots were asked what they have seen.
        erased: the sequence of the newest tombstone; 0 if none is known. Nothing before it is to be read.
        sealed: whether a sealed event was seen.
    """

    def __init__(self) -> None:
        self.end: Mark | None = None
        self.marks: OrderedDict[int, Mark] = OrderedDict()
        self.last = 0, 0
        self.hinted: Mark | None = None
        self.seen = 0
        self.begin = 0
        self.witnessed = False
        self.erased = 0
        self.sealed = False

    def note(self, mark: Mark) -> None:
        """Remember *mark*, and that its sequence exists."""
        self.marks[mark.head.seq] = mark
        self.marks.move_to_end(mark.head.seq)
        if len(self.marks) > MARKS_MAX:
            self.marks.popitem(last=False)
        self.saw(mark.head.seq)

    def position_of(self, seq: int) -> int | None:
        """Return where event *seq* is said to lie, if anywhere."""
        if seq == self.last[0]:
            return self.last[1]
        mark = self.marks.get(seq)
        return None if mark is None else mark.position

    def saw_erased(self, seq: int) -> None:
        """Remember that the session was erased at sequence *seq*."""
        if seq > self.erased:
            self.erased = seq
            self.hinted = None
            for old in [mark for mark in self.marks if mark < seq - 1]:
                del self.marks[old]

    def hint(self, mark: Mark) -> None:
        """Remember where *mark* is said to be."""
        self.hinted = mark

    def doubt(self, seq: int) -> None:
        """Take where event *seq* lies for a hint from now on."""
        mark = self.marks.pop(seq, None)
        if mark is not None:
            self.hint(mark)

    def moved(self, mark: Mark) -> None:
        """Forget every place but *mark*: the session's messages were written anew, elsewhere in the stream."""
        self.end = None
        self.last = 0, 0
        self.marks.clear()
        self.hinted = None
        self.note(mark)

    def saw(self, seq: int) -> None:
        """Remember that sequence *seq* was stored."""
        self.seen = max(self.seen, seq)


class Trails:
    """Remember the sessions used last."""

    def __init__(self) -> None:
        self._trails: OrderedDict[SessionKey, Trail] = OrderedDict()
        self._locks: WeakValueDictionary[SessionKey, Lock] = WeakValueDictionary()
        self._written: dict[str, tuple[SessionKey, int]] = {}
        self._written_before: dict[str, tuple[SessionKey, int]] = {}

    def of(self, key: SessionKey) -> Trail:
        """Return the session's trail, a new one if there is none."""
        trail = self._trails.get(key)
        if trail is None:
            trail = self._trails[key] = Trail()
        self._trails.move_to_end(key)
        if len(self._trails) > TRAILS_MAX:
            self._trails.popitem(last=False)
        return trail

    def lock(self, key: SessionKey) -> Lock:
        """Return the lock that orders this process's own appends to the session."""
        return self._locks.setdefault(key, Lock())

    def wrote(self, key: SessionKey, *, draft: str, seq: int) -> None:
        """Remember that an append beginning with *draft* was stored at *seq*."""
        self.wrote_row(key, [draft], [seq])

    def wrote_row(self, key: SessionKey, drafts: Iterable[str], seqs: Iterable[int]) -> None:
        """Remember appends, each by its first draft and its sequence."""
        self._written.update(zip(drafts, zip(repeat(key), seqs, strict=False), strict=False))
        if len(self._written) > WRITTEN_MAX // 2:
            # Half of them at once: dropping the oldest one by one takes as long as remembering it.
            self._written, self._written_before = {}, self._written

    def first_written(self, key: SessionKey, drafts: Sequence[str]) -> int:
        """Return how many of *drafts* come before the first that is remembered as written; all if none is."""
        if self._written.keys().isdisjoint(drafts) and self._written_before.keys().isdisjoint(drafts):
            return len(drafts)
        return next((at for at, draft in enumerate(drafts) if self.written(key, draft) is not None), len(drafts))

    def written(self, key: SessionKey, draft: str) -> int | None:
        """Return the sequence that an append beginning with *draft* was stored at, or None if it is not remembered."""
        found = self._written.get(draft) or self._written_before.get(draft)
        return found[1] if found is not None and found[0] == key else None
