"""Projections beside the events: the published history of each session, and the snapshots (`retold.log.snapshots`).

Rules:
- Neither is the truth. A damaged snapshot is passed over, for the events can make it again, and so is what a history
  names of it; a history that is damaged itself is named.
- Neither goes backwards: a write states what it found, and is refused if that has changed.
- A published history names the entries that a snapshot holds already, and carries the others. Whole, twenty of them
  take as much room as the session, for the server gives room back only after megabytes.
- What is replaced is removed by us, which overwrites its bytes: what a limit pushes out would stay in the server's
  file, after an erasure, too. In a sealed log histories and snapshots are sealed, bound to session and sequence.
- A history that is withdrawn leaves a mark that names the version it gave way to: what is older is not published again.
- An erasure leaves a mark in their place: it counts as newest, and holds nothing.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from hashlib import sha256

import msgspec
from msgspec import Struct

from retold.errors import CorruptLogError, UnavailableError
from retold.events import SessionKey
from retold.layouts import Layout
from retold.log import api
from retold.log.api import Stored
from retold.log.blobs import Blobs
from retold.log.discarding import Discards
from retold.log.headers import erased_of
from retold.log.keys import DataKeys
from retold.log.learning import ErasedSince, Learning
from retold.log.link import Link
from retold.log.names import (
    BASE_SEQ,
    CONTENT_HASH,
    EXPECTED_SUBJECT_SEQ,
    FORM,
    HASH,
    HISTORIES,
    SEQ,
    VERSION,
    history_subject,
)
from retold.log.segments import NOTHING_STORED, Segmented, keep
from retold.log.snapshot_messages import Placed
from retold.log.snapshots import TRIES_MAX, Snapshots
from retold.log.trails import Trails
from retold.ports import Published

SEGMENTS = "segments"
_DELETED = "KV-Operation"
"""How the key-value store marks a key that was deleted."""
WHOLE_BYTES_MAX = 4096
"""A history up to this length is published as it is: any NATS client can read it from the bucket."""

WRITTEN_MAX = 10_000
"""Of so many sessions it is remembered what was written last, without its body; 1 KiB each."""
BEGIN_BYTES = 64
"""How a body begins tells whether it is sealed."""

Remake = Callable[[SessionKey, int], Awaitable[bytes | None]]
"""Give the body of a session's replacement history as it was at a sequence, from its events; None if they are gone."""

_log = logging.getLogger(__name__)
_kept = msgspec.msgpack.Decoder(Segmented)


class _Envelope(Struct, frozen=True):
    """Hold what a published history's own message says: the hashes of its content and its body, and what gives it."""

    hash: str
    digest: str
    body: bytes


class Projections:
    """Keep published histories, and swap all that was made of a session's events."""

    def __init__(
        self, link: Link, *, blobs: Blobs, snapshots: Snapshots, learning: Learning, trails: Trails, keys: DataKeys
    ) -> None:
        self._link = link
        self._learning = learning
        self._trails = trails
        self._keys = keys
        self._blobs = blobs
        self._snapshots = snapshots
        self.discards = Discards(link, HISTORIES)
        self._written: OrderedDict[SessionKey, Stored] = OrderedDict()

    async def publish(self, key: SessionKey, published: Published) -> bool:
        """Put *published* in place of an older one, by (version, seq); return whether it was written."""
        with suppress(ErasedSince):
            return await self._publish(key, published)
        return False

    async def _publish(self, key: SessionKey, published: Published) -> bool:
        # An agent waits for this: all that is to be asked is asked at once, and what was written here last is known.
        last, layout = await asyncio.gather(self._older(key, published), self._layout(key, published))
        for _ in range(TRIES_MAX):
            if last is not None and (_is_behind(published, last) or _order(last) == _place(published)):
                return False
            if await self._put(key, published, last, layout=layout):
                return True
            last, layout = await asyncio.gather(self._last(key), self._layout(key, published))
        raise _crowded_out(key)

    async def _older(self, key: SessionKey, published: Published) -> Stored | None:
        """Return what *published* comes in place of: what this process wrote last, if it is older, else what is there.

        Where somebody else wrote since, the server refuses what is to come after it.
        """
        written = self._written.get(key)
        return written if written is not None and _order(written) < _place(published) else await self._last(key)

    async def _layout(self, key: SessionKey, published: Published) -> Layout:
        return await self._snapshots.layout(key) if len(published.body) > WHOLE_BYTES_MAX else NOTHING_STORED

    async def load(self, key: SessionKey, *, remake: Remake) -> Published | None:
        """Return the published history, or None. Where a snapshot that it names is damaged, *remake* gives its body.

        Raises:
            CorruptLogError: if its body is not what was published.
        """
        stored = await self._last(key)
        for _ in range(TRIES_MAX):
            if stored is None or not _is_there(stored):
                return None
            published = await self._published(key, stored)
            if published is not None:
                return published
            # The snapshots that it names may just have been swapped; then it was, too.
            again = await self._last(key)
            if again is not None and again.position == stored.position:
                return await self._remade(key, stored, remake)
            stored = again
        raise _crowded_out(key)

    async def _remade(self, key: SessionKey, stored: Stored, remake: Remake) -> Published:
        """Return what *stored* was published as, made anew and proven by the hash that it names."""
        envelope = await self._envelope(key, stored)
        if envelope is not None and stored.headers.get(FORM) == SEGMENTS:
            self._snapshots.forget(key)
            body = await remake(key, _seq(stored))
            published = None if body is None else _proven(stored, envelope, body)
            if published is not None:
                _log.warning(
                    "published history of session %s, version %d, names a damaged snapshot: made from the events",
                    key.session,
                    published.version,
                )
                return published
        raise CorruptLogError("its published history does not match its hash", session=key.session, seq=_seq(stored))

    async def withdraw(self, key: SessionKey, *, version: int, seq: int) -> bool:
        """Leave a mark in place of what is older than (*version*, *seq*); return whether a history was there."""
        for _ in range(TRIES_MAX):
            last = await self._last(key)
            if last is not None and (erased_of(last) > seq or _order(last) >= (version, seq)):
                return False
            if await self._write(key, b"", {_DELETED: "DEL", SEQ: str(seq), VERSION: str(version)}, last):
                return last is not None and _is_there(last)
        raise _crowded_out(key)

    async def swap(self, key: SessionKey, made: AsyncIterable[Placed | Published]) -> None:
        """Put what *made* yields in place of the session's snapshots and of its published history."""
        histories: list[Published] = []

        async def snapshots() -> AsyncIterator[Placed]:
            async for one in made:
                if isinstance(one, Published):
                    histories.append(one)
                else:
                    yield one

        first = await self._snapshots.swap(key, snapshots())
        with suppress(ErasedSince):  # then nothing is there any more
            await self._republish(key, histories[-1] if histories else None)
        await self._snapshots.drop_before(key, first)

    async def _republish(self, key: SessionKey, published: Published | None) -> None:
        """Put *published* in place of what is there, unless that is newer; None takes what is there away.

        A newer one is written anew: it names the snapshots that are about to be dropped.
        """
        for _ in range(TRIES_MAX):
            last = await self._last(key)
            there = None if last is None or not _is_there(last) else last
            if published is None:
                is_done = there is None or await self._write(key, b"", {_DELETED: "DEL"}, there)
            elif last is not None and there is None and _is_behind(published, last):
                is_done = True  # erased, or withdrawn
            elif there is not None and _order(there) > _place(published):
                # One that cannot be read is worse than the one made anew.
                newer = await self._published(key, there) or published
                is_done = await self._put(key, newer, last, layout=await self._layout(key, newer))
            else:
                is_done = await self._put(key, published, last, layout=await self._layout(key, published))
            if is_done:
                return
        raise _crowded_out(key)

    async def _last(self, key: SessionKey) -> Stored | None:
        return await api.get(self._link, HISTORIES, {"last_by_subj": history_subject(key)})

    async def _put(self, key: SessionKey, published: Published, last: Stored | None, *, layout: Layout) -> bool:
        headers = {SEQ: str(published.seq), VERSION: str(published.version), BASE_SEQ: str(published.base_seq)}
        body = published.body
        if len(body) > WHOLE_BYTES_MAX:
            kept, _ = keep(body, layout)
            body, digest = msgspec.msgpack.encode(kept), kept.sha256.hex()
            headers[FORM] = SEGMENTS
        else:
            digest = sha256(body).hexdigest()
        # Sealed, the hashes are sealed with it: they would tell who guesses what was said that it was.
        text = b"\n".join((published.hash.encode(), digest.encode(), body))
        await self._learning.before_writing(key, text, seq=published.seq)
        bound = _bound(key, headers)
        sealed = await self._keys.seal_body(key, text, epoch=self._trails.of(key).erased, bound=bound)
        if sealed is text:
            headers |= {CONTENT_HASH: published.hash, HASH: digest}
        return await self._write(key, body if sealed is text else sealed, headers, last)

    async def _write(self, key: SessionKey, body: bytes, headers: dict[str, str], last: Stored | None) -> bool:
        """Write in place of *last*; False if the subject does not end there, unless by our own earlier try."""
        carried = await self._blobs.carry(body, headers, key=key, seq=int(headers.get(SEQ, "0")))
        headers[EXPECTED_SUBJECT_SEQ] = str(0 if last is None else last.position)
        subject = history_subject(key)
        self._written.pop(key, None)
        ack = await self._link.retry(lambda: api.publish(self._link, subject, carried, headers))
        if ack.error is None:
            self._remember(key, Stored(subject=subject, position=ack.seq, headers=headers, body=carried[:BEGIN_BYTES]))
            await self._discard(last)
            return True
        stored = await self._last(key)
        # The server keeps the headers: ours are there, the expectation included, only if our own try was stored.
        return stored is not None and stored.body == carried and headers.items() <= stored.headers.items()

    def _remember(self, key: SessionKey, written: Stored) -> None:
        self._written[key] = written
        if len(self._written) > WRITTEN_MAX:
            self._written.popitem(last=False)

    async def _discard(self, last: Stored | None) -> None:
        """Have what was replaced overwritten; what is sealed need only go."""
        if last is not None and not erased_of(last):
            await self.discards.add(last)

    async def _published(self, key: SessionKey, stored: Stored) -> Published | None:
        """Return the history that *stored* holds or names; None if a part of it is damaged or missing."""
        envelope = await self._envelope(key, stored)
        if envelope is None:
            return None
        body: bytes | None = envelope.body
        if stored.headers.get(FORM) == SEGMENTS:
            try:
                body = await self._snapshots.expand(key, _kept.decode(envelope.body))
            except msgspec.MsgspecError:
                return None
        return None if body is None else _proven(stored, envelope, body)

    async def _envelope(self, key: SessionKey, stored: Stored) -> _Envelope | None:
        """Return what *stored* itself holds; None if that is damaged."""
        headers = stored.headers
        try:
            body = await self._blobs.redeem(stored, session=key.session, seq=_seq(stored))
            if CONTENT_HASH in headers:
                return _Envelope(hash=headers[CONTENT_HASH], digest=headers.get(HASH, ""), body=body)
            text = await self._keys.open_body(key, body, bound=_bound(key, headers))
            if text is None:
                return None
            content_hash, digest, body = text.split(b"\n", 2)
            return _Envelope(hash=content_hash.decode(), digest=digest.decode(), body=body)
        except (CorruptLogError, ValueError):
            return None


def _proven(stored: Stored, envelope: _Envelope, body: bytes) -> Published | None:
    """Return what was published, if it had this *body*."""
    if sha256(body).hexdigest() != envelope.digest:
        return None
    version, base_seq = int(stored.headers[VERSION]), int(stored.headers[BASE_SEQ])
    return Published(version=version, seq=_seq(stored), base_seq=base_seq, hash=envelope.hash, body=body)


def _crowded_out(key: SessionKey) -> UnavailableError:
    return UnavailableError(f"the history of session {key.session!r} is being written by others; repeat the call")


def _is_there(stored: Stored) -> bool:
    """Return whether *stored* is a published history: no mark of an erasure, and not withdrawn."""
    return VERSION in stored.headers and _DELETED not in stored.headers


def _is_behind(published: Published, last: Stored) -> bool:
    """Return whether *last* is newer than *published*: the mark of an erasure is newer than all that it erased."""
    if erased := erased_of(last):
        return erased > published.seq
    return _order(last) > _place(published)


def _place(published: Published) -> tuple[int, int]:
    return published.version, published.seq


def _bound(key: SessionKey, headers: dict[str, str]) -> bytes:
    return msgspec.json.encode(["history", key.tenant, key.session, headers[VERSION], headers[SEQ], headers[BASE_SEQ]])


def _seq(stored: Stored) -> int:
    return int(stored.headers.get(SEQ, "0"))


def _order(stored: Stored) -> tuple[int, int]:
    return int(stored.headers.get(VERSION, "0")), _seq(stored)
