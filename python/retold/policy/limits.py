"""The sizes at which the ladder acts, derived from a window."""

from msgspec import Struct, structs

from retold.events import CompactionRequested, Window
from retold.fold import DUE_SHARE, INEFFECTIVE_GAIN, UNTAUGHT, Calibration

SUMMARY_SHARE = 0.95
"""Summarising starts at this share of the pre-rot threshold (AG-Kit's figure)."""

TARGET_SHARE = 0.60
"""A compaction aims at this share, well below where the next one starts, so that the two do not chase each other."""

TAIL_SHARE = 0.25
"""The newest entries stay whole within this share (opencode's figure)."""

USER_TOKENS_MAX = 20_000
"""User messages are kept verbatim, newest first, within this (Codex's figure)."""

SUMMARY_TOKENS_MAX = 4_000
"""A summary takes at most this in a window; `retold.compact` gives it what else would be left unused."""

SMALL_SUMMARY_TOKENS = 400
"""Within a small budget a summary takes up to this, or half of it: its frame alone takes about 80."""

KEEP_RECENT = 8
"""Offloading never touches the newest entries, this many of them."""


class Limits(Struct, frozen=True):
    """Hold the ladder's sizes, in tokens by our count.

    Attributes:
        offload_at: where offloading starts.
        summary_at: where summarising starts.
        target: what a compaction aims at.
        ceiling: what a request may never exceed.
        least_gain: what a compaction must free to be worth it.
        tail: what the newest entries may take when older ones are summarised.
        user: what kept user messages may take beside the tail.
        summary: what a summary may take.
        summary_most: what it may take where the rest leaves so much room below the target.
    """

    offload_at: int
    summary_at: int
    target: int
    ceiling: int
    least_gain: int
    tail: int
    user: int
    summary: int
    summary_most: int


def limits_of(window: Window, calibration: Calibration = UNTAUGHT) -> Limits:
    """Return the ladder's sizes for *window*, by our count.

    A window is in the provider's tokens. So each size is the largest history that the provider takes for as many, as
    its reports say: whoever compares our counts with them compares what will be charged.
    """
    whole = window.pre_rot_tokens
    size = calibration.counted(whole)
    summary = min(SUMMARY_TOKENS_MAX, size // 10)
    return Limits(
        offload_at=calibration.counted(int(whole * DUE_SHARE)),
        summary_at=calibration.counted(int(whole * SUMMARY_SHARE)),
        target=calibration.counted(int(whole * TARGET_SHARE)),
        ceiling=calibration.counted(window.input_limit),
        least_gain=calibration.grown(int(whole * INEFFECTIVE_GAIN)),
        tail=int(size * TAIL_SHARE),
        user=min(USER_TOKENS_MAX, int(size * TAIL_SHARE)),
        summary=summary,
        summary_most=summary,
    )


def due_recorded(window: Window, calibration: Calibration) -> int:
    """Return the size to record as due: 0 where it is the window's own."""
    due = limits_of(window, calibration).offload_at
    return 0 if due == limits_of(window).offload_at else due


def limits_asked(limits: Limits, requested: CompactionRequested | None) -> Limits:
    """Return *limits* with the target that was asked for, if one was, and the parts of a summary in proportion."""
    if requested is None or requested.target_tokens < 1:
        return limits
    target = min(requested.target_tokens, limits.ceiling)
    within = limits_within(target)
    return structs.replace(
        limits,
        target=target,
        tail=min(limits.tail, within.tail),
        user=min(limits.user, within.user),
        summary=min(limits.summary, within.summary),
        summary_most=min(limits.summary_most, within.summary),
    )


def limits_within(budget_tokens: int) -> Limits:
    """Return the sizes for one compaction that must end within *budget_tokens*.

    A summary may take up to half of it: what a budget that was asked for leaves unused is of no use to anyone, where
    in a window it is the room to go on.
    """
    return Limits(
        offload_at=budget_tokens,
        summary_at=budget_tokens,
        target=budget_tokens,
        ceiling=budget_tokens,
        least_gain=0,
        tail=budget_tokens // 2,
        user=min(USER_TOKENS_MAX, budget_tokens // 4),
        summary=min(SUMMARY_TOKENS_MAX, max(budget_tokens // 5, min(budget_tokens // 2, SMALL_SUMMARY_TOKENS))),
        summary_most=budget_tokens // 2,
    )
