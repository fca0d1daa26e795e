"""Which identifiers a compaction loses, and which of them the new history still shows. The core finds them."""

from collections.abc import Iterable

from retold.events import Item, Message, Opaque, Reasoning, ToolCall, ToolResult, plain_text
from retold.identifiers import count_identifiers


def count_survivors(left: Iterable[Item], history: Iterable[Item]) -> tuple[int, int]:
    """Return how many identifiers the items *left* showed the model, and how many of these *history* shows.

    O(characters).
    """
    texts = [_shown(item) for item in left]
    return count_identifiers(texts, [_shown(item) for item in history] if texts else [])


def _shown(item: Item) -> str:
    match item:
        case Message() | ToolResult():
            return plain_text(item.content)
        case ToolCall():
            return item.arguments
        case Reasoning():
            return item.text
        case Opaque():
            return item.words
