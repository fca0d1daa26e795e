"""``retold unseal``: what the sealed summaries in a file say, for whoever holds the key."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from retold.cli.options import CHECK_FAILED, Json, Options, console, print_json
from retold.errors import InputError, UnsealError

if TYPE_CHECKING:
    from retold.security import MasterKeys

STDIN: Final = Path("-")


def unseal(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A sealed summary, or JSON or JSON lines that hold some; - for stdin.")],
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="The master keys; without it, RETOLD_KEY_FILE.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what the sealed summaries in a file say. Exits with 1 if there is one that does not open."""
    keys = _keys(key_file)
    sealed = list(dict.fromkeys(_sealed(_text(file))))
    if not sealed:
        raise InputError(f"expected a sealed summary in {file}, got none")
    rows = [_row(text, context.obj, keys) for text in sealed]
    if as_json:
        print_json({"tenant": context.obj.tenant, "summaries": rows})
    else:
        _print(rows)
    if any(row["error"] for row in rows):
        raise typer.Exit(CHECK_FAILED)


def _keys(file: Path | None) -> "MasterKeys":
    from retold.key_files import read_key_file  # noqa: PLC0415 - loads the ciphers
    from retold.settings import read_settings  # noqa: PLC0415 - pydantic takes a tenth of a second to load

    named = file or read_settings().key_file
    if named is None:
        raise InputError("expected a file of master keys: name it by --key-file or RETOLD_KEY_FILE")
    return read_key_file(named)


def _text(file: Path) -> str:
    try:
        content = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"expected a readable file, got {error.strerror}: {file}") from None
    except UnicodeDecodeError:
        raise InputError(f"expected text in {file}, got bytes that are none") from None


def _sealed(text: str) -> Iterator[str]:
    """Yield the sealed summaries in *text*: itself, or those of the JSON values that it is, whole or line by line."""
    from retold.security import is_sealed_summary  # noqa: PLC0415 - loads the ciphers

    if is_sealed_summary(text.strip()):
        yield from text.split()
        return
    for document in _documents(text):
        yield from (one for one in _strings(document) if is_sealed_summary(one))


def _documents(text: str) -> Iterator[Any]:
    try:
        yield msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                try:
                    yield msgspec.json.decode(line)
                except (msgspec.DecodeError, RecursionError):
                    raise InputError(
                        f"expected a sealed summary, JSON or JSON lines, got something else in line {number}"
                    ) from None


def _strings(value: Any) -> Iterator[str]:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            left.extend(reversed(list(one.values())))
        elif isinstance(one, list):
            left.extend(reversed(one))


def _row(text: str, options: Options, keys: "MasterKeys") -> dict[str, Any]:
    from retold.security import unseal as opened  # noqa: PLC0415 - loads the ciphers

    try:
        found = opened(text, tenant=options.tenant, keys=keys)
    except UnsealError as error:
        return {"error": error.why}
    return {
        "error": None,
        "key": found.key,
        "session": found.binding.session,
        "family": found.binding.family,
        **msgspec.to_builtins(found.summary),
    }


def _print(rows: list[dict[str, Any]]) -> None:
    out = console()
    for number, row in enumerate(rows, start=1):
        if row["error"]:
            out.print(f"{number}: does not open: {row['error']}")
            continue
        session = "any session" if row["session"] is None else f"session {row['session']}"
        out.print(f"{number}: {session}, models {row['family'] or 'unknown'}, key {row['key']}, source {row['source']}")
        out.print(row["text"])
