"""Wait for a session to come to where an agent can go on, and no longer than it says."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

from retold.errors import InputError, UnavailableError
from retold.events import SessionKey
from retold.fold import Context, History
from retold.policy import fit_locally, is_sendable
from retold.ports import Log

WAIT_S = 2.0
"""How long an agent waits for the worker, unless it says otherwise."""


async def sendable(
    log: Log, key: SessionKey, load: Callable[[], Awaitable[Context]], *, at_least: int, timeout_s: float
) -> History:
    """Return the history with everything up to sequence *at_least*, as it can be sent; see `Session.history`.

    *load* gives the present state.
    """
    if isinstance(at_least, bool) or not isinstance(at_least, int) or at_least < 0:
        raise InputError(f"expected a sequence from 0 on, got {at_least!r}")
    if not timeout_s >= 0:
        raise InputError(f"expected a time-out of 0 s or more, got {timeout_s!r}")
    context = await load()
    if context.seq < at_least or not is_sendable(context):
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), aclosing(log.follow(key, after=context.seq)) as events:
                async for _ in events:
                    context = await load()
                    if context.seq >= at_least and is_sendable(context):
                        break
    if context.seq < at_least:
        raise UnavailableError(
            f"expected session {key.session!r} to reach sequence {at_least} within {timeout_s:g} s, "
            f"it ends at {context.seq}"
        )
    return fit_locally(context)
