"""What an item costs, in tokens, each part labelled by how well it is known.

- exact: text, counted by the session's own vocabulary; with a reconstructed vocabulary (`tokens.RECONSTRUCTIONS`) it is
  reconstructed, and nothing is exact.
- reconstructed: the marks that a provider puts around an item, after OpenAI's published chat layout (three tokens a
  message and three to prime the reply; a call and its result carry a recipient and a channel as well).
- estimated: what no local tokenizer can count: images, encrypted blocks; and the readable text of a provider's own
  blocks and fields, which the vocabulary counts but nobody says how it is laid out. Decisions use the upper bound.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, assert_never

import msgspec

from retold.events import Block, Item, Message, Opaque, Part, Reasoning, Text, ToolCall, ToolResult
from retold.sizes import Tokens
from retold.tokens import Encoding

MESSAGE_FRAMING = 4
"""Start mark, role, message mark, end mark."""

CALL_FRAMING = 8
"""A message's marks, and those for recipient, channel and constraint."""

RESULT_FRAMING = 7
"""A message's marks, and those for author and channel."""

PRIMING = 3
"""What opens the model's reply, once a request."""

IMAGE_TOKENS = 1_844
"""What Codex charges for an image of unknown size (7,373 bytes at four bytes a token)."""

ENCRYPTED_OVERHEAD_BYTES = 650
"""What Codex takes off an encrypted block's decoded size for its envelope."""

BYTES_PER_TOKEN = 4

_SEALED_FIELDS = frozenset({"encrypted_content", "signature", "data", "result"})
"""Fields of a provider's block that hold bytes as base64; only a value that looks like it is taken for it."""

_BASE64 = re.compile(r"[A-Za-z0-9+/=_-]+")

_UNREAD_FIELDS = frozenset({"type", "id", "status"})
"""Fields that say what a block is, not what the model reads."""

_READABLE = ("thinking", "reasoning_content", "reasoning", "summary", "content")
"""Where a block of reasoning has its readable text; the first of these is the item's own `text`, and counted there."""


def count_item(item: Item, encoding: Encoding) -> Tokens:
    """Return what *item* costs as one entry of a request. O(bytes of its text)."""
    match item:
        case Message():
            words, estimated = _parts(item.content, encoding)
            framing = MESSAGE_FRAMING + (1 if item.name else 0)
            words += encoding.count(item.name) if item.name else 0
            return _sized(words, framing, estimated + _fields(item.extra, encoding), encoding)
        case ToolCall():
            words = encoding.count(item.name) + encoding.count(item.arguments)
            return _sized(words, CALL_FRAMING, _fields(item.extra, encoding), encoding)
        case ToolResult():
            words, estimated = _parts(item.content, encoding)
            return _sized(words, RESULT_FRAMING, estimated + _fields(item.extra, encoding), encoding)
        case Reasoning(text="", body=None, form="anthropic"):
            return Tokens()  # unsigned, so no form can send it: what stands for reasoning that was cleared
        case Reasoning():
            estimated = 0 if item.body is None else _sealed(item.body, encoding, read=_without_text)
            return _sized(encoding.count(item.text), MESSAGE_FRAMING, estimated, encoding)
        case Opaque():
            return _block_or_words(item, encoding)
        case _:
            assert_never(item)


def count_results(texts: Sequence[str], encoding: Encoding) -> list[Tokens]:
    """Return what a tool result costs that has each of *texts* and nothing else, counted in one go. O(bytes)."""
    words, is_exact = encoding.count_batch(texts), encoding.kind == "exact"
    return [Tokens(count, RESULT_FRAMING) if is_exact else Tokens(0, count + RESULT_FRAMING) for count in words]


def _block_or_words(item: Opaque, encoding: Encoding) -> Tokens:
    """Return the larger size of a block and of the words that others are sent in its place: one of them is sent."""
    block = Tokens(reconstructed=MESSAGE_FRAMING, estimated=_sealed(item.body, encoding))
    words = _sized(encoding.count(item.words), MESSAGE_FRAMING, 0, encoding) if item.words else block
    return words if words.upper > block.upper else block


def _sized(words: int, framing: int, estimated: int, encoding: Encoding) -> Tokens:
    """Return one size: adding up several costs more than counting a short text does."""
    if encoding.kind == "exact":
        return Tokens(words, framing, estimated)
    return Tokens(0, words + framing, estimated)


def text_tokens(tokens: int, encoding: Encoding) -> Tokens:
    """Return *tokens*, which *encoding* counted in a text, by how well such a count is known."""
    return Tokens(exact=tokens) if encoding.kind == "exact" else Tokens(reconstructed=tokens)


def _parts(content: tuple[Part, ...], encoding: Encoding) -> tuple[int, int]:
    """Return what the texts of *content* count, and what its other parts may cost."""
    words = estimated = 0
    for part in content:
        if isinstance(part, Text):
            words += encoding.count(part.text)
        else:
            estimated += _block(part, encoding)
    return words, estimated


def _block(block: Block, encoding: Encoding) -> int:
    if "image" in block.kind:
        return IMAGE_TOKENS
    texts, bytes_left = _readable(block.body)
    return bytes_left // BYTES_PER_TOKEN + sum(encoding.count(text) for text in texts)


def _fields(extra: str | None, encoding: Encoding) -> int:
    """Return what the fields that *extra* keeps may cost; how a message was written is in it too, and costs nothing."""
    if extra is None:
        return 0
    forms = _value_of(extra)
    sections = forms.values() if isinstance(forms, dict) else [forms]
    sent = [part for held in sections for part in (held.values() if isinstance(held, dict) else [])]
    texts = [text for part in sent if isinstance(part, dict | list) for _, text in _texts(part)]
    return sum(encoding.count(text) for text in texts)


def _sealed(body: str, encoding: Encoding, *, read: Callable[[Any], Any] = lambda value: value) -> int:
    """Return what a provider's own block may cost: what is sealed by its size, what *read* leaves by the vocabulary."""
    _, bytes_left = _readable(body)
    sealed = max(0, bytes_left * 3 // 4 - ENCRYPTED_OVERHEAD_BYTES) // BYTES_PER_TOKEN
    return sealed + sum(encoding.count(text) for text in _plain_texts(read(_value_of(body))))


def _readable(body: str) -> tuple[list[str], int]:
    """Return the readable texts of a block's *body*, and how long it is without them."""
    texts = _plain_texts(_value_of(body))
    return texts, max(0, len(body) - sum(map(len, texts)))


def _plain_texts(value: Any) -> list[str]:
    return [text for name, text in _texts(value) if not _is_base64(name, text)]


def _without_text(value: Any) -> Any:
    """Return a block of reasoning without the text that its item holds.

    Chat providers say the same again in `reasoning_details`, so that nothing is left of theirs.
    """
    if not isinstance(value, Mapping):
        return value
    told = next((name for name in _READABLE if value.get(name)), None)
    if told in ("reasoning_content", "reasoning"):
        return {}
    return {name: held for name, held in value.items() if name != told}


def _is_base64(name: str, text: str) -> bool:
    return name in _SEALED_FIELDS and _BASE64.fullmatch(text) is not None


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """Yield every string and number in *value* as text, each with the name of the field that it stands in."""
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        name, held = stack.pop()
        if name in _UNREAD_FIELDS:
            continue
        if isinstance(held, Mapping):
            stack.extend((str(key), inner) for key, inner in held.items())
        elif isinstance(held, list):
            stack.extend((name, inner) for inner in held)
        elif isinstance(held, str):
            yield name, held
        elif isinstance(held, int | float) and not isinstance(held, bool):
            yield name, str(held)


def _value_of(body: str) -> Any:
    """Return the value of JSON text; a text that is none, which only a foreign log can hold, counts as text."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return body
