"""``retold dead``: what a worker could not take for events, message by message, and sessions that were set aside."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct
from rich.table import Table

from retold.cli.options import CHECK_FAILED, Json, Options, console, print_json, print_table, run
from retold.errors import CorruptLogError, InputError, SealError
from retold.events import SessionKey, session_key

if TYPE_CHECKING:
    from retold.log import JetStreamLog
    from retold.log.dead_letters import DeadLetter
    from retold.ports import Aside

_Which = Annotated[str, typer.Argument(help="The position of a letter, or the name of a session.")]


class Dead(Struct, frozen=True):
    """Show one letter, or a session that was set aside.

    Attributes:
        of: ``session``, ``message`` in one, or ``stray``: on a subject that is no session's.
        position: where the message lies in the event stream; None of a session as a whole.
        seq: the damaged sequence of a session; the one that a message names; 0 if none.
    """

    of: str
    tenant: str | None
    session: str | None
    position: int | None
    seq: int
    reason: str
    subject: str | None = None
    size_bytes: int = 0
    at: datetime | None = None


class Retried(Struct, frozen=True):
    """Say what came of a second look: sessions and messages that are well, and those that are not, with the reason."""

    well: tuple[str, ...]
    dead: tuple[str, ...]


def list_all(context: typer.Context, as_json: Json = False) -> None:
    """List sessions that were set aside, and every message that is no event, with reason and position."""
    options: Options = context.obj
    found = [one for one in run(_all(options)) if options.asked_tenant in (None, one.tenant)]
    if as_json:
        print_json(found)
        return
    table = Table("of", "session", "position", "seq", "bytes", "reason", box=None, pad_edge=False)
    for one in found:
        name = f"{one.tenant}/{one.session}" if one.session else one.subject
        position = "" if one.position is None else str(one.position)
        table.add_row(one.of, name, position, str(one.seq or ""), str(one.size_bytes or ""), one.reason)
    if found:
        print_table(table)
    else:
        console().print("no dead letters")


def show(
    context: typer.Context,
    which: _Which,
    body: Annotated[bool, typer.Option("--body", help="Write the message itself, as it is stored.")] = False,
    as_json: Json = False,
) -> None:
    """Show what is known of a dead letter or a session that was set aside; --body writes the message's bytes."""
    options: Options = context.obj
    found = [one for one in run(_all(options)) if _is(one, which, options.tenant)]
    if not found:
        raise InputError(f"expected a position or session of `retold dead list`, got {which!r}")
    if body:
        sys.stdout.buffer.write(run(_body(options, found[0])))
    elif as_json:
        print_json(found)
    else:
        for one in found:
            for name in one.__struct_fields__:
                value = getattr(one, name)
                if value not in (None, ""):
                    console().print(f"{name:<11} {value}")


def retry(
    context: typer.Context,
    which: Annotated[str | None, typer.Argument(help="A position or a session; without it, all.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove strays from the event stream instead.")] = False,
    as_json: Json = False,
) -> None:
    """Look again: what is whole is released, and worked on when it grows; exits with 1 if something is dead still.

    With --remove, a message that is no session's is removed for good. Nothing of a session ever is: `retold repair`.
    """
    found = run(_retry(context.obj, which, remove=remove))
    if as_json:
        print_json(found)
    else:
        for name in found.well:
            console().print(f"well: {name}", style="green")
        for name in found.dead:
            console().print(f"dead still: {name}", style="red")
        if not found.well and not found.dead:
            console().print("no dead letters")
    if found.dead:
        raise typer.Exit(CHECK_FAILED)


async def _all(options: Options) -> list[Dead]:
    from retold.wiring import letters  # noqa: PLC0415 - loads the client

    async with letters(options.url, data_dir=options.data_dir) as (log, found):
        await found.write_strays()
        sessions = [_of_session(key, aside) for key, aside in sorted((await log.aside()).items())]
        return sessions + [_of_letter(letter) for letter in await found.all()]


async def _body(options: Options, one: Dead) -> bytes:
    from retold.wiring import letters  # noqa: PLC0415 - loads the client

    if one.position is None:
        raise InputError("expected the position of a message for --body, got a session")
    async with letters(options.url, data_dir=options.data_dir) as (_, found):
        body = await found.body(one.position)
    if body is None:
        raise InputError(f"expected a message at position {one.position}, it is gone")
    return body


async def _retry(options: Options, which: str | None, *, remove: bool) -> Retried:
    from retold.wiring import letters  # noqa: PLC0415 - loads the client

    well, dead = list[str](), list[str]()
    async with letters(options.url, data_dir=options.data_dir) as (log, found):
        await found.write_strays()
        sessions = [key for key in await log.aside() if which in (None, key.session) and options.shows(key)]
        strays = [one for one in await found.all() if one.of == "stray" and which in (None, str(one.position))]
        if which is not None and not sessions and not strays:
            raise InputError(f"expected a stray's position or a session of `retold dead list`, got {which!r}")
        for key in sessions:
            wrong = await _wrong(log, key)
            (well if wrong is None else dead).append(f"{key.tenant}/{key.session}" + (f": {wrong}" if wrong else ""))
        for letter in strays:
            if remove:
                await found.remove(letter)
            left = None if remove else await found.retry(letter)
            (well if left is None else dead).append(f"position {letter.position}: {letter.reason}")
    return Retried(well=tuple(well), dead=tuple(dead))


async def _wrong(log: "JetStreamLog", key: SessionKey) -> str | None:
    """Read the session from its first event, and release it if it is whole; else return what is wrong."""
    try:
        async for _ in log.read(key):
            pass
    except (CorruptLogError, SealError) as error:
        return str(error)
    await log.release(key)
    return None


def _is(one: Dead, which: str, tenant: str) -> bool:
    if which.isascii() and which.isdigit():
        return one.position == int(which)
    key = session_key(which, tenant=tenant)
    return (one.tenant, one.session) == (key.tenant, key.session)


def _of_session(key: SessionKey, aside: "Aside") -> Dead:
    return Dead(of="session", tenant=key.tenant, session=key.session, position=None, seq=aside.seq, reason=aside.reason)


def _of_letter(letter: "DeadLetter") -> Dead:
    key = letter.key
    return Dead(
        of=letter.of,
        tenant=None if key is None else key.tenant,
        session=None if key is None else key.session,
        position=letter.position,
        seq=letter.seq,
        reason=letter.reason,
        subject=letter.subject,
        size_bytes=letter.size_bytes,
        at=letter.at,
    )
