"""Live sessions: as many as memory allows, in three steps of what they take.

Rules:
- A session that is worked on is not here, and is never dropped.
- Those that were idle longest are packed first: they go on as they are, at a fifth of their size. Where that does not
  do, they are dropped, and read again from their snapshot when they grow.
- What they take is an estimate (`LiveSession.size_bytes`), taken when a session comes to rest here.
"""

from collections import OrderedDict
from collections.abc import Callable

from retold.events import SessionKey
from retold.worker.live import LiveSession

OPEN_SHARE = 0.5
"""How much of the memory sessions may take as they are; packed, the other half holds five times as many."""


class Holding:
    """Hold sessions that wait for their next event, the one that was idle longest first."""

    def __init__(self, *, bytes_max: int) -> None:
        """Hold at most *bytes_max*, and one session in any case."""
        self._bytes_max = bytes_max
        self._open: OrderedDict[SessionKey, LiveSession] = OrderedDict()
        self._packed: OrderedDict[SessionKey, LiveSession] = OrderedDict()
        self._sizes: dict[SessionKey, int] = {}
        self._open_bytes = self._packed_bytes = 0

    def __len__(self) -> int:
        """Return how many are held."""
        return len(self._sizes)

    @property
    def size_bytes(self) -> int:
        """Return about what they take."""
        return self._open_bytes + self._packed_bytes

    @property
    def packed(self) -> int:
        """Return how many of them are packed."""
        return len(self._packed)

    def reached(self, key: SessionKey) -> int:
        """Return the sequence that a session is settled at; 0 if it is not held, or has more to do."""
        live = self._open.get(key) or self._packed.get(key)
        return live.head.seq if live is not None and live.is_settled else 0

    def take(self, key: SessionKey) -> LiveSession | None:
        """Return a session, which is not held any more; None if it was not."""
        if key not in self._sizes:
            return None
        size = self._sizes.pop(key)
        if key in self._open:
            self._open_bytes -= size
            return self._open.pop(key)
        self._packed_bytes -= size
        return self._packed.pop(key)

    def put(self, live: LiveSession) -> list[LiveSession]:
        """Hold a session that came to rest; return those that are not held any more, to be dropped."""
        self._open[live.key] = live
        self._sizes[live.key] = live.size_bytes
        self._open_bytes += live.size_bytes
        while self._open_bytes > self._bytes_max * OPEN_SHARE and len(self._open) > 1:
            self._pack(next(iter(self._open)))
        dropped: list[LiveSession] = []
        while self.size_bytes > self._bytes_max and len(self) > 1:
            oldest = self.take(next(iter(self._packed or self._open)))
            assert oldest is not None, "it is held"
            dropped.append(oldest)
        return dropped

    def forget(self, which: Callable[[SessionKey], bool]) -> list[SessionKey]:
        """Hold those no more that *which* names, and return their keys."""
        keys = [key for key in self._sizes if which(key)]
        for key in keys:
            self.take(key)
        return keys

    def _pack(self, key: SessionKey) -> None:
        live = self.take(key)
        assert live is not None, "it is held"
        live.pack()
        self._packed[key] = live
        self._sizes[key] = live.size_bytes
        self._packed_bytes += live.size_bytes
