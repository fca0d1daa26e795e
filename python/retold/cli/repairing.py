"""``retold repair``: a damaged session, mended from a copy whose hashes prove it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retold.cli.options import Json, Options, console, print_json, run
from retold.errors import InputError
from retold.events import SessionKey, session_key

if TYPE_CHECKING:
    from retold.backup import Repaired
    from retold.backup.repairing import Source


def repair(
    context: typer.Context,
    session: str,
    source: Annotated[
        str, typer.Option("--from", help="A backup, an export, or the URL of a NATS server that has a copy of the log.")
    ],
    as_json: Json = False,
) -> None:
    """Put the damaged events of a session back from a copy that proves them; exits with 1 if that cannot be done.

    Nothing is guessed: the copy's hashes must fit what is left, and nothing that was there may be missing afterwards.
    May be killed and run again.
    """
    key = session_key(session, tenant=context.obj.tenant)
    done = run(_repair(context.obj, key, source))
    verdict = done.verdict
    if as_json:
        print_json(
            {
                "tenant": key.tenant,
                "session": key.session,
                "ok": verdict.ok,
                "events": verdict.events,
                "damaged_seq": done.damaged_seq,
                "put_back": done.put_back,
                "reason": done.reason or verdict.reason,
            }
        )
    else:
        _print(key, done, source)
    if not verdict.ok:
        raise typer.Exit(1)


async def _repair(options: Options, key: SessionKey, given: str) -> "Repaired":
    from retold.backup import repair  # noqa: PLC0415 - loads the client

    async with _opened(given) as source, options.client() as client:
        done = await repair(client.log, source, key)
        if done.verdict.ok and not done.verdict.events:
            raise InputError(f"expected an existing session, there is none named {key.session!r}")
        if done.verdict.ok:
            await client.log.release(key)
    return done


@asynccontextmanager
async def _opened(given: str) -> "AsyncGenerator[Source, None]":
    from retold.backup import Replica, open_source  # noqa: PLC0415 - as above
    from retold.wiring import connect  # noqa: PLC0415 - as above

    if "://" not in given:
        yield open_source(Path(given))
        return
    async with connect(given, actor="cli") as client:
        yield Replica(client.log)


def _print(key: SessionKey, done: "Repaired", source: str) -> None:
    out, name = console(), f"{key.tenant}/{key.session}"
    if done.reason:
        out.print(f"{name}: nothing was changed: {done.reason}")
        return
    shown = ", ".join(map(str, done.put_back[:20])) + (" …" if len(done.put_back) > 20 else "")
    kind = "the replica" if "://" in source else source
    out.print(f"{name}: first damaged sequence {done.damaged_seq}; put back {len(done.put_back)} events from {kind}")
    out.print(f"  sequences {shown or '-'}; all {done.verdict.events} events were written anew, with the same bytes")
    after = "every hash is right" if done.verdict.ok else f"still damaged: {done.verdict.reason}"
    out.print(f"  verified afterwards: {after}")
