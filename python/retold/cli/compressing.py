"""``retold compress`` and ``decompress``: what an agent does with its own history, done by hand."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from retold.cli.options import Json, Options, console, print_json, run
from retold.client import Compression
from retold.errors import InputError
from retold.fold import History
from retold.formats.json_text import decode_json
from retold.policy import read_ranges

From = Annotated[
    str | None, typer.Option("--from", help="The first entry's id, such as i3; only with --to and --text.")
]


def compress(  # noqa: PLR0913, PLR0917 - each is an argument or an option of the command
    context: typer.Context,
    session: str,
    file: Annotated[
        Path | None, typer.Argument(help="Ranges as JSON, [{first, last, messages}]; without it, stdin.")
    ] = None,
    first: From = None,
    last: Annotated[str | None, typer.Option("--to", help="The last entry's id.")] = None,
    text: Annotated[str | None, typer.Option(help="What stands in their place.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would free.")] = False,
    as_json: Json = False,
) -> None:
    """Put blocks of your words in the place of ranges of the history, all or none."""
    ranges = read_ranges(_ranges(file, first, last, text))

    async def work(options: Options) -> Compression:
        async with options.client() as client:
            found = await client.existing(session, tenant=options.tenant)
            return await found.compress(ranges, dry_run=dry_run)

    done = run(work(context.obj))
    if as_json:
        print_json({"session": session, "seq": done.seq, "blocks": done.blocks, "receipt": done.receipt})
        return
    for block in done.blocks:
        console().print(
            f"{block.block} for {block.items[0]} to {block.items[-1]}, {len(block.items)} entries: "
            f"{block.tokens_before:,} to {block.tokens_after:,} tokens"
        )
    what = "would compress" if done.seq is None else f"compressed at seq {done.seq}:"
    console().print(f"{what} {done.receipt.tokens_before:,} to {done.receipt.tokens_after:,} tokens")


def decompress(
    context: typer.Context,
    session: str,
    block: Annotated[str, typer.Argument(help="The block's id, such as c40.")],
    item: Annotated[str | None, typer.Option(help="Only this entry of it, behind the block.")] = None,
    as_json: Json = False,
) -> None:
    """Bring back what a compressed block stands for, byte for byte, in its place."""

    async def work(options: Options) -> tuple[int, History]:
        async with options.client() as client:
            found = await client.existing(session, tenant=options.tenant)
            return await found.decompress(block, item=item), await found.history()

    seq, history = run(work(context.obj))
    if as_json:
        row = {"session": session, "seq": seq, "entries": len(history.entries), "tokens": history.tokens}
        print_json({**row, "version": history.version, "hash": history.hash})
    else:
        what = f"decompressed {block}" if item is None else f"brought back {item} of {block}"
        console().print(f"{what} of {session}: seq {seq}, {len(history.entries)} entries, {history.tokens:,} tokens")


def _ranges(file: Path | None, first: str | None, last: str | None, text: str | None) -> Any:
    """Return what the options or the file say.

    Raises:
        InputError: if they say both, or a part, or the file holds no JSON.
    """
    given = [one for one in (first, last, text) if one is not None]
    if given and (len(given) < 3 or file is not None):
        raise InputError("expected --from, --to and --text together, or a file of ranges without them")
    if given:
        return [{"first": first, "last": last, "messages": text}]
    name = "stdin" if file is None else str(file)
    try:
        found = decode_json(sys.stdin.read() if file is None else file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"expected a file that can be read, got {error.strerror}: {name}") from None
    except (ValueError, RecursionError):
        raise InputError(f"expected JSON in {name}, got something else") from None
    return found.get("ranges") if isinstance(found, dict) else found
