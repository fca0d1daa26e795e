"""Copying: events of another log or of a backup, put in as they are: the same bytes, so the same hashes and chain.

Rules:
- Every copied message names the sequence that its copy goes on to. A session whose last message names a later one than
  its own is not whole: nobody can append to it, reading it ends in damage, and the copy may simply be made again.
- A replacement is written behind what is there, and only then is it said that the session begins there. So at no moment
  is anything lost: killed in between, the session is as damaged as it was, and what was read from it is still there.
- What was there before stays. nats-server loses other sessions' messages when anything is removed from a block that
  holds a message which it cannot read: purged or deleted one by one, it counts them twice.
- A copied message carries no message id: the server knows the original's for two minutes and would pass it over.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Sequence

from retold.errors import ConflictError, CorruptLogError
from retold.events import Head, Kept, SessionKey, kept
from retold.log import api, pages
from retold.log.api import Stored
from retold.log.blobs import Blobs
from retold.log.headers import seq_of
from retold.log.link import Link
from retold.log.names import (
    AFTER,
    ERASED,
    EVENTS,
    EXPECTED_SUBJECT_SEQ,
    SEALED,
    SEQ,
    UNTIL,
    beginning_subject,
    event_subject,
)
from retold.log.packing import unpack
from retold.log.reader import Reader
from retold.log.trails import Mark, Trails
from retold.log.writer import Message, send

BATCH_EVENTS = 200
"""Events in one atomic batch: 2 to 4 ms each, whatever they hold."""
BATCH_BYTES = 4 * 1024 * 1024
"""A batch is sent when it holds this much: the server stages it whole."""


class Copier:
    """Put events in as they are."""

    def __init__(self, link: Link, *, blobs: Blobs, reader: Reader, trails: Trails) -> None:
        self._link = link
        self._blobs = blobs
        self._reader = reader
        self._trails = trails

    async def stored_end(self, key: SessionKey) -> Head:
        """Return the head that the session's last message gives, whole or not."""
        return (await self._end(key)).head

    async def copy(self, key: SessionKey, events: AsyncIterable[Kept], *, until: int) -> None:
        """Put *events* behind the session's last message; see `retold.ports.Log.copy`."""
        async with self._trails.lock(key):
            base = await self._end(key)
            await self._put(key, events, position=base.position, head=base.head, until=until)

    async def replace(
        self, key: SessionKey, events: AsyncIterable[Kept], *, until: int, instead_of: Head | None
    ) -> None:
        """Put *events* in place of all that is stored; see `retold.ports.Log.replace`."""
        async with self._trails.lock(key):
            position = begin = 0
            if instead_of is None:
                # The server takes the subject of a message that it cannot read for empty.
                begin = (await api.call(self._link, f"STREAM.INFO.{EVENTS}"))["state"]["last_seq"]
            else:
                base = await self._end(key)
                if base.head != instead_of:
                    raise ConflictError(session=key.session, expected=instead_of.seq, actual=base.head.seq)
                position = begin = base.position
            await self._put(key, events, position=position, head=Head(), until=until)
            headers = {AFTER: str(begin)}
            await self._link.retry(lambda: api.publish(self._link, beginning_subject(key), b"", headers))
            self._trails.of(key).begin = begin

    async def salvage(self, key: SessionKey) -> AsyncGenerator[Kept, None]:
        """Yield what can be read of the session; see `retold.ports.Log.salvage`."""
        position = 0
        await self._reader.erased(key)
        while found := await pages.page_or_next(self._link, EVENTS, event_subject(key), start=position + 1):
            for stored in found:
                position = stored.position
                one = await self._kept(stored, key)
                if one is not None and one.standing.seq >= self._trails.of(key).erased:
                    yield one

    async def _kept(self, stored: Stored, key: SessionKey) -> Kept | None:
        try:
            return kept(await self._blobs.redeem(stored, session=key.session, seq=max(seq_of(stored), 0)))
        except CorruptLogError:
            return None

    async def _end(self, key: SessionKey) -> Mark:
        return await self._reader.stored_end(key)

    async def _put(
        self, key: SessionKey, events: AsyncIterable[Kept], *, position: int, head: Head, until: int
    ) -> None:
        """Store *events* after *position* and *head*."""
        batch: list[Kept] = []
        held = 0
        async for one in events:
            one.check_follows(head, key)
            head = one.head
            batch.append(one)
            held += len(one.body)
            if len(batch) >= BATCH_EVENTS or held >= BATCH_BYTES:
                position = await self._send(key, batch, position=position, until=until)
                batch, held = [], 0
        if batch:
            position = await self._send(key, batch, position=position, until=until)
        if head.seq != until:
            raise CorruptLogError(
                f"the copy was to go on to {until}, its source ends before", session=key.session, seq=head.seq + 1
            )
        self._trails.of(key).moved(Mark(head=head, position=position))

    async def _send(self, key: SessionKey, batch: Sequence[Kept], *, position: int, until: int) -> int:
        """Store *batch* as one, after the message at *position*; return the position of its last.

        Raises:
            ConflictError: if somebody else wrote to the session.
        """
        messages = [await self._message(one, until=until) for one in batch]
        messages[0][1][EXPECTED_SUBJECT_SEQ] = str(position)
        subject = event_subject(key)
        ack = await self._link.retry(lambda: send(self._link, subject, messages))
        if ack.error is None:
            return ack.seq
        # Refused: somebody else wrote, or our own first try was stored and its answer lost.
        stored = await api.get(self._link, EVENTS, {"last_by_subj": subject})
        if stored is None or stored.position <= position or stored.body != unpack(*messages[-1]):
            actual = 0 if stored is None else max(seq_of(stored), 0)
            raise ConflictError(session=key.session, expected=batch[0].standing.seq - 1, actual=actual)
        return stored.position

    async def _message(self, one: Kept, *, until: int) -> Message:
        at = one.standing
        trail = self._trails.of(at.key)
        if at.erases:
            trail.saw_erased(at.seq)
        headers = {SEQ: str(at.seq), UNTIL: str(until)}
        if trail.erased:
            headers[ERASED] = str(trail.erased)
        if at.sealed is not None:
            headers[SEALED] = at.sealed
        return await self._blobs.claim(one.body, headers, key=at.key, seq=at.seq), headers
