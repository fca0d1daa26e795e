"""``retold count``: what a request takes, part by part, without a log."""

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.table import Table

from retold.cli.options import Json, console, print_json, print_table
from retold.errors import InputError
from retold.events import Form
from retold.formats.json_text import decode_json
from retold.framing import RequestSize, count_request
from retold.sizes import Tokens

STDIN: Final = Path("-")


def count(
    file: Annotated[Path, typer.Argument(help="A request's body or a list of messages, as JSON; - for stdin.")],
    form: Annotated[Form | None, typer.Option(help="The provider's form; without it, detected.")] = None,
    model: Annotated[str, typer.Option(help="The model; without it, what the body names.")] = "",
    encoding: Annotated[str | None, typer.Option(help="The encoding; without it, by the model.")] = None,
    as_json: Json = False,
) -> None:
    """Count a whole request as it is sent: text, marks, tools and pictures, each by how it is known."""
    size = count_request(_read(file), form=form, model=model, encoding=encoding)
    if as_json:
        print_json(_row(size))
    else:
        _print(size)


def _read(file: Path) -> Any:
    try:
        content = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
        return decode_json(content.decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"expected a readable file, got {error.strerror}: {file}") from None
    except (ValueError, RecursionError):
        raise InputError(f"expected a request as one JSON value in {file}, got something else") from None


def _row(size: RequestSize) -> dict[str, Any]:
    return {
        "form": size.form,
        "label": size.label,
        "tokens": size.tokens,
        "lower": size.lower,
        "upper": size.upper,
        **{name: _known(getattr(size, name)) for name in ("counted", "system", "messages", "tools")},
    }


def _known(size: Tokens) -> dict[str, int]:
    return {name: getattr(size, name) for name in size.__struct_fields__}


def _print(size: RequestSize) -> None:
    table = Table("part", "tokens", "exact", "reconstructed", "estimated", box=None)
    for name in ("system", "messages", "tools"):
        part: Tokens = getattr(size, name)
        table.add_row(name, *(f"{figure:,}" for figure in (part.total, *msgspec.structs.astuple(part))))
    print_table(table)
    console().print(f"{size.tokens:,} tokens in {size.form} form, {size.label}; {size.lower:,} to {size.upper:,}")
