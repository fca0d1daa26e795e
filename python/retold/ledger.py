"""The token counts of a session's items: their sums, and the cut that fits a budget. They lie in the Rust core."""

from collections.abc import Iterable
from typing import final

from retold.sizes import Tokens
from retold.tokens import CoreLedger, Encoding
from retold.wire import Run


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
        self._ledger = CoreLedger(_rows(sizes))

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
        self._ledger.append(size.exact, size.reconstructed, size.estimated)

    def take(self, run: Run, encoding: Encoding, *, first_item: int) -> bytes:
        """Add the items of *run*, counted by *encoding*, and return them as entries of a history, a JSON list.

        The first has number *first_item*. O(bytes).

        Raises:
            InputError: a text in them cannot be read; nothing was added.
        """
        return run.entries(encoding, first_item, self._ledger)

    def put(self, place: int, size: Tokens) -> None:
        """Put *size* where that of the item behind *place* was. O(n / 64).

        Raises:
            InputError: there is no such item, or as `Ledger`; nothing was changed.
        """
        self._ledger.put(place, size.exact, size.reconstructed, size.estimated)

    def replace(self, start: int, end: int, sizes: Iterable[Tokens]) -> None:
        """Put *sizes*, of any number, where the items `[start, end)` were. O(k + n / 64) for k that leave or come.

        Raises:
            InputError: the range is backwards or out of range, or as `Ledger`; nothing was changed.
        """
        self._ledger.replace(start, end, _rows(sizes))

    def prefix(self, place: int) -> Tokens:
        """Return the sum of the items before *place*. O(n / 64).

        Raises:
            InputError: *place* is negative or lies behind the end.
        """
        return Tokens(*self._ledger.prefix(place))

    def span(self, start: int, end: int) -> Tokens:
        """Return the sum of the items `[start, end)`. O(n / 64).

        Raises:
            InputError: the range is backwards or out of range.
        """
        return Tokens(*self._ledger.span(start, end))

    def fit(self, budget_tokens: int, *, from_end: bool) -> int:
        """Return how many items, from that end, fit *budget_tokens* by the upper bound of their sum. O(n / 64).

        Raises:
            InputError: the budget is negative.
        """
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
        ledger._ledger = CoreLedger.restore(snapshot)
        return ledger


def _rows(sizes: Iterable[Tokens]) -> list[tuple[int, int, int]]:
    return [(size.exact, size.reconstructed, size.estimated) for size in sizes]
