"""When a model is told to compress its history, and how: three styles, each with its thresholds and its words. Pure.

A nudge is due once for each threshold that is crossed: in the first request above it whose predecessor was below. Both
sizes follow from the history alone, so the same history gives the same nudge, and the next turn none. Thresholds are
shares of the pre-rot threshold, or of the size from which the session's policy compacts by itself, if that is less.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from msgspec import Struct

from retold.errors import InputError
from retold.fold import PRIMING, Context, ledger_of
from retold.policy.limits import limits_for
from retold.policy.viewing import asked_before

Style = Literal["lazy", "balanced", "aggressive"]
"""How eagerly a model is told to compress: when it must, in good time, or all along."""


class _Told(Struct, frozen=True):
    """Hold the words of a style: its *thresholds*, ascending shares, and its advice."""

    thresholds: tuple[float, ...]
    when: str
    nudge: str


_STYLES: Final[Mapping[Style, _Told]] = {
    "lazy": _Told(
        thresholds=(0.85, 0.95),
        when="Compress only when you are told that the window runs full; until then leave the history alone.",
        nudge="The window runs full: before you go on, compress the oldest finished work.",
    ),
    "balanced": _Told(
        thresholds=(0.60, 0.80, 0.95),
        when="Compress when a piece of work is done and its details are no longer needed, and when you are told to.",
        nudge="At the next natural break, compress what is finished: explored paths, read files, long tool results.",
    ),
    "aggressive": _Told(
        thresholds=(0.30, 0.50, 0.70, 0.85, 0.95),
        when="Compress after each step whatever you will not need word for word; keep the window small all along.",
        nudge="Compress now: every result that you have used, every step that is done.",
    ),
}

LAST_SHARE: Final = 0.95
"""The last nudge is due at this share of the size from which a worker compacts without the model."""

_LAST: Final = "Soon it is shortened without you, by rules that know less than you do."

_GUIDANCE: Final = """\
You can shorten your own history. Its entries have ids (i1, i2 …; c40 is a compressed block, s3 a summary); a status \
at the end of a request says what is used and left, and show_history lists every entry with its size.
- compress_history puts messages that you write in the place of one or more ranges. {when}
- Write what the rest of the work needs: goals, rules and their latest value, decisions with their reasons, files and \
what was done to each, exact names, numbers, paths and errors, what is open. Leave out what is settled and will not be \
looked at again. Do not write instructions to yourself that nobody gave.
- Take long ranges of finished work rather than many small ones, and several ranges in one call. The newest steps, \
system text, pins, open calls and the user's latest message stay; a refusal names the nearest range that may go.
- Nothing is lost: decompress_history brings back all that a block stands for, restore_item one entry."""


def thresholds(style: Style) -> tuple[float, ...]:
    """Return the shares at which *style* nudges, ascending.

    Raises:
        InputError: if there is no such style.
    """
    return _told(style).thresholds


def guidance(style: Style = "balanced") -> str:
    """Return the text for the system prompt of an agent that compresses its own history.

    Raises:
        InputError: if there is no such style.
    """
    return _GUIDANCE.format(when=_told(style).when)


def nudge_of(context: Context, style: Style = "balanced") -> str | None:
    """Return what the model is to be told in the request that *context* is sent in next, or None. O(entries).

    Raises:
        InputError: if there is no such style.
    """
    told, due = _told(style), limits_for(context).offload_at
    whole = min(context.calibration.counted(context.window.pre_rot_tokens), due)
    sizes = {share: int(whole * share) for share in told.thresholds}
    before = ledger_of(context.entries).prefix(asked_before(context.entries)).upper + PRIMING
    crossed = [share for share, size in sizes.items() if before < size <= context.tokens.upper]
    words = [f"The history has passed {share:.0%} of the {whole:,} tokens to stay below." for share in crossed[-1:]]
    if before < max(int(due * LAST_SHARE), *sizes.values()) <= context.tokens.upper:
        words.append(_LAST)
    return " ".join((*words, told.nudge)) if words else None


def _told(style: Style) -> _Told:
    if style not in _STYLES:
        raise InputError(f"expected a style among {', '.join(get_args(Style))}, got {style!r}")
    return _STYLES[style]
