"""Runs: items that were appended to a session one after the other, folded at once.

The core reads, counts and numbers them; here they become entries, in one call a run. What is so afterwards is what
folding event by event gives: a law holds the two together.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from retold.errors import CorruptLogError, InputError
from retold.events import Head, SessionKey
from retold.fold.builder import Builder
from retold.fold.calibration import is_reply
from retold.fold.context import Entry, later
from retold.ledger import Ledger
from retold.tokens import Encoding
from retold.wire import Run as CoreRun

_entries = msgspec.json.Decoder(list[Entry])


class Run(Struct, frozen=True):
    """Stand for events of session *key* that follow each other, each of which appends an item and nothing else.

    They are checked to follow, and their JSON is not read yet.
    """

    key: SessionKey
    core: CoreRun

    @property
    def first_seq(self) -> int:
        """Return the sequence of the first of them."""
        return self.core.seq - len(self.core) + 1

    @property
    def end(self) -> Head:
        """Return the head of a session that ends with the last of them."""
        return Head(seq=self.core.seq, hash=self.core.hash)

    @property
    def latest(self) -> datetime:
        """Return the latest time that one of them names."""
        return datetime.fromisoformat(self.core.latest).replace(tzinfo=UTC)

    def entries(self, encoding: Encoding, ledger: Ledger, *, first_item: int) -> list[Entry]:
        """Return the entries that they become, counted by *encoding*, and add their sizes to *ledger*.

        The first has number *first_item*. O(bytes).

        Raises:
            CorruptLogError: if one of them cannot be read: reading them one by one says which. The ledger may have
                grown then.
        """
        try:
            return _entries.decode(ledger.take(self.core, encoding, first_item=first_item))
        except (InputError, msgspec.MsgspecError, UnicodeDecodeError):
            reason = f"an event from here to {self.core.seq} cannot be read"
            raise CorruptLogError(reason, session=self.key.session, seq=self.first_seq) from None


class RunBuilder(Builder):
    """Fold events of one session, and runs of them."""

    def take(self, run: Run) -> None:
        """Fold in *run*, at once. O(bytes); 1 to 2 µs an event of a few words.

        Raises:
            CorruptLogError: if it does not follow what was folded, or `Run.entries` does.
        """
        if run.first_seq != self._seq + 1 or self._encoding is None or self._context is None:
            raise CorruptLogError("expected events that follow", session=run.key.session, seq=run.first_seq)
        entries = run.entries(self._encoding, self._ledger, first_item=self._next_item)
        self._entries.extend(entries)
        self._next_item += len(entries)
        self._reply_tokens = _reply_tokens(entries, before=self._reply_tokens)
        self._open_text = None
        if self._context.closed:
            self._set(closed=False)
        self._seq, self._head = run.end.seq, run.end.hash
        self._latest, self._is_ahead = later(self._latest, run.latest), True


def _reply_tokens(entries: Sequence[Entry], *, before: int) -> int:
    """Return the size of the reply that the history ends with, where *entries* came behind one of size *before*."""
    size = 0
    for entry in reversed(entries):
        if not is_reply(entry.item):
            return size
        size += entry.tokens.total
    return before + size
