"""What a session is opened with: the model's limits, a policy, and where it differs from that policy's preset."""

from typing import Literal

from msgspec import Struct

Policy = Literal["ladder", "agkit", "codex", "codex-remote", "agent"]
"""A preset of the policy engine (`retold.policy.presets`)."""


class Window(Struct, frozen=True, omit_defaults=True):
    """State a model's limits, in tokens.

    Attributes:
        hard_limit: what the model accepts, input and output together.
        pre_rot: the size at which quality starts to suffer; compaction aims below it. 0 means: chosen from the others
            (`pre_rot_tokens`).
        reserve: room kept free for the model's output. 0 means: a tenth of `hard_limit`, at most 32,000.
    """

    hard_limit: int
    pre_rot: int = 0
    reserve: int = 0

    @property
    def reserve_tokens(self) -> int:
        """Return the room kept for output, in tokens."""
        return self.reserve or min(32_000, self.hard_limit // 10)

    @property
    def input_limit(self) -> int:
        """Return the most that a request may hold, in tokens: the hard limit less the reserve."""
        return self.hard_limit - self.reserve_tokens

    @property
    def pre_rot_tokens(self) -> int:
        """Return the pre-rot threshold in tokens; by default 150,000 (AG-Kit's), or the input limit if that is less."""
        return min(self.pre_rot or 150_000, self.input_limit)


class Tuning(Struct, frozen=True, omit_defaults=True):
    """Say where a session differs from its policy's preset. Percentages are of what the preset takes them of.

    Attributes:
        keep_recent: how many of the newest entries are never offloaded; None: the preset's.
        offload_percent: where the policy starts to act, 1 to 100; 0: the preset's.
        summary_percent: where summarising starts, `offload_percent` to 100; 0: the preset's.
        manual: whether compactions are made on request only, however large the history.
        drop_orders: whether lines of a summary that read like orders, and come from a tool or a page, are left out;
            else they are quoted as data.
    """

    keep_recent: int | None = None
    offload_percent: int = 0
    summary_percent: int = 0
    manual: bool = False
    drop_orders: bool = False
