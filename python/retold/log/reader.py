"""Reading: pages of events, each checked against the chain, and a search for where to begin.

Rules:
- A read knows before it starts how far it must get: the end as the stream's leader has it, and every sequence that an
  append, an earlier read, a snapshot or a published history has proved to exist. Ending before that is damage.
- A page may come from a replica that lags. So a gap is believed only when the leader has it too.
- Damage is named by the first sequence that is missing or wrong. Nothing is skipped.
- An erased session begins with its tombstone, whatever is left of what came before: no erased event is ever given out.
  The newest message names the tombstone; where a read meets the gap first, the message behind the gap does.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import suppress
from typing import Protocol, TypeVar

from retold.errors import CorruptLogError, SealError
from retold.events import (
    SEQ_MAX,
    Head,
    Kept,
    Recorded,
    SessionKey,
    check_follows,
    kept,
)
from retold.log import api, pages, streams
from retold.log.api import Refused, Stored
from retold.log.blobs import Blobs
from retold.log.bodies import decode_body, kept_body, mark_of
from retold.log.headers import erased_of, reaches, seq_of
from retold.log.hints import at_hint, page_at_hint, page_behind
from retold.log.keys import DataKeys
from retold.log.link import Link
from retold.log.names import (
    AFTER,
    EVENTS,
    HEADS,
    HISTORIES,
    SEALED,
    SNAPSHOTS,
    beginning_subject,
    event_subject,
    head_subject,
    history_subject,
    snapshot_subject,
)
from retold.log.trails import START, Mark, Trails

NEAR_EVENTS = 200
"""A search that is this near to its event reads on instead of halving again: one page costs as much as four probes."""
PROBES_MAX = 128
"""Halving a 63-bit range takes 63 probes; twice that is a fault of ours."""


Taken_co = TypeVar("Taken_co", Recorded, Kept, covariant=True)


class _Take(Protocol[Taken_co]):
    """Give the event that a message holds or claims, checked to follow *head*."""

    def __call__(self, stored: Stored, *, key: SessionKey, head: Head) -> Awaitable[Taken_co]: ...


class Reader:
    """Read sessions out of the event stream."""

    def __init__(self, link: Link, *, blobs: Blobs, trails: Trails, keys: DataKeys) -> None:
        self._link = link
        self._keys = keys
        self._blobs = blobs
        self._trails = trails

    async def end(self, key: SessionKey) -> Mark:
        """Return where the session ends now, from the leader; `START` if there is none.

        One round trip for a session that this process knows, five for one that it does not.

        Raises:
            CorruptLogError: if the last event is not readable, or the session ends before what is known to exist.
        """
        trail = self._trails.of(key)
        await self._ask_witnesses(key)
        known = trail.seen  # before the question: while it is answered, `Arrivals` may see what came after
        stored = await self._last(key)
        mark = START if stored is None else mark_of(stored, key)
        if stored is not None:
            known = max(known, reaches(stored))
            trail.saw(known)
        if mark.head.seq < known:
            raise CorruptLogError(
                f"it was stored, and now the log ends before it (sequences up to {known} are known)",
                session=key.session,
                seq=mark.head.seq + 1,
            )
        trail.note(mark)
        return mark

    async def beginning(self, key: SessionKey) -> int:
        """Learn after which stream position the session begins; return 0: it witnesses no sequence."""
        stored = await api.get(self._link, HEADS, {"last_by_subj": beginning_subject(key)})
        if stored is not None:
            self._trails.of(key).begin = int(stored.headers.get(AFTER, "0"))
        return 0

    async def reached(self, key: SessionKey) -> int:
        """Return the largest sequence that is known to have been stored, by any witness."""
        await self._ask_witnesses(key)
        return self._trails.of(key).seen

    async def stored_end(self, key: SessionKey) -> Mark:
        """Return what the session's last message says, whatever else is known of the session; `START` if there is none.

        Raises:
            CorruptLogError: if it is not readable.
        """
        stored = await self._last(key)
        return START if stored is None else mark_of(stored, key)

    def read(self, key: SessionKey, *, after: int, until: int | None) -> AsyncGenerator[Recorded, None]:
        """Yield the events of ``after < seq <= until`` in order; None is the end as it is when the read starts.

        Raises:
            CorruptLogError: at the first sequence that is missing or damaged.
            SealError: if an event is sealed and its key is not there.
        """
        return self._events(key, after=after, until=until, take=self.recorded)

    def read_kept(self, key: SessionKey, *, after: int, until: int | None) -> AsyncGenerator[Kept, None]:
        """Yield the same as they are kept; what is sealed is not opened. Raises as `read`, but for the key."""
        return self._events(key, after=after, until=until, take=self._kept)

    async def _events(
        self, key: SessionKey, *, after: int, until: int | None, take: _Take[Taken_co]
    ) -> AsyncGenerator[Taken_co, None]:
        goal, page = await self._goal_and_page(key, after, until)
        after = max(after, self._trails.of(key).erased - 1)
        if goal <= after:
            return
        mark = await self.find(key, after)
        while mark.head.seq < goal:
            if mark.head.seq < self._trails.of(key).erased - 1:
                mark = await self._before_tombstone(key)  # it was erased while it was read
                continue
            try:
                following = page or await self._following(key, mark, goal=goal, take=take)
            except CorruptLogError:
                await self.beginning(key)  # it may have been written anew since it was asked
                following = await self._following(key, await self.relocated(key, mark), goal=goal, take=take)
            page = []
            for stored in following:
                if seq_of(stored) != mark.head.seq + 1:
                    break
                taken = await take(stored, key=key, head=mark.head)
                mark = Mark(head=taken.head, position=stored.position)
                self._trails.of(key).note(mark)
                yield taken
                if mark.head.seq >= goal:
                    break

    async def find(self, key: SessionKey, seq: int) -> Mark:
        """Return the mark of event *seq*: from memory, where a snapshot says, or by halving, about 0.3 ms a probe.

        Raises:
            CorruptLogError: if that event is missing or damaged.
        """
        if seq == 0:
            return Mark(head=Head(), position=self._trails.of(key).begin)
        known = self._trails.of(key).marks.get(seq)
        if known is not None:
            return known
        if seq == self._trails.of(key).erased - 1:
            return await self._before_tombstone(key)
        stored = await at_hint(self._link, key, self._trails.of(key), seq) or await self._search(key, seq)
        if stored is None:
            raise CorruptLogError("it is missing", session=key.session, seq=seq)
        mark = mark_of(stored, key)
        self._trails.of(key).note(mark)
        return mark

    async def recorded(self, stored: Stored, *, key: SessionKey, head: Head) -> Recorded:
        """Return the event that *stored* holds or claims, checked to follow *head*.

        Raises:
            CorruptLogError: if it does not, or is not an event.
        """
        body = await self._blobs.redeem(stored, session=key.session, seq=head.seq + 1)
        self._notice(key, stored)
        try:
            recorded = decode_body(body, key=key, seq=head.seq + 1, seal=self._keys.held(key))
        except SealError:
            recorded = decode_body(body, key=key, seq=head.seq + 1, seal=await self._keys.load(key))
        check_follows(recorded, head=head, key=key)
        return recorded

    async def _kept(self, stored: Stored, *, key: SessionKey, head: Head) -> Kept:
        """Return the same as it is kept; raises as `recorded`, but for a key."""
        if SEALED not in stored.headers:
            return kept((await self.recorded(stored, key=key, head=head)).body)  # read as strictly as it can be
        self._notice(key, stored)
        body = await self._blobs.redeem(stored, session=key.session, seq=head.seq + 1)
        one = kept_body(body, key=key, seq=head.seq + 1)
        one.check_follows(head, key)
        return one

    async def at(self, position: int) -> Stored | None:
        """Return the message at *position* of the stream, from the leader, or None."""
        return await api.get(self._link, EVENTS, {"seq": position})

    async def _goal_and_page(self, key: SessionKey, after: int, until: int | None) -> tuple[int, list[Stored]]:
        """Return what the read must reach, and a page behind *after*, asked for at once; empty where that is not known.

        The leader is asked however much is known: its answer tells of an erasure, and then the page does not follow.
        """
        trail = self._trails.of(key)
        known = trail.seen if until is None else min(until, trail.seen)
        if known <= after:
            return await self._goal(key, until), []
        mark = trail.marks.get(after)
        if mark is None:
            asked = page_at_hint(self._link, key, trail, after=after, until=known)
        else:
            asked = page_behind(self._link, key, trail, mark, goal=known)
        page = asyncio.create_task(asked)
        try:
            return await self._goal(key, until), await page
        finally:
            page.cancel()

    async def _goal(self, key: SessionKey, until: int | None) -> int:
        """Return the sequence that the read must reach.

        Where the last message cannot be read or names no sequence, that is `SEQ_MAX`: then the read runs into the
        damage, after everything that comes before it.
        """
        trail = self._trails.of(key)
        await self._ask_witnesses(key)
        try:
            # Also where more is known than is asked for: it may have been erased since.
            last = await self._last(key)
        except CorruptLogError:
            return SEQ_MAX if until is None else until
        seq = 0 if last is None else seq_of(last)
        if seq < 0:
            return SEQ_MAX if until is None else until
        if last is not None:
            trail.saw(reaches(last))
            trail.last = seq, last.position
        return trail.seen if until is None else min(until, trail.seen)

    async def _ask_witnesses(self, key: SessionKey) -> None:
        """Learn, once, up to which sequence the session's head and its projections say that it went.

        A server that was killed drops what follows a damaged place of its files without a word, and then the events
        alone look whole. The witnesses lie in other files.
        """
        trail = self._trails.of(key)
        if not trail.witnessed:
            witnesses = (
                (HEADS, head_subject(key)),
                (HISTORIES, history_subject(key)),
                (SNAPSHOTS, snapshot_subject(key)),
            )
            asked = [self._witness(stream, subject) for stream, subject in witnesses]
            for seq in await asyncio.gather(*asked, self.beginning(key)):
                trail.saw(seq)
            trail.witnessed = True

    async def _last(self, key: SessionKey) -> Stored | None:
        """Return the session's last message, or None if it has none.

        Raises:
            CorruptLogError: if there is one that the server cannot read.
        """
        subject = event_subject(key)
        request: dict[str, object] = {"last_by_subj": subject}
        seq = max(self._trails.of(key).seen, 1)
        stored = await self._leader(key, request, seq=seq)
        if stored is not None:
            self._notice(key, stored)
            return stored
        # The server says "not found" of a message that it cannot read, and would even take a first event again. Its
        # count of the subject tells the two apart; asking again, whether the first event came in between.
        count = (await streams.counts(self._link, EVENTS, subject)).get(subject, 0)
        stored = await self._leader(key, request, seq=seq) if count else None
        if count and stored is None:
            raise CorruptLogError("the server cannot read the last event", session=key.session, seq=count)
        return stored

    async def _witness(self, stream: str, subject: str) -> int:
        stored = await api.get(self._link, stream, {"last_by_subj": subject})
        return 0 if stored is None else max(seq_of(stored), 0)

    async def _following(self, key: SessionKey, mark: Mark, *, goal: int, take: _Take[Taken_co]) -> list[Stored]:
        """Return a page that starts with the event after *mark*, or the leader's next message alone."""
        page = await page_behind(self._link, key, self._trails.of(key), mark, goal=goal)
        if page and seq_of(page[0]) == mark.head.seq + 1:
            return page
        missing = mark.head.seq + 1
        request = {"seq": mark.position + 1, "next_by_subj": event_subject(key)}
        stored = await self._leader(key, request, seq=missing)
        if stored is None:
            known = "it was stored" if goal == SEQ_MAX else f"sequences up to {goal} were stored"
            raise CorruptLogError(
                f"{known}, and now the log ends before or cannot be read", session=key.session, seq=missing
            )
        self._notice(key, stored)
        if self._trails.of(key).erased > missing:
            return []
        if seq_of(stored) != missing:
            # Raises: what the leader has is not what must follow. A header that lies about its event shows here too.
            await take(stored, key=key, head=mark.head)
            raise CorruptLogError("its sequence header is wrong", session=key.session, seq=missing)
        return [stored]

    async def relocated(self, key: SessionKey, mark: Mark) -> Mark:
        """Return where the event of *mark* lies now: a repair writes a session anew. *mark* itself if nowhere else.

        Raises:
            CorruptLogError: if it is another event there, or cannot be read.
        """
        if not mark.head.seq:
            return await self.find(key, 0)
        found = await self._search(key, mark.head.seq)
        if found is None or found.position == mark.position:
            return mark
        moved = mark_of(found, key)
        if moved.head != mark.head:
            raise CorruptLogError("it is another event than was read", session=key.session, seq=mark.head.seq)
        self._trails.of(key).moved(moved)
        return moved

    async def _leader(self, key: SessionKey, request: dict[str, object], *, seq: int) -> Stored | None:
        try:
            return await api.get(self._link, EVENTS, request)
        except Refused as refused:
            if refused.failure.err_code == api.STREAM_NOT_FOUND:
                raise  # no session is damaged by it
            raise CorruptLogError(
                f"the server cannot read it (error {refused.failure.err_code or refused.failure.code})",
                session=key.session,
                seq=seq,
            ) from None

    async def erased(self, key: SessionKey) -> int:
        """Return the sequence of the newest tombstone, as the newest event tells it; 0 if there is none."""
        with suppress(CorruptLogError):
            await self._last(key)
        return self._trails.of(key).erased

    async def _before_tombstone(self, key: SessionKey) -> Mark:
        """Return the place right before the newest tombstone: where what was erased ended, as the tombstone says."""
        trail = self._trails.of(key)
        seq = trail.erased
        stored = await self._leader(key, {"seq": trail.begin + 1, "next_by_subj": event_subject(key)}, seq=seq)
        if stored is None or seq_of(stored) != seq:
            stored = await self._search(key, seq)
        if stored is None:
            raise CorruptLogError("it is missing", session=key.session, seq=seq)
        mark = Mark(
            head=Head(seq=seq - 1, hash=kept_body(stored.body, key=key, seq=seq).standing.prev),
            position=stored.position - 1,
        )
        trail.note(mark)
        return mark

    def _notice(self, key: SessionKey, stored: Stored) -> None:
        """Learn from the headers whether the session was erased, and whether it is sealed."""
        trail = self._trails.of(key)
        erased = erased_of(stored)
        if erased > trail.erased:
            trail.saw_erased(erased)
            self._keys.forget(key)
        trail.sealed = trail.sealed or SEALED in stored.headers

    async def _search(self, key: SessionKey, seq: int) -> Stored | None:
        """Return the message of event *seq* by halving the range of positions, or None if it is not there."""
        subject = event_subject(key)
        low, near = self._trails.of(key).begin + 1, 0
        last = await self._leader(key, {"last_by_subj": subject}, seq=seq)
        high = 0 if last is None else last.position
        for _ in range(PROBES_MAX):
            if seq - near <= NEAR_EVENTS:
                page = await pages.page(self._link, EVENTS, subject, start=low, events_max=NEAR_EVENTS)
                return next((stored for stored in page if seq_of(stored) == seq), None)
            if low > high:
                return None
            middle = (low + high) // 2
            stored = await api.get(self._link, EVENTS, {"seq": middle, "next_by_subj": subject})
            found = seq + 1 if stored is None else seq_of(stored)
            if stored is not None and found <= seq:
                low, near = stored.position, found
                if found == seq:
                    return stored
                low += 1
            else:
                high = middle - 1
        raise AssertionError("halving ends within its bound")
