"""How a worker ends: told by a signal, it takes no more, finishes what it began, and leaves within `STOP_S` seconds.

Rules:
- What is not finished within `GRACE_S` is given up: the next worker does it again, to the same end.
- A second signal ends the process at once. Where the process runs the embedded server, it ends the grace alone, so that
  the server is stopped in order; the third ends the process.
- Whatever hangs, a loop that does not turn or a broker that does not answer, the process is gone after `STOP_S`.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from retold.cli.options import CHECK_FAILED, ends_by

if TYPE_CHECKING:
    from retold.monitoring.monitor import Monitor
    from retold.worker import Worker
    from retold.worker.ownership import Ownership

STOP_S = 9.5
"""From the first signal to the end of the process: 10 s are promised, and are what `docker stop` waits."""
GRACE_S = 5.0
"""How long what was begun may take: folding is quick; a summarizer that is slow is asked again by the next worker."""
ABANDON_S = 3.0
"""How long giving up may take: leases are given back in that time."""

_log = logging.getLogger(__name__)


class Stop:
    """Learn from signals that the process is to end; make it before the work begins."""

    def __init__(self, *, exits_at: int = 2) -> None:
        """End the process at the *exits_at*th signal."""
        self._asked = asyncio.Event()
        self._hurried = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._left = exits_at
        for number in (*ends_by(), signal.SIGINT):
            # Not by the loop: a signal must end a process whose loop hangs, too.
            self._loop.remove_signal_handler(number)
            signal.signal(number, self._take)

    async def asked(self) -> None:
        """Wait until the process is told to end."""
        await self._asked.wait()

    async def hurried(self) -> None:
        """Wait until it is told so once more."""
        await self._hurried.wait()

    def _take(self, number: int, _: object) -> None:
        self._left -= 1
        if self._left == 0:
            os._exit(128 + number)
        if not self._asked.is_set():
            _after(STOP_S, self._give_up)
            self._loop.call_soon_threadsafe(self._asked.set)
        else:
            self._loop.call_soon_threadsafe(self._hurried.set)

    def _give_up(self) -> None:
        _log.error("did not end within %g s: something hangs", STOP_S)
        os._exit(CHECK_FAILED)


async def run_until_stopped(worker: "Worker", ownership: "Ownership", stop: Stop, *, monitor: "Monitor | None") -> None:
    """Run *worker* on what *ownership* gives until it ends or *stop* is asked; then let it finish what it began.

    From then on *monitor* says that it is not ready.
    """
    work = asyncio.ensure_future(worker.run(ownership))
    asked = asyncio.ensure_future(stop.asked())
    hurried = asyncio.ensure_future(stop.hurried())
    await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        _log.info("stopping: finishing what was begun, for at most %g s", GRACE_S)
        if monitor is not None:
            monitor.health.is_stopping = True
        worker.stop()
        await asyncio.wait({work, hurried}, timeout=GRACE_S, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    hurried.cancel()
    if not work.done():
        _log.warning("stopping: gave up what was not finished; the next worker does it again")
        work.cancel()
        await asyncio.wait({work}, timeout=ABANDON_S)
    elif not work.cancelled():
        work.result()


def _after(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
