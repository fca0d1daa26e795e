"""Small sessions for single cases: items written by hand, compacted to every budget, every promise held."""

from collections.abc import Sequence

import pytest
from tests.laws.promises import Made, breaches
from tests.laws.stories import Story
from tests.laws.texts import OUTPUT, PROSE

from retold.errors import FloorError
from retold.events import (
    Item,
    ItemAppended,
    Message,
    Policy,
    Role,
    SummaryWritten,
    Text,
    ToolCall,
    ToolResult,
    Window,
)
from retold.fold import Context, Entry
from retold.formats import complete, render
from retold.policy import (
    PRESETS,
    Replacement,
    carry_out,
)
from retold.policy.limits import limits_within

POLICIES = sorted(PRESETS)
every_preset = pytest.mark.parametrize("policy", POLICIES)
LATEST = "And now run the tests once more, please."


def message(role: Role, text: str, group: str | None = None) -> Message:
    """Return a message."""
    return Message(role=role, content=(Text(text),), group=group)


def call(name: str, arguments: str = '{"path": "src/a.py"}', group: str | None = None) -> ToolCall:
    """Return a call of ``read``."""
    return ToolCall(call_id=name, name="read", arguments=arguments, group=group)


def result(name: str, text: str = OUTPUT) -> ToolResult:
    """Return the result of the call *name*."""
    return ToolResult(call_id=name, content=(Text(text),))


def told(items: Sequence[Item], *, policy: Policy = "ladder", window: Window | None = None) -> Story:
    """Return a session of *items*; nothing is due where no *window* is given."""
    story = Story(window or Window(hard_limit=1_000_000), policy=policy)
    story.write(*(ItemAppended(item=item) for item in items))
    return story


def work(turns: int, *, text: str = OUTPUT, first: int = 0) -> list[Item]:
    """Return so many turns of the user's, a call, its result and an answer."""
    items: list[Item] = []
    for number in range(first, first + turns):
        items += [
            message("user", f"Step {number}: {PROSE}"),
            call(f"c{number}"),
            result(f"c{number}", f"{number} {text}"),
        ]
        items.append(message("assistant", f"Step {number} is done. {PROSE}"))
    return items


def compacted(context: Context, percent: int) -> Replacement | None:
    """Compact *context* to *percent* of its size, all promises kept; None where a floor is named instead."""
    limits = limits_within(max(1, context.tokens.upper * percent // 100), PRESETS[context.policy])
    try:
        made = carry_out(context, limits)
    except FloorError:
        return None
    assert breaches(Made(before=context, limits=limits, replaced=made.replaced, entries=made.entries)) == []
    return made


def at_every_budget(context: Context) -> list[Replacement]:
    """Compact *context* to 5, 10 … 95 % of its size, and return what came out where no floor is in the way."""
    made = [compacted(context, percent) for percent in range(5, 100, 5)]
    return [one for one in made if one is not None]


def ids_of(entries: Sequence[Entry]) -> set[str]:
    """Return the ids of *entries*."""
    return {entry.item.id for entry in entries}


def text_of(entries: Sequence[Entry]) -> str:
    """Return all that *entries* show, for a search."""
    return "\n".join(str(entry.item) for entry in entries)


def covered_by(made: Replacement) -> set[str]:
    """Return the ids of what the summary of *made* stands for."""
    return {item_id for fact in made.facts if isinstance(fact, SummaryWritten) for item_id in fact.covers}


def assert_sendable(items: Sequence[Item]) -> None:
    """Assert that a provider takes *items*: each call but the last ones is answered, and each result has its call."""
    waiting: list[str] = []
    for sent in render(complete(items, "chat"), "chat"):
        if sent["role"] == "tool":
            waiting.remove(sent["tool_call_id"])
            continue
        assert waiting == [], "a call without its result"
        waiting = [made["id"] for made in sent.get("tool_calls", [])]
