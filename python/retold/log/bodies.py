"""Bodies of stored messages, read as events: damage names session and sequence where the codec cannot know them."""

from retold.errors import CorruptLogError
from retold.events import Head, Kept, Recorded, Seal, SessionKey, body_hash, decode, kept
from retold.log.api import Stored
from retold.log.headers import seq_of
from retold.log.names import CLAIM, SEALED
from retold.log.trails import Mark


def decode_body(body: bytes, *, key: SessionKey, seq: int, seal: Seal | None = None) -> Recorded:
    """Return the event that *body* holds, opened with *seal*; raises as `retold.events.decode`."""
    try:
        return decode(body, seal=seal)
    except CorruptLogError as error:
        raise _named(error, key, seq) from None


def kept_body(body: bytes, *, key: SessionKey, seq: int) -> Kept:
    """Return the event that *body* holds as it is kept; raises as `retold.events.kept`."""
    try:
        return kept(body)
    except CorruptLogError as error:
        raise _named(error, key, seq) from None


def mark_of(stored: Stored, key: SessionKey) -> Mark:
    """Return where the event of *stored* is, without fetching its blob: the claim is the hash that the chain needs.

    Raises:
        CorruptLogError: if it is no event.
    """
    seq, claim = seq_of(stored), stored.headers.get(CLAIM)
    if claim is not None:
        return Mark(head=Head(seq=seq, hash=claim), position=stored.position)
    if SEALED in stored.headers:
        seq = kept_body(stored.body, key=key, seq=seq).standing.seq  # where a session ends is told without its key
    else:
        seq = decode_body(stored.body, key=key, seq=seq).event.seq
    return Mark(head=Head(seq=seq, hash=body_hash(stored.body)), position=stored.position)


def _named(error: CorruptLogError, key: SessionKey, seq: int) -> CorruptLogError:
    return error if error.session else CorruptLogError(error.reason, session=key.session, seq=seq)
