"""The ladder: which step, if any, brings the history under its target. Each only if the one before did not.

normal → offload (reversible) → summary → truncate.
"""

from collections.abc import Collection

from retold.events import Tier, Window
from retold.fold import Context
from retold.policy.decisions import Decision, OffloadItems
from retold.policy.limits import Limits, limits_of
from retold.policy.offload import plan_offload
from retold.policy.summary import plan_summary
from retold.policy.truncate import plan_truncate

INEFFECTIVE_MAX = 2
"""After this many compactions in a row that freed too little, a history must grow much more before another is tried."""

REARMING_GAINS = 4
"""How much more: so many times the least gain (a fifth of the pre-rot threshold). New text is new matter to compact."""


def is_due(context: Context, upper_tokens: int, limits: Limits) -> bool:
    """Return whether a history of *upper_tokens* calls for a compaction. O(1): ask it at every event."""
    if context.requested is not None:
        return True
    if upper_tokens < limits.offload_at:
        return False
    return upper_tokens - context.settled_tokens >= _growth_due(context, limits, is_over=upper_tokens > limits.ceiling)


def _growth_due(context: Context, limits: Limits, *, is_over: bool) -> int:
    """Return by how much the history must have grown since the last try. Above the ceiling nothing can be sent."""
    least = max(1, limits.least_gain)
    if context.ineffective < INEFFECTIVE_MAX:
        return 1 if is_over else least
    return least if is_over else REARMING_GAINS * least


def decide(context: Context, window: Window) -> Decision | None:
    """Return what to do about the history of *context* under *window*, or None if nothing. Pure.

    Raises:
        FloorError: if what must be kept verbatim is larger than the window.
    """
    limits = limits_of(window)
    if not context.entries or not is_due(context, context.tokens.upper, limits):
        return None
    return choose(context, limits)


def choose(context: Context, limits: Limits, *, without: Collection[Tier] = ()) -> Decision:
    """Return the first step of the ladder that brings the history under its target, leaving out tiers that failed.

    Raises:
        FloorError: if what must be kept verbatim is larger than the ceiling.
    """
    offload = None if "offload" in without else plan_offload(context, limits)
    if offload is not None and _offload_is_enough(context, offload, limits):
        return offload
    summary = None if "summary" in without else plan_summary(context, limits)
    if summary is not None:
        return summary
    return plan_truncate(context, limits)


def _offload_is_enough(context: Context, offload: OffloadItems, limits: Limits) -> bool:
    before = context.tokens.upper
    gain = sum(item.tokens_before - item.tokens_after for item in offload.items)
    if before - gain <= limits.target:
        return True
    reversible_band = before < limits.summary_at and before - gain < limits.offload_at
    return reversible_band and gain > limits.least_gain
