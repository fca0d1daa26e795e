"""What the log is called on the server: streams, subjects, headers, and the limits that hold for all of them.

Rules:
- A session's partition is taken from its name alone and never changes: 64 partitions, so that workers can share the
  sessions by subject filter.
- Tenant and session are the last two tokens of every subject; their characters are those that a subject may hold.
"""

from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256

from retold.errors import InputError
from retold.events import SessionKey, session_key
from retold.lease_ports import PARTITIONS

EVENTS = "RETOLD_EVENTS"
SNAPSHOTS = "RETOLD_SNAPSHOTS"
HEADS = "RETOLD_HEADS"
DEAD = "RETOLD_DEAD"
HISTORIES_BUCKET = "RETOLD_HISTORIES"
HISTORIES = f"KV_{HISTORIES_BUCKET}"
BLOBS_BUCKET = "RETOLD_BLOBS"
BLOBS = f"OBJ_{BLOBS_BUCKET}"
KEYS_BUCKET = "RETOLD_KEYS"
KEYS = f"KV_{KEYS_BUCKET}"
LEASES_BUCKET = "RETOLD_LEASES"
LEASES = f"KV_{LEASES_BUCKET}"

EVENTS_ALL = "retold.ev.>"
SNAPSHOTS_ALL = "retold.snap.*.*"
"""The newest snapshots; those that were rebuilt lie one token deeper."""
HEADS_ALL = "retold.head.>"
BEGINNINGS_ALL = "retold.begin.>"
DEAD_ALL = "retold.dead.*.*"
"""The notes on sessions; letters lie deeper."""
EVENT_TOKENS = 5
"""Of how many tokens a subject with a session's events is."""
KNOWN_MAX = 16_384
"""Of so many subjects it is remembered whose they are: 3 µs each to tell."""
LETTERS_ALL = "retold.dead.letter.>"
STRAYS_ALL = "retold.dead.letter.stray.*"
HISTORIES_ALL = f"$KV.{HISTORIES_BUCKET}.*.*"
KEYS_ALL = f"$KV.{KEYS_BUCKET}.>"
LEASES_ALL = f"$KV.{LEASES_BUCKET}.>"

SEQ = "Retold-Seq"
"""Header: the session's own sequence, so that wakes and searches need no body."""
UNTIL = "Retold-Until"
"""Header: the sequence that a copy goes on to; where it is above the last message's own, the copy was broken off."""
AFTER = "Retold-After"
"""Header: the stream position that a session which was written anew begins after."""
CLAIM = "Retold-Claim"
"""Header: the SHA-256 of a body that is in the object store; the message's own body is a claim for it."""
PACKED = "Retold-Packed"
"""Header: how the body was packed (`retold.log.packing`)."""
HASH = "Retold-Hash"
"""Header: the SHA-256 of a projection's body."""
ERASED = "Retold-Erased"
"""Header: the sequence of the session's newest tombstone, on the tombstone and on all that follows: nothing before it
is to be read. Also marks the projections' subjects, where nothing of before may be written any more."""
SEALED = "Retold-Sealed"
"""Header: the id of the data key that the event is sealed with."""
VERSION = "Retold-Version"
BASE_SEQ = "Retold-Base-Seq"
FORM = "Retold-Form"
"""Header: that a published history is kept in segments (`retold.log.segments`)."""
CONTENT_HASH = "Retold-Content-Hash"

QUIET = "Retold-Quiet"
"""Header: a lease that was renewed and is otherwise the same."""

MSG_ID = "Nats-Msg-Id"
EXPECTED_SUBJECT_SEQ = "Nats-Expected-Last-Subject-Sequence"
BATCH_ID = "Nats-Batch-Id"
BATCH_SEQ = "Nats-Batch-Sequence"
BATCH_COMMIT = "Nats-Batch-Commit"

EVENT_BYTES_MAX = 32 * 1024 * 1024
"""The largest event: above it, a body does not belong in a conversation that a model is to be sent."""
APPEND_EVENTS_MAX = 1000
"""The most events one append takes: the server's own limit for an atomic batch."""
APPEND_BYTES_MAX = 64 * 1024 * 1024
"""The most bytes one append takes, all bodies together: what a process may have to hold while it retries."""
CLAIM_BYTES = 256 * 1024
"""Bodies above this go to the object store, and the message carries a claim."""


def partition(key: SessionKey) -> int:
    """Return the session's partition, 0 to 63. It depends on the names alone."""
    return sha256(f"{key.tenant}/{key.session}".encode()).digest()[0] % PARTITIONS


def checked(key: SessionKey) -> SessionKey:
    """Return *key*.

    Raises:
        InputError: if a name holds what a subject cannot carry; a key may have been made without `session_key`.
    """
    return session_key(key.session, tenant=key.tenant)


def event_subject(key: SessionKey) -> str:
    """Return the subject of the session's events."""
    return f"retold.ev.{partition(key)}.{key.tenant}.{key.session}"


def event_subjects(partitions: Iterable[int]) -> tuple[str, ...]:
    """Return the filters of all events of *partitions*: one, if these are all that there are."""
    some = sorted(set(partitions))
    return (EVENTS_ALL,) if len(some) == PARTITIONS else tuple([f"retold.ev.{number}.>" for number in some])


def lease_subject(name: str) -> str:
    """Return the subject that the lease *name* is kept under."""
    return f"$KV.{LEASES_BUCKET}.{name}"


def snapshot_subject(key: SessionKey) -> str:
    """Return the subject of the session's snapshots."""
    return f"retold.snap.{key.tenant}.{key.session}"


def snapshot_subjects(key: SessionKey) -> tuple[str, str]:
    """Return every subject that holds snapshots of the session: its own, and where rebuilt ones are written aside."""
    return snapshot_subject(key), f"retold.snap.rebuilt.{key.tenant}.{key.session}"


def head_subject(key: SessionKey) -> str:
    """Return the subject of the session's head."""
    return f"retold.head.{key.tenant}.{key.session}"


def beginning_subject(key: SessionKey) -> str:
    """Return the subject that says where in the stream the session begins, if it was written anew."""
    return f"retold.begin.{key.tenant}.{key.session}"


@lru_cache(maxsize=KNOWN_MAX)
def session_of(subject: str) -> SessionKey | None:
    """Return the session that *subject* holds the events of; None if no session's events lie there."""
    tokens = subject.split(".")
    if len(tokens) != EVENT_TOKENS:
        return None
    with suppress(InputError):
        key = session_key(tokens[4], tenant=tokens[3])
        return key if event_subject(key) == subject else None
    return None


def letter_subjects(key: SessionKey) -> str:
    """Return the filter of the letters on single messages of the session."""
    return f"retold.dead.letter.session.{key.tenant}.{key.session}.*"


def letter_subject(key: SessionKey | None, position: int) -> str:
    """Return the subject of the letter on the message at *position*, of the session, or of none."""
    if key is None:
        return f"retold.dead.letter.stray.{position}"
    return f"retold.dead.letter.session.{key.tenant}.{key.session}.{position}"


def dead_subject(key: SessionKey) -> str:
    """Return the subject of the note that the session was set aside."""
    return f"retold.dead.{key.tenant}.{key.session}"


def history_subject(key: SessionKey) -> str:
    """Return the subject that the key-value store keeps the session's published history under."""
    return f"$KV.{HISTORIES_BUCKET}.{key.tenant}.{key.session}"


def key_subjects(key: SessionKey) -> str:
    """Return the filter of the subjects that the session's data keys are kept under."""
    return f"$KV.{KEYS_BUCKET}.{key.tenant}.{key.session}.>"


def data_key_subject(key: SessionKey, key_id: str) -> str:
    """Return the subject that the session's data key *key_id* is kept under."""
    return f"$KV.{KEYS_BUCKET}.{key.tenant}.{key.session}.{key_id}"


def key_of(subject: str) -> SessionKey:
    """Return the session that *subject* belongs to: its last two tokens."""
    _, tenant, session = subject.rsplit(".", 2)
    return SessionKey(tenant=tenant, session=session)
