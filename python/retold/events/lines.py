"""Drafts as lines of JSON, from which the core makes events, and events as lines, as the core reads them: many a call.

An event's bytes are the draft's own, with its place put around them (`rust/wire`), so both ways of writing an event,
this one and `codec.encode`, give the same bytes; a law holds them together.
"""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct, structs

from retold.errors import InputError
from retold.events.codec import FACTS, record
from retold.events.envelope import Draft, Event, Head, SessionKey

F = TypeVar("F")

KINDS = list(FACTS)
"""The types' names; a kind is a place in it."""

_KIND_OF = {fact: kind for kind, fact in enumerate(FACTS.values())}


class _Line(Struct, Generic[F], gc=False):
    """Read a draft back as strictly as an event is read."""

    id: str
    at: Annotated[datetime, Meta(tz=True)]
    actor: str
    data: F
    cause: str | None


_told = attrgetter("data", "id", "actor", "cause")
"""What comes back as it was given: bytes or a UUID for an id are written as text, and are no such text."""

_encoder = msgspec.json.Encoder()
_decoders: list[msgspec.json.Decoder[Any]] = [
    msgspec.json.Decoder(_Line[fact])  # type: ignore[valid-type] # made for each fact
    for fact in FACTS.values()
]
_event_decoders: list[msgspec.json.Decoder[Any]] = [
    msgspec.json.Decoder(Event[fact])  # type: ignore[valid-type] # made for each fact
    for fact in FACTS.values()
]
_ANY = SessionKey(tenant="any", session="any")


def draft_lines(drafts: Sequence[Draft]) -> tuple[bytes, bytes]:
    """Return *drafts* as JSON, one a line, and the kind of each as one byte. About 1.5 µs a draft of one type.

    Raises:
        InputError: as `codec.encode`.
    """
    try:
        kinds = bytes([_KIND_OF[type(draft.data)] for draft in drafts])
        text = _encoder.encode_lines(drafts)
        if _reads_back(drafts, text, kinds):
            return text, kinds
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        pass  # said better, and for the one that it is true of, by the codec
    return _settled_lines(drafts)


def events_of(kinds: bytes, lines: Sequence[tuple[int, bytes]]) -> list[Event]:
    """Return events of this release's version in order: the kind of each, and the events of each kind, one a line.

    Raises:
        msgspec.MsgspecError: if one of them is no event of its kind.
        UnicodeDecodeError: if one of them is no text.
        RecursionError: if one of them is nested too deep.
    """
    if len(lines) == 1:
        return list(_event_decoders[lines[0][0]].decode_lines(lines[0][1]))
    rows = {kind: iter(_event_decoders[kind].decode_lines(text)) for kind, text in lines}
    return [next(rows[kind]) for kind in kinds]


def _reads_back(drafts: Sequence[Draft], text: bytes, kinds: bytes) -> bool:
    if not kinds:
        return True
    if not all(isinstance(draft.at, datetime) for draft in drafts):
        return False
    if kinds.count(kinds[0]) == len(kinds):
        read = _decoders[kinds[0]].decode_lines(text)
    else:
        read = [_decoders[kind].decode(line) for kind, line in zip(kinds, text.splitlines(), strict=True)]
    return list(map(_told, read)) == list(map(_told, drafts))


def _settled_lines(drafts: Sequence[Draft]) -> tuple[bytes, bytes]:
    """Return the lines of *drafts* as they will be read: a list that was given for a tuple is a tuple then."""
    settled = [structs.replace(draft, data=record([draft], key=_ANY, head=Head())[0].event.data) for draft in drafts]
    text, kinds = _encoder.encode_lines(settled), bytes([_KIND_OF[type(draft.data)] for draft in settled])
    if not _reads_back(settled, text, kinds):
        raise InputError("expected facts that are read as they were written, got another")
    return text, kinds
