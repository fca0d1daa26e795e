"""Prove a session: gapless sequences, an unbroken chain, and every recorded hash derived again from the events.

A fork is proven with what it inherits: its ancestors are folded from their first events up to where it parted from
them.
"""

from msgspec import Struct

from retold.errors import CorruptLogError
from retold.events import HistoryReplaced, Recorded, SessionKey
from retold.fold import Builder, Context, advance, encode_context, encode_history, is_of_this_schema, replacement_of
from retold.log.tail import inheritance
from retold.ports import Log, Published, Snapshot


class Verdict(Struct, frozen=True):
    """Say whether a session is what was written.

    Attributes:
        events: how many events were read and folded.
        replacements: how many replacement histories were derived again and had the recorded hash.
        snapshots: how many snapshots were equal to a full fold, byte for byte.
        damaged_seq: the first damaged sequence, or None.
        reason: what is wrong there; empty if nothing is.
    """

    key: SessionKey
    events: int
    replacements: int
    snapshots: int
    published: bool
    damaged_seq: int | None = None
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Return whether nothing is damaged."""
        return self.damaged_seq is None


class _Proof:
    """Fold a session from its first event and compare with what was recorded on the way."""

    def __init__(self, key: SessionKey, published: Published | None, snapshot: Snapshot | None) -> None:
        self.key = key
        self.published = published
        self.snapshot = snapshot
        self.builder = Builder()
        self.start: Context | None = None
        self.events: list[Recorded] = []
        self.replacements = 0
        self.snapshots = 0
        self.published_ok = False

    def begin(self, start: Context | None) -> None:
        """Begin with what a fork inherits, derived from its ancestors' events; None: with nothing."""
        self.start = start
        self.builder = Builder() if start is None else Builder.resume(start)

    def take(self, recorded: Recorded) -> None:
        self.events.append(recorded)
        advance(self.builder, recorded, earlier=self.events, base=self.start)
        seq = recorded.event.seq
        self.replacements += isinstance(recorded.event.data, HistoryReplaced)
        if self.snapshot is not None and self.snapshot.seq == seq and is_of_this_schema(self.snapshot.body):
            self._check(encode_context(self.builder.freeze()) == self.snapshot.body, seq, "its snapshot differs")
            self.snapshots += 1
        if self.published is not None and self.published.seq == seq:
            history = replacement_of(self.builder.freeze())
            given = (self.published.hash, self.published.version, self.published.body)
            same = (history.hash, history.version, encode_history(history)) == given
            self._check(same, seq, "the published history is not what the events give")
            self.published_ok = True

    def end(self) -> None:
        seq = self.builder.seq
        last = max(
            self.published.seq if self.published else 0,
            self.snapshot.seq if self.snapshot else 0,
        )
        self._check(last <= seq, seq + 1, f"missing: the session reached {last} once, it ends at {seq}")

    def verdict(self, error: CorruptLogError | None = None) -> Verdict:
        return Verdict(
            key=self.key,
            events=len(self.events),
            replacements=self.replacements,
            snapshots=self.snapshots,
            published=self.published_ok,
            damaged_seq=None if error is None else self._place(error),
            reason="" if error is None else self._told(error),
        )

    def _place(self, error: CorruptLogError) -> int:
        return error.seq if error.session in ("", self.key.session) else 1

    def _told(self, error: CorruptLogError) -> str:
        if error.session in ("", self.key.session):
            return error.reason
        return f"it was forked from a session that is damaged: {error}"

    def _check(self, holds: bool, seq: int, reason: str) -> None:  # noqa: FBT001 - the check itself
        if not holds:
            raise CorruptLogError(reason, session=self.key.session, seq=seq)


async def verify(log: Log, key: SessionKey) -> Verdict:
    """Read the whole session, derive every state again, and return what was found. Never raises for damage."""
    proof = _Proof(key, None, None)
    try:
        proof = _Proof(key, await log.load_history(key), await log.load_snapshot(key))
        async for recorded in log.read(key):
            if recorded.event.seq == 1:
                proof.begin(await inheritance(log, recorded, with_snapshots=False))
            proof.take(recorded)
        proof.end()
    except CorruptLogError as error:
        return proof.verdict(error)
    return proof.verdict()
