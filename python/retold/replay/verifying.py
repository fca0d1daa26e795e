"""Prove a session: gapless sequences, an unbroken chain, and every recorded hash derived again from the events.

Rules:
- Nothing that was derived is used to derive: every state comes from a fold of all events, from the first one on.
- What is held is the state, not the events. A session with rewinds is read again, once its rewinds are known, and the
  states that they return to are kept while passing.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Protocol

from msgspec import Struct

from retold.errors import CorruptLogError
from retold.events import HistoryReplaced, Recorded, SessionKey, SessionRewound
from retold.fold import Builder, Context, encode_context, encode_history, is_of_this_schema, replacement_of
from retold.ports import Log, Published, Snapshot


class Source(Protocol):
    """Give a session's events: a log, a backup, an export."""

    def read(self, key: SessionKey, *, after: int = 0, until: int | None = None) -> AsyncGenerator[Recorded, None]:
        """Yield the events of ``after < seq <= until`` in order, checked against the chain; None is the end."""
        ...


class Verdict(Struct, frozen=True):
    """Say whether a session is what was written.

    Attributes:
        events: how many events were read and folded.
        replacements: how many replacement histories were derived again and had the recorded hash.
        snapshots: how many snapshots were equal to a full fold, byte for byte.
        published: whether the published history was what the events give; False if there is none.
        damaged_seq: the first damaged sequence, or None.
        reason: what is wrong there; empty if nothing is.
        whole: whether the events are; False if the damage is theirs, not of what was made from them.
    """

    key: SessionKey
    events: int
    replacements: int
    snapshots: int
    published: bool
    damaged_seq: int | None = None
    reason: str = ""
    whole: bool = True

    @property
    def ok(self) -> bool:
        """Return whether nothing is damaged."""
        return self.damaged_seq is None


class _UnknownRewind(Exception):  # noqa: N818 - no error: the session is read again
    """Say that a rewind returns to a state that was not kept."""


class _Proof:
    """Fold a session from its first event and compare with what was recorded on the way."""

    def __init__(self, key: SessionKey, published: Published | None, snapshots: Iterable[Snapshot]) -> None:
        self.key = key
        self.published = published
        self.kept = {snapshot.seq: snapshot for snapshot in snapshots}
        self.targets: set[int] = set()
        self.damage: CorruptLogError | None = None
        self.restart()

    def restart(self) -> None:
        self.past: dict[int, Context] = {}
        self.builder = Builder()
        self.replacements = 0
        self.snapshots = 0
        self.published_ok = False

    def take(self, recorded: Recorded) -> None:
        fact, seq = recorded.event.data, recorded.event.seq
        if isinstance(fact, SessionRewound):
            self._rewind(recorded, fact)
        else:
            self.builder.apply(recorded)
        if seq in self.targets:
            self.past[seq] = self.builder.freeze()
        self.replacements += isinstance(fact, HistoryReplaced)
        snapshot = self.kept.get(seq)
        if snapshot is not None and is_of_this_schema(snapshot.body):
            same = encode_context(self.builder.freeze()) == snapshot.body
            self.snapshots += self._holds(same, seq, "its snapshot differs")
        if self.published is not None and self.published.seq == seq:
            history = replacement_of(self.builder.freeze())
            given = (self.published.hash, self.published.version, self.published.body)
            same = (history.hash, history.version, encode_history(history)) == given
            self.published_ok = self._holds(same, seq, "the published history is not what the events give")

    def _rewind(self, recorded: Recorded, fact: SessionRewound) -> None:
        seq = recorded.event.seq
        if not 1 <= fact.to_seq < seq:
            reason = f"expected a rewind to sequence 1 to {seq - 1}, got {fact.to_seq}"
            raise CorruptLogError(reason, session=self.key.session, seq=seq)
        if fact.to_seq not in self.past:
            raise _UnknownRewind
        self.builder.rewind(recorded, self.past[fact.to_seq])

    def end(self) -> None:
        seq = self.builder.seq
        last = max([self.published.seq if self.published else 0, *self.kept])
        if last > seq:
            reason = f"missing: the session reached {last} once, it ends at {seq}"
            raise CorruptLogError(reason, session=self.key.session, seq=seq + 1)

    def verdict(self, error: CorruptLogError | None) -> Verdict:
        """Return the verdict; *error* is damage of the events, which counts before that of what was made from them."""
        named = error or self.damage
        return Verdict(
            key=self.key,
            events=self.builder.seq,
            replacements=self.replacements,
            snapshots=self.snapshots,
            published=self.published_ok,
            damaged_seq=None if named is None else named.seq,
            reason="" if named is None else named.reason,
            whole=error is None,
        )

    def _holds(self, holds: bool, seq: int, reason: str) -> bool:  # noqa: FBT001 - the check itself
        if not holds and self.damage is None:
            self.damage = CorruptLogError(reason, session=self.key.session, seq=seq)
        return holds


async def verify(log: Log, key: SessionKey) -> Verdict:
    """Read the whole session, derive every state again, and return what was found. Never raises for damage."""
    damage: CorruptLogError | None = None
    published = None
    try:
        published = await log.load_history(key)
    except CorruptLogError as error:
        damage = error
    return await _prove(_Proof(key, published, await log.load_snapshots(key)), log, damage)


async def prove(source: Source, key: SessionKey) -> Verdict:
    """Prove the events of *source* alone; see `verify`. Never raises for damage."""
    return await _prove(_Proof(key, None, ()), source, None)


async def _prove(proof: _Proof, source: Source, damage: CorruptLogError | None) -> Verdict:
    proof.damage = damage
    try:
        try:
            await _take_all(proof, source)
        except _UnknownRewind:
            proof.targets = await _rewound_to(source, proof.key)
            proof.restart()
            proof.damage = damage
            await _take_all(proof, source)
    except CorruptLogError as error:
        return proof.verdict(error)
    return proof.verdict(None)


async def _take_all(proof: _Proof, source: Source) -> None:
    async with aclosing(source.read(proof.key)) as events:
        async for recorded in events:
            proof.take(recorded)
    proof.end()


async def _rewound_to(source: Source, key: SessionKey) -> set[int]:
    """Return the sequences that rewinds before any damage return to."""
    targets: set[int] = set()
    try:
        async with aclosing(source.read(key)) as events:
            async for recorded in events:
                if isinstance(recorded.event.data, SessionRewound):
                    targets.add(recorded.event.data.to_seq)
    except CorruptLogError:
        return targets  # the next reading names it
    return targets
