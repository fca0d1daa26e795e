"""States that are made of earlier ones: after a rewind, after an undone compaction, and at the start of a fork.

Rules:
- Nothing is copied into an event: each names a place, and the state there is folded again.
- A fork counts its own sequences from 1. What it inherits stands before them: the parent's sequences less that of the
  fork point, so the item that the parent appended last is 0. The order is kept, and so is the way back.
- Item numbers and versions go on counting, so an id never means two things within a history.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import structs

from retold.errors import CorruptLogError
from retold.events import (
    GENESIS,
    CompactionUndone,
    Fact,
    ForkPoint,
    HistoryReplaced,
    Keep,
    Recorded,
    SessionErased,
    SessionKey,
    SessionOpened,
    SessionTagged,
)
from retold.fold.calibration import after_barrier, within
from retold.fold.context import (
    NOTHING_PLANNED,
    NOTHING_SAID,
    Context,
    Entry,
    later,
    ledger_of,
    request_size,
    vocabulary_of,
)
from retold.fold.counting import count_item
from retold.fold.judging import settled_by_hand


def beginning(fact: Fact) -> Fact:
    """Return the fact that opens a session whose first event holds *fact*: an erased one begins with its tombstone."""
    return fact.opened if isinstance(fact, SessionErased) and fact.opened is not None else fact


def started(fact: Fact, key: SessionKey) -> Context:
    """Return the state of session *key* before its first event, which is *fact*.

    Raises:
        CorruptLogError: if *fact* opens no session, or one that inherits a state.
    """
    if not isinstance(fact, SessionOpened):
        raise CorruptLogError(f"expected SessionOpened first, got {type(fact).__name__}", session=key.session, seq=1)
    if fact.parent is not None and fact.parent.head is not None:
        raise CorruptLogError("expected what it inherits to be read before it", session=key.session, seq=1)
    return Context(
        key=key,
        seq=0,
        head="",
        window=fact.window,
        policy=fact.policy,
        tuning=fact.tuning or None,
        encoding=fact.encoding,
        entries=(),
        tokens=request_size(ledger_of(())),
        parent=fact.parent,
    )


def numbering(fact: SessionErased) -> dict[str, Any]:
    """Return how numbers go on after *fact*: as it says, the same whether what came before was folded or is gone."""
    return {} if fact.opened is None else {"next_item": fact.next_item, "version": fact.version, "latest": None}


def rewound(now: Context, past: Context, recorded: Recorded) -> Context:
    """Return the state after a `SessionRewound` to *past*: its history, and the numbering and tags of *now*.

    What was erased between *past* and *now* stays erased. Usage and whether it was closed are those of *past*; what
    reports have taught about the provider still holds, and so does the window: it is that of the model in use.
    """
    if now.erased_seq > past.seq:
        past = structs.replace(past, **NOTHING_SAID)
    past = _in_use(now, past)
    return structs.replace(past, erased_seq=now.erased_seq, tags=now.tags, **_anew(now, recorded))


def _in_use(now: Context, past: Context) -> Context:
    """Return *past* under the window and the vocabulary of *now*; what was settled under others says nothing."""
    if (now.window, now.encoding) == (past.window, past.encoding):
        return past
    entries = tuple(_counted_by(now, past, past.entries))
    return structs.replace(
        past,
        window=now.window,
        encoding=now.encoding,
        entries=entries,
        tokens=request_size(ledger_of(entries)),
        settled_tokens=0,
        ineffective=0,
    )


def undone(now: Context, past: Context, recorded: Recorded, *, replaced: Recorded) -> Context:
    """Return the state *now* without the compaction *replaced*, before which the state was *past*.

    Entries that the compaction kept are as they are now, for they may have grown since; the others as they were,
    counted by the vocabulary that holds now. The worker does not compact it again where it stands, unless it is above
    what can be sent.

    Raises:
        CorruptLogError: if *replaced* is not the newest compaction that can be undone.
    """
    fact, undo = replaced.event.data, recorded.event.data
    if not isinstance(fact, HistoryReplaced) or not isinstance(undo, CompactionUndone) or undo.seq != now.compacted_seq:
        reason = f"expected the newest compaction, at sequence {now.compacted_seq}, to be undone"
        raise CorruptLogError(reason, session=now.key.session, seq=recorded.event.seq)
    present = {entry.item.id: entry for entry in now.entries}
    before = _counted_by(now, past, [entry for entry in past.entries if entry.seq <= fact.base_seq])
    kept = _kept(fact, before)
    entries = (
        *(present[entry.item.id] if entry.item.id in kept else entry for entry in before),
        *(entry for entry in now.entries if entry.seq > fact.base_seq),
    )
    size = request_size(ledger_of(entries))
    calibration = after_barrier(now.calibration)
    return structs.replace(
        now,
        entries=entries,
        tokens=size,
        summary=past.summary,
        compacted_seq=past.compacted_seq,
        ineffective=past.ineffective,
        settled_tokens=settled_by_hand(size.upper, now.window, calibration),
        **_anew(now, recorded),
    )


def _counted_by(now: Context, past: Context, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return *entries* of *past* with the sizes that they have *now*: a change of the window may have changed them."""
    if now.encoding == past.encoding:
        return entries
    vocabulary = vocabulary_of(now)
    return [structs.replace(entry, tokens=count_item(entry.item, vocabulary)) for entry in entries]


def inherited(past: Context, key: SessionKey) -> Context:
    """Return what session *key* starts from, at its sequence 0, when it is forked from *past*.

    The parent's open plan and request are its own; its tags name places in its own log.
    """
    return structs.replace(
        past,
        key=key,
        seq=0,
        head=GENESIS,
        parent=ForkPoint(session=past.key.session, seq=past.seq, head=past.head),
        entries=tuple(structs.replace(entry, seq=entry.seq - past.seq) for entry in past.entries),
        summary=tuple(
            structs.replace(field, seqs=tuple(seq - past.seq for seq in field.seqs)) for field in past.summary
        ),
        requested=None,
        requested_seq=0,
        compacted_seq=0,
        closed=False,
        erased_seq=0,
        latest=None,
        tags={},
        **NOTHING_PLANNED,
    )


def opened(start: Context, fact: SessionOpened) -> Context:
    """Return the state after *fact* opened the fork that begins with *start*; its history is a version of its own.

    Under another window, what was settled under the parent's says nothing.

    Raises:
        CorruptLogError: if *fact* names another parent, or counts by another vocabulary.
    """
    if fact.parent != start.parent:
        raise CorruptLogError("it was forked from another state", session=start.key.session, seq=1)
    if fact.encoding != start.encoding:
        reason = f"expected a fork to be counted by {start.encoding}, as its parent is"
        raise CorruptLogError(reason, session=start.key.session, seq=1)
    changes: dict[str, Any] = {}
    if fact.window != start.window:
        changes = {"settled_tokens": 0, "ineffective": 0, "calibration": within(start.calibration, fact.window)}
    return structs.replace(
        start,
        window=fact.window,
        policy=fact.policy,
        tuning=fact.tuning or None,
        version=start.version + 1,
        version_seq=1,
        base_seq=1,
        **changes,
    )


def tagged(now: Context, fact: SessionTagged, seq: int) -> dict[str, int]:
    """Return the tags after *fact*, recorded at *seq*, gave a place to return to its name.

    Raises:
        CorruptLogError: if the session had no such place then.
    """
    if not 1 <= fact.seq < seq:
        reason = f"expected a tag of a sequence 1 to {seq - 1}, got {fact.seq}"
        raise CorruptLogError(reason, session=now.key.session, seq=seq)
    return {**now.tags, fact.name: fact.seq}


def _anew(now: Context, recorded: Recorded) -> dict[str, Any]:
    """Return what every return changes: a new version at its own place, nothing planned, nothing asked for."""
    seq = recorded.event.seq
    return {
        "seq": seq,
        "head": recorded.hash,
        "next_item": now.next_item,
        "version": now.version + 1,
        "version_seq": seq,
        "base_seq": seq,
        "latest": later(now.latest, recorded.event.at),
        "requested": None,
        "calibration": after_barrier(now.calibration),
        **NOTHING_PLANNED,
    }


def _kept(fact: HistoryReplaced, before: Sequence[Entry]) -> set[str]:
    """Return the ids of *before* that the body of *fact* kept as they were."""
    ids = [entry.item.id for entry in before]
    at = {item_id: position for position, item_id in enumerate(ids)}
    runs = [span for span in fact.body if isinstance(span, Keep)]
    return {item_id for run in runs for item_id in ids[at[run.first] : at[run.last] + 1]}
