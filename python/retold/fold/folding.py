"""Fold a session's events into its state, rewinds included; and the order in which a worker decides."""

from collections.abc import Iterable, Sequence

from msgspec import structs

from retold.errors import CorruptLogError
from retold.events import (
    CompactionAbandoned,
    CompactionFailed,
    CompactionPlanned,
    HistoryReplaced,
    ItemsOffloaded,
    Recorded,
    SessionRewound,
    SummaryWritten,
)
from retold.fold.builder import Builder
from retold.fold.context import Context

_BASED = (
    CompactionPlanned,
    ItemsOffloaded,
    SummaryWritten,
    HistoryReplaced,
    CompactionFailed,
    CompactionAbandoned,
)


def fold(events: Sequence[Recorded], *, base: Context | None = None) -> Context:
    """Return the state after *events*, which follow *base* (None: they start at sequence 1). O(bytes of text).

    Raises:
        CorruptLogError: if an event does not fit, or a rewind returns to before *base* (`reaches_before`): fold from
            an earlier base then.
    """
    builder = Builder() if base is None else Builder.resume(base)
    targets = {one.event.data.to_seq for one in events if isinstance(one.event.data, SessionRewound)}
    past: dict[int, Context] = {} if base is None else {base.seq: base}
    for recorded in events:
        fact = recorded.event.data
        if isinstance(fact, SessionRewound):
            _check_rewind(recorded, fact, base=base)
            builder.rewind(recorded, _erased_past(builder, fact) or past[fact.to_seq])
        else:
            builder.apply(recorded)
        if recorded.event.seq in targets:
            # Kept while passing: folding each past anew doubles the work with every rewind (a hang at 25 of them).
            past[recorded.event.seq] = builder.freeze()
    return builder.freeze()


def advance(builder: Builder, recorded: Recorded, *, earlier: Sequence[Recorded], base: Context | None = None) -> None:
    """Fold one event into *builder*; *earlier* holds the events since *base*, which a rewind may return to."""
    fact = recorded.event.data
    if not isinstance(fact, SessionRewound):
        builder.apply(recorded)
        return
    _check_rewind(recorded, fact, base=base)
    past = _erased_past(builder, fact)
    if past is None:
        past = fold([event for event in earlier if event.event.seq <= fact.to_seq], base=base)
    builder.rewind(recorded, past)


def _erased_past(builder: Builder, fact: SessionRewound) -> Context | None:
    """Return the state that *fact* returns to if it was erased since, and may be gone; else None."""
    now = builder.outline
    return structs.replace(now, seq=fact.to_seq) if now.erased_seq > fact.to_seq else None


def _check_rewind(recorded: Recorded, fact: SessionRewound, *, base: Context | None) -> None:
    seq = recorded.event.seq
    first = 1 if base is None else base.seq
    if not first <= fact.to_seq < seq:
        raise CorruptLogError(
            f"expected a rewind to sequence {first} to {seq - 1}, got {fact.to_seq}",
            session=recorded.event.session,
            seq=seq,
        )


def reaches_before(events: Iterable[Recorded], seq: int) -> bool:
    """Return whether a rewind among *events* returns to before *seq*, so that a base at *seq* is of no use."""
    return any(
        isinstance(recorded.event.data, SessionRewound) and recorded.event.data.to_seq < seq for recorded in events
    )


def base_of(recorded: Recorded) -> int | None:
    """Return the source event that a derived event was decided at, or None if it takes effect at its own place."""
    fact = recorded.event.data
    return fact.base_seq if isinstance(fact, _BASED) else None


def in_decision_order(events: Iterable[Recorded]) -> list[Recorded]:
    """Return *events* with each derived event moved to right after the source event that it was decided at.

    A worker decides in this order, so what it decides depends on what was said and not on when the worker came by.
    Folding in this order gives the same history as folding in the log's order. *events* hold no rewind: it returns to
    what the log's order gave, so fold up to the last one first.
    """
    return sorted(events, key=_decision_place)


def _decision_place(recorded: Recorded) -> tuple[int, int]:
    base_seq, seq = base_of(recorded), recorded.event.seq
    return (seq, 0) if base_seq is None else (base_seq, seq)
