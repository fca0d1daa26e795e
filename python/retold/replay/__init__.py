"""Any state that ever was: read from the log, rebuilt from a snapshot and its tail, and proven."""

from retold.fold import item_text
from retold.replay.comparing import compare
from retold.replay.diffing import Change, Compaction, Diff, Lost, diff
from retold.replay.explaining import Compacted, Explanation, NotMade, Summarised, Version
from retold.replay.past import Past
from retold.replay.places import TAG_CHARACTERS_MAX, At, tagged_seq
from retold.replay.playing import Frame, Part, play
from retold.replay.reading import at_time, history_at, load, seq_at
from retold.replay.rebuilding import Rebuilt, rebuild
from retold.replay.several import in_order
from retold.replay.states import States, states
from retold.replay.verifying import Verdict, verify, verify_chain
from retold.replay.versions import explain_version, versions
from retold.replay.watching import watch

__all__ = [
    "TAG_CHARACTERS_MAX",
    "At",
    "Change",
    "Compacted",
    "Compaction",
    "Diff",
    "Explanation",
    "Frame",
    "Lost",
    "NotMade",
    "Part",
    "Past",
    "Rebuilt",
    "States",
    "Summarised",
    "Verdict",
    "Version",
    "at_time",
    "compare",
    "diff",
    "explain_version",
    "history_at",
    "in_order",
    "item_text",
    "load",
    "play",
    "rebuild",
    "seq_at",
    "states",
    "tagged_seq",
    "verify",
    "verify_chain",
    "versions",
    "watch",
]
