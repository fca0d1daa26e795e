"""What an entry is, in a word, and what can be read of it."""

from typing import assert_never

from retold.events import Item, Message, Opaque, Reasoning, ToolCall, ToolResult, plain_text
from retold.fold.context import Entry


def kind_of(entry: Entry) -> str:
    """Return what an entry is, in a word: a message's role, ``tool_call``, ``summary``, ``placeholder`` and so on."""
    if entry.form in ("summary", "placeholder", "compressed"):
        return entry.form
    match entry.item:
        case Message():
            return entry.item.role
        case ToolCall():
            return "tool_call"
        case ToolResult():
            return "tool_result"
        case Reasoning():
            return "reasoning"
        case Opaque():
            return "opaque"
        case _:
            assert_never(entry.item)


def item_text(item: Item) -> str:
    """Return what can be read of *item*: a message's text, a call with its arguments, a block by its kind."""
    match item:
        case Message() | ToolResult():
            return plain_text(item.content)
        case ToolCall():
            return f"{item.name} {item.arguments}"
        case Reasoning():
            return item.text
        case Opaque():
            return item.words or f"[{item.kind}]"
        case _:
            assert_never(item)
