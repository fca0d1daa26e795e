"""Cut an item's text in the middle, with a mark that names where the whole is."""

import msgspec
from msgspec import structs

from retold.events import Block, Item, Message, Opaque, Reasoning, Text, ToolCall, ToolResult, plain_text
from retold.fold import Entry
from retold.formats import address_of
from retold.policy.ends import ends_of
from retold.tokens import Encoding


def cut_item(entry: Entry, length_tokens: int, vocabulary: Encoding) -> Item | None:
    """Return the item of *entry* with its text cut to *length_tokens* and a mark; None if it has none to cut."""
    item = entry.item
    mark = f"[Retold: cut here, {entry.tokens.total} tokens in all; the whole is item {item.id} in the log]"

    def cut(text: str) -> str:
        return cut_middle(text, length_tokens=length_tokens, mark=mark, vocabulary=vocabulary)

    shorter: Item
    address = None if isinstance(item, Reasoning | Opaque) else address_of(item.extra)
    match item:
        case Message() | ToolResult():
            text = cut(plain_text(item.content))
            if any(isinstance(part, Block) for part in item.content) and mark not in text:
                text = f"{text}\n{mark}".strip("\n")
            if not text:
                return None  # without a word it would not be sent at all
            shorter = structs.replace(item, content=(Text(text),), extra=address)
        case ToolCall(kind="function"):
            shorter = structs.replace(item, arguments=msgspec.json.encode({"retold": mark}).decode(), extra=address)
        case ToolCall():
            shorter = structs.replace(item, arguments=cut(item.arguments), extra=address)
        case Reasoning(body=None):
            shorter = structs.replace(item, text=cut(item.text))
        case _:
            return None
    return shorter


def cut_middle(text: str, *, length_tokens: int, mark: str, vocabulary: Encoding) -> str:
    """Return *text* with its middle replaced by *mark*, so that head and tail have about *length_tokens* together.

    A text that is not longer comes back as it is.
    """
    ends = ends_of(text, half_tokens=length_tokens // 2, vocabulary=vocabulary)
    if ends is None:
        return text
    head, tail = ends
    return f"{head}\n{mark}\n{tail}"
