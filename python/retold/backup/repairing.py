"""Mend a damaged session from a copy whose hashes prove it: never by guessing, and never less than there was.

Rules:
- The copy must be whole, and the log must not contradict it: every event that both have is the same, or the log's own
  next event names the copy's by its hash.
- What the log has beyond the copy is kept, if it follows without a gap. If anything that is known to have been there
  would be missing in the end, nothing is done.
- The session is written anew behind what is there, which stays (`retold.log.copying`).
- What is held is the events' hashes. Their bodies are read again when they are written, however old the copy is.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from msgspec import Struct

from retold.errors import ConflictError, CorruptLogError
from retold.events import Head, Kept, SessionKey
from retold.ports import Log
from retold.replay import Verdict, verify


class Source(Protocol):
    """Give a session's events as they are kept: a backup, an export, another log."""

    def read(self, key: SessionKey, *, after: int = 0, until: int | None = None) -> AsyncGenerator[Kept, None]:
        """Yield the events of ``after < seq <= until``, checked against the chain from the first on."""
        ...


class Replica:
    """Read from another log."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def read(self, key: SessionKey, *, after: int = 0, until: int | None = None) -> AsyncGenerator[Kept, None]:
        """Yield what the log has, all of it checked by the log itself."""
        return self._log.read_kept(key, after=after, until=until)


class Repaired(Struct, frozen=True):
    """Say what a repair did.

    Attributes:
        verdict: what proving the session gave afterwards, or as it is where nothing was done.
        damaged_seq: the first sequence that was damaged; None if no event was.
        put_back: the sequences that were put back from the copy.
        reason: why nothing was done; empty if the session was written anew.
    """

    verdict: Verdict
    damaged_seq: int | None = None
    put_back: tuple[int, ...] = ()
    reason: str = ""


class _Refused(Exception):  # noqa: N818 - told in the report
    """Say why a copy does not do."""


class _Found:
    """Hold what can be read of the session: by sequence, each event's hash with the hash that it names as before it."""

    def __init__(self) -> None:
        self._links: dict[int, set[tuple[str, str]]] = {}

    @property
    def last(self) -> int:
        return max(self._links, default=0)

    def add(self, one: Kept) -> None:
        self._links.setdefault(one.standing.seq, set()).add((one.hash, one.standing.prev))

    def has(self, head: Head) -> bool:
        return any(head.hash == found for found, _ in self._links.get(head.seq, ()))

    def contradicts(self, head: Head) -> bool:
        """Return whether another event is there than *head*'s, and the next one does not name that one either."""
        named = (prev for _, prev in self._links.get(head.seq + 1, ()))
        return head.seq in self._links and not self.has(head) and head.hash not in named

    def after(self, head: Head) -> list[str]:
        """Return the hashes of what follows *head*, as far as it follows without a gap."""
        hashes: list[str] = []
        while True:
            follows = self._links.get(head.seq + 1, ())
            next_hash = next((found for found, prev in follows if prev == head.hash), None)
            if next_hash is None:
                return hashes
            hashes.append(next_hash)
            head = Head(seq=head.seq + 1, hash=next_hash)


async def repair(log: Log, source: Source, key: SessionKey) -> Repaired:
    """Put the damaged events of a session back from *source*, prove it, and return what was done.

    Raises:
        UnavailableError: if a log cannot be reached. The call may be repeated, also after it was killed.
    """
    damage = await _first_damage(log, key)
    if damage is None:
        verdict = await verify(log, key)
        mend = (
            "nothing is damaged"
            if verdict.ok
            else f"its events are whole, rebuild what is made from them: {verdict.reason}"
        )
        return Repaired(verdict, reason=mend)
    try:
        put_back = await _mend(log, source, key)
    except _Refused as refused:
        return Repaired(await verify(log, key), damage.seq, reason=str(refused))
    except ConflictError:
        return Repaired(await verify(log, key), damage.seq, reason="somebody wrote to it meanwhile: run it again")
    return Repaired(await verify(log, key), damage.seq, put_back)


async def _mend(log: Log, source: Source, key: SessionKey) -> tuple[int, ...]:
    end = await _stored_end(log, key)
    found = _Found()
    async with aclosing(log.salvage(key)) as salvaged:
        async for one in salvaged:
            found.add(one)
    head, put_back = await _compared(source, key, found)
    later = found.after(head)
    until = head.seq + len(later)
    reached = max(await log.reached(key), found.last)
    if until < reached:
        raise _Refused(f"the copy ends at {head.seq}, and what must follow up to {reached} is damaged or lost too")
    await log.replace(key, _merged(log, source, key, head, later), until=until, instead_of=end)
    return put_back


async def _compared(source: Source, key: SessionKey, found: _Found) -> tuple[Head, tuple[int, ...]]:
    """Return where the copy ends, and the sequences that only it has."""
    head, put_back = Head(), []
    try:
        async with aclosing(source.read(key)) as copy:
            async for one in copy:
                head = one.head
                if found.contradicts(head):
                    raise _Refused(f"the copy has another event at {head.seq} than the log: it is not of this session")
                if not found.has(head):
                    put_back.append(head.seq)
    except CorruptLogError as error:
        raise _Refused(f"the copy is damaged too: {error}") from None
    if not head.seq:
        raise _Refused("the copy has no events of it")
    return head, tuple(put_back)


async def _merged(
    log: Log, source: Source, key: SessionKey, head: Head, later: list[str]
) -> AsyncGenerator[Kept, None]:
    """Yield the copy's events up to *head*, then those of the log that have the hashes of *later*.

    Each reading of the log gives all that lie in order; what an earlier repair has left out of it, the next one.
    """
    async with aclosing(source.read(key, until=head.seq)) as copy:
        async for one in copy:
            yield one
    put = 0
    while put < len(later):
        before = put
        async with aclosing(log.salvage(key)) as salvaged:
            async for one in salvaged:
                if (one.standing.seq, one.hash) == (head.seq + put + 1, later[put]):
                    put += 1
                    yield one
                if put == len(later):
                    return  # what comes now is what was written here
        if put == before:
            raise CorruptLogError("it was read, and cannot be any more", session=key.session, seq=head.seq + put + 1)


async def _first_damage(log: Log, key: SessionKey) -> CorruptLogError | None:
    try:
        async with aclosing(log.read_kept(key)) as events:
            async for _ in events:
                pass
    except CorruptLogError as error:
        return error
    return None


async def _stored_end(log: Log, key: SessionKey) -> Head | None:
    """Return the head that the last event gives, None if it cannot be read: then nobody can append behind it."""
    try:
        return await log.stored_end(key)
    except CorruptLogError:
        return None
