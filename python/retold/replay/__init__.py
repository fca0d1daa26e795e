"""Any state that ever was: read from the log, rebuilt from a snapshot and its tail, and proven."""

from retold.replay.past import Past
from retold.replay.reading import at_time, history_at, load
from retold.replay.verifying import Verdict, verify

__all__ = ["Past", "Verdict", "at_time", "history_at", "load", "verify"]
