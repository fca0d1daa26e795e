"""What is learnt of a session before a projection of it is written: whether it was erased since.

Mostly the server refuses it: an erasure leaves a mark where the projection is to come. What a refusal comes too late
for is a body that goes to the object store first, and one that is sealed, for the key depends on it.
"""

from retold.events import SessionKey
from retold.log.blobs import Blobs
from retold.log.keys import DataKeys
from retold.log.reader import Reader
from retold.log.trails import Trails


class ErasedSince(Exception):  # noqa: N818 - no error: there is nothing to be kept any more
    """Say that what was to be written was made of events that were erased since."""


class Learning:
    """Ask the log what it has to be asked before."""

    def __init__(self, reader: Reader, *, blobs: Blobs, trails: Trails, keys: DataKeys) -> None:
        self._reader = reader
        self._blobs = blobs
        self._trails = trails
        self._keys = keys

    async def before_writing(self, key: SessionKey, text: bytes, *, seq: int) -> None:
        """Ask whether *text* may be written, which was made of the events up to *seq*.

        It is asked where *text* is to be sealed, or is too long for a message.

        Raises:
            ErasedSince: if they were erased since.
        """
        is_sealed = self._keys.is_on or self._trails.of(key).sealed
        is_asked = is_sealed or len(text) > self._blobs.carried_bytes_max
        if is_asked and seq < await self._reader.erased(key):
            raise ErasedSince
