"""What a model is shown of its own history: each entry with its id and size, and what is used of the window. Pure.

Nothing here changes what was said: a status is added at the end of a request and is part of no history, so all that
comes before it stays as a prompt cache holds it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from retold.errors import InputError
from retold.events import Form, Message, Text, ToolCall, ToolResult
from retold.fold import Context, Entry, item_text, kind_of, ledger_of
from retold.formats import number_responses, render
from retold.policy.bonds import Bonds
from retold.policy.compressing import held_reasons, movable_runs, told_run

PREVIEW_CHARACTERS = 60
"""How much of an entry's text a line shows."""

LINES_MAX = 120
"""A listing that is not asked for a part shows so many entries one by one, the largest; those between are summed up."""

NEW_MAX = 12
"""A status names at most so many entries that came since the last request."""

MOVABLE_MAX = 3
"""A status names at most so many ranges that may be compressed."""


class Line(Struct, frozen=True):
    """Hold one entry as it is shown: its id, what it is, what it takes, the beginning of its text.

    Attributes:
        stays: why it may not be compressed; None if it may.
    """

    item: str
    kind: str
    tokens: int
    preview: str
    stays: str | None = None


class HistoryView(Struct, frozen=True):
    """Hold a history as its model is shown it.

    Attributes:
        lines: every entry, in order.
        used_tokens: the history's size as the provider counts it, as far as that is known.
        window_tokens: what a request may take, the room for the answer taken off.
        version: how many times the history had been replaced.
        new: how many of the newest entries came after the last request.
        movable: ranges that may be compressed, as text, the largest first.
        nudge: what the model is told to do about the size; None below every threshold, and between two.
    """

    lines: tuple[Line, ...]
    used_tokens: int
    window_tokens: int
    version: int
    new: int
    movable: tuple[str, ...]
    nudge: str | None = None

    @property
    def left_tokens(self) -> int:
        """Return what is left of the window; 0 if it is full."""
        return max(0, self.window_tokens - self.used_tokens)

    @property
    def status(self) -> str:
        """Return the short text for the end of a request: used, left, what is new, and the nudge if one is due."""
        told = [self.used, *self._new()]
        told += [f"May be compressed: {', '.join(self.movable)}."] if self.movable else []
        told += [self.nudge] if self.nudge is not None else []
        return "\n".join(("<retold-status>", *told, "</retold-status>"))

    def as_message(self, form: Form) -> dict[str, Any]:
        """Return the status as a user-level message of *form*, to be sent last and not to be appended."""
        return render((Message(role="user", content=(Text(self.status),)),), form)[0]

    def listing(self, first: str | None = None, last: str | None = None) -> str:
        """Return the entries from *first* to *last* (ids, both included), one a line; None is the start or the end.

        Of a whole history with more than `LINES_MAX` entries, small ones are summed up; ask for their part.

        Raises:
            InputError: if an id is not in the history, or the range is the wrong way round.
        """
        ids = [line.item for line in self.lines]
        for item_id in (first, last):
            if item_id is not None and item_id not in ids:
                raise InputError(f"expected the id of an entry that the history has now, got {item_id[:20]!r}")
        start = 0 if first is None else ids.index(first)
        end = len(ids) if last is None else ids.index(last) + 1
        if start >= end and ids:
            raise InputError(f"expected a range in the history's order, got {first!r} to {last!r}")
        shown = self.lines[start:end]
        whole = first is None and last is None
        return "\n".join((self.used, *(_summed(shown) if whole else map(_line, shown))))

    @property
    def used(self) -> str:
        """Return in one line what is used and left of the window, and which entries there are."""
        share = 100 * self.used_tokens // max(1, self.window_tokens)
        used = f"{self.used_tokens:,} of {self.window_tokens:,} tokens used ({share}%), {self.left_tokens:,} left"
        ids = f"{self.lines[0].item} to {self.lines[-1].item}" if self.lines else "empty"
        return f"Context: {used}. History: {len(self.lines)} entries, {ids}, version {self.version}."

    def _new(self) -> Iterable[str]:
        newest = self.lines[len(self.lines) - self.new :]
        if newest:
            named = ", ".join(f"{line.item} {line.kind} {line.tokens:,}" for line in newest[-NEW_MAX:])
            more = f"{len(newest) - NEW_MAX} others, " if len(newest) > NEW_MAX else ""
            yield f"New: {more}{named}."


def view_of(context: Context, *, nudge: str | None = None) -> HistoryView:
    """Return the history of *context* as its model is shown it. O(text of the entries)."""
    entries, bonds = context.entries, Bonds(context.entries)
    runs, partner = movable_runs(context, 0, len(entries) - 1, bonds), bonds.partner
    movable = {at for run in runs for at in run}
    stays = {at: "belongs to one that is apart" for at in range(len(entries)) if at not in movable}
    stays |= held_reasons(context, bonds)
    lines = tuple(
        Line(
            item=entry.item.id,
            kind=_kind(entry, None if at not in partner else entries[partner[at]]),
            tokens=entry.tokens.upper,
            preview=_preview(entry),
            stays=stays.get(at),
        )
        for at, entry in enumerate(entries)
    )
    sizes = sorted(((ledger_of(entries[run.start : run.stop]).upper, run) for run in runs), key=_by_size)
    return HistoryView(
        lines=lines,
        used_tokens=context.calibration.charged(context.tokens.upper),
        window_tokens=context.window.input_limit,
        version=context.version,
        new=len(entries) - asked_before(entries),
        movable=tuple(told_run(context, run, size) for size, run in sizes[:MOVABLE_MAX]),
        nudge=nudge,
    )


def asked_before(entries: Sequence[Entry]) -> int:
    """Return how many of *entries* the last request held: all before the newest response and what followed it.

    0 where nothing was answered yet. It follows from the entries alone, so asking again gives the same.
    """
    made = [at for at, entry in enumerate(entries) if _is_made(entry)]
    if not made:
        return 0
    start = number_responses(entry.item for entry in entries)[made[-1]]
    while start > 0 and _is_made(entries[start - 1]):
        start -= 1
    return start


def _is_made(entry: Entry) -> bool:
    item = entry.item
    return kind_of(entry) in ("assistant", "tool_call", "reasoning") or (
        entry.form == "placeholder" and isinstance(item, ToolCall)
    )


def _by_size(sized: tuple[int, range]) -> tuple[int, int]:
    return (-sized[0], sized[1].start)


def _kind(entry: Entry, partner: Entry | None) -> str:
    """Return what the entry is; a call or a result with its tool's name."""
    call = entry.item if partner is None or isinstance(entry.item, ToolCall) else partner.item
    named = isinstance(entry.item, ToolCall | ToolResult) and isinstance(call, ToolCall)
    kind = (
        "result"
        if isinstance(entry.item, ToolResult)
        else "call"
        if isinstance(entry.item, ToolCall)
        else kind_of(entry)
    )
    told = f"{kind} {call.name}" if named and isinstance(call, ToolCall) else kind
    return f"{told} (offloaded)" if entry.form == "placeholder" else told


def _preview(entry: Entry) -> str:
    text = " ".join(item_text(entry.item)[: 4 * PREVIEW_CHARACTERS].split())
    return text if len(text) <= PREVIEW_CHARACTERS else text[: PREVIEW_CHARACTERS - 1] + "…"


def _line(line: Line) -> str:
    stays = "" if line.stays is None else f" [stays: {line.stays}]"
    return f"{line.item} {line.kind} {line.tokens:,}{stays} {line.preview}".rstrip()


def _summed(lines: Sequence[Line]) -> Iterable[str]:
    """Yield the largest of *lines* one by one, and those between in sums."""
    largest = sorted(range(len(lines)), key=lambda at: (-lines[at].tokens, at))[:LINES_MAX]
    shown = set(largest) if len(lines) > LINES_MAX else set(range(len(lines)))
    small: list[Line] = []
    for at, line in enumerate(lines):
        if at not in shown:
            small.append(line)
            continue
        yield from _sum(small)
        small = []
        yield _line(line)
    yield from _sum(small)


def _sum(lines: Sequence[Line]) -> Iterable[str]:
    if len(lines) == 1:
        yield _line(lines[0])
    elif lines:
        size = sum(line.tokens for line in lines)
        yield f"{lines[0].item} to {lines[-1].item}: {len(lines)} small entries, {size:,} tokens together"
