"""Somebody's own function in a thread that nobody waits for: it may hang for ever, and the process still ends."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


async def in_own_thread(work: Callable[[], T], *, name: str) -> T:
    """Return what *work* gives, run in a thread of its own called *name*; raise what it raises.

    What no task can raise (`StopIteration`, `SystemExit`) comes as a `RuntimeError` that names it. Cancelled, this
    returns at once, and the thread is left to itself. The loop's own threads (`asyncio.to_thread`) are waited for when
    the loop ends, and there are few of them: functions that hang would use them up.
    """
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()  # from here on it cannot be cancelled, so the thread may always set it

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            if isinstance(error, Exception) and not isinstance(error, StopIteration):
                done.set_exception(error)
            else:
                done.set_exception(RuntimeError(type(error).__name__))

    Thread(target=run, name=name, daemon=True).start()
    return await asyncio.wrap_future(done)
