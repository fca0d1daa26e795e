"""Bodies of stored messages, read as events: damage names session and sequence where the codec cannot know them."""

from retold.errors import CorruptLogError
from retold.events import Kept, Recorded, Seal, SessionKey, decode, kept


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


def _named(error: CorruptLogError, key: SessionKey, seq: int) -> CorruptLogError:
    return error if error.session else CorruptLogError(error.reason, session=key.session, seq=seq)
