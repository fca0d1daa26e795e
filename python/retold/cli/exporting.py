"""``retold export``: a session's history or events as JSON lines, for other programs."""

import sys
from typing import Annotated, Any, Literal

import msgspec
import typer

from retold.cli.options import Json, Options, place_of, print_json, run
from retold.events import SessionKey, session_key
from retold.replay import At, history_at, load, seq_at

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
        until = None if at is None else await seq_at(client.log, key, at)
        state = await load(client.log, key, at=until)
        # Byte for byte as stored, so that the chain of hashes can be checked by whoever reads them.
        return [msgspec.Raw(recorded.body) async for recorded in client.log.read(key, until=state.seq)]
