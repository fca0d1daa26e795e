"""A published history that is damaged is damage of its session."""

import asyncio

from retold.errors import CorruptLogError
from retold.events import SessionKey
from retold.log import MemoryLog
from retold.ports import Published
from retold.replay import verify

KEY = SessionKey(tenant="default", session="s")


class _DamagedHistories(MemoryLog):
    """Hold no published history that can be read."""

    async def load_history(self, key: SessionKey) -> Published | None:
        """Say that it is damaged."""
        raise CorruptLogError("its published history does not match its hash", session=key.session, seq=3)


def test_a_damaged_published_history_gives_a_verdict() -> None:
    """Verifying a session whose published history is damaged gives me a verdict that names it, and no exception."""
    verdict = asyncio.run(verify(_DamagedHistories(), KEY))
    assert (verdict.ok, verdict.damaged_seq) == (False, 3)
    assert "published history" in verdict.reason
