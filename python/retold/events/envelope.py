"""The envelope around every fact, and the chain that binds a session's events to one order.

Rules:
- `seq` is 1, 2, 3 … per session, without gaps; the log's own numbers are never used for meaning.
- `prev` is the SHA-256 of the bytes of the event before, as stored; the first event has `GENESIS`.
- An event's hash is taken over its stored bytes, never over a second encoding.
"""

import re
from datetime import datetime
from hashlib import sha256
from typing import Generic

from msgspec import Struct
from typing_extensions import TypeVar

from retold.errors import InputError
from retold.events.facts import Fact

GENESIS = "0" * 64
"""What the first event of a session has for `prev`."""

SEQ_MAX = 2**53 - 1
"""The largest sequence: every JSON reader holds it exactly."""

_NAME = re.compile(r"[A-Za-z0-9_=-]{1,128}\Z")


class SessionKey(Struct, frozen=True, gc=False, order=True):
    """Name one session of one tenant. Both parts are letters, digits, ``_``, ``-`` or ``=``, at most 128 of them."""

    tenant: str
    session: str


def session_key(session: str, *, tenant: str = "default") -> SessionKey:
    """Return the key for *session* of *tenant*.

    Raises:
        InputError: if a name is empty, over 128 characters, or holds a character that a subject cannot carry.
    """
    for what, name in (("tenant", tenant), ("session", session)):
        if not _NAME.match(name):
            got = f"{len(name)} characters" if len(name) > 128 else repr(name)
            raise InputError(f"expected a {what} name of 1 to 128 letters, digits, '_', '-' or '=', got {got}")
    return SessionKey(tenant=tenant, session=session)


class Head(Struct, frozen=True, gc=False):
    """Say where a session ends: its last sequence and that event's hash. A new session ends at 0."""

    seq: int = 0
    hash: str = GENESIS


class Draft(Struct, frozen=True, gc=False):
    """Hold a fact that is to be appended, with what its author knows; the log adds sequence and chain.

    Attributes:
        id: a UUIDv7, chosen once: a retry carries the same.
        at: UTC.
        actor: who says so, for example ``agent``, ``worker``, ``import``.
        cause: the id of the event that led to this one, or None.
    """

    id: str
    at: datetime
    actor: str
    data: Fact
    cause: str | None = None


F = TypeVar("F", default=Fact)


class Event(Struct, Generic[F], frozen=True, gc=False):
    """Hold one immutable fact about a session, in its place. `Event[ItemAppended]` is how one type is decoded."""

    id: str
    tenant: str
    session: str
    seq: int
    at: datetime
    actor: str
    cause: str | None
    prev: str
    data: F

    @property
    def key(self) -> SessionKey:
        """Return the session that it belongs to."""
        return SessionKey(tenant=self.tenant, session=self.session)

    @property
    def type(self) -> str:
        """Return the fact's name, for example ``ItemAppended``."""
        return type(self.data).__name__


class Recorded(Struct, frozen=True, gc=False):
    """Pair an event with the bytes that were stored and their hash."""

    event: Event
    body: bytes
    hash: str

    @property
    def head(self) -> Head:
        """Return the head of a session that ends with this event."""
        return Head(seq=self.event.seq, hash=self.hash)


def body_hash(body: bytes) -> str:
    """Return the hash that the next event carries as `prev`: SHA-256 in hex."""
    return sha256(body).hexdigest()
