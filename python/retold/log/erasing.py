"""Erasing on the server: what lies before a session's tombstone is overwritten, wherever it was kept.

Rules:
- The tombstone comes first. From then on no reader is given anything of before, so a crash leaves work, not content.
- Then the projections: a mark takes their place, behind which nobody who lags can write an older state, a rebuild that
  is under way included.
- Then the keys, the events, the blobs. Each step finds what is left of it, so the whole may be repeated at any time.
- Nothing is removed while the server holds an event that it cannot read: it would lose other sessions' events with it.
- What holds plain text is removed by JetStream's erasing delete, which overwrites its bytes; a purge would only forget
  them. Sealed text is purged: with its key it is gone, and overwriting costs the server 10 ms and more a message.
"""

import asyncio
import itertools
from collections.abc import Iterable, Sequence
from contextlib import suppress

from retold.errors import CorruptLogError, InputError, UnavailableError
from retold.events import READABLE, SessionKey, standing
from retold.log import api, pages, streams
from retold.log.api import Refused, Stored
from retold.log.asides import noted
from retold.log.blobs import Blobs
from retold.log.headers import seq_of
from retold.log.keys import DataKeys
from retold.log.link import Link
from retold.log.names import (
    BEGINNINGS_ALL,
    CLAIM,
    ERASED,
    EVENTS,
    EXPECTED_SUBJECT_SEQ,
    HEADS,
    HISTORIES,
    SEALED,
    SEQ,
    SNAPSHOTS,
    event_subject,
    history_subject,
    key_of,
    snapshot_subjects,
)
from retold.log.reader import Reader
from retold.log.trails import Trails
from retold.ports import Erased

AT_ONCE = 8
"""Deletes under way at once. The server does one after the other, each with a block of up to 8 MB to read."""
TRIES_MAX = 20
"""How often a projection that somebody is writing is cleared again; each time, one of them has written."""


class Eraser:
    """Remove what tombstones erase."""

    def __init__(self, link: Link, *, blobs: Blobs, reader: Reader, trails: Trails, keys: DataKeys) -> None:
        self._link = link
        self._blobs = blobs
        self._reader = reader
        self._trails = trails
        self._keys = keys

    async def erase(self, key: SessionKey) -> Erased:
        """Remove what lies before the session's newest tombstone; see `retold.ports.Log.erase`."""
        end = await self._reader.end(key)
        seq = self._trails.of(key).erased
        if not seq:
            raise InputError(
                f"expected a tombstone in session {key.session!r}, which ends at {end.head.seq} without one: append "
                "SessionErased first"
            )
        await self._check_readable(key)
        self._trails.of(key).marks.pop(seq - 1, None)  # a repair may have moved it: the tombstone is asked
        first = (await self._reader.find(key, seq - 1)).position + 1
        claimed, count = list[str](), 0
        live, aside = snapshot_subjects(key)
        for stream, subject in ((SNAPSHOTS, aside), (HISTORIES, history_subject(key)), (SNAPSHOTS, live)):
            old = await self._clear(stream, subject, seq=seq)
            claimed += _claims(old)
            # The mark of what was withdrawn has no body; what was written aside nobody was given.
            count += sum(1 for stored in old if stored.body and subject != aside)
        keys = await self._keys.destroy(key, before_epoch=seq)
        events = await pages.every(self._link, EVENTS, event_subject(key), before=first)
        await self._remove(EVENTS, [stored for stored in events if _is_plain(stored)])
        await api.purge(self._link, EVENTS, event_subject(key), before=first)
        blobs = await self._blobs.erase(key, before=seq, claimed=[*claimed, *_claims(events)])
        return Erased(seq=seq, events=len(events), projections=count, blobs=blobs, keys=keys)

    async def _check_readable(self, key: SessionKey) -> None:
        """Check that the server reads all events of the session, and of those that are or were known to be damaged.

        nats-server counts other sessions' events as deleted when one is removed from a block with one it cannot read.

        Raises:
            CorruptLogError: naming the session that holds such an event.
        """
        repaired = [key_of(stored.subject) for stored in await pages.every(self._link, HEADS, BEGINNINGS_ALL)]
        for one in sorted({key, *repaired, *await noted(self._link)}):
            subject = event_subject(one)
            count = (await streams.counts(self._link, EVENTS, subject)).get(subject, 0)
            seqs = await self._readable(subject)
            if len(seqs) < count:
                raise CorruptLogError(
                    f"the server cannot read it, and would lose others' events if session {key.session!r} were removed "
                    "now. Readers are given nothing of that any more; to remove it from the disk, too, back up, "
                    "restore into a new store, and delete this one",
                    session=one.session,
                    seq=next(seq for seq in itertools.count(1) if seq not in seqs),
                )

    async def _readable(self, subject: str) -> list[int]:
        """Return the sequences of the messages of *subject* up to the first that the server refuses to read."""
        seqs, position = list[int](), 0
        with suppress(Refused):
            while page := await pages.page_or_next(self._link, EVENTS, subject, start=position + 1):
                seqs += map(seq_of, page)
                position = page[-1].position
        return seqs

    async def _clear(self, stream: str, subject: str, *, seq: int) -> list[Stored]:
        """Remove the projections of before *seq* and leave a mark in their place; return them."""
        cleared: list[Stored] = []
        for _ in range(TRIES_MAX):
            kept = await pages.every(self._link, stream, subject)
            old = [stored for stored in kept if seq_of(stored) < seq]
            await self._remove(stream, old)
            cleared += old
            newer = kept[len(old) :]
            if newer and kept[-1] is newer[-1]:
                return cleared
            headers = {SEQ: str(seq), ERASED: str(seq), EXPECTED_SUBJECT_SEQ: "0"}
            ack = await self._link.retry(lambda: api.publish(self._link, subject, b"", headers))  # noqa: B023 - awaited
            if ack.error is None:
                return cleared
        raise UnavailableError(f"the projections of {subject} are being written by others; repeat the call")

    async def _remove(self, stream: str, messages: Sequence[Stored]) -> None:
        for first in range(0, len(messages), AT_ONCE):
            await asyncio.gather(*(self._remove_one(stream, stored) for stored in messages[first : first + AT_ONCE]))

    async def _remove_one(self, stream: str, stored: Stored) -> None:
        try:
            await api.discard(self._link, stream, stored)
        except Refused:
            # A bucket of an earlier release takes no deletes; a purge forgets the message, at least.
            await api.purge(self._link, stream, stored.subject, before=stored.position + 1)


def _is_plain(stored: Stored) -> bool:
    """Return whether the event holds text that anybody can read. A claim's body lies elsewhere."""
    if SEALED in stored.headers or CLAIM in stored.headers:
        return False
    with suppress(CorruptLogError):
        return standing(stored.body).type not in {fact.__name__ for fact in READABLE}
    return True


def _claims(messages: Iterable[Stored]) -> list[str]:
    return [stored.headers[CLAIM] for stored in messages if CLAIM in stored.headers]
