"""Projections beside the events: snapshots of folded states, and the published history of each session.

Rules:
- Neither is the truth. A damaged snapshot is passed over, for the events can make it again; a damaged history is named.
- Neither goes backwards: a write states what it found, and is refused if that has changed.
- What is replaced is removed by us, which overwrites its bytes: what a limit pushes out would stay in the server's
  file, after an erasure, too. In a sealed log both are sealed, bound to their session and sequence.
- An erasure leaves a mark in their place: it counts as newest, and holds nothing.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256

from msgspec import json

from retold.errors import CorruptLogError, UnavailableError
from retold.events import SessionKey, is_sealed_document
from retold.log import api
from retold.log.api import Ack, Refused, Stored
from retold.log.blobs import Blobs
from retold.log.keys import DataKeys
from retold.log.link import Link
from retold.log.names import (
    BASE_SEQ,
    CONTENT_HASH,
    EXPECTED_SUBJECT_SEQ,
    HASH,
    HISTORIES,
    SEQ,
    SNAPSHOTS,
    VERSION,
    history_subject,
    snapshot_subject,
)
from retold.log.pages import page_or_next
from retold.log.reader import erased_of
from retold.ports import Published, Snapshot

TRIES_MAX = 20
"""How often a write that others overtake looks again; each time, one of them has written."""

SNAPSHOTS_KEPT = 2

_log = logging.getLogger(__name__)


class Projections:
    """Keep snapshots and published histories."""

    def __init__(self, link: Link, *, blobs: Blobs, keys: DataKeys) -> None:
        self._link = link
        self._blobs = blobs
        self._keys = keys

    async def save_snapshot(self, key: SessionKey, snapshot: Snapshot, *, erased: int) -> None:
        """Keep *snapshot* as the newest, unless the newest kept is of a later sequence or the very same.

        *erased* is the sequence of the session's newest tombstone, as far as it is known.
        """
        subject = snapshot_subject(key)
        bound = _bound("snapshot", key, snapshot.seq)
        body = await self._keys.seal_body(key, snapshot.body, epoch=erased, bound=bound)
        digest = sha256(body).hexdigest()
        for _ in range(TRIES_MAX):
            kept = await page_or_next(self._link, SNAPSHOTS, subject, start=1)
            last = await api.get(self._link, SNAPSHOTS, {"last_by_subj": subject})
            if last is not None and _is_newer_snapshot(last, seq=snapshot.seq, digest=digest):
                return
            await self._discard(SNAPSHOTS, kept[: 1 - SNAPSHOTS_KEPT])
            headers = {SEQ: str(snapshot.seq), HASH: digest}
            if await self._put(subject, body, headers, last, key=key, seq=snapshot.seq):
                return
        raise UnavailableError(f"snapshots of session {key.session!r} are being written by others; repeat the call")

    async def load_snapshot(self, key: SessionKey, *, until: int | None) -> Snapshot | None:
        """Return the newest snapshot of ``seq <= until`` that is whole, or None."""
        for stored in reversed(await self._kept(key)):
            seq = _seq(stored)
            if until is None or seq <= until:
                body = await self._whole(stored, key=key, seq=seq)
                if body is not None:
                    return Snapshot(seq=seq, body=body)
        return None

    async def load_snapshots(self, key: SessionKey) -> list[Snapshot]:
        """Return every snapshot that is whole, in order."""
        bodies = [
            (_seq(stored), await self._whole(stored, key=key, seq=_seq(stored))) for stored in await self._kept(key)
        ]
        return [Snapshot(seq=seq, body=body) for seq, body in bodies if body is not None]

    async def _kept(self, key: SessionKey) -> list[Stored]:
        kept = await page_or_next(self._link, SNAPSHOTS, snapshot_subject(key), start=1)
        return sorted((one for one in kept if not erased_of(one)), key=lambda stored: (_seq(stored), stored.position))

    async def publish_history(self, key: SessionKey, published: Published, *, erased: int) -> bool:
        """Put *published* in place of an older one, by (version, seq); return whether it was written.

        *erased* as in `save_snapshot`.
        """
        subject = history_subject(key)
        bound = _bound("history", key, published.seq, published.version, published.base_seq)
        body = await self._keys.seal_body(key, _hashed(published), epoch=erased, bound=bound)
        is_sealed = is_sealed_document(body)
        if not is_sealed:
            body = published.body
        for _ in range(TRIES_MAX):
            last = await api.get(self._link, HISTORIES, {"last_by_subj": subject})
            if last is not None and _is_newer_history(last, published):
                return False
            headers = {
                SEQ: str(published.seq),
                VERSION: str(published.version),
                BASE_SEQ: str(published.base_seq),
                HASH: sha256(body).hexdigest(),
            }
            if not is_sealed:
                headers[CONTENT_HASH] = published.hash
            if await self._put(subject, body, headers, last, key=key, seq=published.seq):
                await self._discard(HISTORIES, [] if last is None else [last])
                return True
        raise UnavailableError(f"the history of session {key.session!r} is being written by others; repeat the call")

    async def load_history(self, key: SessionKey) -> Published | None:
        """Return the published history, or None.

        Raises:
            CorruptLogError: if its body is not what was published.
            SealError: if it is sealed and its key is not there.
        """
        stored = await api.get(self._link, HISTORIES, {"last_by_subj": history_subject(key)})
        if stored is None or VERSION not in stored.headers:
            return None
        seq, version, base_seq = _seq(stored), int(stored.headers[VERSION]), int(stored.headers[BASE_SEQ])
        body = await self._blobs.redeem(stored, session=key.session, seq=seq)
        if sha256(body).hexdigest() != stored.headers.get(HASH):
            raise CorruptLogError("its published history does not match its hash", session=key.session, seq=seq)
        content_hash = stored.headers.get(CONTENT_HASH)
        if content_hash is None:
            bound = _bound("history", key, seq, version, base_seq)
            text = await self._keys.open_body(key, body, bound=bound)
            if text is None:
                raise CorruptLogError("its published history was not sealed here", session=key.session, seq=seq)
            line, _, body = text.partition(b"\n")
            content_hash = line.decode()
        return Published(version=version, seq=seq, base_seq=base_seq, hash=content_hash, body=body)

    async def _discard(self, stream: str, replaced: Sequence[Stored]) -> None:
        """Overwrite what was replaced, or is about to be; what is sealed need only go."""
        for stored in replaced:
            if not erased_of(stored):
                remove = api.forget if is_sealed_document(stored.body) else api.erase
                with suppress(Refused):  # a bucket of an earlier release takes no deletes
                    await remove(self._link, stream, stored.position)

    async def _whole(self, stored: Stored, *, key: SessionKey, seq: int) -> bytes | None:
        try:
            body = await self._blobs.redeem(stored, session=key.session, seq=seq)
        except CorruptLogError:
            body = b""
        if sha256(body).hexdigest() == stored.headers.get(HASH):
            opened = await self._keys.open_body(key, body, bound=_bound("snapshot", key, seq))
            if opened is not None:
                return opened
        _log.warning("snapshot of session %s at sequence %d is damaged, passed over", key.session, seq)
        return None

    async def _put(
        self, subject: str, body: bytes, headers: dict[str, str], last: Stored | None, *, key: SessionKey, seq: int
    ) -> bool:
        """Write after *last*; False if the subject does not end there, unless by our own earlier try."""
        carried = await self._blobs.claim(body, headers, key=key, seq=seq)
        headers[EXPECTED_SUBJECT_SEQ] = str(0 if last is None else last.position)
        ack: Ack = await self._link.retry(lambda: api.publish(self._link, subject, carried, headers))
        if ack.error is None:
            return True
        stored = await api.get(self._link, subject_stream(subject), {"last_by_subj": subject})
        # The server keeps the headers: ours are there, the expectation included, only if our own try was stored.
        return stored is not None and stored.body == carried and headers.items() <= stored.headers.items()


def subject_stream(subject: str) -> str:
    """Return the stream that keeps *subject*."""
    return HISTORIES if subject.startswith("$KV.") else SNAPSHOTS


def _is_newer_snapshot(last: Stored, *, seq: int, digest: str) -> bool:
    return _seq(last) > seq or (_seq(last) == seq and last.headers.get(HASH) == digest)


def _is_newer_history(last: Stored, published: Published) -> bool:
    if erased := erased_of(last):
        return erased > published.seq
    return _order(last) >= (published.version, published.seq)


def _hashed(published: Published) -> bytes:
    """Return content hash and body as one: what is sealed. In a header, the hash would tell who guesses the content."""
    return published.hash.encode() + b"\n" + published.body


def _bound(kind: str, key: SessionKey, *numbers: int) -> bytes:
    return json.encode([kind, key.tenant, key.session, *numbers])


def _seq(stored: Stored) -> int:
    return int(stored.headers.get(SEQ, "0"))


def _order(stored: Stored) -> tuple[int, int]:
    return int(stored.headers.get(VERSION, "0")), _seq(stored)
