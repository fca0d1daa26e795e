"""One run of a benchmark: its texts, its race, its report."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from retold import tokens
from retold.cli import bench_append, bench_peers, bench_texts, bench_tokens
from retold.cli.bench import Asked
from retold.cli.bench_peers import PeerState
from retold.cli.bench_race import Race
from retold.cli.bench_report import Setting, report, show
from retold.errors import InputError

_TOO_SLOW_FOR_APPENDS: Final = "tokenizers"
"""Hugging Face's needs minutes for what the others do in seconds; it takes part where it is asked for."""


def run_tokens(asked: Asked, *, worst_bytes: int, wheel: Path | None) -> bool:
    """Run and show ``bench tokens``; return whether all counts were equal."""
    if wheel is not None and not wheel.is_file():
        raise InputError(f"expected a wheel at {wheel}, got nothing")
    own, slices = _own(asked.text), bench_tokens.WARM_UPS + 2 * asked.rounds
    with _race(asked, asked.peer or ()) as (race, states):
        texts = bench_texts.corpora(size=asked.size, slices=slices, seed=asked.seed, own=own)
        bench_tokens.run(race, texts, asked=asked, worst_bytes=worst_bytes)
    found = report(
        _setting("tokens", asked),
        race,
        states,
        texts=texts,
        figures=bench_tokens.figures(race.timings, worst_bytes=worst_bytes, wheel=wheel or _newest_wheel()),
        notes=bench_tokens.notes(race.timings),
    )
    bars = [shown for shown in race.timings if shown.case.endswith(", fresh")]
    show(found, bars=bars, chart=asked.chart, as_json=asked.as_json)
    return found.ok


def run_append(asked: Asked) -> bool:
    """Run and show ``bench append``; return whether all counts were equal."""
    own, step = _own(asked.text), min(bench_append.PIECE_BYTES, asked.size)
    with _race(asked, asked.peer or [name for name in bench_peers.names() if name != _TOO_SLOW_FOR_APPENDS]) as entered:
        race, states = entered
        texts = bench_texts.corpora(size=step, slices=max(1, asked.size // step), seed=asked.seed, own=own)
        whole = bench_append.conversation(texts, asked.size)
        bench_append.run(race, whole, encoding=asked.encoding, rounds=asked.rounds)
    found = report(
        _setting("append", asked),
        race,
        states,
        texts=texts,
        figures=bench_append.figures(race.timings),
        notes=bench_append.notes(whole),
    )
    bars = [shown for shown in race.timings if shown.unit == "s"]
    show(found, bars=bars, chart=asked.chart, as_json=asked.as_json)
    return found.ok


def _setting(command: str, asked: Asked) -> Setting:
    return Setting(command=command, encoding=asked.encoding, rounds=asked.rounds, seed=asked.seed)


@contextmanager
def _race(asked: Asked, wanted: Sequence[str]) -> Iterator[tuple[Race, list[PeerState]]]:
    known = (*tokens.ENCODINGS, *tokens.RECONSTRUCTIONS)
    if asked.encoding not in known:
        raise InputError(f"expected --encoding to be one of {', '.join(known)}, got {asked.encoding!r}")
    unknown = set(wanted) - set(bench_peers.names())
    if unknown:
        raise InputError(f"expected --peer to be one of {', '.join(bench_peers.names())}, got {min(unknown)!r}")
    if asked.chart is not None and not asked.chart.parent.is_dir():
        raise InputError(f"expected --chart to be in a directory that exists, got {asked.chart}")
    with bench_peers.peers(asked.encoding, wanted=wanted) as (racers, states):
        yield Race(racers, seed=asked.seed), states


def _own(given: Sequence[str] | None) -> dict[str, Path]:
    own: dict[str, Path] = {}
    for words in given or ():
        name, equals, path = words.partition("=")
        if not equals or name not in bench_texts.kinds():
            raise InputError(f"expected --text KIND=FILE, KIND one of {', '.join(bench_texts.kinds())}, got {words!r}")
        own[name] = Path(path)
        if not own[name].is_file():
            raise InputError(f"expected --text {name}=FILE to name a file, got {path!r}")
    return own


def _newest_wheel() -> Path | None:
    found = [path for folder in ("dist", "target/wheels") for path in Path(folder).glob("retold-*.whl")]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)
