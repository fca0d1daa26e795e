"""``retold backup write``, ``verify`` and ``restore``: sessions as files, and back."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from retold.cli.options import Json, Options, console, print_json, run
from retold.errors import InputError
from retold.events import SessionKey, session_key

Names = Annotated[list[str] | None, typer.Argument(metavar="[SESSION]...", help="Some sessions; without them, all.")]
Directory = Annotated[Path, typer.Argument(help="The directory of the backup.")]
Source = Annotated[Path, typer.Argument(help="The directory of a backup, or events from `retold export`.")]

_Result = TypeVar("_Result")


def write(context: typer.Context, directory: Directory, sessions: Names = None, as_json: Json = False) -> None:
    """Copy what is new since the last run into a backup; exits with 1 if a session could not be copied whole.

    May be killed at any time and run again. A sealed log stays sealed in it; keys are not in it.
    """
    rows, ok = run(_write(context.obj, directory, sessions or []))
    _print_all(rows, ok=ok, as_json=as_json)


def verify(context: typer.Context, source: Source, sessions: Names = None, as_json: Json = False) -> None:
    """Prove a backup by its hashes; exits with 1 and names the first damaged sequence."""
    rows, ok = run(_verify(context.obj, source, sessions or []))
    _print_all(rows, ok=ok, as_json=as_json)


def restore(context: typer.Context, source: Source, sessions: Names = None, as_json: Json = False) -> None:
    """Put sessions back as they were, byte for byte; exits with 1 if one could not be.

    Overwrites nothing, and may be run again.
    """
    rows, ok = run(_restore(context.obj, source, sessions or []))
    _print_all(rows, ok=ok, as_json=as_json)


async def _write(options: Options, directory: Path, names: Sequence[str]) -> tuple[list[dict[str, Any]], bool]:
    from retold.backup import Backup, write  # noqa: PLC0415 - loads the client

    async with options.client() as client:
        keys = [end.key for end in await client.sessions() if options.shows(end.key)]
        chosen = _chosen(options, names, keys)
        async with _all(write(client.log, Backup(directory), chosen)) as written:
            rows = [
                _row(one.key, ok=one.ok, events=one.events, added=one.added, reason=_placed(one)) for one in written
            ]
    return rows, all(row["ok"] for row in rows)


async def _verify(options: Options, path: Path, names: Sequence[str]) -> tuple[list[dict[str, Any]], bool]:
    from retold.backup import check_holds, open_source, prove  # noqa: PLC0415 - loads the client

    source = open_source(path)
    chosen = _chosen(options, names, [key for key in source.sessions() if options.shows(key)])
    check_holds(source, chosen)
    found = [await prove(source, key) for key in chosen]
    rows = [_row(one.key, ok=one.ok, events=one.events, reason=_placed(one)) for one in found]
    return rows, all(one.ok for one in found)


async def _restore(options: Options, path: Path, names: Sequence[str]) -> tuple[list[dict[str, Any]], bool]:
    from retold.backup import open_source, restore  # noqa: PLC0415 - loads the client

    source = open_source(path)
    chosen = _chosen(options, names, [key for key in source.sessions() if options.shows(key)])
    rows = []
    async with options.client() as client, _all(restore(client.log, source, chosen)) as restored:
        for one in restored:
            reason = one.reason if one.verdict is None else _placed(one.verdict)
            rows.append(_row(one.copy.key, ok=one.ok, events=one.copy.events, added=one.added, reason=reason))
    return rows, all(row["ok"] for row in rows)


@asynccontextmanager
async def _all(results: AsyncGenerator[_Result, None]) -> AsyncGenerator[list[_Result], None]:
    async with aclosing(results):
        yield [one async for one in results]


def _chosen(options: Options, names: Sequence[str], there: Sequence[SessionKey]) -> list[SessionKey]:
    """Return the sessions that are named, or all that are there.

    Raises:
        InputError: if one that is named is not there.
    """
    named = [session_key(name, tenant=options.tenant) for name in names]
    for key in named:
        if key not in there:
            raise InputError(f"expected an existing session, there is none named {key.session!r}")
    return named or list(there)


def _placed(found: Any) -> str:
    """Return what is wrong and where, empty if nothing is."""
    return f"first damaged sequence {found.damaged_seq}: {found.reason}" if found.damaged_seq is not None else ""


def _row(key: SessionKey, *, ok: bool, reason: str, **counts: int) -> dict[str, Any]:
    return {"tenant": key.tenant, "session": key.session, "ok": ok, **counts, "reason": reason}


def _print_all(rows: Sequence[dict[str, Any]], *, ok: bool, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    for row in () if as_json else rows:
        out = console()
        out.print("ok     " if row["ok"] else "FAILED ", style="green" if row["ok"] else "red", end=" ")
        added = f", {row['added']} of them new" if row.get("added") is not None else ""
        reason = f": {row['reason']}" if row["reason"] else ""
        out.print(f"{row['tenant']}/{row['session']}: {row['events']} events{added}{reason}")
    if not ok:
        raise typer.Exit(1)
