"""Data keys of sessions, wrapped, in a bucket: the only place where they are, so that destroying them is final.

Rules:
- The bucket stands where encryption was turned on. Everything new is sealed then: who has no master key may read what
  is readable, and may not append.
- An entry a key, ``<tenant>.<session>.<epoch>.<number>``. The epoch is the sequence of the session's newest tombstone
  (0 before the first): what comes after an erasure is not sealed with a key that it destroys, whoever is first.
- A data key is made once, by a write that asks that there be none; of two writers one takes the other's.
"""

import secrets
from collections import OrderedDict

import msgspec
from msgspec import Struct

from retold.errors import InputError, SealError, UnavailableError
from retold.events import SessionKey, is_sealed_document, read_sealed, sealed_document
from retold.log import api, pages, streams
from retold.log.api import Stored
from retold.log.link import Link
from retold.log.names import EXPECTED_SUBJECT_SEQ, KEYS, data_key_subject, key_subjects
from retold.security import KEY_BYTES, NONCE_BYTES, DataKey, MasterKey, MasterKeys, Ring, unwrap, wrap

RINGS_MAX = 10_000
"""Sessions whose keys are held in memory; about 2 KiB each."""
TRIES_MAX = 20
"""How often a key is made anew because somebody else made one; one more than none is a rare thing."""


class KeyRecord(Struct, frozen=True):
    """Stand for a data key in the bucket.

    Attributes:
        id: ``<epoch>.<number>``.
        master: the id of the master key that it is wrapped by.
        wrapped: the wrapped key.
    """

    id: str
    master: str
    wrapped: bytes

    @property
    def order(self) -> tuple[int, int]:
        """Return epoch and number."""
        epoch, number = self.id.split(".")
        return int(epoch), int(number)


class Entry(Struct, frozen=True):
    """Pair a record with where it lies in the bucket, and the session whose it is."""

    record: KeyRecord
    key: SessionKey
    position: int


class DataKeys:
    """Keep the data keys of all sessions.

    Attributes:
        is_on: whether the log is sealed: the bucket stands.
    """

    def __init__(self, link: Link, masters: MasterKeys | None, *, is_on: bool) -> None:
        self._link = link
        self._masters = masters
        self._rings: OrderedDict[SessionKey, Ring] = OrderedDict()
        self.is_on = is_on

    def holds(self, master: str) -> bool:
        """Return whether the master key of that id was given."""
        return self._masters is not None and self._masters.find(master) is not None

    def held(self, key: SessionKey) -> Ring | None:
        """Return the session's keys as far as they were asked for."""
        return self._rings.get(key)

    def forget(self, key: SessionKey) -> None:
        """Drop the session's keys from memory."""
        self._rings.pop(key, None)

    async def load(self, key: SessionKey) -> Ring:
        """Return the session's keys as the bucket has them now. One round trip."""
        found = await self.entries(key_subjects(key))
        return self._hold(key, [entry.record for entry in found])

    async def writing(self, key: SessionKey, *, epoch: int, is_sealed: bool) -> Ring | None:
        """Return what new text of the session is sealed with; None if the log is not sealed.

        *is_sealed* says whether the session is known to hold sealed events.

        Raises:
            SealError: if the log is sealed and no master key was given, or not the one that is needed.
        """
        if not self.is_on and not is_sealed:
            return None
        if self._masters is None:
            raise SealError(
                f"session {key.session!r} is in a sealed log, and no master key was given: name the key file "
                "(RETOLD_KEY_FILE, or keys=)",
                key="",
            )
        ring = self._rings.get(key)
        if ring is not None and ring.current is not None and _epoch(ring.current) == epoch:
            return ring
        records = [entry.record for entry in await self.entries(key_subjects(key))]
        if not any(record.order[0] == epoch for record in records):
            records = await self._first(key, epoch=epoch)
        return self._hold(key, [record for record in records if record.order[0] <= epoch])

    async def _first(self, key: SessionKey, *, epoch: int) -> list[KeyRecord]:
        """Make the first key of *epoch*, unless another writer just has; return all records of the session."""
        fresh = DataKey(id=f"{epoch}.1", secret=secrets.token_bytes(KEY_BYTES))
        await self._put(key, _record(fresh, key, self._current()), after=0)
        return [entry.record for entry in await self.entries(key_subjects(key))]

    async def add(self, key: SessionKey, *, epoch: int) -> list[KeyRecord]:
        """Make a data key for what is written from now on; return all records of the session.

        Raises:
            InputError: if no master key was given.
        """
        master = self._current()
        for _ in range(TRIES_MAX):
            records = [entry.record for entry in await self.entries(key_subjects(key))]
            number = 1 + max((record.order[1] for record in records if record.order[0] == epoch), default=0)
            fresh = DataKey(id=f"{epoch}.{number}", secret=secrets.token_bytes(KEY_BYTES))
            record = _record(fresh, key, master)
            if await self._put(key, record, after=0):
                return [*records, record]
        raise UnavailableError(f"data keys of session {key.session!r} are being made by others; repeat the call")

    async def rewrap(self, entry: Entry) -> bool:
        """Wrap the key of *entry* by the current master key, and destroy its old wrapping; return whether it was due.

        Raises:
            SealError: if its present master key was not given.
        """
        master = self._current()
        if entry.record.master == master.id:
            return False
        key = self._unwrapped(entry.record, entry.key)
        if key is None:
            raise SealError(
                f"data key {entry.record.id!r} of session {entry.key.session!r} is under master key "
                f"{entry.record.master!r}, which was not given",
                key=entry.record.master,
            )
        if not await self._put(entry.key, _record(key, entry.key, master), after=entry.position):
            return False  # another has just done it
        await api.erase(self._link, KEYS, entry.position)
        self.forget(entry.key)
        return True

    async def entries(self, subjects: str) -> list[Entry]:
        """Return the newest entry of each key that matches *subjects*, oldest first; none if the log is not sealed."""
        if not await self.stand():
            return []
        newest = {stored.subject: _entry(stored) for stored in await pages.every(self._link, KEYS, subjects)}
        return sorted(newest.values(), key=lambda entry: (entry.key, entry.record.order))

    async def stand(self) -> bool:
        """Return whether the log is sealed now: somebody may have turned it on since."""
        self.is_on = self.is_on or await streams.stands(self._link, KEYS)
        return self.is_on

    async def destroy(self, key: SessionKey, *, before_epoch: int) -> int:
        """Overwrite the session's keys of the epochs before *before_epoch*; return how many there were."""
        self.forget(key)
        if not self.is_on:
            return 0
        found = [_entry(stored) for stored in await pages.every(self._link, KEYS, key_subjects(key))]
        gone = [entry for entry in found if entry.record.order[0] < before_epoch]
        for entry in gone:
            await api.erase(self._link, KEYS, entry.position)
        return len({entry.record.id for entry in gone})

    async def seal_body(self, key: SessionKey, text: bytes, *, epoch: int, bound: bytes) -> bytes:
        """Return what a projection stores for *text*: itself in a log that is not sealed."""
        ring = await self.writing(key, epoch=epoch, is_sealed=False)
        return text if ring is None else sealed_document(ring.seal(text, bound=bound))

    async def open_body(self, key: SessionKey, body: bytes, *, bound: bytes) -> bytes | None:
        """Return the text of what `seal_body` gave; None if it is not what was sealed there.

        Raises:
            SealError: if its key is not there.
        """
        if not is_sealed_document(body):
            return body
        sealed = read_sealed(body)
        if sealed is None:
            return None
        ring = self.held(key)
        if ring is None or sealed.key not in ring:
            ring = await self.load(key)
        return ring.open(sealed, bound=bound)

    def _hold(self, key: SessionKey, records: list[KeyRecord]) -> Ring:
        pairs = [(record, self._unwrapped(record, key)) for record in records]
        newest = max(records, key=lambda record: record.order, default=None)
        ring = Ring(
            [found for _, found in pairs if found is not None],
            session=key.session,
            current=None if newest is None else newest.id,
            missing={record.id: record.master for record, found in pairs if found is None},
        )
        self._rings[key] = ring
        self._rings.move_to_end(key)
        if len(self._rings) > RINGS_MAX:
            self._rings.popitem(last=False)
        return ring

    def _unwrapped(self, record: KeyRecord, key: SessionKey) -> DataKey | None:
        master = None if self._masters is None else self._masters.find(record.master)
        if master is None:
            return None
        return unwrap(record.wrapped, key_id=record.id, master=master, bound=_bound(key))

    def _current(self) -> MasterKey:
        if self._masters is None:
            raise InputError(
                "expected a master key to wrap data keys with: name the key file (RETOLD_KEY_FILE, or keys=)"
            )
        return self._masters.current

    async def _put(self, key: SessionKey, record: KeyRecord, *, after: int) -> bool:
        """Write *record* after *position* of its entry; False if somebody else has written there."""
        subject, body = data_key_subject(key, record.id), msgspec.json.encode(record)
        headers = {EXPECTED_SUBJECT_SEQ: str(after)}
        ack = await self._link.retry(lambda: api.publish(self._link, subject, body, headers))
        if ack.error is None:
            return True
        # Refused: by another's write, or by our own first try, whose answer was lost.
        last = await api.get(self._link, KEYS, {"last_by_subj": subject})
        return last is not None and last.body == body


def _record(key: DataKey, session: SessionKey, master: MasterKey) -> KeyRecord:
    wrapped = wrap(key, master=master, bound=_bound(session), nonce=secrets.token_bytes(NONCE_BYTES))
    return KeyRecord(id=key.id, master=master.id, wrapped=wrapped)


def _entry(stored: Stored) -> Entry:
    _, tenant, session, _, _ = stored.subject.rsplit(".", 4)
    return Entry(
        record=msgspec.json.decode(stored.body, type=KeyRecord),
        key=SessionKey(tenant=tenant, session=session),
        position=stored.position,
    )


def _bound(key: SessionKey) -> bytes:
    return f"{key.tenant}/{key.session}".encode()


def _epoch(key_id: str) -> int:
    return int(key_id.partition(".")[0])
