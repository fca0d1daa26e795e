"""The application: its options, its commands, and the one place where errors become exit codes.

Exit codes: 0 success, 1 a check failed, 2 wrong usage, 3 unavailable; 130 after Ctrl-C, 141 when whoever read the
output has gone. Rooms that need a server, a
plot or a progress bar are loaded by the command that needs them, so that ``retold --help`` is quick.
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from retold.cli import (
    backup,
    bench,
    branching,
    compacting,
    compressing,
    configuring,
    counting,
    dead,
    differing,
    doctor,
    explaining,
    exporting,
    fleet,
    importing,
    keeping,
    reading,
    repairing,
    replaying,
    serving,
    sweeping,
    top,
    unsealing,
)
from retold.cli.options import CHECK_FAILED, UNAVAILABLE, WRONG_USAGE, Options
from retold.errors import ConflictError, CorruptLogError, InputError, RetoldError, SealError, UnavailableError
from retold.events import session_key
from retold.settings import give

READER_GONE = 128 + signal.SIGPIPE

app = typer.Typer(
    name="retold",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="The model reads the conversation retold shorter; the log keeps every word.",
)


def _show_version(asked: bool) -> None:  # noqa: FBT001 - typer's way of an option that acts
    if asked:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"retold {version('retold')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    url: Annotated[str | None, typer.Option(help="A NATS server; without it, the embedded one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where the embedded server keeps its store.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="A file of settings (TOML); environment and flags come before it.")
    ] = None,
    tenant: Annotated[
        str | None,
        typer.Option(help="Whose sessions; without it, lists show all, names are default's.", envvar="RETOLD_TENANT"),
    ] = None,
    version: Annotated[  # noqa: ARG001 - acts by its callback
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take what all commands share."""
    if tenant is not None:
        session_key("any", tenant=tenant)
    give(file=config, url=url, data_dir=data_dir)
    context.obj = Options(url=url, data_dir=data_dir, asked_tenant=tenant)


def _ended(command: Callable[..., None]) -> Callable[..., None]:
    """Return *command* with its output written to the end, or the reason why it could not be."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            try:
                command(*args, **options)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            _drop_output()
            raise typer.Exit(READER_GONE) from None
        except OSError as error:
            _drop_output()
            raise UnavailableError(f"the system refused: {error}") from None

    return run


def _drop_output() -> None:
    """Let what is still held for stdout go nowhere: the interpreter writes it at its end, and would complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


_COMMANDS: dict[str, Callable[..., None]] = {
    "demo": serving.demo,
    "up": serving.up,
    "worker": serving.worker,
    "workers": fleet.workers,
    "import": importing.import_files,
    "sessions": reading.sessions,
    "show": reading.show,
    "explain": explaining.explain,
    "history": reading.history,
    "replay": replaying.replay,
    "rebuild": replaying.rebuild,
    "append": branching.append,
    "compact": compacting.compact,
    "manage": compacting.manage,
    "window": compacting.window,
    "diff": differing.diff,
    "fork": branching.fork,
    "rewind": branching.rewind,
    "undo": branching.undo,
    "restore": branching.restore,
    "tag": branching.tag,
    "compress": compressing.compress,
    "decompress": compressing.decompress,
    "export": exporting.export,
    "verify": reading.verify,
    "repair": repairing.repair,
    "sweep": sweeping.sweep,
    "count": counting.count,
    "doctor": doctor.doctor,
    "top": top.top,
    "erase": keeping.erase,
    "unseal": unsealing.unseal,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_ended(_command))

_bench = typer.Typer(no_args_is_help=True, help="Measure this machine, beside the peers that are installed.")
_bench.command("tokens")(_ended(bench.count))
_bench.command("append")(_ended(bench.append))
_bench.command("savings")(_ended(bench.savings))
_bench.command("replay")(_ended(bench.replay))
_bench.command("pipeline")(_ended(bench.pipeline))
_bench.command("worker")(_ended(bench.worker))
_bench.command("fidelity")(_ended(bench.fidelity))
app.add_typer(_bench, name="bench")

_config = typer.Typer(no_args_is_help=True, help="What is configured, and what is wrong with it.")
_config.command("check")(_ended(configuring.check))
_config.command("show")(_ended(configuring.show))
app.add_typer(_config, name="config")

_dead = typer.Typer(no_args_is_help=True, help="Messages that are no events, and sessions that were set aside.")
_dead.command("list")(_ended(dead.list_all))
_dead.command("show")(_ended(dead.show))
_dead.command("retry")(_ended(dead.retry))
app.add_typer(_dead, name="dead")

_keys = typer.Typer(no_args_is_help=True, help="The keys of a sealed log.")
_keys.command("new")(_ended(keeping.new))
_keys.command("rotate")(_ended(keeping.rotate))
_keys.command("status")(_ended(keeping.status))
app.add_typer(_keys, name="keys")

_backup = typer.Typer(no_args_is_help=True, help="Copy sessions into files, prove the files, put sessions back.")
_backup.command("write")(_ended(backup.write))
_backup.command("verify")(_ended(backup.verify))
_backup.command("restore")(_ended(backup.restore))
app.add_typer(_backup, name="backup")


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        app()
    except RetoldError as error:
        sys.stderr.write(f"retold: {error}\n")
        sys.exit(_code_of(error))


def _code_of(error: RetoldError) -> int:
    match error:
        case InputError() | SealError():
            return WRONG_USAGE
        case ConflictError() | CorruptLogError():
            return CHECK_FAILED
        case UnavailableError():
            return UNAVAILABLE
        case _:
            return CHECK_FAILED
