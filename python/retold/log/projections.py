"""Projections beside the events: the published history of each session, and the snapshots (`retold.log.snapshots`).

Rules:
- Neither is the truth. A damaged snapshot is passed over, for the events can make it again; a damaged history is named.
- Neither goes backwards: a write states what it found, and is refused if that has changed.
- A published history names the entries that a snapshot holds already, and carries the others. Whole, twenty of them
  take as much room as the session, for the server gives room back only after megabytes.
"""

from collections.abc import AsyncIterable, AsyncIterator
from hashlib import sha256

import msgspec

from retold.errors import CorruptLogError, UnavailableError
from retold.events import SessionKey
from retold.log import api
from retold.log.api import Stored
from retold.log.blobs import Blobs
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
from retold.log.segments import Segmented, keep
from retold.log.snapshot_messages import Placed
from retold.log.snapshots import TRIES_MAX, Snapshots
from retold.ports import Published

SEGMENTS = "segments"
WHOLE_BYTES_MAX = 4096
"""A history up to this length is published as it is: any NATS client can read it from the bucket."""

_kept = msgspec.msgpack.Decoder(Segmented)


class Projections:
    """Keep published histories, and swap all that was made of a session's events."""

    def __init__(self, link: Link, blobs: Blobs, snapshots: Snapshots) -> None:
        self._link = link
        self._blobs = blobs
        self._snapshots = snapshots

    async def publish(self, key: SessionKey, published: Published) -> bool:
        """Put *published* in place of an older one, by (version, seq); return whether it was written."""
        for _ in range(TRIES_MAX):
            last = await self._last(key)
            if last is not None and _order(last) >= (published.version, published.seq):
                return False
            if await self._put(key, published, last):
                return True
        raise UnavailableError(f"the history of session {key.session!r} is being written by others; repeat the call")

    async def load(self, key: SessionKey) -> Published | None:
        """Return the published history, or None.

        Raises:
            CorruptLogError: if its body is not what was published.
        """
        stored = await self._last(key)
        for _ in range(TRIES_MAX):
            if stored is None or VERSION not in stored.headers:
                return None
            body = await self._body(key, stored)
            if body is not None and sha256(body).hexdigest() == stored.headers.get(HASH):
                return _published(stored, body)
            # The snapshots that it names may just have been swapped; then it was, too.
            again = await self._last(key)
            if again is not None and again.position == stored.position:
                raise CorruptLogError(
                    "its published history does not match its hash", session=key.session, seq=_seq(stored)
                )
            stored = again
        raise UnavailableError(f"the history of session {key.session!r} is being written by others; repeat the call")

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
        await self._republish(key, histories[-1] if histories else None)
        await self._snapshots.drop_before(key, first)

    async def _republish(self, key: SessionKey, published: Published | None) -> None:
        """Put *published* in place of what is there, unless that is newer; None takes what is there away.

        A newer one is written anew: it names the snapshots that are about to be dropped.
        """
        for _ in range(TRIES_MAX):
            last = await self._last(key)
            there = None if last is None or VERSION not in last.headers else last
            if there is not None and published is not None and _order(there) > (published.version, published.seq):
                is_done = await self._put(key, await self._newer(key, there) or published, last)
            elif published is not None:
                is_done = await self._put(key, published, last)
            else:
                is_done = there is None or await self._withdraw(key, there)
            if is_done:
                return
        raise UnavailableError(f"the history of session {key.session!r} is being written by others; repeat the call")

    async def _newer(self, key: SessionKey, there: Stored) -> Published | None:
        """Return the history that *there* holds; None if it cannot be read: then the one made anew is better."""
        body = await self._body(key, there)
        is_whole = body is not None and sha256(body).hexdigest() == there.headers.get(HASH)
        return _published(there, body) if body is not None and is_whole else None

    async def _withdraw(self, key: SessionKey, last: Stored) -> bool:
        """Delete the published history, as the key-value store does."""
        return await self._write(key, b"", {"KV-Operation": "DEL"}, last)

    async def _last(self, key: SessionKey) -> Stored | None:
        return await api.get(self._link, HISTORIES, {"last_by_subj": history_subject(key)})

    async def _put(self, key: SessionKey, published: Published, last: Stored | None) -> bool:
        headers = {
            SEQ: str(published.seq),
            VERSION: str(published.version),
            BASE_SEQ: str(published.base_seq),
            CONTENT_HASH: published.hash,
            HASH: sha256(published.body).hexdigest(),
        }
        if len(published.body) <= WHOLE_BYTES_MAX:
            return await self._write(key, published.body, headers, last)
        kept, _ = keep(published.body, await self._snapshots.layout(key))
        return await self._write(key, msgspec.msgpack.encode(kept), headers | {FORM: SEGMENTS}, last)

    async def _write(self, key: SessionKey, body: bytes, headers: dict[str, str], last: Stored | None) -> bool:
        """Write after *last*; False if the subject does not end there, unless by our own earlier try."""
        carried = await self._blobs.carry(body, headers)
        headers[EXPECTED_SUBJECT_SEQ] = str(0 if last is None else last.position)
        ack = await self._link.retry(lambda: api.publish(self._link, history_subject(key), carried, headers))
        if ack.error is None:
            return True
        stored = await self._last(key)
        # The server keeps the headers: ours are there, the expectation included, only if our own try was stored.
        return stored is not None and stored.body == carried and headers.items() <= stored.headers.items()

    async def _body(self, key: SessionKey, stored: Stored) -> bytes | None:
        """Return the history that *stored* holds or names; None if a part of it is damaged or missing."""
        try:
            body = await self._blobs.redeem(stored, session=key.session, seq=_seq(stored))
            if stored.headers.get(FORM) != SEGMENTS:
                return body
            return await self._snapshots.expand(key, _kept.decode(body))
        except (CorruptLogError, msgspec.MsgspecError, UnicodeDecodeError):
            return None


def _published(stored: Stored, body: bytes) -> Published:
    return Published(
        version=int(stored.headers[VERSION]),
        seq=_seq(stored),
        base_seq=int(stored.headers[BASE_SEQ]),
        hash=stored.headers[CONTENT_HASH],
        body=body,
    )


def _seq(stored: Stored) -> int:
    return int(stored.headers.get(SEQ, "0"))


def _order(stored: Stored) -> tuple[int, int]:
    return int(stored.headers.get(VERSION, "0")), _seq(stored)
