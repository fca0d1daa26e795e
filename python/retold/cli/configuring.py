"""``retold config``: what is configured, where each value comes from, and what is wrong with it."""

from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec import Struct
from rich.table import Table

from retold.cli.options import WRONG_USAGE, Json, console, print_json, print_table
from retold.errors import RetoldError


class Unread(Struct, frozen=True):
    """Name a variable that looks like a setting and is none, and the nearest that is; empty if none is near."""

    variable: str
    nearest: str


class Checked(Struct, frozen=True):
    """Say what a check of the settings found: what is wrong, and variables that nothing reads."""

    file: str | None
    wrong: tuple[str, ...]
    unread: tuple[Unread, ...]


def check(
    file: Annotated[Path | None, typer.Argument(help="A file of settings; without it, the one in use.")] = None,
    as_json: Json = False,
) -> None:
    """Check the settings without connecting anywhere; exits with 2 and says what is wrong, and where."""
    from retold.settings import config_file, give, unread_variables  # noqa: PLC0415 - loads pydantic

    give(file=file)
    wrong = tuple(_wrong())
    unread = tuple(Unread(name, nearest) for name, nearest in unread_variables().items())
    used = config_file()
    found = Checked(file=None if used is None else str(used), wrong=wrong, unread=unread)
    if as_json:
        print_json(found)
    else:
        _print(found)
    if wrong:
        raise typer.Exit(WRONG_USAGE)


def show(as_json: Json = False) -> None:
    """Show every setting as it is used and where it comes from; secrets and passwords are left out."""
    from retold.settings import tell_settings  # noqa: PLC0415 - loads pydantic

    told = tell_settings()
    if as_json:
        print_json(told)
        return
    table = Table("setting", "value", "from", box=None, pad_edge=False)
    for one in told:
        table.add_row(one.name, "" if one.value is None else str(one.value), one.place)
    print_table(table)


def _wrong() -> list[str]:
    """Return what is wrong: with the settings themselves, or, if they can be read, with what they name."""
    from retold.settings import read_settings  # noqa: PLC0415 - loads pydantic

    try:
        settings = read_settings()
    except RetoldError as error:
        return [str(error)]
    found = []
    for look in (_server, _keys, _models):
        try:
            look(settings)
        except RetoldError as error:
            found.append(str(error))
    return found


def _server(settings: Any) -> None:
    from retold.wiring import server_at  # noqa: PLC0415 - loads the NATS client

    server = server_at(settings.url or "nats://127.0.0.1")
    server.options()
    _ = server.address


def _keys(settings: Any) -> None:
    from retold.key_files import read_key_file  # noqa: PLC0415 - loads the ciphers

    if settings.key_file is not None:
        read_key_file(settings.key_file)


def _models(_: Any) -> None:
    from retold.wiring import models_of  # noqa: PLC0415 - loads the client

    models_of()


def _print(found: Checked) -> None:
    out = console()
    for one in found.unread:
        near = f"; nearest: {one.nearest}" if one.nearest else ""
        out.print(f"warning: nothing reads {one.variable}{near}")
    for told in found.wrong:
        out.print(f"wrong: {told}", style="red")
    if not found.wrong:
        out.print(f"ok: {found.file or 'no file of settings'}", style="green")
