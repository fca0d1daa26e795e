"""Presets: what makes one policy differ from another. The engine (`ladder`, `offload`, `summary`, `truncate`) is one.

- ``ladder``: offload as far as needed, then summarise, then truncate.
- ``agkit``: AG-Kit's three layers: at 80% everything but the newest items is offloaded, at 95%, or where that gained 5%
  or less, everything but them is summarised.
- ``codex``: what Codex CLI does by itself: nothing is offloaded; the user's messages stay, newest first within 20,000
  tokens, the one that crosses the budget cut in its middle, and a summary stands for the rest.
- ``codex-remote``: the same with 64,000 tokens, where a provider writes the block that stands for the rest.
- ``agent``: the model compresses by a tool call; the ladder acts only where the next request could not be sent.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from msgspec import Struct, structs

from retold.errors import InputError
from retold.events import Policy, Tuning, Window

AGKIT_KEEP_RECENT = 5
"""AG-Kit's own default."""

CODEX_USER_TOKENS = 20_000
"""What Codex keeps of the user's messages."""

CODEX_REMOTE_USER_TOKENS = 64_000
"""The same, where the provider compacts."""


class Preset(Struct, frozen=True):
    """Hold the choices of one policy. Percentages are of `whole`.

    Attributes:
        whole: what sizes are shares of: the pre-rot threshold, the largest request, or the least of both and nine
            tenths of the window (Codex's clamp).
        due_percent: where the policy starts to act.
        summary_percent: where summarising starts, whatever offloading would gain.
        target_percent: what a compaction aims at.
        offload: whether items are offloaded as far as needed, all at once, or never.
        offload_messages: whether messages are offloaded too, not only calls, results and reasoning.
        keep_recent: how many of the newest entries are never offloaded.
        recent_percent: offloading takes all that is older than the newest entries of this size; what is newer, only as
            far as the target asks; 100: so with all. What stays whole is what the next offload has sent anew.
        tail: what of the newest stays whole beside a summary: so many tokens (`Limits.tail`), the newest
            `keep_recent` entries, or nothing but what must.
        user_tokens: the most that kept user messages take beside the tail.
        cut_user: whether the message that crosses this is cut in its middle, rather than left to the summary.
        is_remote: whether a provider's endpoint writes what stands for the rest.
    """

    whole: Literal["pre_rot", "request", "lesser"] = "pre_rot"
    due_percent: int = 80
    summary_percent: int = 95
    target_percent: int = 60
    offload: Literal["as needed", "all", "never"] = "as needed"
    offload_messages: bool = False
    keep_recent: int = 8
    recent_percent: int = 100
    tail: Literal["tokens", "entries", "nothing"] = "tokens"
    user_tokens: int = 20_000
    cut_user: bool = False
    is_remote: bool = False


_CODEX: Final = Preset(
    whole="lesser",
    due_percent=100,
    summary_percent=100,
    target_percent=90,
    offload="never",
    keep_recent=0,
    tail="nothing",
    user_tokens=CODEX_USER_TOKENS,
    cut_user=True,
)

PRESETS: Final[Mapping[Policy, Preset]] = {
    "ladder": Preset(recent_percent=10),
    "agkit": Preset(
        target_percent=80,
        offload="all",
        offload_messages=True,
        keep_recent=AGKIT_KEEP_RECENT,
        tail="entries",
        user_tokens=0,
    ),
    "codex": _CODEX,
    "codex-remote": structs.replace(_CODEX, user_tokens=CODEX_REMOTE_USER_TOKENS, is_remote=True),
    "agent": Preset(whole="request", due_percent=100, summary_percent=100),
}

assert set(PRESETS) == set(get_args(Policy))


def preset_of(policy: Policy, tuning: Tuning | None) -> Preset:
    """Return the preset *policy*, with what *tuning* says otherwise."""
    preset = PRESETS[policy]
    if tuning is None:
        return preset
    return structs.replace(
        preset,
        due_percent=tuning.offload_percent or preset.due_percent,
        summary_percent=tuning.summary_percent or max(preset.summary_percent, tuning.offload_percent),
        target_percent=min(preset.target_percent, tuning.offload_percent or preset.target_percent),
        keep_recent=preset.keep_recent if tuning.keep_recent is None else tuning.keep_recent,
    )


def whole_of(preset: Preset, window: Window) -> int:
    """Return the size that the shares of *preset* are taken of, in the provider's tokens."""
    match preset.whole:
        case "pre_rot":
            return window.pre_rot_tokens
        case "request":
            return window.input_limit
        case "lesser":
            most = min(window.input_limit, window.hard_limit * 9 // 10)
            return min(window.pre_rot or most, most)


def check_tuning(tuning: Tuning) -> Tuning:
    """Return *tuning*.

    Raises:
        InputError: if it is none, or a value is out of range.
    """
    if not isinstance(tuning, Tuning):
        raise InputError(f"expected a Tuning, got {type(tuning).__name__}")
    recent = tuning.keep_recent
    if recent is not None and (not isinstance(recent, int) or isinstance(recent, bool) or recent < 0):
        raise InputError(f"expected keep_recent of 0 or more, got {recent!r}")
    for name in ("offload_percent", "summary_percent"):
        percent = getattr(tuning, name)
        if not isinstance(percent, int) or isinstance(percent, bool) or not 0 <= percent <= 100:
            raise InputError(f"expected {name} of 0 to 100, got {percent!r}")
    if not isinstance(tuning.drop_orders, bool):
        raise InputError(f"expected drop_orders to be true or false, got {tuning.drop_orders!r}")
    if 0 < tuning.summary_percent < tuning.offload_percent:
        asked = f"{tuning.summary_percent} and {tuning.offload_percent}"
        raise InputError(f"expected summary_percent of offload_percent or more, got {asked}")
    return tuning
