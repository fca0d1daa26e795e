"""Exact token counts: the only door to the Rust core.

    enc = encoding("o200k_base")            # or from_file("tokenizer.json")
    enc.count("…")
    counter = enc.counter()
    counter.append("…")                     # the exact total so far

    ledger = Ledger([Tokens(exact=12, reconstructed=4)])    # the sizes of a session's items, and their sums
    ledger.append(Tokens(exact=3, reconstructed=4))
    ledger.fit(8_000, from_end=True)        # how many of the newest fit

Counts equal those of tiktoken 0.14 (`encode_ordinary`) for the built-in encodings and of Hugging Face tokenizers
(`encode(text, add_special_tokens=False)`) for a `tokenizer.json`. To a built-in encoding a special token in a text is
ordinary text: a user who writes `<|endoftext|>` has written thirteen characters.

A text is a `str`, or `bytes` of UTF-8. A lone surrogate or invalid UTF-8 raises InputError with its position (in
characters of the `str`, in bytes of the `bytes`), never with the text.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Final, final

from retold import _core
from retold.errors import InputError
from retold.sizes import Tokens

__all__ = [
    "ENCODINGS",
    "Counter",
    "Encoding",
    "Ledger",
    "Tokens",
    "Vocabulary",
    "encoding",
    "from_file",
    "vocabularies",
]

ENCODINGS: Final[tuple[str, ...]] = _core.ENCODINGS
"""The names of the built-in encodings."""

_REFUSED = (ValueError, TypeError, OverflowError)
"""What the core and the conversion to it raise for a wrong argument."""


class _Refusals:
    """Turn a refusal of the core into an InputError with the same message; a generator took 1.2 µs a call."""

    def __enter__(self) -> None:
        """Begin a call of the core."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """End it."""
        if isinstance(error, _REFUSED):
            raise InputError(str(error)) from None


_refusals: Final = _Refusals()


@final
class Ledger:
    """The sizes of a session's items, in order, and their sums.

    A place is a number of items: 0 before the first, `len()` behind the last. Threads that share a ledger take turns.
    """

    __slots__ = ("_ledger",)

    def __init__(self, sizes: Iterable[Tokens] = ()) -> None:
        """Start from *sizes*. O(n).

        Raises:
            InputError: a number of tokens is negative or 2^32 and more; the message gives its item.
        """
        with _refusals:
            self._ledger = _core.Ledger(_rows(sizes))

    def __repr__(self) -> str:
        """Show the number of items and their sum."""
        return f"<Ledger of {self.total} in {len(self)} items>"

    def __len__(self) -> int:
        """Return the number of items. O(1)."""
        return len(self._ledger)

    @property
    def total(self) -> Tokens:
        """The sum of all sizes. O(1)."""
        return Tokens(*self._ledger.total)

    @property
    def upper(self) -> int:
        """The upper bound of `total`. O(1)."""
        return self._ledger.upper

    def append(self, size: Tokens) -> None:
        """Add an item behind the last. O(1).

        Raises:
            InputError: as `Ledger`; nothing was added.
        """
        try:
            self._ledger.append(size.exact, size.reconstructed, size.estimated)
        except _REFUSED as error:
            raise InputError(str(error)) from None

    def put(self, place: int, size: Tokens) -> None:
        """Put *size* where that of the item behind *place* was. O(n / 64).

        Raises:
            InputError: there is no such item, or as `Ledger`; nothing was changed.
        """
        try:
            self._ledger.put(place, size.exact, size.reconstructed, size.estimated)
        except _REFUSED as error:
            raise InputError(str(error)) from None

    def replace(self, start: int, end: int, sizes: Iterable[Tokens]) -> None:
        """Put *sizes*, of any number, where the items `[start, end)` were. O(k + n / 64) for k that leave or come.

        Raises:
            InputError: the range is backwards or out of range, or as `Ledger`; nothing was changed.
        """
        with _refusals:
            self._ledger.replace(start, end, _rows(sizes))

    def prefix(self, place: int) -> Tokens:
        """Return the sum of the items before *place*. O(n / 64).

        Raises:
            InputError: *place* is negative or lies behind the end.
        """
        with _refusals:
            return Tokens(*self._ledger.prefix(place))

    def span(self, start: int, end: int) -> Tokens:
        """Return the sum of the items `[start, end)`. O(n / 64).

        Raises:
            InputError: the range is backwards or out of range.
        """
        with _refusals:
            return Tokens(*self._ledger.span(start, end))

    def fit(self, budget_tokens: int, *, from_end: bool) -> int:
        """Return how many items, from that end, fit *budget_tokens* by the upper bound of their sum. O(n / 64).

        Raises:
            InputError: the budget is negative.
        """
        with _refusals:
            return self._ledger.fit(budget_tokens, from_end=from_end)

    def snapshot(self) -> bytes:
        """Return bytes from which `restore` makes this ledger again: 20 and 12 an item, with version and checksum."""
        return self._ledger.snapshot()

    @classmethod
    def restore(cls, snapshot: bytes) -> "Ledger":
        """Return the ledger that *snapshot* was taken of.

        Raises:
            InputError: the snapshot is damaged, foreign or of another version.
        """
        ledger = cls()
        with _refusals:
            ledger._ledger = _core.Ledger.restore(snapshot)
        return ledger


def _rows(sizes: Iterable[Tokens]) -> list[tuple[int, int, int]]:
    return [(size.exact, size.reconstructed, size.estimated) for size in sizes]


@final
class Counter:
    """A text that grows at its end, and its exact token count.

    With a built-in encoding an append costs in proportion to what is appended plus the open end of the text, the few
    bytes that more text may still change; an unbroken run of one kind of character stays open as a whole. With a
    `tokenizer.json` an append counts the whole text again.

    Offsets are UTF-8 bytes since the counter was new and must lie between two characters. The counter holds its text.
    Threads that share one take turns.
    """

    __slots__ = ("_counter",)

    def __init__(self, counter: _core.Counter) -> None:
        """Wrap a counter of the core; users call `Encoding.counter`."""
        self._counter = counter

    def __repr__(self) -> str:
        """Show the sizes, never the text."""
        return f"<Counter of {self.total} tokens in {self.size_bytes} bytes>"

    def append(self, text: str | bytes) -> int:
        """Append *text* and return the total so far.

        Raises:
            InputError: *text* is not Unicode text; nothing was appended.
        """
        try:
            return self._counter.append(text)
        except _REFUSED as error:
            raise InputError(str(error)) from None

    @property
    def total(self) -> int:
        """The tokens of everything appended, counted as one text. O(1)."""
        return self._counter.total

    @property
    def size_bytes(self) -> int:
        """The length of everything appended, in UTF-8 bytes. O(1)."""
        return self._counter.size_bytes

    def span(self, start: int, end: int) -> int:
        """Return the tokens of the bytes `[start, end)` counted on their own.

        The text between is not read again (but by a `tokenizer.json`), only a few hundred bytes at either end.

        Raises:
            InputError: an offset is out of range, splits a character (the message says where that starts), or lies
                before the text that a restored counter holds.
        """
        with _refusals:
            return self._counter.span(start, end)

    def truncate(self, n_bytes: int) -> int:
        """Keep the first *n_bytes* bytes, forget the rest, and return the total.

        Raises:
            InputError: as `span`; nothing was forgotten.
        """
        with _refusals:
            return self._counter.truncate(n_bytes)

    def snapshot(self) -> bytes:
        """Return bytes from which `Encoding.restore` makes a counter that goes on from here.

        They hold the counts and the open end of the text: about a hundred bytes, more if the text ends in a long
        unbroken run, the whole text with a `tokenizer.json`. They carry a version, the fingerprint of the vocabulary
        and a checksum.
        """
        return self._counter.snapshot()


@final
class Encoding:
    """A vocabulary with its rules; immutable, and safe to share between threads."""

    __slots__ = ("_encoding", "fingerprint", "name")

    def __init__(self, encoding: _core.Encoding) -> None:
        """Wrap an encoding of the core; users call `encoding` or `from_file`."""
        self._encoding = encoding
        self.name: Final = encoding.name
        self.fingerprint: Final = encoding.fingerprint

    def __repr__(self) -> str:
        """Show the name."""
        return f"<Encoding {self.name}>"

    def count(self, text: str | bytes) -> int:
        """Return the number of tokens of *text*. O(n); O(n log n) within one unbroken run of characters.

        Raises:
            InputError: *text* is not Unicode text; the message gives the position.
        """
        try:
            return self._encoding.count(text)
        except _REFUSED as error:
            raise InputError(str(error)) from None

    def count_batch(self, texts: Sequence[str | bytes]) -> list[int]:
        """Return the number of tokens of each text, in order. The same counts as one by one, with less overhead.

        Raises:
            InputError: as `count`; the message gives the index of the text.
        """
        with _refusals:
            return self._encoding.count_batch(texts)

    def count_until(self, text: str | bytes, limit: int) -> int | None:
        """Return the number of tokens of *text*, or None if there are more than *limit*.

        A built-in encoding reads no further than it must.

        Raises:
            InputError: as `count`, or *limit* is negative.
        """
        with _refusals:
            return self._encoding.count_until(text, limit)

    def encode(self, text: str | bytes) -> list[int]:
        """Return the token ids of *text*.

        Raises:
            InputError: as `count`.
        """
        with _refusals:
            return self._encoding.encode(text)

    def decode(self, ids: Sequence[int]) -> bytes:
        """Return the bytes of the tokens *ids*, special tokens as their text.

        They may end inside a character. A `tokenizer.json` gives what its own decoder makes of the ids.

        Raises:
            InputError: an id is in no vocabulary; the message gives it.
        """
        with _refusals:
            return self._encoding.decode(ids)

    def counter(self) -> Counter:
        """Return an empty counter."""
        return Counter(self._encoding.counter())

    def restore(self, snapshot: bytes) -> Counter:
        """Return a counter that goes on where the one that *snapshot* was taken of was.

        It totals and appends as that one. Its offsets go on too, but `span` and `truncate` know only the text since.

        Raises:
            InputError: the snapshot is damaged, or of another version or vocabulary.
        """
        with _refusals:
            return Counter(self._encoding.restore(snapshot))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What a check of a built-in vocabulary found.

    Attributes:
        name: the name of the encoding.
        tokens: how many tokens have a rank, special tokens not counted.
        sha256_expected: the SHA-256 that tiktoken publishes for the vocabulary's file.
        sha256_actual: the SHA-256 of the file that the embedded data gives.
    """

    name: str
    tokens: int
    sha256_expected: str
    sha256_actual: str

    @property
    def ok(self) -> bool:
        """Whether the embedded vocabulary is the published one, byte for byte."""
        return self.sha256_actual == self.sha256_expected


@functools.cache
def encoding(name: str) -> Encoding:
    """Return the built-in encoding *name*, one of `ENCODINGS`; the same object every time.

    The first call for a vocabulary builds its table, a few milliseconds.

    Raises:
        InputError: there is no such encoding; the message names those that are.
    """
    with _refusals:
        return Encoding(_core.Encoding.builtin(name))


def from_file(path: str | PathLike[str]) -> Encoding:
    """Return the encoding of a Hugging Face `tokenizer.json`. Its name is the path.

    Truncation and padding that the file asks for are switched off: they would hide how long a text is.

    Raises:
        InputError: the file cannot be read, or is not a tokenizer that the `tokenizers` library understands.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"expected a readable tokenizer.json at {fspath(path)!r}: {error.strerror}") from error
    with _refusals:
        return Encoding(_core.Encoding.from_json(fspath(path), content))


def vocabularies() -> tuple[Vocabulary, ...]:
    """Check every built-in vocabulary against the SHA-256 that tiktoken publishes. About 50 ms.

    Raises:
        InputError: the embedded data cannot be read at all: reinstall Retold.
    """
    with _refusals:
        rows = _core.check_vocabularies()
    return tuple(
        Vocabulary(name=name, tokens=tokens, sha256_expected=expected, sha256_actual=actual)
        for name, tokens, expected, actual in rows
    )
