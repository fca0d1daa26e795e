"""Histories: what the model is to be sent at some event, with its size and its proof."""

from typing import Any

import msgspec
from msgspec import Struct

from retold.errors import CorruptLogError
from retold.events import Form, Item, SessionKey
from retold.fold.context import Context, Entry, history_hash, ledger_of, request_size
from retold.formats import complete, render
from retold.sizes import Tokens


class History(Struct, frozen=True, omit_defaults=True):
    """Hold the ordered items that the model is to be sent, as they were after event `seq`.

    Attributes:
        version: how many times the history had been replaced.
        seq: the last event that it includes.
        base_seq: the source event at which the last replacement took effect; 0 if there was none.
        counted: its size as one request, by how it is known.
        hash: the content hash over the items.
        entries: the items with their sizes and how each came to be.
        is_local: whether the reader compacted it, since no worker had: no event records that, and no version counts it.
    """

    key: SessionKey
    version: int
    seq: int
    base_seq: int
    counted: Tokens
    hash: str
    entries: tuple[Entry, ...]
    is_local: bool = False

    @property
    def items(self) -> tuple[Item, ...]:
        """Return the items in order."""
        return tuple(entry.item for entry in self.entries)

    @property
    def tokens(self) -> int:
        """Return the size as one request, in tokens; the upper bound where a part is estimated."""
        return self.counted.upper

    def as_form(self, form: Form, *, model: str | None = None) -> list[dict[str, Any]]:
        """Return the history as the messages of *form*, ready to be sent: every call with one result after it.

        A call that was left without one is answered by a short note, which is not in `tokens`; see `formats.complete`.
        A provider's own compaction is sent as its block where it is of *form* and made for *model*; None is the model
        that it was made for. Every other model is sent the summary in words.
        """
        return render(complete(self.items, form), form, model=model)

    def as_chat(self) -> list[dict[str, Any]]:
        """Return the history as Chat Completions messages."""
        return self.as_form("chat")

    def as_responses(self, *, model: str | None = None) -> list[dict[str, Any]]:
        """Return the history as Responses input items; *model* as in `as_form`."""
        return self.as_form("responses", model=model)

    def as_anthropic(self, *, model: str | None = None) -> list[dict[str, Any]]:
        """Return the history as Anthropic messages; *model* as in `as_form`."""
        return self.as_form("anthropic", model=model)


def history_of(context: Context) -> History:
    """Return the history of *context*. O(bytes of the history), for the hash."""
    return History(
        key=context.key,
        version=context.version,
        seq=context.seq,
        base_seq=context.base_seq,
        counted=context.tokens,
        hash=history_hash(context.entries),
        entries=context.entries,
    )


def replacement_of(context: Context, *, known_hash: str | None = None) -> History:
    """Return the newest replacement history of *context* as it was at its base, without what was appended since.

    It is what a worker publishes: it depends on the source events up to the base alone, not on when it was written.
    *known_hash* is its content hash where that was just taken: by a fold that met its replacement.
    """
    entries = tuple(entry for entry in context.entries if entry.seq <= context.base_seq)
    return History(
        key=context.key,
        version=context.version,
        seq=context.base_seq,
        base_seq=context.base_seq,
        counted=context.tokens if len(entries) == len(context.entries) else request_size(ledger_of(entries)),
        hash=known_hash or history_hash(entries),
        entries=entries,
    )


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(History)


def encode_history(history: History) -> bytes:
    """Return *history* as JSON bytes; the same history gives the same bytes."""
    return _encoder.encode(history)


def decode_history(body: bytes, *, key: SessionKey) -> History:
    """Return the history that *body* holds, its hash checked.

    Raises:
        CorruptLogError: if *body* is not a history of session *key*, or its content does not give its hash.
    """
    try:
        history = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptLogError(f"expected a published history: {error}", session=key.session, seq=0) from None
    if history.key != key:
        raise CorruptLogError("the published history belongs to another session", session=key.session, seq=history.seq)
    if history_hash(history.entries) != history.hash:
        raise CorruptLogError("the published history does not give its hash", session=key.session, seq=history.seq)
    return history
