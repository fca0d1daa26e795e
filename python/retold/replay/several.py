"""Many sessions: several at once, results in the order they were asked for."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import TypeVar

from retold.events import SessionKey

Result = TypeVar("Result")

AT_ONCE = 8
"""Sessions worked on at once: enough to hide the round trips, few enough to hold."""


async def in_order(
    keys: Iterable[SessionKey], work: Callable[[SessionKey], Awaitable[Result]]
) -> AsyncGenerator[Result, None]:
    """Yield what *work* returns for each of *keys*, in their order, `AT_ONCE` of them under way.

    The first error of *work* ends it; closing it cancels what is under way.
    """
    under_way: deque[asyncio.Task[Result]] = deque()

    async def one(key: SessionKey) -> Result:
        return await work(key)

    try:
        for key in keys:
            under_way.append(asyncio.create_task(one(key)))
            if len(under_way) >= AT_ONCE:
                yield await under_way.popleft()
        while under_way:
            yield await under_way.popleft()
    finally:
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)
