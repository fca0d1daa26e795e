"""The text that more may be added to: the end of the newest item."""

from collections.abc import Sequence
from typing import assert_never

from msgspec import structs

from retold.events import Item, Message, Opaque, Reasoning, Text, ToolCall, ToolResult
from retold.fold.context import Entry


def open_text(entries: Sequence[Entry]) -> str | None:
    """Return the text of the newest item that more text may be added to; None if there is no such item."""
    if not entries or entries[-1].form in ("placeholder", "summary"):
        return None
    return _open_text(entries[-1].item)


def _open_text(item: Item) -> str | None:
    match item:
        case Message() | ToolResult():
            last = item.content[-1] if item.content else Text("")
            return last.text if isinstance(last, Text) else ""
        case ToolCall():
            return item.arguments
        case Reasoning():
            return item.text
        case Opaque():
            return None
        case _:
            assert_never(item)


def with_open_text(item: Item, text: str) -> Item:
    """Return *item* with *text* for its open text."""
    match item:
        case Message() | ToolResult():
            fixed = item.content[:-1] if item.content and isinstance(item.content[-1], Text) else item.content
            return structs.replace(item, content=(*fixed, Text(text)))
        case ToolCall():
            return structs.replace(item, arguments=text)
        case Reasoning():
            return structs.replace(item, text=text)
        case Opaque():
            return item
        case _:
            assert_never(item)
