"""What a benchmark found, as one JSON document, as tables, as a chart."""

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct
from rich.table import Table

from retold.cli import bench_chart
from retold.cli.bench_figures import TIMES, Figure, beside, times
from retold.cli.bench_peers import PeerState
from retold.cli.bench_race import Difference, Timing
from retold.cli.bench_texts import Corpus
from retold.cli.options import console, print_json, print_table
from retold.errors import InputError

_USUAL: Final = "tiktoken"
"""Has a column of ratios of its own where it takes part: it is what people know."""

_COLOURS: Final = {"aim met": "green", "required met": "green", "missed": "red", "not measured": "yellow"}


class Setting(Struct, frozen=True, kw_only=True):
    """Hold what was asked for."""

    command: str
    encoding: str
    rounds: int
    seed: int


class Source(Struct, frozen=True, kw_only=True):
    """Hold what a kind of text is made from."""

    name: str
    source: str
    slice_bytes: int


class Shown(Protocol):
    """What a benchmark showed: timings, and answers that differ."""

    timings: list[Timing]
    differences: list[Difference]


class Together(Struct):
    """Hold what several parts of a benchmark showed."""

    timings: list[Timing]
    differences: list[Difference]


class Report(Struct, frozen=True, kw_only=True):
    """Hold everything that a benchmark found.

    Attributes:
        ok: whether all answers were equal; a figure that is missed does not make it false.
    """

    setting: Setting
    at: str
    machine: str
    ok: bool
    peers: list[PeerState]
    texts: list[Source]
    timings: list[Timing]
    figures: list[Figure]
    differences: list[Difference]
    notes: list[str]


def report(
    setting: Setting,
    shown: Shown,
    peers: list[PeerState],
    *,
    texts: Sequence[Corpus],
    figures: list[Figure],
    notes: list[str],
) -> Report:
    """Put together what was shown."""
    return Report(
        setting=setting,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        ok=not shown.differences,
        peers=peers,
        texts=[Source(name=text.name, source=text.source, slice_bytes=text.slice_bytes) for text in texts],
        timings=shown.timings,
        figures=figures,
        differences=shown.differences,
        notes=notes,
    )


def together(parts: Sequence[Shown]) -> Together:
    """Return what *parts* showed as one, in their order."""
    return Together(
        timings=[timing for part in parts for timing in part.timings],
        differences=[difference for part in parts for difference in part.differences],
    )


def load_note() -> str:
    """Return a note on how busy the machine is with everything, this included, averaged over the last minutes."""
    return "Load average of the last 1, 5 and 15 minutes: {:.1f}, {:.1f}, {:.1f}.".format(*os.getloadavg())


def show(found: Report, *, bars: Sequence[Timing], chart: Path | None, as_json: bool) -> None:
    """Print *found*, and write the chart of *bars* where one is asked for."""
    if chart is not None:
        _write(chart, bench_chart.draw(f"retold bench {found.setting.command}, {found.setting.encoding}", bars))
    if as_json:
        print_json(found)
        return
    print_table(_timings(found.timings))
    print_table(_figures(found.figures))
    out = console()
    out.print(f"\n{found.machine}; {found.setting.encoding}, {found.setting.rounds} rounds, seed {found.setting.seed}")
    for text in found.texts:
        out.print(f"{text.name}: {text.source}, slices of {text.slice_bytes:,} bytes")
    for peer in found.peers:
        out.print(f"{peer.name} {peer.version} {peer.skipped or '(' + peer.call + ')'}")
    for note in found.notes:
        out.print(note)
    for difference in found.differences:
        verb = "counts" if isinstance(difference.ours, int) else "gives"
        words = f"retold {verb} {difference.ours}, {difference.racer} {difference.theirs}"
        sys.stderr.write(f"DIFFERENT, {difference.case}: {words}\n")


def _timings(timings: Sequence[Timing]) -> Table:
    racers = list(dict.fromkeys(shown.racer for shown in timings))
    table = Table("", "unit", box=None, pad_edge=False)
    for racer in racers:
        table.add_column(racer, justify="right")
    compared = [name for name in (_USUAL,) if name in racers]
    for name in (*compared, "the best other"):
        table.add_column(f"to {name}", justify="right")
    for case in dict.fromkeys(shown.case for shown in timings):
        row = {shown.racer: shown for shown in timings if shown.case == case}
        cells = [_cell(row[racer]) if racer in row else "" for racer in racers]
        table.add_row(case, next(iter(row.values())).unit, *cells, *_ratios(case, timings, racers, compared))
    return table


def _ratios(case: str, timings: Sequence[Timing], racers: Sequence[str], compared: Sequence[str]) -> list[str]:
    own = beside(timings, case, ("retold",))
    named = [beside(timings, case, (name,)) for name in compared]
    best = beside(timings, case, set(racers) - {"retold", *compared})
    cells = ["" if own is None or other is None else f"{number(times(own, other))}{TIMES}" for other in named]
    return [*cells, "" if own is None or best is None else f"{number(times(own, best))}{TIMES} ({best.racer})"]


def _cell(shown: Timing) -> str:
    return f"{number(shown.median)} ({number(shown.low)}-{number(shown.high)})"


def number(value: float) -> str:
    """Return *value* with three figures that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _figures(figures: Sequence[Figure]) -> Table:
    table = Table("\nfigure", "\nrequired", "\naim", "\nmeasured", "", box=None, pad_edge=False)
    for figure in figures:
        measured = "" if figure.measured is None else f"{number(figure.measured)} {figure.unit}"
        detail = f" ({figure.beside})" if figure.beside else ""
        row = (figure.name, figure.required, figure.aim, measured + detail, figure.verdict)
        table.add_row(*row, style=_COLOURS[figure.verdict])
    return table


def _write(chart: Path, picture: str) -> None:
    try:
        chart.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise InputError(f"expected --chart to be a path that can be written, {chart}: {error.strerror}") from None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
