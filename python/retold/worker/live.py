"""One session as a worker holds it: its state in decision order, and what the log has beyond that.

A worker decides after each source event, in order, on the state as it was there, however far the log has got in the
meantime. So its decisions do not depend on when it came by: a worker that was killed and started again, or one that
lags, comes to the same history. What lies before a rewind is out of the history: places there that nobody decided at
are passed over, and the first place is the rewind's own, on the state that it returned to. So it is with an undo and an
erasure.
"""

from collections import deque
from collections.abc import Sequence

from msgspec import structs

from retold.events import (
    CompactionAbandoned,
    CompactionFailed,
    CompactionUndone,
    Head,
    HistoryDecompressed,
    HistoryEdited,
    HistoryReplaced,
    ItemAppended,
    ItemExtended,
    ItemPinned,
    ItemRestored,
    Recorded,
    SessionErased,
    SessionKey,
    SessionRewound,
    Window,
    WindowChanged,
)
from retold.fold import Builder, Context, Rows, base_of, fold, in_decision_order, returns_to, text_bytes
from retold.policy import due_from, limits_for

_BARRIERS = (
    CompactionUndone,
    HistoryDecompressed,
    HistoryEdited,
    ItemExtended,
    ItemPinned,
    ItemRestored,
    SessionErased,
    SessionRewound,
    WindowChanged,
)
"""Events that change what a plan was made on: a plan with an earlier base is given up."""

_SETTLING = (CompactionAbandoned, CompactionFailed, HistoryReplaced)

LIVE_BYTES = 4_000
"""What a session takes beside its entries: measured with three thousand of one message."""

ENTRY_BYTES = 250
"""What an entry takes as objects beyond its JSON: measured with messages of 20 to 2,000 bytes."""

AHEAD_FACTOR = 3
"""What an event that was not folded takes, in sizes of its body: the body, the event as objects, and its text."""

_GROWTH = (ItemAppended, ItemExtended)
"""Events that change nothing but the size that a compaction is due by."""


class LiveSession:
    """Hold a session between the log and the decisions on it.

    Attributes:
        key: the session.
        head: where the log was read to.
        replaced: the state right after its newest replacement, or where it was loaded; None before the first event.
            What is published is taken from it: text that was added to an item later is no part of the replacement.
        replaced_hash: the content hash of its entries, as the fold has just proven it; None where it was loaded.
        read_bytes: the length of all events that were taken in.
        read_events: how many that were.
        told_events: how many of them the worker's telemetry was told of.
        is_stale: whether the session must be loaded again: it was rewound or erased, a compaction was undone, or
            another worker wrote to it.
    """

    def __init__(self, key: SessionKey, events: Sequence[Recorded], *, base: Context | None = None) -> None:
        """Start from *events*, which follow *base*: all there is in the log when the worker comes by.

        None among them may return to before *base*.
        """
        self.key = key
        self.replaced: Context | None = None
        self.replaced_hash: str | None = None
        self._text_bytes: int | None = None
        self.head = events[-1].head if events else Head() if base is None else base.end
        self._barrier_seq = self._tried_place = 0
        self._measure: tuple[Context, int] | None = None
        self.is_stale = False
        self.read_bytes = sum(len(recorded.body) for recorded in events)
        self.read_events, self.told_events = len(events), 0
        rewound = max((at for at, recorded in enumerate(events) if _starts_anew(recorded)), default=-1) + 1
        start = fold(events[:rewound], base=base) if rewound else base
        later = events[rewound:]
        self._builder = Builder() if start is None else Builder.resume(start)
        self._replace(start)
        self._ahead = deque(in_decision_order(later))
        self._first_place = self._place = self._builder.seq
        closed = [_closed_place(recorded) for recorded in later]
        self._closed_seq = max([0 if start is None or rewound else start.seq, *closed])
        self._note_barriers(later)

    @property
    def context(self) -> Context:
        """Return the state at the present place, with the place as its `seq`: the base of a plan made here."""
        return self._builder.freeze_at(self._place)

    @property
    def outline(self) -> Context:
        """Return the state at the present place without its entries. O(1)."""
        return self._builder.outline

    @property
    def entries(self) -> int:
        """Return how many entries the history has at the present place. O(1)."""
        return len(self._builder.entries)

    @property
    def window(self) -> Window:
        """Return the window at the present place. O(1)."""
        return self._measured[0].window

    @property
    def version(self) -> int:
        """Return how many replacements there have been at the present place. O(1)."""
        return self._measured[0].version

    @property
    def upper_tokens(self) -> int:
        """Return the size of the history at the present place, upper bound. O(1)."""
        return self._builder.upper_tokens

    @property
    def is_due(self) -> bool:
        """Return whether the history at the present place calls for a compaction. O(1)."""
        return self._builder.upper_tokens >= self._measured[1]

    @property
    def _measured(self) -> tuple[Context, int]:
        """Return an outline of the present state, but for what grows, and the size from which on it is due."""
        if self._measure is None:
            outline = self._builder.outline
            self._measure = outline, due_from(outline, limits_for(outline))
        return self._measure

    @property
    def size_bytes(self) -> int:
        """Return about what it takes in memory: by the text that came, and how many entries are not packed.

        O(1), but for the first time after a replacement: it is not asked for before that is published.
        """
        entries = self._builder.entries
        if self._text_bytes is None:
            self._text_bytes = text_bytes(list(entries))
        open_bytes = max(0, self._text_bytes - entries.packed_text_bytes)
        ahead_bytes = sum(len(recorded.body) for recorded in self._ahead) * AHEAD_FACTOR
        return LIVE_BYTES + ENTRY_BYTES * entries.open_entries + open_bytes + entries.packed_bytes + ahead_bytes

    @property
    def is_settled(self) -> bool:
        """Return whether the state is that of the log's head."""
        return not self.is_stale and not self._ahead and self._builder.seq == self.head.seq

    @property
    def behind(self) -> int:
        """Return how many events of the log, as far as it was read, lie ahead of the present place."""
        return len(self._ahead)

    @property
    def awaits_decision(self) -> bool:
        """Return whether a compaction is due at the present place that nobody has decided on, and that may last.

        Where a decision was begun here, none is awaited any more, whatever came of it: it would come to the same.
        """
        if self._place <= self._tried_place or not self.is_due:
            return False  # mostly so, and this is asked at every event
        return not self.is_stale and self.is_open and not self.is_overtaken

    @property
    def is_open(self) -> bool:
        """Return whether a decision may be taken at the present place: nobody has decided there or later."""
        decided_here = bool(self._ahead) and self._place_of(self._ahead[0]) == self._place
        return self._place > self._closed_seq and not decided_here

    @property
    def is_overtaken(self) -> bool:
        """Return whether a known barrier comes after the present place: a plan made here would be abandoned."""
        return self._barrier_seq > self._place

    def begin_decision(self) -> Context:
        """Return the state at the present place, to decide on it, once."""
        self._tried_place = self._place
        return self.context

    def snapshot(self) -> Context:
        """Return the state of the log's head. Only for a settled session."""
        assert self.is_settled
        return self._builder.freeze()

    def weigh(self, rows: Rows) -> None:
        """Learn from *rows* how long the entries are, if they are as many: else that is found when it is asked for."""
        if len(rows.entries) == len(self._builder.entries):
            self._text_bytes = rows.text_bytes

    def pack(self) -> None:
        """Pack what nobody looks at. O(bytes that are not packed)."""
        self._builder.entries.pack()

    def release(self) -> None:
        """Forget the entries of the newest replacement, which is published."""
        if self.replaced is not None and self.replaced.entries:
            self.replaced = structs.replace(self.replaced, entries=())

    def take(self, recorded: Recorded) -> None:
        """Take in the next event of the log, written by somebody else."""
        self.head = recorded.head
        self.read_bytes += len(recorded.body)
        self.read_events += 1
        if not isinstance(recorded.event.data, ItemAppended):  # which is none of all that, and most events
            self._note_barriers([recorded])
            if _starts_anew(recorded) or base_of(recorded) is not None:
                self.is_stale = True
        self._ahead.append(recorded)

    def take_own(self, recorded: Recorded, *, made: Rows | None = None) -> None:
        """Take in the next event of the log, decided at the present place; *made* is the replacement, if it is one."""
        self.head = recorded.head
        self.read_bytes += len(recorded.body)
        self.read_events += 1
        self._closed_seq = max(self._closed_seq, _closed_place(recorded))
        self._apply(recorded, made=made)

    def step(self) -> bool:
        """Move over the next event; return whether there was one."""
        if not self._ahead:
            return False
        recorded = self._ahead.popleft()
        self._apply(recorded)
        is_source = type(recorded.event.data) is ItemAppended  # as most are: it stands where it is
        self._place = recorded.event.seq if is_source else self._place_of(recorded)
        return True

    def _place_of(self, recorded: Recorded) -> int:
        """Return the place that *recorded* stands at; a plan of before a rewind is given up at the rewind."""
        return max(base_of(recorded) or recorded.event.seq, self._first_place)

    def _apply(self, recorded: Recorded, *, made: Rows | None = None) -> None:
        self._builder.apply(recorded, made=made)
        if self._text_bytes is not None:
            self._text_bytes += len(recorded.body)
        if not isinstance(data := recorded.event.data, _GROWTH):
            self._measure = None
            if self.replaced is None or self.replaced.version < self.version:
                known_hash = data.hash if isinstance(data, HistoryReplaced) else None
                self._replace(self._builder.freeze(), known_hash=known_hash)

    def _replace(self, context: Context | None, *, known_hash: str | None = None) -> None:
        self.replaced, self.replaced_hash = context, known_hash
        self._text_bytes = None

    def _note_barriers(self, events: Sequence[Recorded]) -> None:
        for recorded in events:
            if isinstance(recorded.event.data, _BARRIERS):
                self._barrier_seq = recorded.event.seq


def _starts_anew(recorded: Recorded) -> bool:
    """Return whether decisions start anew at *recorded*, on a history that earlier ones know nothing of."""
    return returns_to(recorded) is not None or isinstance(recorded.event.data, SessionErased)


def _closed_place(recorded: Recorded) -> int:
    """Return the place that *recorded* settles the decision for, or 0 if it settles none.

    What belongs to a replacement that never came settles nothing: the server that broke off there was full, or died.
    """
    return recorded.event.data.base_seq if isinstance(recorded.event.data, _SETTLING) else 0
