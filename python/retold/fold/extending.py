"""The text that more may be added to: the end of the newest item."""

from collections.abc import Sequence
from typing import assert_never

from msgspec import structs

from retold.events import Item, Message, Opaque, Reasoning, Text, ToolCall, ToolResult
from retold.fold.context import Entry
from retold.formats.json_text import decode_json, write_json


def open_text(entries: Sequence[Entry]) -> str | None:
    """Return the text of the newest item that more text may be added to; None if there is no such item."""
    if not entries or stands_for_others(entries):
        return None
    return _open_text(entries[-1].item)


def stands_for_others(entries: Sequence[Entry]) -> bool:
    """Return whether the newest entry stands for items that left: more of their text changes nothing in the history."""
    return bool(entries) and entries[-1].form in ("placeholder", "summary", "compressed")


def is_sealed(entries: Sequence[Entry]) -> bool:
    """Return whether the newest item is reasoning that its provider signed or encrypted.

    It is sent as it came, so text added to it would be counted and never be sent: refuse it before it is recorded. A
    log may hold such an extension all the same, and is folded.
    """
    newest = entries[-1].item if entries else None
    return isinstance(newest, Reasoning) and newest.body is not None


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
            if item.content and isinstance(item.content[-1], Text):
                return structs.replace(item, content=(*item.content[:-1], Text(text)))
            return structs.replace(item, content=(*item.content, Text(text)), extra=_one_part_more(item.extra))
        case ToolCall():
            return structs.replace(item, arguments=text)
        case Reasoning():
            return structs.replace(item, text=text)
        case Opaque():
            return item
        case _:
            assert_never(item)


def has_new_part(before: Item, after: Item) -> bool:
    """Return whether the text opened a new part: then what is kept beside it has grown, too."""
    return len(getattr(after, "extra", None) or "") != len(getattr(before, "extra", None) or "")


def _one_part_more(extra: str | None) -> str | None:
    """Return *extra* with no left-over fields for one part more, where it keeps those of each part in a list.

    A list that is shorter than the content would be passed over, and the other parts' fields with it.
    """
    if extra is None:
        return None
    try:
        forms = decode_json(extra)
    except (ValueError, RecursionError):
        return extra
    sections = forms.values() if isinstance(forms, dict) else ()
    shapes = [section.get("content") for section in sections if isinstance(section, dict)]
    lists = [shape for shape in shapes if isinstance(shape, list)]
    for shape in lists:
        shape.append({})
    return write_json(forms) if lists else extra
