"""The engine: which step, if any, brings the history under its target. Each only if the one before did not.

normal → offload (reversible) → summary → truncate. A preset says which steps there are and how far each goes.
"""

import sys
from collections.abc import Collection

from msgspec import structs

from retold.events import Tier, Window
from retold.fold import Context
from retold.policy.bonds import Bonds
from retold.policy.decisions import Decision, OffloadEntries, OffloadItems
from retold.policy.limits import Limits, limits_asked, limits_for
from retold.policy.offload import StandIn, candidates_of, may_be_enough, plan_entries, plan_offload
from retold.policy.summary import plan_summary
from retold.policy.truncate import plan_truncate

INEFFECTIVE_MAX = 2
"""After this many compactions in a row that freed too little, a history must grow much more before another is tried."""

REARMING_GAINS = 4
"""How much more: so many times the least gain (a fifth of the pre-rot threshold). New text is new matter to compact."""


NEVER = sys.maxsize
"""No history is so large."""


def is_due(context: Context, upper_tokens: int, limits: Limits) -> bool:
    """Return whether a history of *upper_tokens* calls for a compaction. O(1)."""
    return upper_tokens >= due_from(context, limits)


def due_from(context: Context, limits: Limits) -> int:
    """Return the size from which on the history of *context* calls for a compaction, `NEVER` for none. O(1).

    It stays the same as the history grows, and changes with everything else.
    """
    if context.requested is not None:
        return 0
    if context.tuning is not None and context.tuning.manual:
        return NEVER
    least = max(1, limits.least_gain)
    growth, growth_over = (least, 1) if context.ineffective < INEFFECTIVE_MAX else (REARMING_GAINS * least, least)
    due = max(limits.offload_at, context.settled_tokens + growth)
    # Above the ceiling nothing can be sent: there less growth is enough.
    over = max(limits.offload_at, limits.ceiling + 1, context.settled_tokens + growth_over)
    return min(due, over)


def decide(
    context: Context, window: Window, *, stand_in: StandIn | None = None, bonds: Bonds | None = None
) -> Decision | None:
    """Return what to do about the history of *context* under *window*, or None if nothing. Pure.

    The window is read through what usage reports have taught, and the session's preset (`limits_for`). *stand_in* may
    put other items in the place of placeholders (`retold.policy.offload`). *bonds* are the history's, where known.

    Raises:
        FloorError: if what must be kept verbatim is larger than the window.
    """
    limits = limits_for(context, window)
    if not context.entries or not is_due(context, context.tokens.upper, limits):
        return None
    return choose(context, limits, stand_in=stand_in, bonds=bonds)


def choose(
    context: Context,
    limits: Limits,
    *,
    without: Collection[Tier] = (),
    stand_in: StandIn | None = None,
    bonds: Bonds | None = None,
) -> Decision:
    """Return the first step that brings the history under its target, leaving out tiers that failed.

    The target is that of the open request, if it names one, else that of *limits*.

    Raises:
        FloorError: if what must be kept verbatim is larger than the ceiling.
    """
    limits, bonds = limits_asked(limits, context.requested), bonds or Bonds(context.entries)
    offload = None if "offload" in without else _offload_that_is_enough(context, limits, bonds, stand_in)
    if offload is not None:
        return offload
    summary = None if "summary" in without else plan_summary(context, limits, bonds)
    if summary is not None:
        return summary
    return plan_truncate(context, limits, bonds)


def _offload_that_is_enough(
    context: Context, limits: Limits, bonds: Bonds, stand_in: StandIn | None
) -> OffloadEntries | OffloadItems | None:
    """Return what to offload if the preset has it and that alone is enough, or None."""
    match limits.preset.offload:
        case "never":
            return None
        case "as needed":
            return _offload_as_needed(context, limits, bonds, stand_in)
        case "all":
            return _offload_all(context, limits, bonds, stand_in)


def _offload_as_needed(
    context: Context, limits: Limits, bonds: Bonds, stand_in: StandIn | None
) -> OffloadEntries | OffloadItems | None:
    """Return what to offload if that alone comes under the target, or None.

    Between where offloading and where summarising starts, the target of a step that can be undone is to be due no more,
    by more than the least gain. Below, a summary would lose words for the sake of a few tokens. A target that was asked
    for is met, or not: it has no such band.
    """
    before = context.tokens.upper
    asked = context.requested is not None and context.requested.target_tokens > 0
    has_band = not asked and before < limits.summary_at
    candidates = candidates_of(context, limits, bonds)
    if not may_be_enough(context, bonds, candidates, size=max(limits.target, limits.offload_at * has_band)):
        return None
    sure = plan_entries(context, limits, bonds, candidates) if stand_in is None else None
    offload = sure or plan_offload(context, limits, bonds, candidates, stand_in)
    if not isinstance(offload, OffloadItems) or offload.tokens_after <= limits.target:
        return offload
    in_band = has_band and offload.tokens_after < limits.offload_at
    if in_band and before - offload.tokens_after > limits.least_gain:
        return structs.replace(offload, target_tokens=limits.offload_at)
    return None


def _offload_all(context: Context, limits: Limits, bonds: Bonds, stand_in: StandIn | None) -> OffloadItems | None:
    """Return the offload of all that may be, unless so much is there that a summary is due, or it gains too little."""
    before = context.tokens.upper
    if before >= limits.summary_at and limits.summary_at > limits.target:
        return None
    candidates = candidates_of(context, limits, bonds)
    if not may_be_enough(context, bonds, candidates, size=limits.target):
        return None
    offload = plan_offload(context, structs.replace(limits, target=0), bonds, candidates, stand_in)
    if offload is None or offload.tokens_after > limits.target or before - offload.tokens_after <= limits.least_gain:
        return None
    return structs.replace(offload, target_tokens=limits.target)
