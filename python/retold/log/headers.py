"""What the headers of a stored message say of its session: the sequence, where it must go on to, what was erased."""

from retold.log.api import Stored
from retold.log.names import ERASED, SEQ, UNTIL


def erased_of(stored: Stored) -> int:
    """Return the sequence of the tombstone that the header names; 0 if it names none."""
    text = stored.headers.get(ERASED, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def reaches(stored: Stored) -> int:
    """Return the sequence that a session with this last message must reach: more than its own if a copy broke off."""
    text = stored.headers.get(UNTIL, "")
    return max(seq_of(stored), int(text) if text.isascii() and text.isdigit() else 0)


def seq_of(stored: Stored) -> int:
    """Return the session sequence that the header names; -1 if it names none."""
    text = stored.headers.get(SEQ, "")
    return int(text) if text.isascii() and text.isdigit() else -1
