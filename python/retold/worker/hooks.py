"""Take part in compactions: what stands for an offloaded item, and where else a summary is to go."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from retold.events import Fact, Item, SessionKey, SummaryWritten
from retold.fold import Context
from retold.own_threads import in_own_thread
from retold.policy import Bonds, Decision, check_stand_in, decide

HOOK_TIMEOUT_S: Final = 30.0
"""A hook that takes longer has failed: `compact_item` for all the items of one compaction, the others at each call."""

_log = logging.getLogger(__name__)


class Hooks:
    """Override what is to be done differently; as they are, the methods change nothing.

    The log stays the truth: a hook that raises, or takes longer than `HOOK_TIMEOUT_S`, is named in the worker's log,
    and the compaction goes on without it. `compact_item` runs in a thread, which is left there if it is late; it must
    depend on its arguments alone, or a worker that starts again comes to another history. The other two are called
    after the event is recorded; a worker that dies in between does not call them again.
    """

    def compact_item(self, item: Item, placeholder: Item) -> Item | None:  # noqa: ARG002 - for those who override it
        """Return what is to stand in the place of *item*: of the same kind, id and call; None keeps the item."""
        return placeholder

    async def store_summary(self, key: SessionKey, written: SummaryWritten) -> None:
        """Keep a summary of session *key* elsewhere, too: its item, its fields, and what it covers."""

    async def clear_summarised(self, key: SessionKey, items: Sequence[str]) -> None:
        """Learn the ids of the items that a summary stands for from now on. The log keeps them."""


async def decide_with(hooks: Hooks | None, context: Context, bonds: Bonds) -> Decision | None:
    """Return what to do about the history of *context*, with placeholders by *hooks*, unless they fail.

    Raises:
        FloorError: if what must be kept verbatim is larger than the window.
    """
    if hooks is None or type(hooks).compact_item is Hooks.compact_item:
        return decide(context, context.window, bonds=bonds)
    failed: list[str] = []

    def stand_in(item: Item, placeholder: Item) -> Item | None:
        try:
            other = hooks.compact_item(item, placeholder)
            return None if other is None else check_stand_in(other, placeholder)
        except Exception as error:  # noqa: BLE001 - a hook raises what it likes; its text may quote the transcript
            failed.append(type(error).__name__)
            return placeholder

    try:
        async with asyncio.timeout(HOOK_TIMEOUT_S):
            work = partial(decide, context, context.window, stand_in=stand_in, bonds=bonds)
            decision = await in_own_thread(work, name="retold-compact-item")
    except TimeoutError:
        failed = [TimeoutError.__name__]
        decision = decide(context, context.window, bonds=bonds)
    if failed:
        _log.warning("compact_item failed on session %s: %s, %d times", context.key.session, failed[0], len(failed))
    return decision


async def tell(hooks: Hooks | None, key: SessionKey, facts: Sequence[Fact]) -> None:
    """Tell *hooks* of the summaries among *facts*, which are recorded."""
    if hooks is None:
        return
    for written in facts:
        if isinstance(written, SummaryWritten):
            calls = {
                "store_summary": partial(hooks.store_summary, key, written),
                "clear_summarised": partial(hooks.clear_summarised, key, written.covers),
            }
            for name, call in calls.items():
                try:
                    async with asyncio.timeout(HOOK_TIMEOUT_S):
                        await call()
                except Exception as error:  # noqa: BLE001 - as above
                    _log.warning("%s failed on session %s: %s", name, key.session, type(error).__name__)
