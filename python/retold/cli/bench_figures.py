"""The figures that are asked for, beside what was measured: reached, or not, and said so."""

from collections.abc import Collection, Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct, structs

from retold.cli.bench_race import Timing

Verdict: TypeAlias = Literal["aim met", "required met", "missed", "not measured"]


TIMES: Final = "\N{MULTIPLICATION SIGN}"


class Figure(Struct, frozen=True, kw_only=True):
    """Hold one figure: what is required, what is aimed at, what came out.

    Attributes:
        measured: None where it could not be measured.
        beside: what it was compared with, or how else it may be met.
    """

    name: str
    required: str
    aim: str
    measured: float | None
    unit: str
    verdict: Verdict
    beside: str = ""


def ratio(
    name: str, timings: Sequence[Timing], case: str, peers: Collection[str], *, required: float, aim: float
) -> Figure:
    """Return how many times as fast as the best of *peers* Retold was in *case*."""
    best, own = beside(timings, case, peers), beside(timings, case, ("retold",))
    measured = None if best is None or own is None else times(own, best)
    return Figure(
        name=name,
        required=f"≥ {required:,g}{TIMES}",
        aim=f"≥ {aim:,g}{TIMES}",
        measured=measured,
        unit=TIMES,
        verdict=verdict(None if measured is None else (measured >= required, measured >= aim)),
        beside="" if best is None else best.racer,
    )


def ratio_to(name: str, timings: Sequence[Timing], case: str, peer: str, *, required: float) -> Figure:
    """Return how many times as fast as *peer* Retold was in *case*, with both medians beside it."""
    own, other = beside(timings, case, ("retold",)), beside(timings, case, (peer,))
    found = ratio(name, timings, case, (peer,), required=required, aim=required)
    both = "" if own is None or other is None else f"{own.median:.3g} and {other.median:.3g} {own.unit}"
    return structs.replace(found, beside=both)


def limit(name: str, measured: float | None, unit: str, *, required: float, aim: float) -> Figure:
    """Return a figure that is to stay at or below a limit."""
    return Figure(
        name=name,
        required=f"≤ {required:g} {unit}",
        aim=f"≤ {aim:g} {unit}",
        measured=measured,
        unit=unit,
        verdict=verdict(None if measured is None else (measured <= required, measured <= aim)),
    )


def verdict(met: tuple[bool, bool] | None) -> Verdict:
    """Return the verdict on whether the requirement and the aim are met."""
    match met:
        case None:
            return "not measured"
        case _, True:
            return "aim met"
        case True, _:
            return "required met"
        case _:
            return "missed"


def beside(timings: Sequence[Timing], case: str, racers: Collection[str]) -> Timing | None:
    """Return the best timing of *case* among *racers*."""
    found = [shown for shown in timings if shown.case == case and shown.racer in racers]
    return min(found, key=lambda shown: -shown.median if shown.more else shown.median, default=None)


def times(own: Timing, other: Timing) -> float:
    """Return how many times as fast *own* is."""
    if own.more:
        return own.median / max(other.median, 1e-12)
    return other.median / max(own.median, 1e-12)
