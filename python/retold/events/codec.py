"""Events to bytes and back: JSON on the wire, one decoder a type, and a chain of upcasters for older versions.

What is written is read back first: a struct takes any value when it is built, and one event that no reader takes would
damage its session for ever. Every version ever shipped can be read for ever. A newer version is refused by name:
guessing what a field means would damage what the log is for.

`data` may be sealed (`retold.events.seals`). It is bound to all that comes before it in the bytes: the whole envelope,
`seq` and `prev` included, so that no sealed fact can be moved to another session, place or type.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from retold.errors import CorruptLogError, InputError, SchemaError, SealError
from retold.events.envelope import Draft, Event, Head, Recorded, SessionKey, body_hash
from retold.events.facts import Fact, SessionErased, SessionOpened
from retold.events.items import Form, Role
from retold.events.seals import Seal, is_sealed_document, key_of_sealed, read_sealed, sealed_document
from retold.events.windows import Policy

VERSION = 1
"""The schema version that this release writes."""

Upcaster = Callable[[str, dict[str, Any]], tuple[str, dict[str, Any]]]
"""Turn a fact's type name and data of version n into those of version n + 1."""

UPCASTERS: Mapping[int, Upcaster] = {}
"""The upcaster from each older version to the next. Version 1 is the first, so there is none yet."""

FACTS: Mapping[str, type[Fact]] = {fact.__name__: fact for fact in get_args(Fact)}
"""Every fact by its name on the wire."""

READABLE = (SessionOpened, SessionErased)
"""Facts that are never sealed: they hold no content, and who has no key must know how a session begins."""


class Standing(Struct, frozen=True):
    """Say where an event stands: its session, its sequence, the hash of the event before, and its type.

    Attributes:
        sealed: the id of the key that its data is sealed with; None if it is not.
        erases: whether it is a tombstone: the session may begin with it.
    """

    seq: int
    prev: str
    type: str
    key: SessionKey
    v: int = VERSION
    sealed: str | None = None
    erases: bool = False


class Kept(Struct, frozen=True):
    """Hold an event as it is kept: where it stands, its bytes, which nobody opens, and their hash."""

    standing: Standing
    body: bytes
    hash: str

    @property
    def head(self) -> Head:
        """Return the head of a session that ends with this event."""
        return Head(seq=self.standing.seq, hash=self.hash)

    def check_follows(self, head: Head, key: SessionKey) -> None:
        """Check that it is the event after *head* of session *key*; raises as `check_follows`.

        A tombstone may come first: what was before it is gone, and it says itself where that ended.
        """
        if head == Head() and self.standing.erases:
            head = Head(seq=self.standing.seq - 1, hash=self.standing.prev)
        check_place(self.standing.seq, prev=self.standing.prev, of=self.standing.key, head=head, key=key)


class _Wire(Struct):
    v: int
    id: str
    tenant: str
    session: str
    seq: int
    at: datetime
    type: str
    actor: str
    cause: str | None
    prev: str
    data: Raw


_encoder = msgspec.json.Encoder()
_wire_decoder = msgspec.json.Decoder(_Wire)
_fact_decoders = {name: msgspec.json.Decoder(fact) for name, fact in FACTS.items()}

_NOT_JSON = (bytes, bytearray, datetime, date, time, timedelta, Decimal, UUID)
"""What JSON has no type for: msgspec writes these as text, and they would come back as another text than was meant."""

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading raises for bytes that are no JSON, no text, nested too deep, or of another shape."""

_MISFIT = re.compile(r"(?:Expected `([^`]+)`, got `([^`]+)`|Object missing required field `(\w+)`)")
_PATH = re.compile(r" - at `\$\.?([^`]*)`\Z")
_CHOICES = {"role": get_args(Role), "form": get_args(Form), "policy": get_args(Policy)}


def encode(event: Event) -> bytes:
    """Return the bytes to store for *event*, in the current version. The same event gives the same bytes.

    Raises:
        InputError: if a value is not of its field's type, or a text holds a lone surrogate, which UTF-8 cannot carry.
    """
    return _body(event, _settled(event.data)[1])


def standing(body: bytes) -> Standing:
    """Return where the event that *body* holds says it stands. Needs no key, and does not look at its data.

    Raises:
        CorruptLogError: if it is not an event.
    """
    wire = _read(body)
    key = SessionKey(tenant=wire.tenant, session=wire.session)
    sealed = key_of_sealed(bytes(wire.data))
    erases = wire.type == SessionErased.__name__ and is_tombstone(_fact(wire))
    return Standing(seq=wire.seq, prev=wire.prev, type=wire.type, key=key, v=wire.v, sealed=sealed, erases=erases)


def kept(body: bytes) -> Kept:
    """Return the event that *body* holds as it is kept: its bytes, and where they say that it stands. Needs no key.

    Raises:
        SchemaError: if it was written by a newer version, or is of an unknown type.
        CorruptLogError: if it is not an event.
    """
    at = standing(body)
    if not 1 <= at.v <= VERSION:
        raise SchemaError(
            f"expected schema version 1 to {VERSION}, got version {at.v}", session=at.key.session, seq=at.seq
        )
    if at.v == VERSION and at.type not in FACTS:
        raise SchemaError(f"expected a known event type, got {at.type!r}", session=at.key.session, seq=at.seq)
    return Kept(standing=at, body=body, hash=body_hash(body))


def decode(
    body: bytes, *, seal: Seal | None = None, upcasters: Mapping[int, Upcaster] = UPCASTERS, version: int = VERSION
) -> Recorded:
    """Return the event that *body* holds, brought up to *version* and opened with *seal* if it is sealed.

    Raises:
        SchemaError: if it was written by a newer version, or is of an unknown type.
        SealError: if it is sealed and its key is not there.
        CorruptLogError: if it is not an event, or was not sealed at this place.
    """
    wire = _read(body)
    if wire.v > version or wire.v < 1:
        raise SchemaError(
            f"expected schema version 1 to {version}, got version {wire.v}", session=wire.session, seq=wire.seq
        )
    wire.data = _opened(wire, body, seal)
    fact = _fact(wire) if wire.v == version else _upcast(wire, upcasters=upcasters, version=version)
    event = Event(
        id=wire.id,
        tenant=wire.tenant,
        session=wire.session,
        seq=wire.seq,
        at=wire.at,
        actor=wire.actor,
        cause=wire.cause,
        prev=wire.prev,
        data=fact,
    )
    return Recorded(event=event, body=body, hash=body_hash(body))


def record(drafts: Iterable[Draft], *, key: SessionKey, head: Head, seal: Seal | None = None) -> list[Recorded]:
    """Give each draft its place after *head* and return the events with their bytes, in order, sealed with *seal*.

    Each is what a reader will get, so a list that was given for a tuple is a tuple in it.

    Raises:
        InputError: as `encode`.
    """
    recorded: list[Recorded] = []
    for draft in drafts:
        fact, data = _settled(draft.data)
        event = Event(
            id=draft.id,
            tenant=key.tenant,
            session=key.session,
            seq=head.seq + 1,
            at=draft.at,
            actor=draft.actor,
            cause=draft.cause,
            prev=head.hash,
            data=fact,
        )
        body = _body(event, data) if seal is None or isinstance(fact, READABLE) else _sealed_body(event, data, seal)
        recorded.append(Recorded(event=event, body=body, hash=body_hash(body)))
        head = recorded[-1].head
    return recorded


def check_follows(recorded: Recorded, *, head: Head, key: SessionKey) -> None:
    """Check that *recorded* is the event after *head* of session *key*.

    Raises:
        CorruptLogError: if a sequence is missing, the chain is broken, or the event belongs to another session.
    """
    event = recorded.event
    check_place(event.seq, prev=event.prev, of=event.key, head=head, key=key)


def check_place(seq: int, *, prev: str, of: SessionKey, head: Head, key: SessionKey) -> None:
    """Check that an event *seq* of session *of*, linked to *prev*, is the one after *head* of session *key*.

    Raises:
        CorruptLogError: as `check_follows`.
    """
    if seq != head.seq + 1:
        raise CorruptLogError(f"expected this sequence, the log has {seq}", session=key.session, seq=head.seq + 1)
    if prev != head.hash:
        raise CorruptLogError("its link to the event before is broken", session=key.session, seq=seq)
    if of != key:
        raise CorruptLogError("it names another session", session=key.session, seq=seq)


def _body(event: Event, data: Raw) -> bytes:
    if not isinstance(event.at, datetime) or event.at.tzinfo is None:
        raise InputError(f"expected a time with a zone for at of an event, got {type(event.at).__name__}")
    for name in ("id", "actor", "cause"):
        told = getattr(event, name)
        if not isinstance(told, str) and (name != "cause" or told is not None):
            raise InputError(f"expected str for {name} of an event, got {type(told).__name__}")
    wire = _Wire(
        v=VERSION,
        id=event.id,
        tenant=event.tenant,
        session=event.session,
        seq=event.seq,
        at=event.at,
        type=event.type,
        actor=event.actor,
        cause=event.cause,
        prev=event.prev,
        data=data,
    )
    return _encoder.encode(wire)


def is_tombstone(fact: Fact) -> bool:
    """Return whether *fact* erases what comes before it: it carries all that a fold needs from there."""
    return isinstance(fact, SessionErased) and fact.opened is not None


def _sealed_body(event: Event, data: Raw, seal: Seal) -> bytes:
    body = _body(event, data)
    bound = body[: len(body) - len(data) - 1]
    return bound + sealed_document(seal.seal(bytes(data), bound=bound)) + b"}"


def _read(body: bytes) -> _Wire:
    try:
        return _wire_decoder.decode(body)
    except _UNREADABLE as error:
        raise CorruptLogError(f"expected an event, got {len(body)} bytes: {error}", session="", seq=0) from None


def _opened(wire: _Wire, body: bytes, seal: Seal | None) -> Raw:
    data = bytes(wire.data)
    if not is_sealed_document(data):
        return wire.data
    sealed = read_sealed(data)
    if sealed is None:
        raise CorruptLogError("its sealed data cannot be read", session=wire.session, seq=wire.seq)
    if seal is None:
        raise SealError(
            f"session {wire.session!r} is sealed with data key {sealed.key!r}, and no key was given: name the key file "
            "(RETOLD_KEY_FILE, or keys=)",
            key=sealed.key,
        )
    text = seal.open(sealed, bound=body[: len(body) - len(data) - 1])
    if text is None:
        raise CorruptLogError("it was not sealed here: its bytes were changed", session=wire.session, seq=wire.seq)
    return Raw(text)


def _settled(fact: Fact) -> tuple[Fact, Raw]:
    """Return *fact* as it will be read, with its bytes. O(bytes): 2 µs an event and a second per GB."""
    name = type(fact).__name__
    decoder = _fact_decoders.get(name)
    if decoder is None:
        raise InputError(f"expected a fact, got {name}")
    try:
        data = _encoder.encode(fact)
        again = decoder.decode(data)
        if again != fact:
            again = msgspec.convert(msgspec.to_builtins(fact, builtin_types=_NOT_JSON), FACTS[name])
            data = _encoder.encode(again)
    except UnicodeEncodeError as error:
        raise InputError(
            f"expected text that UTF-8 can carry, got a lone surrogate in a {name} at character {error.start}"
        ) from None
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise _misfit(error, name) from None
    return again, Raw(data)


def _misfit(error: Exception, what: str) -> InputError:
    """Return *error* said without the value that did not fit: it may be anybody's text."""
    found, path = _MISFIT.match(str(error)), _PATH.search(str(error))
    field = f"{path[1]} of {what}" if path is not None and path[1] else what
    if found is None:
        choices = _CHOICES.get(field.partition(" ")[0].rpartition(".")[2])
        expected = "one of " + ", ".join(choices) if choices else "a value that its type allows"
        return InputError(f"expected {expected} for {field}, got another")
    expected, got, missing = found.groups()
    if missing is not None:
        return InputError(f"expected {field} to have a field {missing!r}, got none")
    return InputError(f"expected {expected} for {field}, got {got}")


def _fact(wire: _Wire) -> Fact:
    decoder = _fact_decoders.get(wire.type)
    if decoder is None:
        raise SchemaError(f"expected a known event type, got {wire.type!r}", session=wire.session, seq=wire.seq)
    try:
        return decoder.decode(wire.data)
    except _UNREADABLE as error:
        raise CorruptLogError(f"expected a {wire.type}: {error}", session=wire.session, seq=wire.seq) from None


def _upcast(wire: _Wire, *, upcasters: Mapping[int, Upcaster], version: int) -> Fact:
    name = wire.type
    try:
        data = msgspec.json.decode(wire.data, type=dict[str, Any])
        for old in range(wire.v, version):
            name, data = upcasters[old](name, data)
        if name not in FACTS:
            raise SchemaError(f"expected a known event type, got {name!r}", session=wire.session, seq=wire.seq)
        return msgspec.convert(data, FACTS[name])
    except _UNREADABLE as error:
        raise CorruptLogError(f"expected a {name}: {error}", session=wire.session, seq=wire.seq) from None
