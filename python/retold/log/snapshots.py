"""Snapshots: the folded states of a session, one every so often along the whole of it, each of which can be found.

Rules:
- A session's snapshots lie on its own subject in ascending order. Each holds what no snapshot before it had
  (`retold.log.segments`) and steps to those before it (`retold.log.steps`).
- None is the truth. What is damaged or missing is passed over: an earlier one is found, or none, and the events are
  folded from there. What is found has the hash that it was written with.
- What is remembered here (`Chain`) saves reading before writing; the server checks every write against the true end.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import suppress
from hashlib import sha256

import msgspec

from retold.errors import ConflictError, CorruptLogError, UnavailableError
from retold.events import SessionKey
from retold.fold import Body
from retold.layouts import Layout
from retold.log import api, pages
from retold.log.api import Stored
from retold.log.blobs import Blobs
from retold.log.headers import erased_of, seq_of
from retold.log.keys import DataKeys
from retold.log.learning import ErasedSince, Learning
from retold.log.link import Link
from retold.log.names import EXPECTED_SUBJECT_SEQ, HASH, SEQ, SNAPSHOTS, snapshot_subject, snapshot_subjects
from retold.log.segments import NOTHING_STORED, Segmented, Source, cut, keep, layout_of, restore
from retold.log.snapshot_index import Index
from retold.log.snapshot_messages import MESSAGES, Chain, Found, Message, Placed, holds_before, placed, step_of
from retold.log.steps import Holds, Step, next_read
from retold.log.trails import Trails
from retold.ports import Before, Snapshot, Unreadable

TRIES_MAX = 20
"""How often a write that others overtake looks again; each time, one of them has written."""
CHAIN_ENTRIES_MAX = 200_000
"""So many entries are remembered of the newest snapshots, of all sessions together, at about 200 bytes each: 500
sessions of 100,000 tokens. Of another session its newest is read before the next is written: 2 ms and more."""
BROKEN_MAX = 8
"""How many damaged snapshots a search goes around, before the events are folded from the first."""
READS_MAX = 64
"""How many messages a search reads: three for 100,000 events."""
SOURCES_GAP_MAX = 2
"""Sources that lie no further apart than this are read as one page."""

PAGE_SOURCES_MIN = 3
"""Fewer are read one by one, side by side: a page costs one round trip more to begin."""

_log = logging.getLogger(__name__)


class Snapshots:
    """Keep the snapshots of all sessions."""

    def __init__(self, link: Link, *, blobs: Blobs, trails: Trails, keys: DataKeys, learning: Learning) -> None:
        self._link = link
        self._learning = learning
        self._trails = trails
        self._keys = keys
        self._blobs = blobs
        self._chains: OrderedDict[SessionKey, Chain] = OrderedDict()
        self._chain_entries = 0

    async def save(self, key: SessionKey, placed: Placed) -> None:
        """Keep a snapshot as the newest, unless the newest kept is of a later sequence or the very same, or erased."""
        with suppress(ErasedSince):
            await self._save(key, placed)

    async def _save(self, key: SessionKey, placed: Placed) -> None:
        for _ in range(TRIES_MAX):
            chain = await self._chain(key)
            if chain.is_past(placed.snapshot):
                return
            saved = await self._save_after(chain, key, snapshot_subject(key), placed, expected=chain.position)
            if saved is not None:
                self._remember(key, saved)
                return
            self.forget(key)
        raise UnavailableError(f"snapshots of session {key.session!r} are being written by others; repeat the call")

    async def swap(self, key: SessionKey, snapshots: AsyncIterable[Placed]) -> int:
        """Put *snapshots* in place of all that are kept, at once, and return the position that the new ones start at.

        They are written aside; then one message on the session's own subject names them, and readers go by that. Call
        `drop_before` once nothing names the old ones any more. A crash in between leaves the old ones or the new ones.

        Raises:
            ConflictError: if somebody else has written a snapshot meanwhile; nothing was changed.
        """
        live, aside = snapshot_subjects(key)
        ends = [await api.get(self._link, SNAPSHOTS, {"last_by_subj": subject}) for subject in (live, aside)]
        expected, after = (0 if end is None else end.position for end in ends)
        chain, first, last = Chain(), 0, None
        async for last in snapshots:
            chain = await self._written(chain, key, aside, last, expected=after)
            after = chain.position
            first = first or after
        if last is not None:
            self._remember(key, await self._written(chain, key, live, last, expected=expected))
        return first

    async def _written(self, chain: Chain, key: SessionKey, subject: str, placed: Placed, *, expected: int) -> Chain:
        written = None
        with suppress(ErasedSince):
            written = await self._save_after(chain, key, subject, placed, expected=expected)
        if written is None:
            raise ConflictError(session=key.session, expected=expected, actual=expected + 1)
        return written

    async def drop_before(self, key: SessionKey, first: int) -> None:
        """Drop what was kept before `swap` wrote its first message at *first*; with 0, everything. May be repeated."""
        if first == 0:
            self.forget(key)
        for subject in snapshot_subjects(key):
            await self._drop(subject, before=first or None)

    async def _drop(self, subject: str, *, before: int | None) -> None:
        """Drop messages and overwrite what is plain in them; the mark of an erasure stays where nothing newer is."""
        mark = 0
        for stored in await pages.every(self._link, SNAPSHOTS, subject, before=before):
            if erased_of(stored) and before is None:
                mark = stored.position
            else:
                await api.discard(self._link, SNAPSHOTS, stored)
        if not mark:
            await api.purge(self._link, SNAPSHOTS, subject, before=before)

    async def load(self, key: SessionKey, before: Before) -> Placed | None:
        """Return the newest snapshot that comes early enough and is whole, or None."""
        broken: set[int] = set()
        newest = await self._newest(key)
        while newest is not None and len(broken) <= BROKEN_MAX:
            found = await self._find(key, newest, holds_before(before), broken)
            if found is None:
                return None
            body = await self.expand(key, found.message.kept)
            if body is not None:
                return msgspec.structs.replace(placed(found, body), newest_seq=newest.step.seq)
            self._pass_over(key, found.step.seq)
            broken.add(found.stored.position)
        return None

    async def all(self, key: SessionKey) -> AsyncGenerator[Snapshot | Unreadable, None]:
        """Yield every snapshot that is kept, in order; one that is damaged or lost by its sequence alone."""
        index = await self._index(key)
        for _ in range(TRIES_MAX):
            if not index.lost:
                break
            last = await api.get(self._link, SNAPSHOTS, {"last_by_subj": snapshot_subject(key)})
            if last is None or last.position == index.end:
                break
            index = await self._index(key)  # they may have been swapped while they were read
        for one in index.kept():
            yield one

    async def _index(self, key: SessionKey) -> Index:
        """Read all messages of the session: its own subject first, for what it names is dropped last."""
        index = Index()
        live, aside = snapshot_subjects(key)
        async for stored in self._on(live):
            try:
                index.add_own(stored.position, await self._opened(key, stored), damaged_seq=None)
            except CorruptLogError:
                index.add_own(stored.position, None, damaged_seq=seq_of(stored))
        async for stored in self._on(aside):
            index.add_aside(await self._read(key, stored))
        return index

    async def _on(self, subject: str) -> AsyncGenerator[Stored, None]:
        position = 0
        while page := await pages.page_or_next(self._link, SNAPSHOTS, subject, start=position + 1):
            for stored in page:
                position = stored.position
                yield stored

    async def layout(self, key: SessionKey) -> Layout:
        """Return where the entries of the newest snapshot are stored; nothing if there is none.

        What is remembered is used only if it is the newest still: another's `swap` drops what it names.
        """
        known = self._chains.get(key)
        if known is not None:
            stored = await api.get(self._link, SNAPSHOTS, {"last_by_subj": snapshot_subject(key)})
            if known.position != (0 if stored is None else stored.position):
                self.forget(key)
        return (await self._chain(key)).layout

    async def expand(self, key: SessionKey, kept: Segmented) -> bytes | None:
        """Return the body that *kept* stands for; None if what it names is damaged or missing."""
        return restore(kept, await self._sources(key, kept))

    async def _chain(self, key: SessionKey) -> Chain:
        """Return the newest snapshot as the next one needs it."""
        known = self._chains.get(key)
        if known is not None:
            self._chains.move_to_end(key)
            return known
        stored = await api.get(self._link, SNAPSHOTS, {"last_by_subj": snapshot_subject(key)})
        return self._remember(key, Chain() if stored is None else await self._chain_of(key, stored))

    # ---- writing --------------------------------------------------------------------------------------------------

    async def _save_after(
        self, chain: Chain, key: SessionKey, subject: str, placed: Placed, *, expected: int
    ) -> Chain | None:
        """Write after *chain* to *subject*, which must end at *expected*; None if it does not."""
        snapshot, mark = placed.snapshot, placed.mark
        kept, laid = keep(snapshot.body, chain.layout)
        step = step_of(snapshot, number=0 if chain.newest is None else chain.newest.number + 1)
        event_position = 0 if mark is None else mark.position
        message = Message(kept=kept, step=step, head=snapshot.head, event_position=event_position, steps=chain.steps_on)
        position = await self._put(key, subject, msgspec.msgpack.encode(message), seq=snapshot.seq, expected=expected)
        if position is None:
            return None
        return Chain(
            position=position,
            newest=msgspec.structs.replace(step, position=position),
            sha256=kept.sha256,
            steps=chain.steps_on,
            layout=laid.layout(position, step.number),
        )

    async def _put(self, key: SessionKey, subject: str, text: bytes, *, seq: int, expected: int) -> int | None:
        """Write after position *expected* of the subject; None if it does not end there, unless by our own try.

        Raises:
            ErasedSince: if what it was made of was erased meanwhile.
        """
        await self._learning.before_writing(key, text, seq=seq)
        body = await self._keys.seal_body(key, text, epoch=self._trails.of(key).erased, bound=_bound(key, str(seq)))
        headers = {SEQ: str(seq), HASH: sha256(body).hexdigest(), EXPECTED_SUBJECT_SEQ: str(expected)}
        carried = await self._blobs.carry(body, headers, key=key, seq=seq)
        ack = await self._link.retry(lambda: api.publish(self._link, subject, carried, headers))
        if ack.error is None:
            return ack.seq
        stored = await api.get(self._link, SNAPSHOTS, {"last_by_subj": subject})
        # The server keeps the headers: ours are there, the expectation included, only if our own try was stored.
        is_ours = stored is not None and stored.body == carried and headers.items() <= stored.headers.items()
        return stored.position if stored is not None and is_ours else None

    def _remember(self, key: SessionKey, chain: Chain) -> Chain:
        self.forget(key)
        self._chains[key] = chain
        self._chain_entries += _held(chain)
        while self._chain_entries > CHAIN_ENTRIES_MAX and len(self._chains) > 1:
            self.forget(next(iter(self._chains)))
        return chain

    async def _chain_of(self, key: SessionKey, stored: Stored) -> Chain:
        """Return what the snapshot after *stored* builds on. Nothing of it is used where it is damaged or foreign."""
        erased = erased_of(stored)
        found = None if erased else await self._read(key, stored) or await self._newest(key)
        if found is None:
            return Chain(position=stored.position, erased=erased)
        kept = found.message.kept
        sources = await self._sources(key, kept)
        body = cut(restore(kept, sources) or b"")
        layout = NOTHING_STORED
        if isinstance(body, Body):
            at = Source(position=found.stored.position, number=found.step.number)
            known = {position: source.stored_bytes for position, source in sources.items()}
            layout = layout_of(kept, body.rows, at=at, sources=known)
        return Chain(
            position=stored.position, newest=found.step, sha256=kept.sha256, steps=found.message.steps, layout=layout
        )

    # ---- finding --------------------------------------------------------------------------------------------------

    async def _find(self, key: SessionKey, newest: Found, holds: Holds, broken: set[int]) -> Found | None:
        """Return the last message up to *newest* for which *holds*; positions that cannot be read go to *broken*."""
        found = newest
        if holds(found.step) and found.stored.position not in broken:
            return found
        for _ in range(READS_MAX):
            steps = [step for step in found.message.steps if step.position not in broken]
            below, above = next_read(steps, holds, before=found.step.number)
            step = above or below
            if step is None:
                return None
            read = await self._at(key, step)
            if read is None:
                self._pass_over(key, step.seq)
                broken.add(step.position)
                if len(broken) > BROKEN_MAX:
                    return None
            elif above is None:
                return read
            else:
                found = read
        return None

    async def _newest(self, key: SessionKey) -> Found | None:
        """Return the newest message that can be read; where that is not the last one, all are looked through.

        A replica that lags has an earlier one, from which more events are folded.
        """
        stored = await pages.single(self._link, SNAPSHOTS, {"last_by_subj": snapshot_subject(key)})
        found = None if stored is None else await self._read(key, stored)
        if stored is None or found is not None or erased_of(stored):
            return found
        self._pass_over(key, seq_of(stored))
        async for one in self._on(snapshot_subject(key)):
            found = await self._read(key, one) or found
        return found

    async def _at(self, key: SessionKey, step: Step) -> Found | None:
        """Return the message that *step* names, or None if something else is there."""
        stored = await self._get(key, step.position)
        found = None if stored is None else await self._read(key, stored)
        return found if found is not None and found.step == step else None

    async def _get(self, key: SessionKey, position: int) -> Stored | None:
        """Return the session's message at *position*: a replica's, or the leader's where that has none."""
        stored = await pages.single(self._link, SNAPSHOTS, {"seq": position})
        if stored is None:
            stored = await api.get(self._link, SNAPSHOTS, {"seq": position})
        return stored if stored is not None and stored.subject in snapshot_subjects(key) else None

    async def _read(self, key: SessionKey, stored: Stored) -> Found | None:
        """Return what *stored* holds; None if it is damaged, or not written by this release."""
        try:
            return await self._opened(key, stored)
        except CorruptLogError:
            return None

    async def _opened(self, key: SessionKey, stored: Stored) -> Found | None:
        """Return what *stored* holds; None if it is the mark of an erasure, or not written by this release.

        Raises:
            CorruptLogError: if it is not what was written.
        """
        if erased_of(stored):
            return None
        body = await self._blobs.redeem(stored, session=key.session, seq=seq_of(stored))
        if sha256(body).hexdigest() != stored.headers.get(HASH):
            raise CorruptLogError("its snapshot does not match its hash", session=key.session, seq=seq_of(stored))
        text = await self._keys.open_body(key, body, bound=_bound(key, stored.headers.get(SEQ, "")))
        if text is None:
            raise CorruptLogError("its snapshot is not what was sealed", session=key.session, seq=seq_of(stored))
        try:
            return Found(message=MESSAGES.decode(text), stored=stored)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def _pass_over(self, key: SessionKey, seq: int) -> None:
        """Tell that the snapshot of sequence *seq* is of no use; the next one builds on what can be read."""
        _log.warning("snapshot of session %s at sequence %d is damaged or lost, passed over", key.session, seq)
        self.forget(key)

    def forget(self, key: SessionKey) -> None:
        """Forget the newest snapshot: what was remembered of it may name one that is damaged."""
        chain = self._chains.pop(key, None)
        if chain is not None:
            self._chain_entries -= _held(chain)

    async def _sources(self, key: SessionKey, kept: Segmented) -> dict[int, Segmented]:
        """Return what *kept* names, by position, as far as it can be read."""
        groups = await asyncio.gather(*(self._group(key, group) for group in _groups(kept.sources)))
        return {position: source for group in groups for position, source in group.items()}

    async def _group(self, key: SessionKey, group: list[Source]) -> dict[int, Segmented]:
        wanted = {source.position for source in group}
        stored: dict[int, Stored] = {}
        if len(group) >= PAGE_SOURCES_MIN:
            number = group[-1].number - group[0].number + 1
            subject = snapshot_subject(key)
            page = await pages.page(self._link, SNAPSHOTS, subject, start=group[0].position, events_max=number)
            stored = {one.position: one for one in page if one.position in wanted}
        missing = await asyncio.gather(*(self._get(key, position) for position in wanted - stored.keys()))
        read = [await self._read(key, one) for one in (*stored.values(), *missing) if one is not None]
        return {found.stored.position: found.message.kept for found in read if found is not None}


def _bound(key: SessionKey, seq: str) -> bytes:
    return msgspec.json.encode(["snapshot", key.tenant, key.session, seq])


def _held(chain: Chain) -> int:
    return 1 + len(chain.layout)  # one for a session that has none


def _groups(sources: Iterable[Source]) -> list[list[Source]]:
    """Return *sources* in groups of near neighbours, each to be read as one page."""
    groups: list[list[Source]] = []
    for source in sorted(sources, key=lambda source: source.number):
        if groups and source.number - groups[-1][-1].number <= SOURCES_GAP_MAX:
            groups[-1].append(source)
        else:
            groups.append([source])
    return groups
