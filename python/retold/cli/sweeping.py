"""``retold sweep``: large bodies that nothing claims, removed from the store."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from retold.cli.options import CHECK_FAILED, Json, Options, console, print_json, run
from retold.errors import InputError
from retold.events import SessionKey

if TYPE_CHECKING:
    from retold.log.sweeping import Orphan

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST_DIGITS = 6


def sweep(
    context: typer.Context,
    older_than: Annotated[
        str,
        typer.Option(help="Leave alone what is younger: 90s, 15m, 1h, 2d. Below 15m only while nobody appends."),
    ] = "1h",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing, say what would be.")] = False,
    as_json: Json = False,
) -> None:
    """Remove large bodies that no event, snapshot or published history claims: left by processes that were killed.

    Safe beside writers. What a damaged session may claim is left alone; it is named, and the exit code is 1.
    """
    orphans, damaged = run(_sweep(context.obj, _grace(older_than), dry_run=dry_run))
    size_bytes = sum(orphan.size_bytes for orphan in orphans)
    if as_json:
        rows = [{"name": orphan.name or None, "size_bytes": orphan.size_bytes, "at": orphan.at} for orphan in orphans]
        hurt = [{"tenant": key.tenant, "session": key.session, "reason": why} for key, why in damaged.items()]
        print_json({"dry_run": dry_run, "bodies": rows, "size_bytes": size_bytes, "damaged": hurt})
    else:
        for orphan in orphans:
            name = orphan.name or "never stored whole"
            console().print(f"{name}  {orphan.size_bytes} bytes  {orphan.at.isoformat()}")
        verb = "would remove" if dry_run else "removed"
        console().print(f"{verb} {len(orphans)} large bodies that nothing claims, {size_bytes} bytes")
        for key, why in damaged.items():
            console().print(f"left alone, until it is repaired or erased: {key.tenant}/{key.session}: {why}")
    if damaged:
        raise typer.Exit(CHECK_FAILED)


async def _sweep(
    options: Options, older_than: timedelta, *, dry_run: bool
) -> "tuple[list[Orphan], dict[SessionKey, str]]":
    from retold.wiring import sweeper  # noqa: PLC0415 - loads the client

    async with sweeper(options.url, data_dir=options.data_dir) as found:
        act = found.orphans if dry_run else found.sweep
        return await act(older_than=older_than), found.damaged


def _grace(text: str) -> timedelta:
    found = re.fullmatch(rf"(\d{{1,{_LONGEST_DIGITS}}})([smhd])", text, re.ASCII)
    if found is None:
        raise InputError(f"expected --older-than like 90s, 15m, 1h or 2d, got {text!r}")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
