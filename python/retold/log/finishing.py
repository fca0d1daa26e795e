"""Ending what does not end by itself: nats-py swallows cancellations."""

import asyncio
from collections.abc import Coroutine
from typing import Any

CANCELS_MAX = 20
CANCEL_PAUSE_S = 0.1


async def finish(work: Coroutine[Any, Any, None], *, limit_s: float) -> None:
    """Run *work* for at most *limit_s*, and do not leave it running, whatever it does with a cancellation.

    nats-py swallows a cancellation in several places (`connect`, `drain` and `close`), and then goes on, for ever if
    no server is there. So it is cancelled until it has ended; once, as `asyncio.timeout` does, hung one start in fifty.

    Raises:
        TimeoutError: if it did not end by itself in time.
    """
    task = asyncio.create_task(work)
    try:
        ended, _ = await asyncio.wait({task}, timeout=limit_s)
    finally:
        for _ in range(CANCELS_MAX):
            if task.done():
                break
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_PAUSE_S)
    if not ended:
        raise TimeoutError
    task.result()
