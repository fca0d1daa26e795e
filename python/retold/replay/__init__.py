"""Any state that ever was: read from the log, rebuilt from a snapshot and its tail, and proven."""

from retold.replay.reading import TAG_CHARACTERS_MAX, At, at_time, history_at, load, seq_at, tagged_seq
from retold.replay.verifying import Verdict, verify

__all__ = ["TAG_CHARACTERS_MAX", "At", "Verdict", "at_time", "history_at", "load", "seq_at", "tagged_seq", "verify"]
