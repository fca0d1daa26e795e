"""Hooks: whoever runs a worker takes part in its compactions, and cannot spoil them."""

import asyncio
from collections.abc import Coroutine, Sequence
from threading import Event
from typing import Any

import pytest
from msgspec import structs
from tests.laws.logs import HandClock, drained, read, write
from tests.laws.stories import KEY
from tests.laws.texts import OUTPUT

from retold.events import (
    Fact,
    HistoryReplaced,
    Item,
    ItemAppended,
    ItemsOffloaded,
    Message,
    SessionKey,
    SessionOpened,
    SummaryWritten,
    Text,
    ToolCall,
    ToolResult,
    Window,
)
from retold.log import MemoryLog
from retold.replay import load, verify
from retold.summarizers import ExtractiveSummarizer
from retold.worker import Hooks, Worker
from retold.worker import hooks as hooks_module

WINDOW = Window(hard_limit=12_500, pre_rot=10_000, reserve=500)


class _Noting(Hooks):
    """Note what is told, and put a text of one's own in the place of results."""

    def __init__(self) -> None:
        self.stored: list[tuple[SessionKey, str]] = []
        self.cleared: list[str] = []

    def compact_item(self, item: Item, placeholder: Item) -> Item | None:
        if isinstance(placeholder, ToolResult):
            return structs.replace(placeholder, content=(Text(f"(see {item.id})"),))
        return placeholder

    async def store_summary(self, key: SessionKey, written: SummaryWritten) -> None:
        self.stored.append((key, written.item.id))

    async def clear_summarised(self, key: SessionKey, items: Sequence[str]) -> None:
        assert key == KEY
        self.cleared.extend(items)


class _Failing(Hooks):
    """Raise, or give what cannot stand anywhere."""

    def compact_item(self, item: Item, placeholder: Item) -> Item | None:
        if item.id.endswith("2"):
            raise ValueError("a secret of the transcript")
        if isinstance(placeholder, ToolResult):
            return structs.replace(placeholder, content="gone")
        return structs.replace(placeholder, id="i0")

    async def store_summary(self, key: SessionKey, written: SummaryWritten) -> None:
        raise ValueError(f"a secret of the transcript: {key} {written}")


def _facts(turns: int) -> list[Fact]:
    facts: list[Fact] = [
        SessionOpened(window=WINDOW, policy="agkit"),
        ItemAppended(item=Message(role="user", content=(Text("Find the warnings."),))),
        ItemAppended(item=Message(role="user", content=(Text("All of them."),))),
    ]
    for number in range(turns):
        facts.append(ItemAppended(item=ToolCall(call_id=f"c{number}", name="lint", arguments="{}")))
        result = ToolResult(call_id=f"c{number}", content=(Text(f"{number}\n{OUTPUT}"),))
        facts.append(ItemAppended(item=result))
    said = Message(role="assistant", content=(Text("I am looking at one more of these files now. " * 9),))
    return facts + [ItemAppended(item=said)] * 90  # each too short to be offloaded


async def _worked(hooks: Hooks) -> MemoryLog:
    log = MemoryLog()
    for fact in _facts(30):
        await write(log, KEY, [fact], clock=HandClock(f"agent{len(await read(log, KEY))}"))
    assert await drained(Worker(log, HandClock("worker"), ExtractiveSummarizer(), hooks=hooks))
    return log


def test_my_hooks_say_what_stands_and_learn_what_left() -> None:
    """My text stands where a placeholder would, and I am told each summary with what it stands for."""

    async def run() -> None:
        hooks = _Noting()
        log = await _worked(hooks)
        events = [one.event.data for one in await read(log, KEY)]
        offloads = [offload for fact in events if isinstance(fact, ItemsOffloaded) for offload in fact.items]
        written = [fact for fact in events if isinstance(fact, SummaryWritten)]
        assert offloads
        assert written
        assert all(isinstance(offload.placeholder, ToolResult) for offload in offloads)
        assert {str(offload.placeholder).count(f"(see {offload.item})") for offload in offloads} == {1}
        assert hooks.stored == [(KEY, fact.item.id) for fact in written]
        assert hooks.cleared == [item for fact in written for item in fact.covers]
        assert (await verify(log, KEY)).ok

    asyncio.run(run())


def test_hooks_that_fail_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """If my hooks raise or give nonsense, the history is what it would be without them, and no log quotes it."""

    async def run() -> None:
        with_them, without = await _worked(_Failing()), await _worked(Hooks())
        both = [await load(log, KEY) for log in (with_them, without)]
        assert both[0].entries == both[1].entries
        assert any(isinstance(one.event.data, HistoryReplaced) for one in await read(with_them, KEY))

    asyncio.run(run())
    assert "compact_item failed on session" in caplog.text
    assert "secret" not in caplog.text


class _NotAwaited(Hooks):
    """Raise at once, as a method does that was not written with ``async``."""

    def store_summary(self, key: SessionKey, written: SummaryWritten) -> Coroutine[Any, Any, None]:
        raise ValueError(f"a secret of the transcript: {key} {written}")


def test_a_hook_that_raises_before_it_is_awaited_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """If I forget the ``async``, my hook is named in the log, and the worker goes on."""

    async def run() -> None:
        log = await _worked(_NotAwaited())
        assert any(isinstance(one.event.data, SummaryWritten) for one in await read(log, KEY))

    asyncio.run(run())
    assert "store_summary failed on session" in caplog.text
    assert "secret" not in caplog.text


class _Hanging(Hooks):
    """Never come back from one of the hooks."""

    def __init__(self, which: str) -> None:
        self.which = which
        self.never = Event()

    def compact_item(self, item: Item, placeholder: Item) -> Item | None:
        if self.which == "compact_item":
            self.never.wait()
        return super().compact_item(item, placeholder)

    async def store_summary(self, key: SessionKey, written: SummaryWritten) -> None:
        if self.which == "store_summary":
            await asyncio.Event().wait()
        await super().store_summary(key, written)

    async def clear_summarised(self, key: SessionKey, items: Sequence[str]) -> None:
        if self.which == "clear_summarised":
            await asyncio.Event().wait()
        await super().clear_summarised(key, items)


@pytest.mark.parametrize("which", ["compact_item", "store_summary", "clear_summarised"])
def test_a_hook_that_hangs_holds_nothing_up(
    which: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If my hook never comes back, my sessions are compacted without it, and the log says which one it was."""
    monkeypatch.setattr(hooks_module, "HOOK_TIMEOUT_S", 0.05)

    async def run() -> None:
        hanging = _Hanging(which)
        with_it, without = await _worked(hanging), await _worked(Hooks())
        hanging.never.set()
        both = [await load(log, KEY) for log in (with_it, without)]
        assert both[0].entries == both[1].entries

    asyncio.run(asyncio.wait_for(run(), 60))
    assert f"{which} failed on session" in caplog.text
