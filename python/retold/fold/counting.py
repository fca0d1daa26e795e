"""What an item costs, in tokens, each part labelled by how well it is known.

- exact: text, counted by the session's own vocabulary.
- reconstructed: the marks that a provider puts around an item, after OpenAI's published chat layout (three tokens a
  message and three to prime the reply; a call and its result carry a recipient and a channel as well).
- estimated: what no local tokenizer can count: images, encrypted blocks. Decisions use the upper bound.
"""

from typing import assert_never

from msgspec import Struct

from retold.events import Block, Item, Message, Opaque, Part, Reasoning, Text, ToolCall, ToolResult
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


class Tokens(Struct, frozen=True, omit_defaults=True):
    """Hold a size in tokens by how it is known."""

    exact: int = 0
    reconstructed: int = 0
    estimated: int = 0

    @property
    def total(self) -> int:
        """Return the best single figure."""
        return self.exact + self.reconstructed + self.estimated

    @property
    def upper(self) -> int:
        """Return the bound that decisions use: a quarter is added to what is estimated."""
        return self.total + self.estimated // 4

    def __add__(self, other: "Tokens") -> "Tokens":
        """Return the sum, kind by kind."""
        return Tokens(
            exact=self.exact + other.exact,
            reconstructed=self.reconstructed + other.reconstructed,
            estimated=self.estimated + other.estimated,
        )

    def __sub__(self, other: "Tokens") -> "Tokens":
        """Return the difference, kind by kind."""
        return Tokens(
            exact=self.exact - other.exact,
            reconstructed=self.reconstructed - other.reconstructed,
            estimated=self.estimated - other.estimated,
        )


def count_item(item: Item, encoding: Encoding) -> Tokens:
    """Return what *item* costs as one entry of a request. O(bytes of its text)."""
    match item:
        case Message():
            framing = MESSAGE_FRAMING + (1 if item.name else 0)
            return _sized(_parts(item.content, encoding), framing) + _words(encoding, item.name, item.extra)
        case ToolCall():
            return Tokens(reconstructed=CALL_FRAMING) + _words(encoding, item.name, item.arguments)
        case ToolResult():
            return _sized(_parts(item.content, encoding), RESULT_FRAMING)
        case Reasoning():
            return Tokens(exact=encoding.count(item.text), reconstructed=MESSAGE_FRAMING, estimated=_sealed(item.body))
        case Opaque():
            return Tokens(reconstructed=MESSAGE_FRAMING, estimated=_sealed(item.body))
        case _:
            assert_never(item)


def _sized(content: Tokens, framing: int) -> Tokens:
    return content + Tokens(reconstructed=framing)


def _words(encoding: Encoding, *texts: str | None) -> Tokens:
    return Tokens(exact=sum(encoding.count(text) for text in texts if text))


def _parts(content: tuple[Part, ...], encoding: Encoding) -> Tokens:
    exact = sum(encoding.count(part.text) for part in content if isinstance(part, Text))
    estimated = sum(_block(part) for part in content if isinstance(part, Block))
    return Tokens(exact=exact, estimated=estimated)


def _block(block: Block) -> int:
    if "image" in block.kind:
        return IMAGE_TOKENS
    return len(block.body) // BYTES_PER_TOKEN


def _sealed(body: str | None) -> int:
    if body is None:
        return 0
    return max(0, len(body) * 3 // 4 - ENCRYPTED_OVERHEAD_BYTES) // BYTES_PER_TOKEN
