"""A worker as a process of its own, that ends or stops itself just before or after an effect that a test names.

Its words: the server, the seconds that its leases last, a signal (0: none), the effects at which it sends itself that
signal, counted from 1 and separated by commas, and whether after the effect. It says what came of each append that it
was stopped before.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from tests.laws.logs import LogProxy

from retold.errors import ConflictError
from retold.events import Draft, Recorded, SessionKey
from retold.log import connect_log
from retold.ports import Log, Published, Snapshot
from retold.wiring import worker_for
from retold.worker import LeasedPartitions


class FatalLog(LogProxy):
    """Send this process a signal at some of its effects: appends, snapshots, publications and withdrawals."""

    def __init__(self, log: Log, *, number: int, at: Sequence[int], after: bool) -> None:
        """Send signal *number* at the effects *at*."""
        super().__init__(log)
        self._number = number
        self._at = set(at)
        self._after = after
        self._effects = 0

    def _begin(self) -> bool:
        """Count an effect, and send the signal if it is time; return whether it is time at its end."""
        self._effects += 1
        is_due = self._effects in self._at
        if is_due and not self._after:
            os.kill(os.getpid(), self._number)
        return is_due and self._after

    def _end(self, *, is_due: bool) -> None:
        if is_due:
            os.kill(os.getpid(), self._number)

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append."""
        is_due = self._begin()
        recorded = await super().append(key, drafts, expected=expected, are_new=are_new)
        self._end(is_due=is_due)
        return recorded

    async def save_snapshot(self, key: SessionKey, snapshot: Snapshot) -> None:
        """Save."""
        is_due = self._begin()
        await super().save_snapshot(key, snapshot)
        self._end(is_due=is_due)

    async def publish_history(self, key: SessionKey, published: Published) -> bool:
        """Publish."""
        is_due = self._begin()
        written = await super().publish_history(key, published)
        self._end(is_due=is_due)
        return written

    async def withdraw_history(self, key: SessionKey, *, version: int, seq: int) -> bool:
        """Withdraw."""
        is_due = self._begin()
        withdrawn = await super().withdraw_history(key, version=version, seq=seq)
        self._end(is_due=is_due)
        return withdrawn


class AppendsAlone(FatalLog):
    """Count appends alone, and send those that it was stopped before, although the worker may let go just then."""

    async def append(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append, and say what came of it if this process was stopped before."""
        self._begin()
        if self._effects not in self._at:
            return await self.inner.append(key, drafts, expected=expected, are_new=are_new)
        writing = asyncio.ensure_future(self.inner.append(key, drafts, expected=expected, are_new=are_new))
        with suppress(asyncio.CancelledError):
            await asyncio.wait({writing})
        await asyncio.wait({writing})
        _say("refused" if isinstance(writing.exception(), ConflictError) else "stored")
        return writing.result()

    async def save_snapshot(self, key: SessionKey, snapshot: Snapshot) -> None:
        """Save."""
        await self.inner.save_snapshot(key, snapshot)

    async def publish_history(self, key: SessionKey, published: Published) -> bool:
        """Publish."""
        return await self.inner.publish_history(key, published)

    async def withdraw_history(self, key: SessionKey, *, version: int, seq: int) -> bool:
        """Withdraw."""
        return await self.inner.withdraw_history(key, version=version, seq=seq)


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def _main() -> None:
    url, ttl_s, number, effects, when = sys.argv[1:]
    at = [int(one) for one in effects.split(",")]
    kind = AppendsAlone if when == "append" else FatalLog
    async with connect_log(url) as log:
        fatal = kind(log, number=int(number), at=at, after=when == "after")
        await worker_for(fatal).run(LeasedPartitions(log.leases, ttl_s=float(ttl_s)))


if __name__ == "__main__":
    asyncio.run(_main())
