"""When a session is compacted, and under which window: what people and agents say of it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from retold.client.checking import check_sizes, check_window
from retold.events import CompactionRequested, Fact, Window, WindowChanged
from retold.fold import Context
from retold.policy import limits_for
from retold.tokens import encoding as vocabulary


class Steered(ABC):
    """Give a session what decides when it is compacted."""

    @abstractmethod
    async def _load(self) -> Context:
        """Return the present state."""

    @abstractmethod
    async def _record(self, facts: Sequence[Fact], *, expected: int | None = None) -> int:
        """Append *facts* as one; return the last sequence."""

    async def request_compaction(self, *, target_tokens: int = 0, reason: str = "") -> int:
        """Ask the worker to compact now, whatever the size; return the request's sequence. Raises as `append`.

        *target_tokens* is what the history is to come under; 0 is the policy's own target.
        """
        check_sizes(target_tokens=target_tokens)
        return await self._record([CompactionRequested(target_tokens=target_tokens, reason=reason)])

    async def manage(self) -> int | None:
        """Ask the worker to compact if the size calls for it; return the request's sequence, or None if it does not.

        For sessions whose `Tuning` is manual: nothing else compacts those. Raises as `append`.
        """
        context = await self._load()
        if context.requested is not None or context.tokens.upper < limits_for(context).offload_at:
            return None
        return await self._record([CompactionRequested(reason="managed")])

    async def change_window(self, window: Window, *, encoding: str | None = None) -> int:
        """Go on under *window*, since the agent changes its model; return the event's sequence. Raises as `append`.

        What does not fit there is compacted at once. *encoding* is the new model's vocabulary; None keeps the present
        one.

        Raises:
            InputError: if *window* leaves no room, or there is no vocabulary of that name; nothing was recorded.
        """
        if encoding is not None:
            vocabulary(encoding)
        return await self._record([WindowChanged(window=check_window(window), encoding=encoding)])
