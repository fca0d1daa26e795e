"""``retold erase`` and ``retold keys``: what is forgotten for good, and the keys that it was sealed with."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retold.cli.options import Json, Options, console, print_json, run
from retold.errors import InputError
from retold.events import session_key
from retold.ports import Erased

if TYPE_CHECKING:
    from retold.client import Client
    from retold.log import JetStreamLog


def erase(  # noqa: PLR0913, PLR0917 - each is an argument or an option of the command
    context: typer.Context,
    session: Annotated[str, typer.Argument(help="The session to erase.")],
    by: Annotated[str, typer.Option(help="Who asks for it; stays on record.")],
    reason: Annotated[str, typer.Option(help="Why; stays on record, so name nothing of what was said.")] = "",
    forks: Annotated[bool, typer.Option("--forks", help="Erase the sessions that were forked from it, too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase all that a session holds, for good: events, snapshots, published history, large bodies, keys."""
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("expected --yes: nobody is there to be asked, and an erasure cannot be undone")
        typer.confirm(f"Erase session {session!r} for good?", abort=True)
    found = run(_erase(context.obj, session, by=by, reason=reason, forks=forks))
    if as_json:
        print_json({"tenant": context.obj.tenant, "session": session, "erased": found})
        return
    console().print(
        f"erased {session} up to its tombstone at {found.seq}: {found.events} events, {found.projections} snapshots "
        f"and histories, {found.blobs} large bodies, {found.keys} keys"
    )


def new(
    file: Annotated[Path, typer.Argument(help="The key file; begun where it is missing.")],
    name: Annotated[str, typer.Option("--id", help="The new key's id.")],
    as_json: Json = False,
) -> None:
    """Put a new master key first in a key file: what wraps from now on. The others still open."""
    from retold.key_files import add_master_key, read_key_file  # noqa: PLC0415 - loads the ciphers

    add_master_key(file, name)
    keys = [key.id for key in read_key_file(file).keys]
    if as_json:
        print_json({"file": str(file), "keys": keys})
    else:
        console().print(f"{file}: {name} wraps from now on; {len(keys)} keys in all. Keep a copy away from the store.")


def rotate(
    context: typer.Context,
    session: Annotated[str | None, typer.Argument(help="One session; without it, all.")] = None,
    data_keys: Annotated[
        bool, typer.Option("--data-keys", help="Also make a new data key a session, for what comes from now on.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Wrap data keys anew by the first master key of the key file; then no other is needed for them."""
    wrapped, made = run(_rotate(context.obj, session, data_keys=data_keys))
    if as_json:
        print_json({"wrapped": wrapped, "made": made})
    else:
        console().print(f"{wrapped} data keys wrapped anew, {made} made")


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show whether the log is sealed, and which master keys its data keys need; exits with 1 if one is not here."""
    rows = run(_status(context.obj))
    if as_json:
        print_json({"sealed": rows is not None, "masters": rows or []})
    elif rows is None:
        console().print("not sealed")
    else:
        console().print(f"sealed, {sum(row['data_keys'] for row in rows)} data keys")
        for row in rows:
            here = "here" if row["held"] else "NOT HERE: name the key file that holds it (RETOLD_KEY_FILE)"
            console().print(f"  master key {row['id']}: {row['data_keys']} data keys, {here}")
    if not all(row["held"] for row in rows or ()):
        raise typer.Exit(1)


async def _erase(options: Options, session: str, *, by: str, reason: str, forks: bool) -> Erased:
    async with options.client() as client:
        found = await client.existing(session, tenant=options.tenant)
        return await found.erase(by=by, reason=reason, forks=forks)


async def _rotate(options: Options, session: str | None, *, data_keys: bool) -> tuple[int, int]:
    from retold.log.names import KEYS_ALL, key_subjects  # noqa: PLC0415 - loads the client

    one = None if session is None else session_key(session, tenant=options.tenant)
    async with options.client() as client:
        log = _log(client)
        entries = await log.keys.entries(KEYS_ALL if one is None else key_subjects(one))
        entries = [entry for entry in entries if one is not None or options.shows(entry.key)]
        wrapped = sum([await log.keys.rewrap(entry) for entry in entries])
        renewed = sorted({entry.key for entry in entries}) if data_keys else []
        for key in renewed:
            await log.renew_key(key)
        return wrapped, len(renewed)


async def _status(options: Options) -> list[dict[str, Any]] | None:
    from retold.log.names import KEYS_ALL  # noqa: PLC0415 - loads the client

    async with options.client() as client:
        keys = _log(client).keys
        entries = await keys.entries(KEYS_ALL)
        if not keys.is_on:
            return None
        masters = [entry.record.master for entry in entries]
        return [
            {"id": master, "data_keys": masters.count(master), "held": keys.holds(master)}
            for master in sorted(set(masters))
        ]


def _log(client: "Client") -> "JetStreamLog":
    from retold.log import JetStreamLog  # noqa: PLC0415 - loads the client

    assert isinstance(client.log, JetStreamLog)
    return client.log
