"""Send again what has no answer yet: the server that was to give it may be gone, and another have taken its place."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

AGAIN_S = 1.0
"""So long an answer is waited for before the request is sent again: servers take milliseconds, elections 5 s."""


@contextmanager
def repeating(work: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """Run *work* every `AGAIN_S` seconds until the block ends; it must not raise."""
    loop = asyncio.get_running_loop()
    running: list[asyncio.Task[None]] = []

    async def run() -> None:
        while True:
            await work()
            await asyncio.sleep(AGAIN_S)

    timer = loop.call_later(AGAIN_S, lambda: running.append(loop.create_task(run())))  # mostly, none is needed
    try:
        yield
    finally:
        timer.cancel()
        for task in running:
            task.cancel()
