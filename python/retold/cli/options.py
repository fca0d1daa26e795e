"""What all commands share: whose log it is, and how results are written."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from retold.cli import INTERRUPTED
from retold.errors import InputError
from retold.events import SessionKey, Window

if TYPE_CHECKING:
    from retold.client import Client
    from retold.settings import Settings

_Result = TypeVar("_Result")

CHECK_FAILED, WRONG_USAGE, UNAVAILABLE = 1, 2, 3
"""Exit codes."""

DEFAULT_TENANT = "default"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


WIDTH_ELSEWHERE = 400
"""How wide a line may get where no terminal says."""


class Options(Struct, frozen=True):
    """Hold the options before the command.

    Attributes:
        asked_tenant: the tenant that was asked for, or None: then lists show all, and names are of the default one.
    """

    url: str | None
    data_dir: Path | None
    asked_tenant: str | None

    @property
    def tenant(self) -> str:
        """Return whose sessions the command's names are."""
        return DEFAULT_TENANT if self.asked_tenant is None else self.asked_tenant

    def shows(self, key: SessionKey) -> bool:
        """Return whether a list that is asked for shows the session *key*."""
        return self.asked_tenant in (None, key.tenant)

    @property
    def server_url(self) -> str | None:
        """Return the server that is asked for by option or environment; None is the embedded one."""
        return self.url or _settings().url

    @property
    def directory(self) -> Path:
        """Return the embedded server's directory."""
        return self.data_dir or _settings().data_dir

    @asynccontextmanager
    async def client(self, *, actor: str = "cli") -> "AsyncIterator[Client]":
        """Give a client on the log that the options name; starts the embedded server where none runs."""
        from retold.wiring import connect  # noqa: PLC0415 - the NATS client takes a quarter of a second to load

        async with connect(self.url, data_dir=self.data_dir, actor=actor) as client:
            yield client


def _settings() -> "Settings":
    from retold.settings import read_settings  # noqa: PLC0415 - pydantic takes a tenth of a second to load

    return read_settings()


def place_of(text: str | None) -> int | datetime | str | None:
    """Return the place that *text* names: a sequence, an ISO time, or else a tag; None is now."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def window_of(*, hard_limit: int, pre_rot: int) -> Window:
    """Return the window that the options name.

    Raises:
        InputError: if a size is out of range.
    """
    if hard_limit < 1:
        raise InputError(f"expected --hard-limit to be 1 token or more, got {hard_limit}")
    if pre_rot < 0:
        raise InputError(f"expected --pre-rot to be 0 (chosen) or more tokens, got {pre_rot}")
    return Window(hard_limit=hard_limit, pre_rot=pre_rot)


def run(
    work: Coroutine[Any, Any, _Result], *, new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> _Result:
    """Run the asynchronous part of a command, in the loop of *new_loop*; of a group of errors the first is raised."""
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(_in_order(work))
    except BaseExceptionGroup as group:
        raise _first(group) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def ends_by() -> list[signal.Signals]:
    """Return the signals that ask the process to end: SIGTERM, and SIGHUP of a closed terminal but under ``nohup``."""
    asked = (signal.SIGTERM, signal.SIGHUP)
    return [number for number in asked if signal.getsignal(number) is not signal.SIG_IGN]


async def _in_order(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run *work*; a signal to end cancels it, so that it leaves the embedded server as it should."""
    task, received = asyncio.current_task(), list[signal.Signals]()
    assert task is not None, "runs in a task"

    def end(number: signal.Signals) -> None:
        received.append(number)
        task.cancel()

    for number in ends_by():
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        return await work
    except asyncio.CancelledError:
        if not received:
            raise
        raise typer.Exit(128 + received[0]) from None


def print_json(document: Any) -> None:
    """Print *document* as one line of JSON; the same document gives the same bytes."""
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would end the process with the exit code of a check that failed


def console() -> Console:
    """Return where people read: coloured on a terminal; elsewhere plain, and wide enough that nothing is cut."""
    width = None if sys.stdout.isatty() else WIDTH_ELSEWHERE
    return _Console(highlight=False, markup=False, soft_wrap=True, width=width)


def print_table(table: Table) -> None:
    """Print *table* as wide as it is: a narrow terminal breaks its lines, but no figure is cut."""
    out = console()
    out.width = max(out.width, WIDTH_ELSEWHERE)
    out.print(table, crop=False)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
