"""Appending: one publish, or one atomic batch, each against the end of the session as the writer knows it.

Rules:
- The server decides: an append carries the stream position that the session must end at, and is refused otherwise.
- After an unknown outcome the identical bytes go out again. Refused then means either that somebody else wrote, or that
  our own first try did: the ids of what is stored there tell which.
- A batch is stored whole or not at all, but by a server that is full or dies: that may store the beginning of it, and
  says that it failed. Repeated, the call stores what is missing.
- A repeated call is recognised at its old place if the caller gave `expected`. Without it, by the ids remembered in
  this process, by the server for two minutes, and in the last `REPEAT_SCAN_EVENTS` events of a session that this
  process has not written to yet. A repeat older than all three, without `expected`, is stored a second time.
"""

from collections.abc import Sequence
from itertools import takewhile
from uuid import uuid4

from retold.errors import ConflictError, InputError, UnavailableError
from retold.events import READABLE, Draft, Recorded, SessionKey, is_tombstone, record
from retold.log import api
from retold.log.api import Ack
from retold.log.blobs import Blobs
from retold.log.headers import seq_of
from retold.log.keys import DataKeys
from retold.log.link import Link
from retold.log.names import (
    APPEND_BYTES_MAX,
    APPEND_EVENTS_MAX,
    BATCH_COMMIT,
    BATCH_ID,
    BATCH_SEQ,
    ERASED,
    EVENT_BYTES_MAX,
    EXPECTED_SUBJECT_SEQ,
    MSG_ID,
    SEALED,
    SEQ,
    event_subject,
)
from retold.log.reader import Reader
from retold.log.trails import Mark, Trails
from retold.security import Ring

REBASES_MAX = 200
"""How often an append without `expected` moves behind other writers. Each time, one of them has got through."""
REPEAT_SCAN_EVENTS = 256
"""How far back a session that is new to this process is searched for the drafts: one page."""

Message = tuple[bytes, dict[str, str]]
"""What goes over the wire for one event: body (or claim) and headers."""


class Writer:
    """Append to sessions."""

    def __init__(self, link: Link, *, blobs: Blobs, reader: Reader, trails: Trails, keys: DataKeys) -> None:
        self._link = link
        self._keys = keys
        self._blobs = blobs
        self._reader = reader
        self._trails = trails

    async def append(
        self,
        key: SessionKey,
        drafts: Sequence[Draft],
        *,
        expected: int | None,
        are_new: bool = False,
        were_sent: bool = False,
    ) -> list[Recorded]:
        """Append *drafts*, all or none; see `retold.ports.Log.append`.

        *were_sent*: behind the end that is known, and were not stored there, or nobody said so.

        A cancelled call may have stored them all; it has not stored some of them.
        """
        check_drafts(drafts, expected=expected)
        async with self._trails.lock(key):
            try:
                if expected is None:
                    return await self._append_anywhere(key, drafts, were_sent=were_sent)
                return await self._append_at(key, drafts, expected=expected, are_new=are_new)
            except BaseException:
                # Whatever happened, the cancellation of this call included: the end is not known any more.
                self._trails.of(key).end = None
                raise

    async def _append_at(
        self, key: SessionKey, drafts: Sequence[Draft], *, expected: int, are_new: bool
    ) -> list[Recorded]:
        trail = self._trails.of(key)
        base = trail.marks.get(expected) if expected else None
        if base is None or trail.seen > expected:
            base = await self._reader.end(key)
        if base.head.seq == expected:
            stored = await self._store(key, drafts, base)
            if not isinstance(stored, int):
                return stored
            if are_new and stored == 1 < len(drafts):  # a single event may have been sent twice in one try
                # Nobody may have been faster: a repair moves events, a log may lose some.
                trail.doubt(expected)
                raise ConflictError(session=key.session, expected=expected, actual=expected + 1)
            base = await self._reader.end(key)
        ours = await self._stored_at(key, drafts, first=expected + 1, end=base.head.seq)
        if ours is None:
            ours = await self._finished(key, drafts, first=expected + 1, end=base.head.seq)
        if ours is not None:
            return ours
        raise ConflictError(session=key.session, expected=expected, actual=base.head.seq)

    async def _append_anywhere(
        self, key: SessionKey, drafts: Sequence[Draft], *, were_sent: bool = False
    ) -> list[Recorded]:
        written = self._trails.written(key, drafts[0].id)
        if written is not None:
            return await self._repeated(key, drafts, first=written)
        trail = self._trails.of(key)
        base = known = trail.end
        if base is None or were_sent:
            base = await self._reader.end(key)
            after = max(0 if known is None else known.head.seq, base.head.seq - REPEAT_SCAN_EVENTS)
            found = await self._find(key, drafts, after=after, end=base.head.seq)
            if found is not None:
                trail.end = None  # what follows was stored, too, perhaps
                return found
        for _ in range(REBASES_MAX):
            stored = await self._store(key, drafts, base)
            if not isinstance(stored, int):
                return stored
            before, base = base.head.seq, await self._reader.end(key)
            found = await self._find(key, drafts, after=before, end=base.head.seq)
            if found is not None:
                return found
        raise UnavailableError(
            f"session {key.session!r} is being written to by others: it had moved on in each of {REBASES_MAX} tries; "
            "repeat the call"
        )

    async def _store(self, key: SessionKey, drafts: Sequence[Draft], base: Mark) -> list[Recorded] | int:
        """Store the drafts after *base*. Also finds an earlier repeat.

        If the session does not end at *base*, return how often they were sent until the server said so.
        """
        seal = await self._seal(key, drafts)
        events = record(drafts, key=key, head=base.head)
        check_sizes(events)  # of what is said: sealed it may be a third longer, or much shorter
        if seal is not None:
            events = record(drafts, key=key, head=base.head, seal=seal)
        messages = [await self._message(recorded, seal=seal) for recorded in events]
        messages[0][1][EXPECTED_SUBJECT_SEQ] = str(base.position)
        tries = 0

        async def sending() -> Ack:
            nonlocal tries
            tries += 1
            return await send(self._link, event_subject(key), messages)

        ack = await self._link.retry(sending)
        failure = ack.error
        if failure is not None and failure.err_code in api.WRONG_LAST_SEQUENCE:
            return tries
        if failure is not None:
            return await self._find_anywhere(key, drafts)
        if ack.duplicate:
            return await self._stored_before(key, drafts, position=ack.seq)
        self._note(key, drafts, Mark(head=events[-1].head, position=ack.seq))
        if is_tombstone(drafts[0].data):
            self._trails.of(key).saw_erased(events[0].event.seq)
            self._keys.forget(key)
        return events

    async def _seal(self, key: SessionKey, drafts: Sequence[Draft]) -> Ring | None:
        """Return what seals the drafts; None if the log is not sealed, or none of them is to be."""
        if all(isinstance(draft.data, READABLE) for draft in drafts):
            return None
        trail = self._trails.of(key)
        return await self._keys.writing(key, epoch=trail.erased, is_sealed=trail.sealed)

    async def _message(self, recorded: Recorded, *, seal: Ring | None) -> Message:
        event = recorded.event
        key = event.key
        headers = {MSG_ID: event.id, SEQ: str(event.seq)}
        erased = event.seq if is_tombstone(event.data) else self._trails.of(key).erased
        if erased:
            headers[ERASED] = str(erased)
        if seal is not None and seal.current is not None and not isinstance(event.data, READABLE):
            headers[SEALED] = seal.current
        return await self._blobs.claim(recorded.body, headers, key=key, seq=event.seq), headers

    def _note(self, key: SessionKey, drafts: Sequence[Draft], mark: Mark) -> None:
        trail = self._trails.of(key)
        trail.note(mark)
        trail.end = mark
        self._trails.wrote(key, draft=drafts[0].id, seq=mark.head.seq - len(drafts) + 1)

    async def _stored_before(self, key: SessionKey, drafts: Sequence[Draft], *, position: int) -> list[Recorded]:
        """Return the events of an earlier call whose first draft lies at *position* of the stream."""
        stored = await self._reader.at(position)
        if stored is None:
            return await self._find_anywhere(key, drafts)  # it was written anew elsewhere: by a repair
        if stored.subject != event_subject(key):
            raise InputError(f"draft id {drafts[0].id} belongs to an event of another session: an id is chosen once")
        return await self._repeated(key, drafts, first=seq_of(stored))

    async def _find_anywhere(self, key: SessionKey, drafts: Sequence[Draft]) -> list[Recorded]:
        """Return the events of an earlier call that the server says there was, wherever they are."""
        end = await self._reader.end(key)
        found = await self._find(key, drafts, after=0, end=end.head.seq)
        if found is None:
            raise InputError("the draft ids belong to events of another session: an id is chosen once")
        return found

    async def _find(self, key: SessionKey, drafts: Sequence[Draft], *, after: int, end: int) -> list[Recorded] | None:
        """Return the drafts as recorded if they are among ``after < seq <= end``, or None if none of them is."""
        if end <= after:
            return None
        ids = {draft.id for draft in drafts}
        async for recorded in self._reader.read(key, after=after, until=end):
            if recorded.event.id in ids:
                return await self._repeated(key, drafts, first=recorded.event.seq)
        return None

    async def _stored_at(
        self, key: SessionKey, drafts: Sequence[Draft], *, first: int, end: int
    ) -> list[Recorded] | None:
        """Return the events from *first* on if they are the drafts, or None if they are others'."""
        last = first + len(drafts) - 1
        if last > end:
            return None
        events = [recorded async for recorded in self._reader.read(key, after=first - 1, until=last)]
        return events if [recorded.event.id for recorded in events] == [draft.id for draft in drafts] else None

    async def _finished(
        self, key: SessionKey, drafts: Sequence[Draft], *, first: int, end: int
    ) -> list[Recorded] | None:
        """Return the drafts as recorded where the server broke off after the first of them: the others are stored now.

        None if that is not what lies from *first* on.
        """
        until = min(end, first + len(drafts) - 1)
        events = [recorded async for recorded in self._reader.read(key, after=first - 1, until=until)]
        pairs = zip(events, drafts, strict=False)
        begun = [recorded for recorded, _ in takewhile(lambda pair: pair[0].event.id == pair[1].id, pairs)]
        if not begun or len(begun) == len(drafts) or not await self._is_broken_off(key, begun[-1].event.seq):
            return None
        return begun + await self._append_anywhere(key, drafts[len(begun) :])

    async def _is_broken_off(self, key: SessionKey, seq: int) -> bool:
        """Return whether event *seq* was stored by a batch, and is not its last."""
        stored = await self._reader.at((await self._reader.find(key, seq)).position)
        return stored is not None and BATCH_ID in stored.headers and BATCH_COMMIT not in stored.headers

    async def _repeated(self, key: SessionKey, drafts: Sequence[Draft], *, first: int) -> list[Recorded]:
        end = await self._reader.end(key)
        events = await self._stored_at(key, drafts, first=first, end=end.head.seq)
        if events is None:
            events = await self._finished(key, drafts, first=first, end=end.head.seq)
        if events is None:
            raise InputError(
                f"some of the {len(drafts)} draft ids are recorded at sequence {first} and others are not: "
                "a repeated append carries the same drafts"
            )
        return events


async def send(link: Link, subject: str, messages: list[Message]) -> Ack:
    """Send one event as it is, several as an atomic batch of which the last commits all.

    Every try is a batch of its own: the server forgets an unfinished one after 10 s.
    """
    if len(messages) == 1:
        return await api.publish(link, subject, *messages[0])
    batch = uuid4().hex
    for number, (body, headers) in enumerate(messages[:-1], start=1):
        await link.send(subject, body, headers=headers | {BATCH_ID: batch, BATCH_SEQ: str(number)})
    body, headers = messages[-1]
    commit = {BATCH_ID: batch, BATCH_SEQ: str(len(messages)), BATCH_COMMIT: "1"}
    return await api.publish(link, subject, body, headers | commit)


def check_drafts(drafts: Sequence[Draft], *, expected: int | None) -> None:
    """Check what every log asks of an append.

    Raises:
        InputError: if there are no drafts, more than `APPEND_EVENTS_MAX`, one id twice, or *expected* is no sequence.
    """
    if expected is not None and (type(expected) is not int or expected < 0):
        came = expected if type(expected) is int else type(expected).__name__
        raise InputError(f"expected a sequence of 0 or more as where the session ends, got {came}")
    if not drafts:
        raise InputError("expected at least one draft, got none")
    if len(drafts) > APPEND_EVENTS_MAX:
        raise InputError(
            f"expected at most {APPEND_EVENTS_MAX} drafts in one append (APPEND_EVENTS_MAX), got {len(drafts)}"
        )
    if len({draft.id for draft in drafts}) < len(drafts):
        raise InputError("expected every draft to have an id of its own, got one twice")
    if len(drafts) > 1 and any(is_tombstone(draft.data) for draft in drafts):
        raise InputError("expected an erasure to be appended alone: what follows it is sealed with another key")


def check_sizes(events: Sequence[Recorded]) -> None:
    """Check the size of what is to be stored.

    Raises:
        InputError: if one event is over `EVENT_BYTES_MAX`, or all are over `APPEND_BYTES_MAX`.
    """
    total = 0
    for recorded in events:
        size = len(recorded.body)
        if size > EVENT_BYTES_MAX:
            raise InputError(f"expected an event of at most {EVENT_BYTES_MAX} bytes (EVENT_BYTES_MAX), got {size}")
        total += size
    if total > APPEND_BYTES_MAX:
        raise InputError(
            f"expected at most {APPEND_BYTES_MAX} bytes in one append (APPEND_BYTES_MAX), got {total}: append in parts"
        )
