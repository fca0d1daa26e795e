"""Runs the policy's cases, which are written for people: `cases/*.txt`, explained in `cases/README.md`."""

import re
from pathlib import Path

import pytest
from tests.laws.stories import Story

from retold.errors import FloorError
from retold.events import (
    CompactionRequested,
    HistoryEdited,
    Item,
    ItemAppended,
    ItemPinned,
    Message,
    Role,
    Text,
    ToolCall,
    ToolResult,
    UsageReported,
    Window,
)
from retold.fold import Entry
from retold.policy import carry_out, decide, limits_of

_CASES = sorted((Path(__file__).parent / "cases").glob("*.txt"))
_WORDS = ("one", "river", "stone", "paper", "light", "seven", "garden", "winter", "copper", "table")
_ROLES: dict[str, Role] = {"system": "system", "developer": "developer", "user": "user", "assistant": "assistant"}


def _text(tokens: int, language: str) -> str:
    """Return a text of about *tokens* tokens, no two alike."""
    if language == "chinese":
        return "请检查支付模块。" * (tokens // 5)
    if language == "word":
        return "x" * (tokens * 8)
    return " ".join(_WORDS[(nth * nth + tokens) % len(_WORDS)] for nth in range(tokens))


def _item(kind: str, name: str, tokens: int, language: str) -> Item:
    text = _text(tokens, language)
    if kind == "call":
        return ToolCall(call_id=name, name="read", arguments='{"text": "' + text + '"}')
    if kind == "result":
        return ToolResult(call_id=name, content=(Text(text),))
    return Message(role=_ROLES[kind], content=(Text(text),))


def _told(lines: list[str]) -> Story:
    window = dict(re.findall(r"(\w+) (\d+)", lines[0].removeprefix("window")))
    story = Story(Window(**{name: int(size) for name, size in window.items()}))
    for line in lines[1:]:
        kind, *rest = line.split()
        if kind == "pin":
            story.write(ItemPinned(item=rest[0]))
        elif kind == "charged":
            story.write(UsageReported(input_tokens=int(rest[0])))
        elif kind == "request":
            story.write(CompactionRequested())
        elif kind == "forget":
            story.write(HistoryEdited(items=(), first=rest[0], last=rest[1]))
        else:
            name = rest.pop(0) if kind in ("call", "result") else ""
            times = int(rest.pop().removeprefix("x")) if rest[-1].startswith("x") else 1
            language = rest[1] if len(rest) > 1 else "english"
            for _ in range(times):
                story.write(ItemAppended(item=_item(kind, name, int(rest[0]), language)))
    return story


def _shown(entry: Entry, note: Message | None) -> str:
    if entry.item == note:
        return " note"
    return {"whole": "", "edited": "", "placeholder": " placeholder", "summary": " summary", "cut": " cut"}[entry.form]


def _decided(story: Story) -> list[str]:
    context = story.context
    try:
        if decide(context, context.window) is None:
            return ["nothing"]
        replacement = carry_out(context, limits_of(context.window, context.calibration))
    except FloorError as floor:
        return [f"floor above {floor.budget_tokens}"]
    assert replacement.replaced.receipt.tokens_after <= context.window.input_limit
    note = replacement.replaced.note
    shown = [f"{entry.item.id}{_shown(entry, note)}" for entry in replacement.entries]
    return [replacement.replaced.tier, ", ".join(shown)]


@pytest.mark.parametrize("path", _CASES, ids=lambda path: path.stem)
def test_a_case_comes_out_as_it_is_written(path: Path) -> None:
    """The policy decides what the case says, in each of its situations."""
    for case in path.read_text(encoding="utf-8").split("\n---\n"):
        lines = [line.strip() for line in case.splitlines() if line.strip() and not line.startswith("#")]
        given, then = lines[lines.index("given") + 1 : lines.index("then")], lines[lines.index("then") + 1 :]
        assert _decided(_told(given)) == then, lines[: lines.index("given")]


def test_there_are_cases() -> None:
    """The cases are found."""
    assert len(_CASES) >= 10
