"""Fold a session's events into its state, rewinds included; and the order in which a worker decides."""

from collections.abc import Iterable, Sequence

from msgspec import structs

from retold.errors import CorruptLogError
from retold.events import (
    CompactionAbandoned,
    CompactionFailed,
    CompactionPlanned,
    CompactionUndone,
    HistoryReplaced,
    ItemsOffloaded,
    Recorded,
    SessionRewound,
    SummaryWritten,
)
from retold.fold.builder import Builder
from retold.fold.context import Context
from retold.fold.returning import rewound, undone

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

    A fork's events follow what it inherits (`inherited`).

    Raises:
        CorruptLogError: if an event does not fit, or one returns to before *base* (`reaches_before`): fold from an
            earlier base then.
    """
    builder = Builder() if base is None else Builder.resume(base)
    targets = {returns_to(recorded) for recorded in events}
    past: dict[int, Context] = {} if base is None else {base.seq: base}
    for recorded in events:
        to_seq = returns_to(recorded)
        if to_seq is None:
            builder.apply(recorded)
        else:
            _check_return(recorded, to_seq, base=base)
            _turn(builder, recorded, _erased_past(builder, to_seq) or past[to_seq], events)
        if recorded.event.seq in targets:
            # Kept while passing: folding each past anew doubles the work with every rewind (a hang at 25 of them).
            past[recorded.event.seq] = builder.freeze()
    return builder.freeze()


def advance(builder: Builder, recorded: Recorded, *, earlier: Sequence[Recorded], base: Context | None = None) -> None:
    """Fold one event into *builder*; *earlier* holds the events since *base*, which it may return to."""
    to_seq = returns_to(recorded)
    if to_seq is None:
        builder.apply(recorded)
        return
    _check_return(recorded, to_seq, base=base)
    past = _erased_past(builder, to_seq)
    if past is None:
        past = fold([event for event in earlier if event.event.seq <= to_seq], base=base)
    _turn(builder, recorded, past, earlier)


def _erased_past(builder: Builder, to_seq: int) -> Context | None:
    """Return the state that a rewind to *to_seq* returns to, if it was erased since and may be gone; else None."""
    now = builder.outline
    return structs.replace(now, seq=to_seq) if now.erased_seq > to_seq else None


def _turn(builder: Builder, recorded: Recorded, past: Context, events: Sequence[Recorded]) -> None:
    """Fold in an event that returns to *past*; *events* hold the compaction that it undoes, if it undoes one."""
    fact, now = recorded.event.data, builder.freeze()
    if isinstance(fact, CompactionUndone):
        replaced = events[fact.seq - events[0].event.seq]
        builder.turn_to(undone(now, past, recorded, replaced=replaced))
    else:
        builder.turn_to(rewound(now, past, recorded))


def _check_return(recorded: Recorded, to_seq: int, *, base: Context | None) -> None:
    seq = recorded.event.seq
    first = 1 if base is None else max(1, base.seq)
    if not first <= to_seq < seq:
        what = "a rewind to" if isinstance(recorded.event.data, SessionRewound) else "an undo to before"
        raise CorruptLogError(
            f"expected {what} sequence {first} to {seq - 1}, got {to_seq}",
            session=recorded.event.session,
            seq=seq,
        )


def returns_to(recorded: Recorded) -> int | None:
    """Return the sequence whose state *recorded* is folded from beside the present one; None for most events."""
    match recorded.event.data:
        case SessionRewound(to_seq=to_seq):
            return to_seq
        case CompactionUndone(seq=seq):
            return seq - 1
        case _:
            return None


def reaches_before(events: Iterable[Recorded], seq: int) -> bool:
    """Return whether one of *events* returns to before *seq*, so that a base at *seq* is of no use."""
    return any(to_seq < seq for to_seq in map(returns_to, events) if to_seq is not None)


def base_of(recorded: Recorded) -> int | None:
    """Return the source event that a derived event was decided at, or None if it takes effect at its own place."""
    fact = recorded.event.data
    return fact.base_seq if isinstance(fact, _BASED) else None


def in_decision_order(events: Iterable[Recorded]) -> list[Recorded]:
    """Return *events* with each derived event moved to right after the source event that it was decided at.

    A worker decides in this order, so what it decides depends on what was said and not on when the worker came by.
    Folding in this order gives the same history as folding in the log's order. *events* hold none that returns to an
    earlier state: what it returns to is what the log's order gave, so fold up to the last one first.
    """
    return sorted(events, key=_decision_place)


def _decision_place(recorded: Recorded) -> tuple[int, int]:
    base_seq, seq = base_of(recorded), recorded.event.seq
    return (seq, 0) if base_seq is None else (base_seq, seq)
