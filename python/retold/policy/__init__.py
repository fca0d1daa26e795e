"""What to do: a pure function reads a context and returns a decision; another turns the decision into facts."""

from retold.policy.compacting import Compacted, carry_out, compact, extract_for
from retold.policy.decisions import Decision, OffloadItems, SummarizeSpan, TruncateHistory
from retold.policy.ladder import choose, decide, is_due
from retold.policy.limits import Limits, due_recorded, limits_for, limits_of
from retold.policy.presets import PRESETS, Preset, check_tuning, preset_of
from retold.policy.replacement import Replacement, Summary, plan_id, replace, tier_of

__all__ = [
    "PRESETS",
    "Compacted",
    "Decision",
    "Limits",
    "OffloadItems",
    "Preset",
    "Replacement",
    "SummarizeSpan",
    "Summary",
    "TruncateHistory",
    "carry_out",
    "check_tuning",
    "choose",
    "compact",
    "decide",
    "due_recorded",
    "extract_for",
    "is_due",
    "limits_for",
    "limits_of",
    "plan_id",
    "preset_of",
    "replace",
    "tier_of",
]
