"""Mend a damaged session from a copy whose hashes prove it: never by guessing, and never less than there was.

Rules:
- The copy must be whole, and the log must not contradict it: every event that both have is the same, or the log's own
  next event names the copy's by its hash.
- What the log has beyond the copy is kept, if it follows without a gap. If anything that is known to have been there
  would be missing in the end, nothing is done.
- The session is written anew behind what is there, which stays (`retold.log.copying`).
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


class _Found(Struct):
    """Hold what can be read of the session: each event's hash by its sequence, and the hash it names as before it."""

    hashes: dict[int, set[str]]
    prevs: dict[int, set[str]]

    @property
    def last(self) -> int:
        return max(self.hashes, default=0)


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
    found = _Found({}, {})
    async with aclosing(log.salvage(key)) as salvaged:
        async for one in salvaged:
            found.hashes.setdefault(one.standing.seq, set()).add(one.hash)
            found.prevs.setdefault(one.standing.seq, set()).add(one.standing.prev)
    head, put_back = await _compared(source, key, found)
    later = await _later(log, key, head)
    until = max([head.seq, *later])
    reached = max(await log.reached(key), found.last)
    if until < reached:
        raise _Refused(f"the copy ends at {head.seq}, and what must follow up to {reached} is damaged or lost too")
    await log.replace(key, _merged(source, key, head.seq, later), until=until, instead_of=end)
    return put_back


async def _compared(source: Source, key: SessionKey, found: _Found) -> tuple[Head, tuple[int, ...]]:
    """Return where the copy ends, and the sequences that only it has."""
    head, put_back = Head(), []
    try:
        async with aclosing(source.read(key)) as copy:
            async for one in copy:
                head = one.head
                mine = found.hashes.get(head.seq, set())
                if mine and head.hash not in mine and head.hash not in found.prevs.get(head.seq + 1, set()):
                    raise _Refused(f"the copy has another event at {head.seq} than the log: it is not of this session")
                if head.hash not in mine:
                    put_back.append(head.seq)
    except CorruptLogError as error:
        raise _Refused(f"the copy is damaged too: {error}") from None
    if not head.seq:
        raise _Refused("the copy has no events of it")
    return head, tuple(put_back)


async def _later(log: Log, key: SessionKey, head: Head) -> dict[int, Kept]:
    """Return what the log has behind *head*, as far as it follows without a gap."""
    beyond: dict[int, list[Kept]] = {}
    async with aclosing(log.salvage(key)) as salvaged:
        async for one in salvaged:
            if one.standing.seq > head.seq:
                beyond.setdefault(one.standing.seq, []).append(one)
    later: dict[int, Kept] = {}
    while True:
        next_one = next((one for one in beyond.get(head.seq + 1, ()) if one.standing.prev == head.hash), None)
        if next_one is None:
            return later
        head = next_one.head
        later[head.seq] = next_one


async def _merged(source: Source, key: SessionKey, last: int, later: dict[int, Kept]) -> AsyncGenerator[Kept, None]:
    async with aclosing(source.read(key, until=last)) as copy:
        async for one in copy:
            yield one
    for seq in sorted(later):
        yield later[seq]


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
