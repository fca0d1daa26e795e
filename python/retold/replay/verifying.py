"""Prove a session: gapless sequences, an unbroken chain, and every recorded hash derived again from the events.

Rules:
- Nothing that was derived is used to derive: every state comes from a fold of all events, from the first one on. A fork
  is proven with what it inherits: its ancestors are folded from their first events up to where it parted from them.
- What is held is the state. Only a session that returns to an earlier state is read again, and its events held.
- Damage of the events is told before damage of what was made from them.
- Without the key of a sealed session its chain is proven still, over the stored bytes, and those of its ancestors up to
  where it parted from them; the verdict says that this is all.
"""

from contextlib import aclosing
from typing import Literal

from msgspec import Struct, structs

from retold.errors import CorruptLogError, SealError
from retold.events import Head, HistoryReplaced, Kept, Recorded, SessionKey, decode
from retold.fold import (
    Builder,
    Context,
    advance,
    encode_context,
    encode_history,
    is_of_this_schema,
    replacement_of,
    returns_to,
)
from retold.log.tail import ANCESTORS_MAX, fork_point, inheritance
from retold.ports import Log, Published, Snapshot, Unreadable

_FORKED_FROM_DAMAGE = "it was forked from a session that is damaged"


class Verdict(Struct, frozen=True):
    """Say whether a session is what was written.

    Attributes:
        events: how many events were read and folded.
        replacements: how many replacement histories were derived again and had the recorded hash.
        snapshots: how many snapshots were equal to a full fold, byte for byte.
        published: whether the published history was what the events give; False if there is none.
        damaged_seq: the first damaged sequence, or None.
        reason: what is wrong there; empty if nothing is.
        whole: whether the events are, and only something that was made from them is damaged.
        proof: what was proven: all, or the chain alone, where a key is missing or no more was asked for. Then nothing
            was opened or folded: not proven are texts, replacement histories, snapshots and what is published.
        missing: which key was missing; empty if none was.
    """

    key: SessionKey
    events: int
    replacements: int
    snapshots: int
    published: bool
    damaged_seq: int | None = None
    reason: str = ""
    whole: bool = True
    proof: Literal["all", "chain"] = "all"
    missing: str = ""

    @property
    def ok(self) -> bool:
        """Return whether nothing is damaged, as far as it was looked at."""
        return self.damaged_seq is None


class _Returned(Exception):  # noqa: N818 - no error: the session is read again
    """Say that an event returns to an earlier state, and no events were held."""


class _Proof:
    """Fold a session from its first event and compare with what was recorded on the way."""

    def __init__(self, key: SessionKey, *, holds_events: bool) -> None:
        self.key = key
        self.holds_events = holds_events
        self.published: Published | None = None
        self.kept: Snapshot | Unreadable | None = None
        self.builder = Builder()
        self.start: Context | None = None
        self.events: list[Recorded] = []
        self.read = 0
        self.replacements = 0
        self.snapshots = 0
        self.published_ok = False
        self.damage: CorruptLogError | None = None

    async def look(self, log: Log) -> None:
        """Look at what was made from the events."""
        try:
            self.published = await log.load_history(self.key)
        except CorruptLogError as error:
            self.damage = error

    async def run(self, log: Log) -> None:
        """Read and fold all events."""
        async with aclosing(log.snapshots(self.key)) as snapshots, aclosing(log.read(self.key)) as events:
            # The snapshots before the events, which they are made from: so what they prove must be there.
            self.kept = await anext(snapshots, None)
            async for recorded in events:
                if self.read == 0:
                    self._begin(await inheritance(log, recorded, with_snapshots=False))
                self._take(recorded)
                while self.kept is not None and self.kept.seq <= recorded.event.seq:
                    self._compare(self.kept)
                    self.kept = await anext(snapshots, None)
        self._end()

    def verdict(self, error: CorruptLogError | None) -> Verdict:
        """Return the verdict; *error* is damage of the events."""
        named = error or self.damage
        return Verdict(
            key=self.key,
            events=self.read,
            replacements=self.replacements,
            snapshots=self.snapshots,
            published=self.published_ok,
            damaged_seq=None if named is None else self._place(named),
            reason="" if named is None else self._told(named),
            whole=error is None,
        )

    def _begin(self, start: Context | None) -> None:
        """Begin with what a fork inherits, derived from its ancestors' events; None: with nothing."""
        self.start = start
        self.builder = Builder() if start is None else Builder.resume(start)

    def _take(self, recorded: Recorded) -> None:
        if self.holds_events:
            self.events.append(recorded)
        elif returns_to(recorded) is not None:
            raise _Returned
        advance(self.builder, recorded, earlier=self.events, base=self.start)
        self.read += 1
        seq = recorded.event.seq
        self.replacements += isinstance(recorded.event.data, HistoryReplaced)
        if self.published is not None and self.published.seq == seq:
            history = replacement_of(self.builder.freeze())
            given = (self.published.hash, self.published.version, self.published.body)
            same = (history.hash, history.version, encode_history(history)) == given
            self.published_ok = self._holds(same, seq, "the published history is not what the events give")

    def _compare(self, kept: Snapshot | Unreadable) -> None:
        if isinstance(kept, Unreadable):
            lost = CorruptLogError("its snapshot is damaged or lost", session=self.key.session, seq=kept.seq)
            self.damage = self.damage or lost
        elif is_of_this_schema(kept.body):
            same = encode_context(self.builder.freeze()) == kept.body
            self.snapshots += self._holds(same, kept.seq, "its snapshot differs")

    def _end(self) -> None:
        seq = self.builder.seq
        published = 0 if self.published is None else self.published.seq
        last = max(published, 0 if self.kept is None else self.kept.seq)
        if last > seq:
            reason = f"missing: the session reached {last} once, it ends at {seq}"
            raise CorruptLogError(reason, session=self.key.session, seq=seq + 1)

    def _holds(self, holds: bool, seq: int, reason: str) -> bool:  # noqa: FBT001 - the check itself
        if not holds and self.damage is None:
            self.damage = CorruptLogError(reason, session=self.key.session, seq=seq)
        return holds

    def _place(self, error: CorruptLogError) -> int:
        return error.seq if error.session in ("", self.key.session) else 1

    def _told(self, error: CorruptLogError) -> str:
        if error.session in ("", self.key.session):
            return error.reason
        return f"{_FORKED_FROM_DAMAGE}: {error}"


async def verify(log: Log, key: SessionKey) -> Verdict:
    """Read the whole session, derive every state again, and return what was found. Never raises for damage.

    Where a key is missing, its chain is proven, and the verdict says so.
    """
    try:
        return await _verify(log, key)
    except SealError as error:
        return structs.replace(await verify_chain(log, key), missing=str(error))


async def verify_chain(log: Log, key: SessionKey) -> Verdict:
    """Read the whole session as it is stored, and prove that nothing is missing or changed. Needs no key.

    A fork is proven with its ancestors, up to where it parted from them.
    """
    read = 0
    try:
        async with aclosing(log.read_kept(key)) as events:
            async for one in events:
                if read == 0:
                    await _check_ancestors(log, one)
                read += 1
    except CorruptLogError as error:
        of_its_own = error.session in ("", key.session)
        seq, reason = (error.seq, error.reason) if of_its_own else (1, f"{_FORKED_FROM_DAMAGE}: {error}")
        return structs.replace(_chain(key, read), damaged_seq=seq, reason=reason, whole=False)
    return _chain(key, read)


def _chain(key: SessionKey, events: int) -> Verdict:
    return Verdict(key=key, events=events, replacements=0, snapshots=0, published=False, proof="chain")


async def _check_ancestors(log: Log, first: Kept) -> None:
    """Check the chains that the session whose first event is *first* inherits, up to where each was forked.

    Raises:
        CorruptLogError: if one is damaged up to there, or is not what was forked from.
    """
    for _ in range(ANCESTORS_MAX):
        child = first.standing.key
        point = None if first.standing.sealed else fork_point(decode(first.body))
        if point is None:
            return
        parent, head, beginning = SessionKey(tenant=child.tenant, session=point.session), Head(), None
        async with aclosing(log.read_kept(parent, until=point.seq)) as events:
            async for one in events:
                head, beginning = one.head, beginning or one
        if head != Head(seq=point.seq, hash=point.head or "") or beginning is None:
            reason = f"session {parent.session!r}, which it was forked from, is not at {point.seq} what it was then"
            raise CorruptLogError(reason, session=child.session, seq=1)
        first = beginning
    raise CorruptLogError(f"it has more than {ANCESTORS_MAX} ancestors", session=first.standing.key.session, seq=1)


async def _verify(log: Log, key: SessionKey) -> Verdict:
    proof = _Proof(key, holds_events=False)
    try:
        await proof.look(log)
        try:
            await proof.run(log)
        except _Returned:
            proof = _Proof(key, holds_events=True)
            await proof.look(log)
            await proof.run(log)
    except CorruptLogError as error:
        return proof.verdict(error)
    return proof.verdict(None)
