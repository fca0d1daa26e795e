"""``retold append``, ``fork``, ``rewind``, ``undo``, ``restore``, ``tag``: what people write into a session."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from retold.cli.messages import read_messages
from retold.cli.options import Json, Options, console, place_of, print_json, run, window_of
from retold.client import Session
from retold.client.appending import Expected
from retold.errors import InputError
from retold.events import Window
from retold.fold import History

At = Annotated[str | None, typer.Option("--at", help="A sequence, a time (UTC), or a tag; without it, now.")]


def append(
    context: typer.Context,
    session: str,
    file: Annotated[Path | None, typer.Argument(help="Messages as JSON or JSON lines; without it, stdin.")] = None,
    text: Annotated[str | None, typer.Option(help="Append this text of the user's instead of a file.")] = None,
    expected: Annotated[
        str, typer.Option(help="Where the session must end: a sequence, none (it must be new), or any.")
    ] = "any",
    as_json: Json = False,
) -> None:
    """Append messages, all or none; a session that is new is opened."""
    if text is not None and file is not None:
        raise InputError("expected a file or --text, got both")
    messages = read_messages(file) if text is None else [{"role": "user", "content": text}]
    end = _end_of(expected)

    async def work(options: Options) -> tuple[int, History]:
        async with options.client() as client:
            seq = await client.append(session, messages, tenant=options.tenant, expected=end)
            return seq, await (await client.existing(session, tenant=options.tenant)).history()

    _report(run(work(context.obj)), f"appended {len(messages)} messages to {session}", as_json=as_json)


def fork(  # noqa: PLR0913, PLR0917 - each is an argument or an option of the command
    context: typer.Context,
    session: str,
    new: Annotated[str, typer.Argument(help="The fork's name.")],
    at: At = None,
    hard_limit: Annotated[int, typer.Option(help="What the fork's model accepts, in tokens; 0: as before.")] = 0,
    pre_rot: Annotated[int, typer.Option(help="Where its quality starts to suffer; only with --hard-limit.")] = 0,
    as_json: Json = False,
) -> None:
    """Open a session that starts as another was; nothing is copied, and each goes its own way."""
    window: Window | None = window_of(hard_limit=hard_limit, pre_rot=pre_rot) if hard_limit or pre_rot else None

    async def act(found: Session) -> tuple[int, Session]:
        return 1, await found.fork(new, at=place_of(at), window=window)

    _report(run(_on(context.obj, session, act)), f"forked {session} as {new}", as_json=as_json)


def rewind(
    context: typer.Context,
    session: str,
    to: Annotated[str, typer.Option(help="A sequence, a time (UTC), or a tag.")],
    as_json: Json = False,
) -> None:
    """Return to the history as it was; what came after stays in the log."""
    place = place_of(to)
    assert place is not None, "the option is required"

    async def act(found: Session) -> tuple[int, Session]:
        return await found.rewind(place), found

    _report(run(_on(context.obj, session, act)), f"rewound {session} to {to}", as_json=as_json)


def undo(context: typer.Context, session: str, as_json: Json = False) -> None:
    """Undo the newest compaction; what was appended after it stays."""

    async def act(found: Session) -> tuple[int, Session]:
        return await found.undo(), found

    _report(run(_on(context.obj, session, act)), f"undid the newest compaction of {session}", as_json=as_json)


def restore(context: typer.Context, session: str, item: str, as_json: Json = False) -> None:
    """Put an offloaded item's original back into the history."""

    async def act(found: Session) -> tuple[int, Session]:
        return await found.restore(item), found

    _report(run(_on(context.obj, session, act)), f"restored {item} of {session}", as_json=as_json)


def tag(
    context: typer.Context,
    session: str,
    name: str,
    at: At = None,
    delete: Annotated[bool, typer.Option("--delete", help="Take the tag off.")] = False,
    as_json: Json = False,
) -> None:
    """Name a place of a session, to be used wherever a sequence or a time is; a name in use moves."""
    if delete and at is not None:
        raise InputError("expected --at or --delete, got both")

    async def act(found: Session) -> tuple[int, Session]:
        return await (found.untag(name) if delete else found.tag(name, at=place_of(at))), found

    done = f"took tag {name} off {session}" if delete else f"tagged {session} with {name}"
    _report(run(_on(context.obj, session, act)), done, as_json=as_json)


async def _on(
    options: Options, session: str, act: Callable[[Session], Awaitable[tuple[int, Session]]]
) -> tuple[int, History]:
    """Do *act* on an existing session; return its event's sequence, and the history of the session it leaves."""
    async with options.client() as client:
        seq, left = await act(await client.existing(session, tenant=options.tenant))
        return seq, await left.history()


def _report(done: tuple[int, History], what: str, *, as_json: bool) -> None:
    seq, history = done
    if as_json:
        row = {"tenant": history.key.tenant, "session": history.key.session, "seq": seq}
        print_json(
            {**row, "entries": len(history.entries), "tokens": history.tokens, "version": history.version}
            | {"hash": history.hash}
        )
    else:
        console().print(f"{what}: seq {seq}, {len(history.entries)} entries, {history.tokens:,} tokens")


def _end_of(text: str) -> Expected:
    words: dict[str, Expected] = {"any": "any", "none": "none"}
    if text.isascii() and text.isdigit():
        return int(text)
    if text not in words:
        raise InputError(f"expected --expected to be a sequence, none or any, got {text[:40]!r}")
    return words[text]
