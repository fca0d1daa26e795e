"""Any state that ever was: read from the log, rebuilt from a snapshot and its tail, and proven."""

from retold.replay.reading import at_time, history_at, load
from retold.replay.several import in_order
from retold.replay.verifying import Source, Verdict, prove, verify

__all__ = ["Source", "Verdict", "at_time", "history_at", "in_order", "load", "prove", "verify"]
