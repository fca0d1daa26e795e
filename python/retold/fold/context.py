"""What is so: the state of one session after some event, frozen. Everything that moves it lives in `builder`."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from retold.errors import CorruptLogError, InputError
from retold.events import (
    CompactionPlanned,
    CompactionRequested,
    EntryForm,
    ForkPoint,
    Head,
    Item,
    Policy,
    SessionKey,
    SummaryField,
    Tuning,
    UsageReported,
    Window,
)
from retold.fold.calibration import UNTAUGHT, Calibration
from retold.fold.counting import PRIMING
from retold.ledger import Ledger
from retold.sizes import Tokens
from retold.tokens import Encoding, encoding


class Entry(Struct, frozen=True, gc=False):
    """Hold one entry of a history.

    Attributes:
        item: what the model is sent.
        tokens: what it costs.
        seq: the sequence of the event that brought the item (a summary: the base of its plan). In a fork, what came
            before it has 0 or less: the parent's sequence less that of the fork point.
        form: how it came to be what it is.
        original: the content hash of what it stands for: of an item for a placeholder, of entries for a compressed
            block.
    """

    item: Item
    tokens: Tokens
    seq: int
    form: EntryForm = "whole"
    original: str | None = None


class Context(Struct, frozen=True):
    """Hold the state of a session at `seq`: what policy decides on, and what a snapshot stores.

    Attributes:
        seq: the last event folded in.
        head: that event's hash.
        entries: the history, in order.
        tokens: the size of the history as one request, priming included.
        tuning: where the session differs from its policy's preset.
        version: how many replacements there have been.
        base_seq: the source event at which the last replacement took effect; 0 if there was none.
        version_seq: the event that made the newest version.
        next_item: the number of the next item without an id of its own.
        pinned: ids of the items that were pinned by request; also of one that an imported edit took out of the history.
        plan: the compaction that was planned and neither replaced, failed nor abandoned yet.
        summary: the fields of the newest summary, which the next one builds on; empty once an edit took it out.
        staged: the entries that the open plan has written (placeholders, the summary), by item id, not in place yet.
        staged_summary: the fields of the staged summary.
        requested: a compaction that was asked for and not done yet.
        requested_seq: the sequence of that request.
        settled_tokens: the size (upper bound) right after the last replacement or failure, 0 before the first.
        ineffective: how many replacements or failures in a row freed less than the policy's least gain.
        usage: the provider's newest figures.
        calibration: what the provider's figures say about our counts; limits are read through it.
        closed: whether the session was closed and nothing appended since.
        erased_seq: the last event that erased the session's content; 0 if it never was.
        compacted_seq: the newest compaction that can be undone, by the sequence of its replacement; 0 if there is none.
        tags: the places that have names, each the sequence of the last event before it.
        latest: the latest time that an event up to here names; clocks differ, so it need not be the last event's.
    """

    key: SessionKey
    seq: int
    head: str
    window: Window
    policy: Policy
    encoding: str
    entries: tuple[Entry, ...]
    tokens: Tokens
    parent: ForkPoint | None = None
    tuning: Tuning | None = None
    version: int = 0
    base_seq: int = 0
    version_seq: int = 0
    next_item: int = 1
    pinned: tuple[str, ...] = ()
    plan: CompactionPlanned | None = None
    summary: tuple[SummaryField, ...] = ()
    staged: dict[str, Entry] = {}
    staged_summary: tuple[SummaryField, ...] = ()
    requested: CompactionRequested | None = None
    requested_seq: int = 0
    settled_tokens: int = 0
    ineffective: int = 0
    usage: UsageReported | None = None
    calibration: Calibration = UNTAUGHT
    closed: bool = False
    erased_seq: int = 0
    compacted_seq: int = 0
    tags: dict[str, int] = {}
    latest: datetime | None = None

    @property
    def erased(self) -> bool:
        """Return whether the session's content was ever erased."""
        return self.erased_seq > 0

    @property
    def end(self) -> Head:
        """Return where the session ends in this state."""
        return Head(seq=self.seq, hash=self.head)


NOTHING_PLANNED: Final[dict[str, Any]] = {"plan": None, "staged": {}, "staged_summary": ()}
"""What the end of a plan leaves of it."""

NOTHING_SAID: Final[dict[str, Any]] = {
    "entries": (),
    "tokens": Tokens(reconstructed=PRIMING),
    "summary": (),
    "pinned": (),
    "parent": None,
    "requested": None,
    "requested_seq": 0,
    "usage": None,
    "closed": False,
    "settled_tokens": 0,
    "ineffective": 0,
    "calibration": UNTAUGHT,
    "compacted_seq": 0,
    "tags": {},
    **NOTHING_PLANNED,
}
"""What an erasure leaves of a state."""

SNAPSHOT_SCHEMA: Final = 4
"""Raised whenever a state of the release before would lack or mean something else: its snapshots are passed over."""

_MARK: Final = f'{{"schema":{SNAPSHOT_SCHEMA},'.encode()


class _Snapshot(Struct, frozen=True):
    schema: Literal[4]
    context: Context


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Snapshot)


def encode_context(context: Context) -> bytes:
    """Return *context* as bytes, which begin with their schema; the same state gives the same bytes."""
    return _encoder.encode(_Snapshot(schema=SNAPSHOT_SCHEMA, context=context))


def is_of_this_schema(body: bytes) -> bool:
    """Return whether *body* is a snapshot that this release wrote or could have written."""
    return body.startswith(_MARK)


def decode_context(body: bytes, *, key: SessionKey) -> Context:
    """Return the state that *body* holds.

    Raises:
        CorruptLogError: if *body* is not a state of session *key* in this release's schema, or its size is not the sum
            of its entries' sizes.
    """
    try:
        context = _decoder.decode(body).context
        size = request_size(ledger_of(context.entries))
    except (msgspec.MsgspecError, UnicodeDecodeError, InputError) as error:
        raise CorruptLogError(f"expected a snapshot: {error}", session=key.session, seq=0) from None
    if context.key != key:
        raise CorruptLogError("its snapshot belongs to another session", session=key.session, seq=context.seq)
    if context.tokens != size:
        reason = f"expected a snapshot of {size.total} tokens, the sum of its entries, got {context.tokens.total}"
        raise CorruptLogError(reason, session=key.session, seq=context.seq)
    return context


def item_hash(item: Item) -> str:
    """Return the content hash of *item*: SHA-256 of its JSON, in hex."""
    return sha256(_encoder.encode(item)).hexdigest()


def history_hash(entries: Sequence[Entry]) -> str:
    """Return the content hash of a history: SHA-256 over its items' JSON, one a line.

    It covers what the model is sent and the items' ids; it does not cover sequences, so two runs that interleaved
    differently have the same hash.
    """
    return sha256(_encoder.encode_lines([entry.item for entry in entries])).hexdigest()


def newest_summary(entries: Iterable[Entry]) -> str | None:
    """Return the id of the newest summary among *entries*, or None."""
    summaries = (entry for entry in entries if entry.form == "summary")
    newest = max(summaries, key=lambda entry: entry.seq, default=None)
    return None if newest is None else newest.item.id


def ledger_of(entries: Iterable[Entry]) -> Ledger:
    """Return the ledger of *entries*, the caller's own. O(entries)."""
    return Ledger([entry.tokens for entry in entries])


def request_size(ledger: Ledger) -> Tokens:
    """Return the size of a history as one request: the sum of its items, and what opens the reply. O(1)."""
    return ledger.total + Tokens(reconstructed=PRIMING)


def vocabulary_of(context: Context) -> Encoding:
    """Return the vocabulary that *context* is counted by.

    Raises:
        CorruptLogError: if there is none of that name here.
    """
    try:
        return encoding(context.encoding)
    except InputError as error:
        raise CorruptLogError(str(error), session=context.key.session, seq=context.seq or 1) from None


def later(latest: datetime | None, at: datetime) -> datetime:
    """Return the later of two times; None is before any. Where they are equal, *latest* itself."""
    return at if latest is None or at > latest else latest
