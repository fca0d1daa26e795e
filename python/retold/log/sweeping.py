"""Sweeping: large bodies that no message claims any more, or never did, are removed from the object store.

They are left by a process that was killed between storing a body and the message that claims it, or while storing it,
and by claims that were removed with their snapshots.

Rules:
- A body that is about to be claimed is young: whoever claims one that is there already stores its meta anew
  (`retold.log.blobs`), so the grace time begins again.
- A meta is removed by its position in the stream. Stored anew meanwhile, it lies elsewhere, and nothing is removed; if
  the sweep comes first, whoever would have stored it anew is refused, and stores the body.
- The meta goes before the chunks: a sweep that is killed leaves chunks without a meta, which the next one removes.
- What a damaged session claims is not to be seen, so nothing that could be its own is removed: chunks name it.
  Sequences that do not follow each other show damage, too: a killed server drops what it cannot read without a word.
- Nothing is removed while the object store has a message that the server cannot read: it would lose others with it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from retold.errors import CorruptLogError, InputError
from retold.events import SessionKey
from retold.log import api, pages, streams
from retold.log.api import Refused, Stored
from retold.log.blobs import CHUNK_BYTES, Meta, chunks_subject, metas, owner_of
from retold.log.feed import GETS_AT_ONCE, Feed
from retold.log.headers import erased_of, seq_of
from retold.log.jetstream import connect_log
from retold.log.link import Link, Lost
from retold.log.names import (
    BLOBS,
    BLOBS_BUCKET,
    CLAIM,
    EVENTS,
    EVENTS_ALL,
    HISTORIES,
    HISTORIES_BUCKET,
    SNAPSHOTS,
    key_of,
)
from retold.log.servers import Server
from retold.ports import Log

GRACE = timedelta(hours=1)
"""How long a body without a claim is left alone, unless the caller says otherwise."""
STALLS_MAX = 3
"""How many consumers may bring nothing although there is something: then the next message cannot be read."""
_CLAIMING = ((EVENTS, EVENTS_ALL), (SNAPSHOTS, "retold.snap.>"), (HISTORIES, f"$KV.{HISTORIES_BUCKET}.>"))
_METAS, _CHUNKS = f"$O.{BLOBS_BUCKET}.M.>", f"$O.{BLOBS_BUCKET}.C."
_NAME_LETTERS = frozenset("0123456789abcdef")


class Orphan(Struct, frozen=True):
    """Name a large body that nothing claims.

    Attributes:
        name: its SHA-256; empty for what is left of one that was never stored whole, whose size is about right.
        at: when it was stored, or last about to be claimed.
    """

    name: str
    size_bytes: int
    at: datetime


class _Found(Struct, frozen=True):
    """Hold an orphan and where it lies: the position of its meta, 0 where there is none, and its chunks' subject."""

    orphan: Orphan
    position: int
    chunks: str


class Sweeper:
    """Find and remove bodies that nothing claims.

    Attributes:
        damaged: the sessions that the last look found damaged, each with what is wrong; their bodies were left alone.
    """

    def __init__(self, link: Link, log: Log) -> None:
        """Sweep the store of *log*, over a connection of its own."""
        self._link = link
        self._log = log
        self.damaged: dict[SessionKey, str] = {}

    async def orphans(self, *, older_than: timedelta = GRACE) -> list[Orphan]:
        """Return the bodies that nothing claims, and that nobody was about to claim for *older_than*.

        Reads the headers of all messages, but only if something is old enough.

        Raises:
            InputError: if *older_than* is below 0.
            CorruptLogError: if a message of the object store cannot be read.
            UnavailableError: if the server could not be reached.
        """
        return [found.orphan for found in await self._found(older_than)]

    async def sweep(self, *, older_than: timedelta = GRACE) -> list[Orphan]:
        """Remove what `orphans` finds, but for what is claimed meanwhile; return what was removed. May be repeated.

        Safe beside writers, as long as each needs less than *older_than* from storing a body to the message that claims
        it: a quarter of an hour is ample, `GRACE` allows for machines that stand still. 0 is for when nobody writes.
        Raises as `orphans`; then nothing was removed.
        """
        return [found.orphan for found in await self._found(older_than) if await self._remove(found)]

    async def _remove(self, found: _Found) -> bool:
        """Remove it, unless somebody has claimed it again since it was found; return whether it was removed."""
        if found.position and not await api.forget(self._link, BLOBS, found.position):
            return False
        await api.purge(self._link, BLOBS, found.chunks)
        return True

    async def _found(self, older_than: timedelta) -> list[_Found]:
        if older_than < timedelta(0):
            raise InputError(f"expected a grace time of 0 or more, got {older_than.total_seconds():g} s")
        self.damaged = await self._known_damage()
        # The server's own time, for it is what tells how old a message is.
        now = msgspec.convert((await api.call(self._link, f"STREAM.INFO.{BLOBS}"))["ts"], datetime)
        # Chunks before metas: a chunk that is seen here is older than the meta that will name it.
        chunks = await streams.counts(self._link, BLOBS, f"{_CHUNKS}>")
        metas = [meta async for meta in self._metas()]
        named = {chunks_subject(meta.nuid) for meta, _ in metas}
        old = [_whole(meta, stored) for meta, stored in metas if _is_ours(meta)]
        old += [one async for one in self._broken({subject: chunks[subject] for subject in chunks.keys() - named})]
        old = [found for found in old if found.orphan.at <= now - older_than]
        claimed = await self._claimed() if old else set()
        return [found for found in old if found.orphan.name not in claimed and not self._may_be_damaged(found)]

    async def _known_damage(self) -> dict[SessionKey, str]:
        """Return the sessions that are set aside, or whose ends are damaged."""
        asides = await self._log.aside()
        known = {key: f"set aside: damaged at {aside.seq}: {aside.reason}" for key, aside in asides.items()}
        ends = [end for end in await self._log.sessions() if end.damaged and end.key not in known]
        return known | {end.key: f"its end at {end.seq} is damaged" for end in ends}

    def _may_be_damaged(self, found: _Found) -> bool:
        """Return whether a damaged session could claim it. What an earlier release stored does not name its session."""
        owner = owner_of(found.chunks.removeprefix(_CHUNKS))
        return bool(self.damaged) and (owner is None or owner in self.damaged)

    async def _metas(self) -> AsyncIterator[tuple[Meta, Stored]]:
        """Yield every meta, other programs' included, as the leader has it."""
        for subject, stored in [one async for one in self._lasts(await streams.counts(self._link, BLOBS, _METAS))]:
            try:
                yield metas.decode(stored.body), stored
            except msgspec.MsgspecError:
                raise _unreadable(BLOBS, f"what {subject} holds is no meta") from None

    async def _broken(self, counts: dict[str, int]) -> AsyncIterator[_Found]:
        """Yield the chunks that no meta names, of tries and sweeps that broke off."""
        async for subject, stored in self._lasts(counts):
            size = (counts[subject] - 1) * CHUNK_BYTES + len(stored.body)
            yield _Found(orphan=Orphan(name="", size_bytes=size, at=_at(stored)), position=0, chunks=subject)

    async def _lasts(self, subjects: Iterable[str]) -> AsyncIterator[tuple[str, Stored]]:
        """Yield the last message of each subject that still has one."""
        names = sorted(subjects)
        for first in range(0, len(names), GETS_AT_ONCE):
            some = names[first : first + GETS_AT_ONCE]
            for subject, stored in zip(some, await asyncio.gather(*map(self._last, some)), strict=True):
                if stored is not None:
                    yield subject, stored

    async def _last(self, subject: str) -> Stored | None:
        try:
            stored = await api.get(self._link, BLOBS, {"last_by_subj": subject})
        except Refused:
            raise _unreadable(BLOBS, f"the last message of {subject}") from None
        if stored is None and await streams.counts(self._link, BLOBS, subject):
            raise _unreadable(BLOBS, f"the last message of {subject}")
        return stored

    async def _claimed(self) -> set[str]:
        """Return what events, snapshots and published histories claim, those that were written aside included."""
        claimed: set[str] = set()
        for stream, subjects in _CLAIMING:
            try:
                claimed |= await self._claimed_in(stream, self._all(stream, subjects))
            except Lost:
                for subject, count in (await streams.counts(self._link, stream, subjects)).items():
                    claimed |= await self._claimed_in(stream, self._each(stream, subject, count=count))
        return claimed

    async def _claimed_in(self, stream: str, messages: AsyncIterator[Stored]) -> set[str]:
        """Return what *messages* claim; events that do not follow the one before are noted as damage."""
        claimed, lasts, gaps = set[str](), dict[str, int](), dict[str, str]()
        async for stored in messages:
            if CLAIM in stored.headers:
                claimed.add(stored.headers[CLAIM])
            seq, last = seq_of(stored), lasts.get(stored.subject, 0)
            if seq in (1, erased_of(stored)):
                gaps.pop(stored.subject, None)  # it begins here, or begins anew: by a repair
            elif seq != last + 1 and stream == EVENTS:
                gaps.setdefault(stored.subject, f"expected event {last + 1}, found {seq}")
            lasts[stored.subject] = seq
        self.damaged = {key_of(subject): reason for subject, reason in gaps.items()} | self.damaged
        return claimed

    async def _each(self, stream: str, subject: str, *, count: int) -> AsyncIterator[Stored]:
        """Yield the messages of one subject; where not all *count* can be read, its session is noted as damaged."""
        read, position = 0, 0
        with suppress(Refused):
            while page := await pages.page_or_next(self._link, stream, subject, start=position + 1):
                for stored in page:
                    yield stored
                read, position = read + len(page), page[-1].position
        if read < count:
            reason = f"stream {stream}: expected to read its {count} messages, could read {read}"
            self.damaged.setdefault(key_of(subject), reason)

    async def _all(self, stream: str, subjects: str) -> AsyncIterator[Stored]:
        """Yield every message that the stream holds now, headers only.

        Raises:
            Lost: if one cannot be read.
        """
        position, stalls = 0, 0
        while stalls < STALLS_MAX:
            before = position
            with suppress(Lost):
                async for stored in Feed(self._link, stream, subjects).now(after=position):
                    position = stored.position
                    yield stored
                return
            stalls = stalls + 1 if position == before else 0
        raise Lost(f"a message of {stream} behind position {position} cannot be read")


@asynccontextmanager
async def open_sweeper(url: str | Server, *, name: str = "retold sweep") -> AsyncIterator[Sweeper]:
    """Give a sweeper on the log at *url*; raises as `retold.log.connect_log`."""
    async with connect_log(url, name=name) as log:
        link = await Link.open(url, name=name)
        try:
            yield Sweeper(link, log)
        finally:
            await link.close()


def _whole(meta: Meta, stored: Stored) -> _Found:
    orphan = Orphan(name=meta.name, size_bytes=meta.size, at=_at(stored))
    return _Found(orphan=orphan, position=stored.position, chunks=chunks_subject(meta.nuid))


def _is_ours(meta: Meta) -> bool:
    """Return whether Retold stored it: other programs may keep objects of their own in the bucket."""
    return len(meta.name) == 64 and _NAME_LETTERS.issuperset(meta.name) and not meta.deleted


def _at(stored: Stored) -> datetime:
    assert stored.at is not None, "came from the stream's leader"
    return stored.at


def _unreadable(stream: str, what: str) -> CorruptLogError:
    reason = f"stream {stream}: expected to read everything, could not: {what}; nothing was removed"
    return CorruptLogError(reason, session="", seq=0)
