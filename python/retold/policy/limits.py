"""The sizes at which the ladder acts, derived from a window."""

from msgspec import Struct, structs

from retold.events import CompactionRequested, Window
from retold.fold import DUE_SHARE, INEFFECTIVE_GAIN, UNTAUGHT, Calibration, Context
from retold.policy.presets import PRESETS, Preset, preset_of, whole_of

TAIL_SHARE = 0.25
"""The newest entries stay whole within this share (opencode's figure)."""

SUMMARY_TOKENS_MAX = 4_000
"""A summary takes at most this in a window; `retold.compact` gives it what else would be left unused."""

SUMMARY_TOKENS_LEAST = 120
"""Where a budget was asked for and no more is free, so small a summary is made: it tells more than cut texts."""

SMALL_SUMMARY_TOKENS = 400
"""Within a small budget a summary takes up to this, or half of it: its frame alone takes about 80."""


class Limits(Struct, frozen=True):
    """Hold the sizes at which a policy acts, in tokens by our count.

    Attributes:
        preset: the policy's choices that are no sizes.
        offload_at: where offloading starts.
        summary_at: where summarising starts.
        target: what a compaction aims at.
        ceiling: what a request may never exceed.
        least_gain: what a compaction must free to be worth it.
        recent: the newest entries of this size are offloaded only as far as the target asks; None: all of them.
        tail: what the newest entries may take when older ones are summarised.
        user: what kept user messages may take beside the tail.
        summary: what a summary may take.
        summary_least: the least that it may take, where no more is free.
        summary_most: what it may take where the rest leaves so much room below the target.
    """

    preset: Preset
    offload_at: int
    summary_at: int
    target: int
    ceiling: int
    least_gain: int
    recent: int | None
    tail: int
    user: int
    summary: int
    summary_least: int
    summary_most: int


def limits_for(context: Context, window: Window | None = None) -> Limits:
    """Return the sizes for the session of *context*, by its policy; under *window*, if it is another. O(1)."""
    preset = preset_of(context.policy, context.tuning)
    return limits_of(context.window if window is None else window, context.calibration, preset)


def limits_of(window: Window, calibration: Calibration = UNTAUGHT, preset: Preset = PRESETS["ladder"]) -> Limits:
    """Return the sizes at which *preset* acts under *window*, by our count.

    A window is in the provider's tokens. So each size is the largest history that the provider takes for as many, as
    its reports say: whoever compares our counts with them compares what will be charged.
    """
    whole = whole_of(preset, window)
    size, due = calibration.counted(whole), whole * preset.due_percent // 100
    summary = min(SUMMARY_TOKENS_MAX, size // 10)
    return Limits(
        preset=preset,
        offload_at=calibration.counted(due),
        summary_at=calibration.counted(whole * preset.summary_percent // 100),
        target=calibration.counted(whole * preset.target_percent // 100),
        ceiling=calibration.counted(window.input_limit),
        least_gain=calibration.grown(int(due / DUE_SHARE * INEFFECTIVE_GAIN)),
        recent=None if preset.recent_percent == 100 else size * preset.recent_percent // 100,
        tail=int(size * TAIL_SHARE),
        user=min(preset.user_tokens, size if preset.cut_user else int(size * TAIL_SHARE)),
        summary=summary,
        summary_least=summary,
        summary_most=summary,
    )


def due_recorded(context: Context) -> int:
    """Return the size to record as due for *context*: 0 where it is the window's own."""
    due = limits_for(context).offload_at
    return 0 if due == int(context.window.pre_rot_tokens * DUE_SHARE) else due


def limits_asked(limits: Limits, requested: CompactionRequested | None) -> Limits:
    """Return *limits* with the target that was asked for, if one was, and the parts of a summary in proportion."""
    if requested is None or requested.target_tokens < 1:
        return limits
    target = min(requested.target_tokens, limits.ceiling)
    within = limits_within(target, limits.preset)
    return structs.replace(
        limits,
        target=target,
        recent=None,
        tail=min(limits.tail, within.tail),
        user=min(limits.user, within.user),
        summary=min(limits.summary, within.summary),
        summary_least=min(limits.summary_least, within.summary),
        summary_most=min(limits.summary_most, within.summary),
    )


def limits_within(budget_tokens: int, preset: Preset = PRESETS["ladder"]) -> Limits:
    """Return the sizes for one compaction that must end within *budget_tokens*.

    A summary may take up to half of it: what a budget that was asked for leaves unused is of no use to anyone, where
    in a window it is the room to go on.
    """
    summary = min(SUMMARY_TOKENS_MAX, max(budget_tokens // 5, min(budget_tokens // 2, SMALL_SUMMARY_TOKENS)))
    return Limits(
        preset=preset,
        offload_at=budget_tokens,
        summary_at=budget_tokens,
        target=budget_tokens,
        ceiling=budget_tokens,
        least_gain=0,
        recent=None,
        tail=budget_tokens // 2,
        user=min(preset.user_tokens, budget_tokens // (2 if preset.cut_user else 4)),
        summary=summary,
        summary_least=min(summary, SUMMARY_TOKENS_LEAST),
        summary_most=budget_tokens // 2,
    )
