"""What to do: a pure function reads a context and returns a decision; another turns the decision into facts."""

from retold.policy.bonds import Bonds
from retold.policy.compacting import Compacted, carry_out, compact, extract_for
from retold.policy.compressing import CompressedRange, Range, plan_compression
from retold.policy.decisions import Decision, OffloadEntries, OffloadItems, SummarizeSpan, TruncateHistory
from retold.policy.history_tools import history_tools, read_ranges
from retold.policy.ladder import choose, decide, due_from, is_due
from retold.policy.limits import Limits, due_recorded, limits_for, limits_of
from retold.policy.local_fit import fit_locally, is_sendable
from retold.policy.nudging import guidance
from retold.policy.offload import StandIn, check_stand_in
from retold.policy.presets import PRESETS, Preset, check_tuning, preset_of
from retold.policy.relisting import Compressed, compress, view
from retold.policy.replacement import Replacement, Summary, plan_id, replace, tier_of
from retold.policy.viewing import HistoryView

__all__ = [
    "PRESETS",
    "Bonds",
    "Compacted",
    "Compressed",
    "CompressedRange",
    "Decision",
    "HistoryView",
    "Limits",
    "OffloadEntries",
    "OffloadItems",
    "Preset",
    "Range",
    "Replacement",
    "StandIn",
    "SummarizeSpan",
    "Summary",
    "TruncateHistory",
    "carry_out",
    "check_stand_in",
    "check_tuning",
    "choose",
    "compact",
    "compress",
    "decide",
    "due_from",
    "due_recorded",
    "extract_for",
    "fit_locally",
    "guidance",
    "history_tools",
    "is_due",
    "is_sendable",
    "limits_for",
    "limits_of",
    "plan_compression",
    "plan_id",
    "preset_of",
    "read_ranges",
    "replace",
    "tier_of",
    "view",
]
