"""Everything that moves a session's state lives here: one builder, one method a fact.

Rules:
- The builder is private to whoever folds; `freeze` gives the state away. (Copying the state per event is quadratic.)
- A derived fact changes the history as it stood at its `base_seq`; entries that came later follow unchanged.
- The ledger is the only account of sizes: entries and ledger change together, in `_append`, `_put`, `_put_all`.
- What does not fit the state is refused with the sequence named, never repaired in silence.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar, assert_never

from msgspec import structs

from retold.errors import CorruptLogError
from retold.events import (
    CompactionAbandoned,
    CompactionFailed,
    CompactionPlanned,
    CompactionRequested,
    CompactionUndone,
    Derived,
    Fact,
    HistoryDecompressed,
    HistoryEdited,
    HistoryReplaced,
    Item,
    ItemAppended,
    ItemExtended,
    ItemPinned,
    ItemRestored,
    ItemsOffloaded,
    Recorded,
    SessionClosed,
    SessionErased,
    SessionOpened,
    SessionRewound,
    SessionTagged,
    SessionUntagged,
    SummaryWritten,
    UsageReported,
    WindowChanged,
)
from retold.fold.bodies import Rows
from retold.fold.calibration import UNTAUGHT, after_barrier, is_reply, learn, within
from retold.fold.context import (
    NOTHING_PLANNED,
    NOTHING_SAID,
    Context,
    Entry,
    history_hash,
    item_hash,
    later,
    ledger_of,
    newest_summary,
    request_size,
    vocabulary_of,
)
from retold.fold.counting import PRIMING, count_item, text_tokens
from retold.fold.editing import decompressed, numbered_id, position, stretches
from retold.fold.entries import Entries
from retold.fold.extending import has_new_part, open_text, stands_for_others, with_open_text
from retold.fold.judging import after_try, settled_by_hand
from retold.fold.returning import beginning, numbering, opened, started, tagged
from retold.fold.spans import noted, placeholders, spread, summary_entry
from retold.ledger import Ledger
from retold.sizes import Tokens
from retold.tokens import Counter, Encoding

T = TypeVar("T")


class Builder:
    """Fold events of one session, in order, into a state.

    Start it from nothing, whose first event must be `SessionOpened`, or from a frozen state (`Builder.resume`).
    """

    def __init__(self) -> None:
        """Start before the first event."""
        self._context: Context | None = None
        self._is_ahead = False  # what every event moves is kept beside the context, and put into it when asked for
        self._seq, self._head, self._next_item = 0, "", 1
        self._latest: datetime | None = None
        self._entries = Entries()
        self._ledger = Ledger()
        self._reply_tokens = 0
        self._encoding: Encoding | None = None
        self._open_text: Counter | None = None

    @classmethod
    def resume(cls, context: Context) -> "Builder":
        """Return a builder that goes on from *context*."""
        builder = cls()
        builder._restart(context)
        return builder

    @property
    def seq(self) -> int:
        """Return the last sequence folded in; 0 before the first."""
        return self._seq

    @property
    def entries(self) -> Entries:
        """Return the entries: to measure and pack them, not to change them."""
        return self._entries

    @property
    def upper_tokens(self) -> int:
        """Return the size of the history now, upper bound. O(1)."""
        return self._ledger.upper + PRIMING

    @property
    def outline(self) -> Context:
        """Return the state with its entries left out. O(1)."""
        return self._with(())

    def freeze_at(self, seq: int) -> Context:
        """Return the state as it is now, as the base of a plan made at source event *seq*. O(entries)."""
        return structs.replace(self.freeze(), seq=seq)

    def freeze(self) -> Context:
        """Return the state as it is now. O(entries).

        Raises:
            CorruptLogError: if there was no event yet.
        """
        if self._context is None:
            raise CorruptLogError("expected a session with events, it has none", session="", seq=1)
        return self._with(tuple(self._entries))

    def apply(self, recorded: Recorded, *, made: Rows | None = None) -> None:
        """Fold one event in, its chain taken as checked; what gives what the caller has *made* is not hashed again.

        Raises:
            CorruptLogError: if the event does not fit the state; one that returns to an earlier one, or opens a fork
                on what it does not inherit, is for `retold.fold.folding`.
        """
        event = recorded.event
        if self._context is None:
            self._restart(started(beginning(event.data), event.key))
            if isinstance(event.data, SessionErased):
                self._erase(event.data, event.seq)
        elif self._seq == 0:
            self._open_fork(event.data)
        else:
            self._change(event.data, event.seq, made=made)
        if event.seq > self._seq:
            self._seq, self._head = event.seq, recorded.hash
        self._latest, self._is_ahead = later(self._latest, event.at), True

    def turn_to(self, context: Context) -> None:
        """Go on from *context*, which a rewind or an undo has made the state."""
        self._restart(context)

    @property
    def _now(self) -> Context:
        assert self._context is not None
        if self._is_ahead:
            self._is_ahead = False
            self._set(seq=self._seq, head=self._head, next_item=self._next_item, latest=self._latest)
        return self._context

    def _set(self, **changes: Any) -> None:
        assert self._context is not None
        self._context = structs.replace(self._context, **changes)

    def _with(self, entries: tuple[Entry, ...]) -> Context:
        calibration = structs.replace(self._now.calibration, reply_tokens=self._reply_tokens)
        return structs.replace(self._now, entries=entries, tokens=request_size(self._ledger), calibration=calibration)

    def _restart(self, context: Context) -> None:
        self._context = structs.replace(context, entries=())  # they are kept once, or packing them would free nothing
        self._seq, self._head, self._next_item = context.seq, context.head, context.next_item
        self._latest, self._is_ahead = context.latest, False
        self._entries = Entries(context.entries)
        self._ledger = ledger_of(context.entries)
        self._reply_tokens = context.calibration.reply_tokens
        self._encoding, self._open_text = vocabulary_of(context), None

    def _refuse(self, reason: str, seq: int) -> CorruptLogError:
        return CorruptLogError(reason, session=self._now.key.session, seq=seq)

    def _open_fork(self, fact: Fact) -> None:
        if not isinstance(fact, SessionOpened):
            raise self._refuse(f"expected SessionOpened first, got {type(fact).__name__}", 1)
        self._restart(opened(self.freeze(), fact))

    def _change(self, fact: Fact, seq: int, *, made: Rows | None = None) -> None:  # noqa: C901, PLR0912 - one case a fact, each a single call
        match fact:
            case ItemAppended():
                self._append(fact.item, seq)
            case ItemExtended():
                self._extend(fact.text, seq)
            case UsageReported():
                self._report(fact)
            case CompactionRequested():
                self._set(requested=fact, requested_seq=seq)
            case HistoryEdited():
                self._edit(fact, seq)
            case ItemPinned():
                self._pin(fact.item, seq)
            case WindowChanged():
                self._change_window(fact)
            case SessionClosed():
                self._set(closed=True)
            case SessionErased():
                self._erase(fact, seq)
            case SessionTagged():
                self._set(tags=tagged(self._now, fact, seq))
            case SessionUntagged():
                self._set(tags={name: place for name, place in self._now.tags.items() if name != fact.name})
            case SessionOpened() | SessionRewound() | CompactionUndone():
                raise self._refuse(f"expected a fact about an open session, got {type(fact).__name__}", seq)
            case _:
                self._derive(fact, seq, made=made)

    def _derive(self, fact: Derived, seq: int, *, made: Rows | None) -> None:
        match fact:
            case CompactionPlanned():
                self._set(plan=fact)
            case ItemsOffloaded():
                self._stage_offloads(fact, seq)
            case SummaryWritten():
                self._stage_summary(fact)
            case HistoryReplaced():
                self._replace(fact, seq, made=made)
            case CompactionFailed() | CompactionAbandoned():
                self._give_up(fact)
            case ItemRestored():
                self._restore(fact.item, seq)
            case HistoryDecompressed():
                self._decompress(fact, seq)
            case _:
                assert_never(fact)

    def _count(self, item: Item) -> Tokens:
        assert self._encoding is not None
        return count_item(item, self._encoding)

    def _numbered(self, item: Item) -> Item:
        self._next_item, self._is_ahead = self._next_item + 1, True
        return structs.replace(item, id=numbered_id(item, self._next_item - 1))

    def _put(self, at: int, entry: Entry) -> None:
        self._entries.put(at, entry)
        self._ledger.put(at, entry.tokens)

    def _put_all(self, start: int, end: int, entries: Sequence[Entry]) -> None:
        self._entries.put_all(start, end, entries)
        self._ledger.replace(start, end, [entry.tokens for entry in entries])

    def _append(self, item: Item, seq: int) -> None:
        item = self._numbered(item)
        entry = Entry(item=item, tokens=self._count(item), seq=seq)
        self._entries.append(entry)
        self._ledger.append(entry.tokens)
        self._reply_tokens = self._reply_tokens + entry.tokens.total if is_reply(item) else 0
        self._open_text = None
        if self._context is not None and self._context.closed:
            self._set(closed=False)

    def _report(self, fact: UsageReported) -> None:
        now = self._now.calibration
        reference = self._ledger.total.total + PRIMING + now.freed_tokens - self._reply_tokens
        after = learn(now, fact, reference_tokens=reference, window=self._now.window)
        self._set(usage=fact, calibration=after)

    def _extend(self, text: str, seq: int) -> None:
        if stands_for_others(self._entries):
            return  # what is added to left the history; the log has it whole
        if (before := open_text(self._entries)) is None:
            raise self._refuse("expected an open item to extend, there is none", seq)
        entry = self._entries[-1]
        assert self._encoding is not None
        if self._open_text is None:
            self._open_text = self._encoding.counter()
            self._open_text.append(before)
        old = self._open_text.total
        size = entry.tokens + text_tokens(self._open_text.append(text) - old, self._encoding)
        item = with_open_text(entry.item, before + text)
        if has_new_part(entry.item, item) or not entry.tokens.total:  # reasoning that was sent to nobody gets its marks
            size = self._count(item)
        self._put(len(self._entries) - 1, structs.replace(entry, item=item, tokens=size))
        if is_reply(item):
            self._reply_tokens += size.total - entry.tokens.total

    def _edit(self, fact: HistoryEdited, seq: int) -> None:
        newest = newest_summary(self._entries)
        find = partial(stretches, self._entries, fact, seq=seq, number=self._numbered, count=self._count)
        for new in reversed(self._found(find, seq)):
            self._put_all(new.first, new.end, new.entries)
        if newest is None or newest_summary(self._entries) != newest:
            self._set(summary=())  # or what was edited away would come back in the next summary, which builds on it
        self._set(settled_tokens=0, ineffective=0, compacted_seq=0)
        self._bar()
        self._replaced(seq, base_seq=seq)

    def _pin(self, item_id: str, seq: int) -> None:
        self._found(partial(position, self._entries, item_id), seq)
        if item_id not in self._now.pinned:
            self._set(pinned=(*self._now.pinned, item_id))

    def _change_window(self, fact: WindowChanged) -> None:
        """Go on under another window, and count anew where its model has another vocabulary. O(bytes) then.

        What was planned under the old one is abandoned (`retold.worker.live`), so nothing that is staged is counted.
        """
        now = self._now
        calibration = within(structs.replace(now.calibration, reply_tokens=self._reply_tokens), fact.window)
        self._set(window=fact.window, settled_tokens=0, ineffective=0, calibration=calibration, **NOTHING_PLANNED)
        if fact.encoding is None or fact.encoding == now.encoding:
            return
        self._set(encoding=fact.encoding, calibration=UNTAUGHT)
        self._encoding, self._open_text, self._reply_tokens = vocabulary_of(self._now), None, 0
        self._put_all(0, len(self._entries), [self._counted(entry) for entry in self._entries])

    def _counted(self, entry: Entry) -> Entry:
        return structs.replace(entry, tokens=self._count(entry.item))

    def _erase(self, fact: SessionErased, seq: int) -> None:
        self._put_all(0, len(self._entries), ())
        self._set(erased_seq=seq, **NOTHING_SAID, **numbering(fact))
        if fact.opened is not None:
            self._next_item, self._latest = fact.next_item, None
        self._bar()
        self._replaced(seq, base_seq=seq)

    def _found(self, find: Callable[[], T], seq: int) -> T:
        try:
            return find()
        except LookupError as error:
            raise self._refuse(str(error), seq) from None

    def _stage_offloads(self, fact: ItemsOffloaded, seq: int) -> None:
        staged = self._found(partial(placeholders, fact.items, self._entries, count=self._count), seq)
        self._set(staged={**self._now.staged, **staged})

    def _stage_summary(self, fact: SummaryWritten) -> None:
        entry = summary_entry(fact.item, base_seq=fact.base_seq, tokens=self._count(fact.item))
        self._set(staged={**self._now.staged, fact.item.id: entry}, staged_summary=fact.fields)

    def _replace(self, fact: HistoryReplaced, seq: int, *, made: Rows | None) -> None:
        if fact.version != self._now.version + 1:
            raise self._refuse(f"expected version {self._now.version + 1}, got {fact.version}", seq)
        cut = self._cut_at(fact.base_seq)
        staged = self._now.staged | noted(fact.note, base_seq=fact.base_seq, count=self._count)
        body = self._found(partial(spread, fact.body, base=self._entries[:cut], staged=staged, count=self._count), seq)
        if (made.hash if made is not None and made.are_of(body) else history_hash(body)) != fact.hash:
            raise self._refuse("the replacement history's hash does not match what the events give", seq)
        before = self._ledger.prefix(cut)
        self._put_all(0, cut, body)
        after = self._ledger.prefix(len(body))
        freed = self._now.calibration.freed_tokens + before.total - after.total
        self._set(
            summary=self._now.staged_summary or self._now.summary,
            compacted_seq=seq,
            calibration=structs.replace(self._now.calibration, freed_tokens=freed),
            **after_try(self._now, fact, before=before.upper + PRIMING, after=after.upper + PRIMING),
            **NOTHING_PLANNED,
        )
        self._replaced(seq, base_seq=fact.base_seq)

    def _cut_at(self, base_seq: int) -> int:
        """Return how many entries were there at *base_seq*."""
        return next((at for at, entry in enumerate(self._entries) if entry.seq > base_seq), len(self._entries))

    def _restore(self, item: Item, seq: int) -> None:
        entry = self._entries[at := self._found(partial(position, self._entries, item.id), seq)]
        if entry.form != "placeholder" or entry.original != item_hash(item):
            raise self._refuse(f"expected the original of offloaded item {item.id!r}", seq)
        self._put(at, Entry(item=item, tokens=self._count(item), seq=entry.seq))
        self._enlarged(seq)

    def _decompress(self, fact: HistoryDecompressed, seq: int) -> None:
        entries, changes = self._found(partial(decompressed, self._entries, fact, count=self._count), seq)
        self._put_all(0, len(self._entries), entries)
        self._set(compacted_seq=0, **changes)
        self._enlarged(seq)

    def _enlarged(self, seq: int) -> None:
        self._bar()
        self._set(settled_tokens=settled_by_hand(self.upper_tokens, self._now.window, self._now.calibration))
        self._replaced(seq, base_seq=seq)

    def _give_up(self, fact: CompactionFailed | CompactionAbandoned) -> None:
        self._set(**NOTHING_PLANNED)
        if isinstance(fact, CompactionFailed):
            size = self._ledger.prefix(self._cut_at(fact.base_seq)).upper + PRIMING
            self._set(**after_try(self._now, fact, before=size, after=size))

    def _bar(self) -> None:  # what is learnt from reports starts at a new place: the history was changed by hand
        self._reply_tokens = 0
        self._set(calibration=after_barrier(self._now.calibration))

    def _replaced(self, seq: int, *, base_seq: int) -> None:
        self._open_text = None
        self._set(version=self._now.version + 1, version_seq=seq, base_seq=base_seq)
