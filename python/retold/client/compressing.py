"""What an agent does with its own history, by itself or by its model's tool calls: show, compress, decompress.

A model's mistakes are answered in words that it can act on; a caller's are raised.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, assert_never

from msgspec import UNSET, Struct

from retold.client.decompressing import covered, opened, part_of, restored, size_after, told_back
from retold.errors import ConflictError, InputError
from retold.events import Fact, Form, HistoryDecompressed, Receipt
from retold.fold import Context
from retold.formats.tool_calls import read_call
from retold.policy.compressing import CompressedRange, Range, plan_compression
from retold.policy.history_tools import (
    TOOLS,
    Asked,
    CompressHistory,
    DecompressHistory,
    RestoreItem,
    ShowHistory,
    history_tools,
    read_arguments,
    read_ranges,
)
from retold.policy.nudging import Style, nudge_of
from retold.policy.viewing import HistoryView, view_of
from retold.ports import Log

CONFLICTS_MAX = 10
"""How often a tool call is tried again because somebody else, mostly the worker, wrote first."""

T = TypeVar("T")


class Compression(Struct, frozen=True):
    """Say what a compression did, or would do.

    Attributes:
        seq: the event that records it; None after a dry run.
        blocks: the blocks in the history's order, each with what it stands for.
        receipt: the whole history before and after, as every compaction has one.
    """

    seq: int | None
    blocks: tuple[CompressedRange, ...]
    receipt: Receipt


class SelfCompressing(ABC):
    """Give a session what its own agent may do with its history."""

    _log: Log

    @abstractmethod
    async def _load(self) -> Context:
        """Return the present state."""

    @abstractmethod
    async def _record_and_publish(self, facts: Sequence[Fact], *, expected: int | None = None) -> int:
        """Append *facts* as one, and publish what the history is then; return the last sequence."""

    async def compress(self, ranges: Sequence[Mapping[str, Any] | Range], *, dry_run: bool = False) -> Compression:
        """Put what the agent wrote in the place of one or more ranges of the history, all or none.

        A range is ``{"first": "i3", "last": "i17", "messages": ["…"]}``, both ends included. It becomes one block, sent
        as the user's between marks, whose originals `decompress` brings back. With *dry_run* nothing is recorded.

        Raises:
            InputError: if a range cannot be compressed: an id is not in the history, ranges lie over each other, it
                holds what must stay or parts what belongs together, or it would not get smaller. The text names what is
                in the way and the nearest ranges that may go. Nothing was recorded.
            ConflictError: if the session grew while it was looked up; repeat the call.
        """
        asked = read_ranges(ranges)
        return await self._compress(await self._load(), asked, dry_run=dry_run)

    async def decompress(self, block: str, *, item: str | None = None) -> int:
        """Bring back what a compressed block stands for, byte for byte, in its place; return the event's sequence.

        With *item*, only that entry comes back, with what belongs to it, behind the block; the block stays.

        Raises:
            InputError: if there is no such block in the history, or it does not stand for *item*.
            CorruptLogError: if the log does not hold the originals any more.
            ConflictError: if the session grew while it was looked up; repeat the call.
        """
        context = await self._load()
        return await self._record_and_publish([await self._opened(context, block, item)], expected=context.seq)

    async def view(self, *, style: Style = "balanced") -> HistoryView:
        """Return the history as its model is shown it: ids, sizes, what is used and left, and a nudge if one is due.

        Send ``view.as_message(form)`` last in a request, and do not append it: so nothing before it ever changes.

        Raises:
            InputError: if there is no such style.
        """
        context = await self._load()
        return view_of(context, nudge=nudge_of(context, style))

    @staticmethod
    def tools(form: Form = "chat") -> list[dict[str, Any]]:
        """Return the schemas of the tools by which a model manages its history, for the `tools` of its requests."""
        return history_tools(form)

    async def handle_tool_call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a model asks for by one of `tools`, and return the message that answers it, in the call's form.

        *call* is an entry of `tool_calls`, a `function_call` item or a `tool_use` block; append the answer as any
        tool's result. What is wrong with the call is said in the answer, so that the model can mend it.

        Raises:
            InputError: if *call* is no tool call, or one of another tool.
            ConflictError: if the session grew `CONFLICTS_MAX` times while it was looked up; repeat the call.
            CorruptLogError: if the log is damaged.
        """
        formed = read_call(call)
        if formed.call.name not in TOOLS:
            raise InputError(f"expected a call of {', '.join(TOOLS)}, got one of another tool")
        await self._load()  # a session that cannot be read is no mistake of the model's
        try:
            asked = read_arguments(formed.call)
            return formed.answered(await self._answer(asked), is_error=False)
        except InputError as error:
            return formed.answered(f"Nothing was changed: {error}", is_error=True)

    async def _answer(self, asked: Asked) -> str:
        match asked:
            case ShowHistory():
                return view_of(await self._load()).listing(asked.first, asked.last)
            case CompressHistory():
                act = partial(self._compress, ranges=asked.ranges, dry_run=asked.dry_run)
                return _told(await self._again(act))
            case DecompressHistory():
                return await self._again(partial(self._bring_back, block=asked.block, item=asked.item))
            case RestoreItem():
                return await self._again(partial(self._bring_back, block=None, item=asked.item))
            case _:
                assert_never(asked)

    async def _again(self, act: Callable[[Context], Awaitable[T]]) -> T:
        """Return what *act* gives on the present state; anew if somebody else wrote meanwhile."""
        for _ in range(CONFLICTS_MAX):
            with suppress(ConflictError):
                return await act(await self._load())
        return await act(await self._load())

    async def _compress(self, context: Context, ranges: Sequence[Range], *, dry_run: bool) -> Compression:
        plan = plan_compression(context, ranges)
        seq = None if dry_run else await self._record_and_publish([plan.edited], expected=context.seq)
        return Compression(seq=seq, blocks=plan.blocks, receipt=plan.receipt)

    async def _bring_back(self, context: Context, *, block: str | None, item: str | None) -> str:
        """Bring back a block, or an item of it or of any; return what a model is told of it.

        What would not fit the window is refused: it would be compacted again before the model reads it.
        """
        if block is None:
            assert item is not None, "one of the two is asked for"
            fact = await restored(self._log, context, item)
        else:
            fact = await self._opened(context, block, item)
        size, limit = size_after(context, fact), context.calibration.counted(context.window.input_limit)
        if size > limit:
            raise InputError(
                f"expected a history of at most {limit:,} tokens, with this it would have {size:,}: compress something "
                "else first, or bring back single items"
            )
        await self._record_and_publish([fact], expected=context.seq)
        return f"{told_back(fact)}\n{view_of(await self._load()).used}"

    async def _opened(self, context: Context, block: str, item: str | None) -> HistoryDecompressed:
        if item is None:
            return opened(block, await covered(self._log, context, block))
        part = await part_of(self._log, context, block, item)
        if part is None or any(entry.item.id == item for entry in context.entries):
            where = "is in the history" if part is not None else f"is nothing that {block} stands for"
            raise InputError(f"expected an item that only {block} stands for, {item[:20]!r} {where}")
        return part


def _told(done: Compression) -> str:
    """Return *done* as its model is told it."""
    blocks = [
        f"{one.block} stands for {one.items[0]} to {one.items[-1]} ({len(one.items)} entries): "
        f"{one.tokens_before:,} tokens, now {one.tokens_after:,}"
        for one in done.blocks
    ]
    receipt, survival = done.receipt, done.receipt.survival
    assert survival is not UNSET, "a plan measures it"
    names = f"of {survival.identifiers} names, paths and numbers in it, {survival.identifiers_kept} can still be seen"
    whole = f"history: {receipt.tokens_before:,} tokens to {receipt.tokens_after:,}; {names}"
    return "\n".join(("Dry run, nothing was changed." if done.seq is None else "Done.", *blocks, whole))
