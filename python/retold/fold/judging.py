"""What a compaction that was tried is judged by: the size at its base, and what it freed of it."""

from typing import Any

from retold.events import CompactionFailed, HistoryReplaced, Window
from retold.fold.calibration import Calibration
from retold.fold.context import Context

INEFFECTIVE_GAIN = 0.05
"""A replacement that frees less than this share of the pre-rot threshold is ineffective (AG-Kit's figure)."""

DUE_SHARE = 0.80
"""From this share of the pre-rot threshold on, a history's size alone calls for a compaction (AG-Kit's figure)."""


def after_try(now: Context, fact: HistoryReplaced | CompactionFailed, *, before: int, after: int) -> dict[str, Any]:
    """Return what *fact*, which made a history of *before* tokens one of *after*, changes in the state *now*.

    A try on a history that was not due by its size was made for a request, and says nothing about the loop.
    """
    size = fact.due_tokens / DUE_SHARE if fact.due_tokens else now.window.pre_rot_tokens
    due = fact.due_tokens or int(size * DUE_SHARE)
    is_little = before - after < INEFFECTIVE_GAIN * size
    ineffective = now.ineffective + (1 if before >= due else 0) if is_little else 0
    requested = now.requested if now.requested_seq > fact.base_seq else None
    return {"ineffective": ineffective, "settled_tokens": after, "requested": requested}


def settled_by_hand(upper_tokens: int, window: Window, calibration: Calibration) -> int:
    """Return the size from which a history must grow that was enlarged on purpose: its own, or 0 if it cannot be sent.

    Compacted again where it stands, an undone compaction would be done again, and a restored item offloaded.
    """
    return upper_tokens if upper_tokens <= calibration.counted(window.input_limit) else 0
