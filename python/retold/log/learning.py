"""What is learnt of a session before a projection of it is written: whether it was erased.

Mostly the server refuses it: an erasure leaves a mark where the projection is to come. What a refusal comes too late
for is a body that goes to the object store first, and one that is sealed, for the key depends on it.
"""

from retold.events import SessionKey
from retold.log.keys import DataKeys
from retold.log.names import CLAIM_BYTES
from retold.log.reader import Reader
from retold.log.trails import Trails


class Learning:
    """Ask the log what it has to be asked before."""

    def __init__(self, reader: Reader, *, trails: Trails, keys: DataKeys) -> None:
        self._reader = reader
        self._trails = trails
        self._keys = keys

    async def before_sealing(self, key: SessionKey) -> None:
        """Ask where what is written is sealed."""
        if self._keys.is_on or self._trails.of(key).sealed:
            await self._reader.erased(key)

    async def before_storing(self, key: SessionKey, text: bytes) -> None:
        """Ask where *text*, packed, is too long for a message."""
        if len(text) > CLAIM_BYTES:
            await self._reader.erased(key)
