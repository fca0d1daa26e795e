"""What can be read of a session: its history now, then, or as soon as it can be sent; and what made it."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from retold.client.waiting import WAIT_S, sendable
from retold.errors import InputError
from retold.events import SessionKey
from retold.fold import Context, History, history_of
from retold.ports import Log
from retold.replay import (
    At,
    Diff,
    Explanation,
    Frame,
    Part,
    Past,
    compare,
    explain_version,
    play,
    watch,
)

if TYPE_CHECKING:
    from retold.client.session import Session


class Readable(ABC):
    """Give a session what reads it."""

    key: SessionKey
    _log: Log
    _past: Past

    @abstractmethod
    async def _load(self) -> Context:
        """Return the present state."""

    async def history(
        self,
        *,
        at: At | None = None,
        at_least: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - it ends in a history, not in an error
    ) -> History:
        """Return the history to send: now, or as it was after event *at*, at that time or tag, or when that item came.

        A time is UTC if it has no zone. An item is named by its id (``i12``; ``s3`` is a summary). What was read is
        kept warm: where the session was read before, this takes milliseconds and no event is read again.

        With *at_least* or *timeout*, it has everything up to that sequence and can be sent: where the worker has not
        compacted what is larger than the window, that is waited for *timeout* seconds (by default `WAIT_S`), and then
        compacted here. `History.is_local` says so; nothing is recorded, and nothing waits where the history fits.

        Raises:
            InputError: if the session does not reach *at* or had not begun, or *at* is neither a sequence nor a time
                nor a tag nor an item of it; if *at_least* is no sequence, *timeout* is below 0, or they come with *at*.
            UnavailableError: if the session does not reach *at_least* in time.
            FloorError: if what must be kept verbatim is larger than the window.
            CorruptLogError: if an event on the way is missing or damaged.
        """
        if at is not None:
            if at_least is not None or timeout is not None:
                raise InputError("expected a past state, or one to wait for, got both")
            return await self._past.history(self.key, at)
        if at_least is None and timeout is None:
            return history_of(await self._load())
        wait_s = WAIT_S if timeout is None else timeout
        return await sendable(self._log, self.key, self._load, at_least=at_least or 0, timeout_s=wait_s)

    async def watch(self, *, after: int = 0) -> AsyncGenerator[History, None]:
        """Yield the newest replacement history if its version is later than *after*, then each that takes its place.

        It never ends: an agent that takes each from here on sends what was compacted as soon as it was. An edit, a
        rewind, an undo replace the history, too.

        Raises:
            CorruptLogError: at the first event that is missing or damaged.
            UnavailableError: if the log could not be reached.
        """
        async with aclosing(watch(self._log, self.key, base=await self._load(), after=after)) as histories:
            async for history in histories:
                yield history

    def replay(
        self,
        *,
        start: At | None = None,
        to: At | None = None,
        speed: float | None = None,
        until_compaction: bool = False,
        follow: bool = False,
    ) -> AsyncGenerator[Frame, None]:
        """Yield a frame for each event after *start* (None: from the first on): what happened, and the state after it.

        It ends with the event of *to* (None: the newest), or with the first compaction if *until_compaction*; with
        *follow* it goes on with what is appended, without a gap. *speed* is how many seconds of the recorded time pass
        in one; None waits for nothing. Raises as `history`, where it is iterated.
        """
        part = Part(start=start, to=to, until_compaction=until_compaction, follow=follow)
        return play(self._log, self.key, part, speed=speed)

    async def warm(self) -> None:
        """Read the whole session ahead, so that `history` at any place in it needs no more than to fold a few events.

        What is kept is bounded (`retold.replay.past.WARM_BYTES_MAX`), for all sessions of the client together.

        Raises:
            CorruptLogError: if an event is missing or damaged.
        """
        await self._past.warm(self.key)

    async def diff(self, a: At, b: At | None = None, *, other: "Session | None" = None) -> Diff:
        """Return what is between the history at *a* and that at *b* (None: now), of *other* if it is given.

        It names the items that came, went and changed, their tokens, the compactions between with their receipts, and
        what the model could see at *a* and cannot at *b*, with the way back. *other* is a fork, or any other session.

        Raises:
            InputError: if a place is not there.
            CorruptLogError: if an event on the way is missing or damaged.
        """
        return await compare(self._log, self.key, a, self.key if other is None else other.key, b)

    async def explain(self, version: int | None = None) -> Explanation:
        """Return what the compaction that made *version* (None: the newest) did, and why none was made before it.

        Raises:
            InputError: if no compaction of the session made that version; it names those that there are.
            CorruptLogError: if an event on the way is missing or damaged.
        """
        return await explain_version(self._log, self.key, version)
