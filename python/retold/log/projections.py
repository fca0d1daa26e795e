"""Projections beside the events: snapshots of folded states, and the published history of each session.

Rules:
- Neither is the truth. A damaged snapshot is passed over, for the events can make it again; a damaged history is named.
- Neither goes backwards: a write states what it found, and is refused if that has changed.
"""

import logging
from hashlib import sha256

from retold.errors import CorruptLogError, UnavailableError
from retold.events import SessionKey
from retold.log import api
from retold.log.api import Ack, Stored
from retold.log.blobs import Blobs
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
from retold.ports import Published, Snapshot

TRIES_MAX = 20
"""How often a write that others overtake looks again; each time, one of them has written."""

_log = logging.getLogger(__name__)


class Projections:
    """Keep snapshots and published histories."""

    def __init__(self, link: Link, blobs: Blobs) -> None:
        self._link = link
        self._blobs = blobs

    async def save_snapshot(self, key: SessionKey, snapshot: Snapshot) -> None:
        """Keep *snapshot* as the newest, unless the newest kept is of a later sequence or the very same."""
        subject = snapshot_subject(key)
        digest = sha256(snapshot.body).hexdigest()
        for _ in range(TRIES_MAX):
            last = await api.get(self._link, SNAPSHOTS, {"last_by_subj": subject})
            if last is not None and _is_newer_snapshot(last, seq=snapshot.seq, digest=digest):
                return
            headers = {SEQ: str(snapshot.seq), HASH: digest}
            if await self._put(subject, snapshot.body, headers, last):
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
        return sorted(kept, key=lambda stored: (_seq(stored), stored.position))

    async def publish_history(self, key: SessionKey, published: Published) -> bool:
        """Put *published* in place of an older one, by (version, seq); return whether it was written."""
        subject = history_subject(key)
        for _ in range(TRIES_MAX):
            last = await api.get(self._link, HISTORIES, {"last_by_subj": subject})
            if last is not None and _order(last) >= (published.version, published.seq):
                return False
            headers = {
                SEQ: str(published.seq),
                VERSION: str(published.version),
                BASE_SEQ: str(published.base_seq),
                CONTENT_HASH: published.hash,
                HASH: sha256(published.body).hexdigest(),
            }
            if await self._put(subject, published.body, headers, last):
                return True
        raise UnavailableError(f"the history of session {key.session!r} is being written by others; repeat the call")

    async def load_history(self, key: SessionKey) -> Published | None:
        """Return the published history, or None.

        Raises:
            CorruptLogError: if its body is not what was published.
        """
        stored = await api.get(self._link, HISTORIES, {"last_by_subj": history_subject(key)})
        if stored is None or VERSION not in stored.headers:
            return None
        seq = _seq(stored)
        body = await self._blobs.redeem(stored, session=key.session, seq=seq)
        if sha256(body).hexdigest() != stored.headers.get(HASH):
            raise CorruptLogError("its published history does not match its hash", session=key.session, seq=seq)
        return Published(
            version=int(stored.headers[VERSION]),
            seq=seq,
            base_seq=int(stored.headers[BASE_SEQ]),
            hash=stored.headers[CONTENT_HASH],
            body=body,
        )

    async def _whole(self, stored: Stored, *, key: SessionKey, seq: int) -> bytes | None:
        try:
            body = await self._blobs.redeem(stored, session=key.session, seq=seq)
        except CorruptLogError:
            body = b""
        if sha256(body).hexdigest() == stored.headers.get(HASH):
            return body
        _log.warning("snapshot of session %s at sequence %d is damaged, passed over", key.session, seq)
        return None

    async def _put(self, subject: str, body: bytes, headers: dict[str, str], last: Stored | None) -> bool:
        """Write after *last*; False if the subject does not end there, unless by our own earlier try."""
        carried = await self._blobs.claim(body, headers)
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


def _seq(stored: Stored) -> int:
    return int(stored.headers.get(SEQ, "0"))


def _order(stored: Stored) -> tuple[int, int]:
    return int(stored.headers.get(VERSION, "0")), _seq(stored)
