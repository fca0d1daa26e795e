"""What to do: a pure function reads a context and returns a decision; another turns the decision into facts."""

from retold.policy.compacting import Compacted, carry_out, compact, extract_for
from retold.policy.decisions import Decision, OffloadItems, SummarizeSpan, TruncateHistory
from retold.policy.ladder import choose, decide, is_due
from retold.policy.limits import Limits, due_recorded, limits_of
from retold.policy.replacement import Replacement, Summary, plan_id, replace, tier_of

__all__ = [
    "Compacted",
    "Decision",
    "Limits",
    "OffloadItems",
    "Replacement",
    "SummarizeSpan",
    "Summary",
    "TruncateHistory",
    "carry_out",
    "choose",
    "compact",
    "decide",
    "due_recorded",
    "extract_for",
    "is_due",
    "limits_of",
    "plan_id",
    "replace",
    "tier_of",
]
