"""What is said of a place that was erased."""

from contextlib import aclosing

from retold.errors import InputError
from retold.events import SessionKey
from retold.ports import Log


async def refuse_erased(log: Log, key: SessionKey, at: object) -> None:
    """Say so if the session exists and begins after *at*: it was erased, and what it was before is gone.

    Raises:
        InputError: naming the sequence that it was erased at.
    """
    async with aclosing(log.read(key)) as events:
        async for recorded in events:
            seq = recorded.event.seq
            raise InputError(
                f"expected a sequence of {seq} or more, got {at}: session {key.session!r} was erased at {seq}, and "
                "what it was before is gone"
            )
