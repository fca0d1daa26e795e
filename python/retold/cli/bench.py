"""``retold bench``: figures of this machine, beside its peers in the same run, and beside what is asked for.

Exit code 1 says that a count differed. A figure that is missed is printed as missed and is no failure: machines differ.
What measures is loaded by the command that needs it.
"""

from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct

from retold.cli.options import Json

Encoding = Annotated[str, typer.Option(help="The encoding.")]
Rounds = Annotated[int, typer.Option(help="How often each case is timed.", min=1)]
Seed = Annotated[int, typer.Option(help="Draws the texts and the order.")]
Chart = Annotated[Path | None, typer.Option(help="Write a bar chart there, as SVG.")]
Peers = Annotated[list[str] | None, typer.Option("--peer", help="Only this peer; may be repeated.")]
Texts = Annotated[list[str] | None, typer.Option("--text", help="KIND=FILE: your own text; may be repeated.")]


class Asked(Struct, frozen=True, kw_only=True):
    """Hold the options that all benchmarks take.

    Attributes:
        peer: the peers that are asked for; none: all that are worth their time.
        text: own texts, each as ``KIND=FILE``.
    """

    encoding: str
    size: int
    rounds: int
    seed: int
    peer: list[str] | None
    text: list[str] | None
    chart: Path | None
    as_json: bool


def count(  # noqa: PLR0913, PLR0917 - the options of the command
    encoding: Encoding = "o200k_base",
    size: Annotated[int, typer.Option(help="Bytes of one slice of text.", min=100)] = 300_000,
    worst: Annotated[int, typer.Option(help="Bytes of the inputs that are hard.", min=100)] = 200_000,
    rounds: Rounds = 9,
    seed: Seed = 7,
    peer: Peers = None,
    text: Texts = None,
    wheel: Annotated[Path | None, typer.Option(help="The wheel to weigh; without, the newest of dist/.")] = None,
    chart: Chart = None,
    as_json: Json = False,
) -> None:
    """Count text, fresh and replayed, chat messages and hard inputs, beside the peers that are installed."""
    from retold.cli.bench_run import run_tokens  # noqa: PLC0415 - as above

    asked = Asked(
        encoding=encoding,
        size=size,
        rounds=rounds,
        seed=seed,
        peer=peer,
        text=text,
        chart=chart,
        as_json=as_json,
    )
    _end(ok=run_tokens(asked, worst_bytes=worst, wheel=wheel))


def append(  # noqa: PLR0913, PLR0917 - the options of the command
    encoding: Encoding = "o200k_base",
    size: Annotated[int, typer.Option(help="Bytes of the conversation.", min=100)] = 400_000,
    rounds: Rounds = 9,
    seed: Seed = 7,
    peer: Peers = None,
    text: Texts = None,
    chart: Chart = None,
    as_json: Json = False,
) -> None:
    """Append to a conversation and know its exact count each time, beside peers that count again."""
    from retold.cli.bench_run import run_append  # noqa: PLC0415 - as above

    asked = Asked(
        encoding=encoding,
        size=size,
        rounds=rounds,
        seed=seed,
        peer=peer,
        text=text,
        chart=chart,
        as_json=as_json,
    )
    _end(ok=run_append(asked))


def _end(*, ok: bool) -> None:
    if not ok:
        raise typer.Exit(1)
