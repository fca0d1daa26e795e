"""What workers need to share partitions: a table of claims that is changed by compare-and-set, and what is followed."""

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Protocol

from msgspec import Struct

PARTITIONS = 64
"""How many parts the sessions are in, by their names: never changed, for the subjects of all events name them."""


class Claim(Struct, frozen=True):
    """Hold one entry of the table.

    Attributes:
        value: what stands there.
        revision: what the next change of it must name; it moves on with each, and never back.
        at: when it was written, by the server's clock: for people, nothing is decided by it. None if that is not known.
    """

    value: bytes
    revision: int
    at: datetime | None = None


class Leases(Protocol):
    """Remember who claims what, for all workers of a log.

    Names are lower-case words and digits, joined by dots. Every method raises UnavailableError when the server cannot
    be reached within the log's own retries; the call may be repeated.
    """

    async def claims(self) -> dict[str, Claim]:
        """Return the table. It may be a moment old, and an entry that changes just then may be missing from it."""
        ...

    async def claim(self, name: str) -> Claim | None:
        """Return the entry as it stands now, or None if it was removed, or never there."""
        ...

    async def put(self, name: str, value: bytes, *, revision: int, quietly: bool = False) -> int | None:
        """Write *value* if the entry stands at *revision* (0: it never was there), and return the new one.

        None if it stands at another one, unless it holds *value*: then that is the answer to an earlier try. A value
        that somebody relies on names its writer, therefore. *quietly* wakes nobody in `changes`.
        """
        ...

    async def remove(self, name: str, *, revision: int) -> bool:
        """Remove the entry if it stands at *revision*; return whether it is gone. A removed name is not used again."""
        ...

    def changes(self) -> AsyncGenerator[None, None]:
        """Yield at once, then whenever an entry was put or removed by anybody, but quietly; several may come as one.

        A change may be missed while the connection is lost: look at the table now and then.
        """
        ...


class Partitions(Protocol):
    """Say which partitions of a log are to be followed, while that changes."""

    @property
    def followed(self) -> Mapping[int, int]:
        """Return the partitions, each with a number that is new whenever it was taken up anew."""
        ...

    async def changed(self, since: Mapping[int, int]) -> None:
        """Return when `followed` is not *since* any more."""
        ...
