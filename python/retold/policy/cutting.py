"""Cut an item's text in the middle, with a mark that names where the whole is."""

from collections.abc import Sequence

import msgspec
from msgspec import structs

from retold.events import Block, Item, Message, Opaque, Part, Reasoning, Text, ToolCall, ToolResult, plain_text
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
            text = _marked(cut(plain_text(item.content)), item.content, mark)
            if not text:
                return None  # without a word it would not be sent at all
            shorter = structs.replace(item, content=(Text(text),), extra=address)
        case ToolCall(kind="function"):
            shorter = structs.replace(item, arguments=msgspec.json.encode({"retold": mark}).decode(), extra=address)
        case ToolCall():
            shorter = structs.replace(item, arguments=cut(item.arguments), extra=address)
        case Reasoning(body=None):
            shorter = structs.replace(item, text=cut(item.text))
        case Opaque(words=words) if words:
            shorter = Message(role="user", content=(Text(cut(words)),), id=item.id)  # half a block is none
        case _:
            return None
    return shorter


def _marked(text: str, content: Sequence[Part], mark: str) -> str:
    """Return *text* with *mark*, where parts of *content* left that are no text."""
    is_cut = any(isinstance(part, Block) for part in content) and mark not in text
    return f"{text}\n{mark}".strip("\n") if is_cut else text


def cut_middle(text: str, *, length_tokens: int, mark: str, vocabulary: Encoding) -> str:
    """Return *text* with its middle replaced by *mark*, so that head and tail have about *length_tokens* together.

    A text that is not longer comes back as it is.
    """
    ends = ends_of(text, half_tokens=length_tokens // 2, vocabulary=vocabulary)
    if ends is None:
        return text
    head, tail = ends
    return f"{head}\n{mark}\n{tail}"
