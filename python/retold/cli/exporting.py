"""``retold export``: a session's history or events as JSON lines, for other programs."""

import sys
from contextlib import aclosing
from typing import Annotated, Any, Literal

import msgspec
import typer

from retold.cli.options import Json, Options, place_of, print_json, run
from retold.errors import InputError
from retold.events import SessionKey, session_key
from retold.ports import Log
from retold.replay import At, history_at, seq_at

Format = Literal["items", "chat", "responses", "anthropic", "events"]


def export(
    context: typer.Context,
    session: str,
    at: Annotated[str | None, typer.Option(help="A sequence, a time (UTC), or a tag; without it, now.")] = None,
    form: Annotated[
        Format, typer.Option("--format", help="Items, messages of a form, or the session's own events.")
    ] = "items",
    as_json: Json = False,
) -> None:
    """Write the history, or every event, one JSON object a line."""
    key = session_key(session, tenant=context.obj.tenant)
    rows = run(_export(context.obj, key, place_of(at), form))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        sys.stdout.buffer.write(msgspec.json.encode(row) + b"\n")


async def _export(options: Options, key: SessionKey, at: At | None, form: Format) -> list[Any]:
    async with options.client() as client:
        if form != "events":
            history = await history_at(client.log, key, at)
            return list(history.items) if form == "items" else history.as_form(form)
        return await _events(client.log, key, at)


async def _events(log: Log, key: SessionKey, at: At | None) -> list[Any]:
    """Return the session's own events as they are kept, byte for byte: `retold backup restore` reads them."""
    until = None if at is None else await seq_at(log, key, at)
    async with aclosing(log.read_kept(key, until=until)) as events:
        found = [msgspec.Raw(one.body) async for one in events]
    if not found or (until is not None and len(found) < until):
        reached = f"1 to {len(found)}" if found else "a session that exists"
        raise InputError(f"expected {reached}, got {key.session!r} at {until or 'its end'}")
    return found
