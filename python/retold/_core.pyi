# ruff: noqa: PYI021 - the compiled module has no docstrings of its own; this is where its text lives
"""The token core, in Rust. `retold.tokens` is the only door to it: import that.

Texts are `str`, or `bytes` of UTF-8, and are borrowed, never copied. Every refusal is a `ValueError` whose message says
what was expected and where, and never holds text. Calls on long texts let other threads run.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Self, TypeAlias, final

__all__ = ["ENCODINGS", "Counter", "Encoding", "Ledger", "check_vocabularies"]

ENCODINGS: Final[tuple[str, ...]]
"""The names of the built-in encodings."""

_Size: TypeAlias = tuple[int, int, int]
"""Tokens exact, reconstructed and estimated; of an item, each from 0 to 2^32 - 1."""

def check_vocabularies() -> list[tuple[str, int, str, str]]:
    """Regenerate the published file of every built-in vocabulary and hash it.

    Returns rows of name, number of tokens, the SHA-256 that tiktoken publishes, the SHA-256 recomputed. About 50 ms.
    """

@final
class Encoding:
    """A vocabulary with its rules; immutable, and safe to share between threads."""

    @staticmethod
    def builtin(name: str, /) -> Encoding:
        """Return a built-in encoding. The first call for a vocabulary builds its table.

        Raises:
            ValueError: the name is not one of `ENCODINGS`.
        """

    @staticmethod
    def from_json(name: str, json: bytes, /) -> Encoding:
        """Return an encoding from the content of a Hugging Face `tokenizer.json`, under *name*.

        Raises:
            ValueError: the content is not understood.
        """

    @property
    def name(self) -> str:
        """The name."""

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that identify the vocabulary, the same everywhere and always."""

    def count(self, text: str | bytes, /) -> int:
        """Return the number of tokens of *text*. O(n); O(n log n) within one unbroken run of characters.

        Raises:
            ValueError: *text* holds a lone surrogate or is no UTF-8; the message gives the position.
        """

    def count_batch(self, texts: Sequence[str | bytes], /) -> list[int]:
        """Return the number of tokens of each text, in order.

        Raises:
            ValueError: as `count`, with the index of the text.
        """

    def count_until(self, text: str | bytes, limit: int, /) -> int | None:
        """Return the number of tokens of *text*, or None if there are more than *limit*.

        Reads no further than it must. Raises as `count`, and ValueError for a negative limit.
        """

    def encode(self, text: str | bytes, /) -> list[int]:
        """Return the token ids of *text*. Raises as `count`."""

    def decode(self, ids: Sequence[int], /) -> bytes:
        """Return the bytes of the tokens; they may end inside a character.

        Raises:
            ValueError: an id is in no vocabulary; the message gives it.
        """

    def counter(self) -> Counter:
        """Return an empty counter."""

    def restore(self, snapshot: bytes, /) -> Counter:
        """Return the counter that *snapshot* was taken of.

        Raises:
            ValueError: the snapshot is damaged, of another release or of another vocabulary.
        """

@final
class Counter:
    """A text that grows and its exact token count. Threads that share one take turns."""

    def append(self, text: str | bytes, /) -> int:
        """Append *text* and return the total. Raises as `Encoding.count`; nothing is appended then."""

    @property
    def total(self) -> int:
        """The tokens of everything appended, counted as one text. O(1)."""

    @property
    def size_bytes(self) -> int:
        """The length of everything appended, in UTF-8 bytes. O(1)."""

    def span(self, start: int, end: int, /) -> int:
        """Return the tokens of the bytes `[start, end)` counted on their own.

        Raises:
            ValueError: an offset is out of range, splits a character, or lies before a restored snapshot's text.
        """

    def truncate(self, size_bytes: int, /) -> int:
        """Keep the first *size_bytes* bytes and return the total. Raises as `span`; nothing is forgotten then."""

    def snapshot(self) -> bytes:
        """Return bytes from which `Encoding.restore` makes this counter again."""

@final
class Ledger:
    """The sizes of a session's items, in order, and their sums. Threads that share one take turns.

    A place is a number of items: 0 before the first, `len()` behind the last. Ranges are half-open.
    """

    def __new__(cls, sizes: Iterable[_Size] | None = None, /) -> Self:
        """Return the ledger of *sizes*. O(n).

        Raises:
            ValueError: a size is not three numbers from 0 to 2^32 - 1; the message gives its index.
        """

    @staticmethod
    def restore(snapshot: bytes, /) -> Ledger:
        """Return the ledger that *snapshot* was taken of.

        Raises:
            ValueError: the snapshot is damaged, foreign or of another version.
        """

    def __len__(self) -> int:
        """Return the number of items. O(1)."""

    @property
    def total(self) -> _Size:
        """The sum of all sizes. O(1)."""

    @property
    def upper(self) -> int:
        """The bound of the total that decisions use: a quarter is added to what is estimated. O(1)."""

    def append(self, exact: int, reconstructed: int, estimated: int, /) -> None:
        """Add an item behind the last. O(1).

        Raises:
            ValueError: a number is not from 0 to 2^32 - 1; nothing was added.
        """

    def put(self, place: int, exact: int, reconstructed: int, estimated: int, /) -> None:
        """Put a size where that of the item behind *place* was. O(n / 64).

        Raises:
            ValueError: there is no such item, or a number is not from 0 to 2^32 - 1; nothing was changed.
        """

    def replace(self, start: int, end: int, sizes: Iterable[_Size], /) -> None:
        """Put *sizes*, of any number, where the items `[start, end)` were. O(k + n / 64).

        Raises:
            ValueError: the range is backwards or reaches behind the end, or a size is as `Ledger` refuses it; nothing
                was changed.
        """

    def span(self, start: int, end: int, /) -> _Size:
        """Return the sum of the items `[start, end)`. O(n / 64).

        Raises:
            ValueError: the range is backwards or reaches behind the end.
        """

    def prefix(self, place: int, /) -> _Size:
        """Return the sum of the items before *place*. O(n / 64).

        Raises:
            ValueError: *place* lies behind the end.
        """

    def fit(self, budget: int, /, *, from_end: bool) -> int:
        """Return how many items, from that end, have a sum whose upper bound is at most *budget*. O(n / 64).

        Raises:
            ValueError: the budget is negative or above 2^64 - 1.
        """

    def snapshot(self) -> bytes:
        """Return bytes from which `Ledger.restore` makes this ledger again: 20 and 12 an item."""
