"""Large bodies: content-addressed in the object store, and claims for them in the messages.

Rules:
- The body is stored before the message that claims it; a crash in between leaves an unused blob, no dangling claim.
- The layout is the standard object store's, so any NATS client can read a blob by its SHA-256.
- Chunks are written under a name of their own try: a try that fails half-way can never mix with the next one.
- A body names its session, so no two sessions share a blob. The chunks' subjects name session and sequence: an erasure
  finds them all, those of tries that failed and of events that were recorded elsewhere in the end included.
- Who claims a body that is there stores its meta anew, in the place that it was found: so it is young, and no sweep
  (`retold.log.sweeping`) removes it before the claim is stored. What a sweep has just removed is stored again.
"""

import asyncio
import base64
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import sha256
from uuid import uuid4

import msgspec
from msgspec import Struct

from retold.errors import CorruptLogError
from retold.events import SessionKey, is_sealed_document
from retold.log import api, pages, streams
from retold.log.link import Link, Lost
from retold.log.names import BLOBS, BLOBS_BUCKET, CLAIM, CLAIM_BYTES, EXPECTED_SUBJECT_SEQ, PACKED
from retold.log.packing import pack

CHUNK_BYTES = 256 * 1024
CHUNKS_IN_FLIGHT_MAX = 16
"""4 MiB unacknowledged at most: enough to hide the round trip, small beside the server's 64 MiB for a connection."""
HEADROOM_BYTES = 4096
"""Room left for headers below the server's largest message."""
KNOWN_MAX = 4096
"""How many blobs are remembered as present, to spare the question."""
KNOWN_S = 300.0
"""For how long: far less than the time that a sweep gives to those who are about to claim."""


class Claim(Struct, frozen=True):
    """Stand in a message for a body in the object store."""

    sha256: str
    size: int


class _Options(Struct):
    max_chunk_size: int


class Meta(Struct):
    """Say where a body's chunks are, as the object store's standard has it."""

    name: str
    bucket: str
    nuid: str
    size: int
    chunks: int
    digest: str
    mtime: str = "0001-01-01T00:00:00Z"
    options: _Options | None = None
    deleted: bool = False


metas = msgspec.json.Decoder(Meta)
_OWNED_TOKENS = 5
"""Of a nuid: tenant, session, sequence, the body's name, and a number of the try's own."""


class Blobs:
    """Keep bodies by their SHA-256."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._known: OrderedDict[str, float] = OrderedDict()

    async def claim(self, body: bytes, headers: dict[str, str], *, key: SessionKey, seq: int) -> bytes:
        """Return what a message is to carry for *body*: itself, packed where that helps, or a claim that is stored.

        *key* and *seq* say whose it is. *headers* gains what tells which.
        """
        packed = pack(body, headers)
        if len(packed) <= self.carried_bytes_max:
            return packed
        headers.pop(PACKED, None)
        return await self._claimed(body, headers, key=key, seq=seq)

    async def carry(self, body: bytes, headers: dict[str, str], *, key: SessionKey, seq: int) -> bytes:
        """Return what a message is to carry for a *body* that is packed already: itself, or a claim."""
        if len(body) <= self.carried_bytes_max:
            return body
        return await self._claimed(body, headers, key=key, seq=seq)

    @property
    def carried_bytes_max(self) -> int:
        """Return how long a body may be that a message carries itself."""
        return min(CLAIM_BYTES, self._link.max_payload_bytes - HEADROOM_BYTES)

    async def _claimed(self, body: bytes, headers: dict[str, str], *, key: SessionKey, seq: int) -> bytes:
        name = await self.put(body, key=key, seq=seq)
        headers[CLAIM] = name
        return msgspec.json.encode(Claim(sha256=name, size=len(body)))

    async def redeem(self, stored: api.Stored, *, session: str, seq: int) -> bytes:
        """Return the body that *stored* carries or claims.

        Raises:
            CorruptLogError: if the claimed blob is missing or is not what was claimed; it names *session* and *seq*.
        """
        name = stored.headers.get(CLAIM)
        if name is None:
            return stored.body
        body = await self.get(name)
        if body is None:
            raise CorruptLogError(f"expected a blob {name}, the object store has none", session=session, seq=seq)
        if sha256(body).hexdigest() != name:
            raise CorruptLogError(f"blob {name} does not match its name", session=session, seq=seq)
        return body

    async def put(self, body: bytes, *, key: SessionKey, seq: int) -> str:
        """Store *body* unless it is there, and return its name: its SHA-256 in hex. May be repeated."""
        name = sha256(body).hexdigest()
        now = asyncio.get_running_loop().time()
        if self._known.get(name, -KNOWN_S) + KNOWN_S <= now:
            if not await self._renew(name):
                owner = f"{key.tenant}.{key.session}.{seq}"
                await self._link.retry(lambda: self._write(name, body, owner=owner))
            self._known[name] = now
            self._known.move_to_end(name)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return name

    async def get(self, name: str) -> bytes | None:
        """Return the bytes stored under *name*, unchecked, or None. What is there may be incomplete."""
        meta = await self._meta(name)
        if meta is None:
            return None
        body = bytearray()
        position = 0
        while len(body) < meta.size:
            page = await pages.page_or_next(self._link, BLOBS, chunks_subject(meta.nuid), start=position + 1)
            if not page:
                break
            body += b"".join(stored.body for stored in page)
            position = page[-1].position
        return bytes(body)

    async def erase(self, key: SessionKey, *, before: int, claimed: Iterable[str]) -> int:
        """Remove the session's blobs of the sequences before *before*, and those *claimed*; return how many.

        Plain ones are overwritten. The claimed ones are for stores of an earlier release, whose chunks name no session:
        what names another one is not ours to remove, whoever claims it.
        """
        subjects = {
            subject: subject.split(".")[-2]
            for subject in await streams.counts(self._link, BLOBS, f"$O.{BLOBS_BUCKET}.C.{key.tenant}.{key.session}.>")
            if int(subject.split(".")[-3]) < before
        }
        for name in claimed:
            meta = await self._meta(name)
            if meta is not None and owner_of(meta.nuid) in (None, key):
                subjects[chunks_subject(meta.nuid)] = name
        for subject, name in subjects.items():
            await api.purge(self._link, BLOBS, _meta_subject(name))
            chunks = await pages.every(self._link, BLOBS, subject)
            if chunks and not _is_sealed(chunks[0].body):
                for stored in chunks:
                    await api.erase(self._link, BLOBS, stored.position)
            await api.purge(self._link, BLOBS, subject)
            self._known.pop(name, None)
        return len(set(subjects.values()))

    async def _renew(self, name: str) -> bool:
        """Store the meta of *name* anew in its place; return whether it is there, and young.

        The meta is written last, so where it is the chunks were; damage to them shows in the hash on reading.
        """
        found = await self._stored_meta(name)
        if found is None or metas.decode(found.body).deleted:
            return False
        headers = {"Nats-Rollup": "sub", EXPECTED_SUBJECT_SEQ: str(found.position)}
        ack = await self._link.retry(lambda: api.publish(self._link, found.subject, found.body, headers))
        # Refused: it was swept meanwhile, or somebody stored it anew; by our own lost try, too.
        return ack.error is None or await self._meta(name) is not None

    async def _stored_meta(self, name: str) -> api.Stored | None:
        return await api.get(self._link, BLOBS, {"last_by_subj": _meta_subject(name)})

    async def _meta(self, name: str) -> Meta | None:
        stored = await self._stored_meta(name)
        if stored is None:
            return None
        meta = metas.decode(stored.body)
        return None if meta.deleted else meta

    async def _write(self, name: str, body: bytes, *, owner: str) -> None:
        nuid = f"{owner}.{name}.{uuid4().hex}"
        chunk_bytes = min(CHUNK_BYTES, self._link.max_payload_bytes - HEADROOM_BYTES)
        chunks = [body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes)]
        for first in range(0, len(chunks), CHUNKS_IN_FLIGHT_MAX):
            group = chunks[first : first + CHUNKS_IN_FLIGHT_MAX]
            positions = await asyncio.gather(*(self._store(chunks_subject(nuid), chunk, {}) for chunk in group))
            if positions != sorted(positions):
                raise Lost("chunks were stored out of order")
        meta = Meta(
            name=name,
            bucket=BLOBS_BUCKET,
            nuid=nuid,
            size=len(body),
            chunks=len(chunks),
            digest="SHA-256=" + base64.urlsafe_b64encode(bytes.fromhex(name)).decode(),
            options=_Options(max_chunk_size=chunk_bytes),
        )
        await self._store(_meta_subject(name), msgspec.json.encode(meta), {"Nats-Rollup": "sub"})

    async def _store(self, subject: str, body: bytes, headers: dict[str, str]) -> int:
        ack = await api.publish(self._link, subject, body, headers)
        return ack.seq


def _is_sealed(chunk: bytes) -> bool:
    """Return whether *chunk* begins a sealed event or projection: no JSON text can hold these bytes, quotes and all."""
    return is_sealed_document(chunk) or b'"data":{"sealed":' in chunk


def owner_of(nuid: str) -> SessionKey | None:
    """Return the session that a meta's *nuid* names; None if it names none, as those of an earlier release."""
    tokens = nuid.split(".")
    return SessionKey(tenant=tokens[0], session=tokens[1]) if len(tokens) == _OWNED_TOKENS else None


def chunks_subject(nuid: str) -> str:
    """Return the subject of the chunks that a meta names by *nuid*."""
    return f"$O.{BLOBS_BUCKET}.C.{nuid}"


def _meta_subject(name: str) -> str:
    return f"$O.{BLOBS_BUCKET}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"
