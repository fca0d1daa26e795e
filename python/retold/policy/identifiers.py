"""Identifiers: what a later step may need letter for letter, and no paraphrase can give back.

Words with a digit, an underscore, a slash, an inner capital or an inner dot: paths, addresses, hashes, ids, versions,
names and numbers. Found by their form alone, so in every language; Chinese and
Japanese letters end a word, for they are written without blanks.
"""

import re
from collections.abc import Iterable

from retold.events import Item, Message, Opaque, Reasoning, ToolCall, ToolResult, plain_text

TEXT_CHARACTERS_MAX = 20_000
"""Of one text, this much is searched: half from its head, half from its tail."""

_PART = r"[^\s\"'`<>()\[\]{},;=|\\\u2e80-\uffff]"
_TELLING = r"\d|_|/|[a-z][A-Z]|[A-Za-z]\.[A-Za-z]"
_WORD = re.compile(rf"(?<!{_PART}){_PART}*?(?:{_TELLING}){_PART}*")
"""A whole word that tells: found in one pass, for most words do not."""

_ENDS = ".:!?*#-…"

_LENGTHS = range(3, 201)
"""A shorter one says too little; what is longer is data."""


def identifiers_in(text: str) -> set[str]:
    """Return the identifiers of *text*. O(characters)."""
    return _identifiers([text])


def identifiers_of(items: Iterable[Item]) -> set[str]:
    """Return the identifiers that *items* show the model. O(characters)."""
    return _identifiers(map(_shown, items))


def _identifiers(texts: Iterable[str]) -> set[str]:
    """Return the identifiers of *texts*: of a piece between blanks that comes again and again, only once looked at."""
    pieces: set[str] = set()
    for text in texts:
        pieces.update(_searched(text).split())
    words = {word for word in _WORD.findall("\n".join(pieces)) if len(word) in _LENGTHS}
    return {word for word in (word.strip(_ENDS) for word in words) if len(word) in _LENGTHS}


def _searched(text: str) -> str:
    if len(text) <= TEXT_CHARACTERS_MAX:
        return text
    half = TEXT_CHARACTERS_MAX // 2
    return f"{text[:half]}\n{text[-half:]}"


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
