"""How racers are timed: in one process, on the same texts, in an order drawn anew each time, in CPU time.

Rules: a racer's count is compared with Retold's before it is timed, and again each time it is. Each racer gets a copy
of its own of a text, so that none is helped by what another left in it. *Fresh* is the first time that it meets the
text, *replay* the second, directly after.
"""

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from msgspec import Struct

from retold.cli.bench_peers import Count, Racer

_Result = TypeVar("_Result")


class Timing(Struct, frozen=True, kw_only=True):
    """Hold what one racer showed in one case: the median of all rounds and the quartiles around it.

    Attributes:
        more: whether more is better.
    """

    case: str
    racer: str
    unit: str
    more: bool
    median: float
    low: float
    high: float
    rounds: int


class Difference(Struct, frozen=True, kw_only=True):
    """Hold a count, or the hash of an answer, that is not Retold's."""

    case: str
    racer: str
    ours: int | str
    theirs: int | str


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the garbage collector out of what is timed."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def cpu_s(work: Callable[[], _Result]) -> tuple[_Result, float]:
    """Return the result of *work* and the CPU seconds that it took this process, all threads together."""
    start = time.process_time()
    result = work()
    return result, max(time.process_time() - start, 1e-9)


def timing(case: str, racer: str, values: Sequence[float], *, unit: str, more: bool = False) -> Timing:
    """Return the median and the quartiles of *values*."""
    middle = statistics.median(values)
    low, _, high = statistics.quantiles(values, method="inclusive") if len(values) > 1 else (middle,) * 3
    return Timing(case=case, racer=racer, unit=unit, more=more, median=middle, low=low, high=high, rounds=len(values))


class Race:
    """Run racers against each other and keep what they showed."""

    def __init__(self, racers: Sequence[Racer], *, seed: int) -> None:
        """Start with nothing shown; *racers* begin with Retold."""
        self.racers = list(racers)
        self.timings: list[Timing] = []
        self.differences: list[Difference] = []
        self._chance = random.Random(f"order {seed}")  # noqa: S311 - an order, the same for the same seed

    def check(self, case: str, texts: Sequence[str]) -> None:
        """Count *texts* by all, untimed; one that differs is recorded and does not race."""
        for text in texts:
            self._compare(case, {racer.name: racer.count(_copy(text)) for racer in self.racers})
        wrong = {difference.racer for difference in self.differences}
        self.racers = [racer for racer in self.racers if racer.name not in wrong]

    def bulk(self, case: str, texts: Sequence[str]) -> None:
        """Time each of *texts*, fresh and replayed, in megabytes a second."""
        sizes = [len(text.encode()) / 1e6 for text in texts]
        self._run(case, [[text] for text in texts], sizes, unit="MB/s", short=False)

    def chat(self, case: str, rounds: Sequence[list[str]]) -> None:
        """Time the messages of each round, one call each, in thousands of messages a second."""
        self._run(case, rounds, [len(texts) / 1e3 for texts in rounds], unit="k msg/s", short=True)

    def once(self, case: str, texts: Iterable[str]) -> None:
        """Time each of *texts* once, in milliseconds."""
        spent: dict[str, list[float]] = {racer.name: [] for racer in self.racers}
        for text in texts:
            counts: dict[str, int] = {}
            for racer in self.order():
                counts[racer.name], seconds = _timed(racer.count, [_copy(text)])
                spent[racer.name].append(seconds * 1e3)
            self._compare(case, counts)
        self.keep(case, spent, unit="ms")

    def order(self) -> list[Racer]:
        """Return the racers in an order drawn anew."""
        return self._chance.sample(self.racers, len(self.racers))

    def keep(self, case: str, values: dict[str, list[float]], *, unit: str, more: bool = False) -> None:
        """Keep what each racer showed, by its name."""
        self.timings.extend(timing(case, name, shown, unit=unit, more=more) for name, shown in values.items())

    def _run(self, case: str, rounds: Sequence[list[str]], amounts: Sequence[float], *, unit: str, short: bool) -> None:
        fresh: dict[str, list[float]] = {racer.name: [] for racer in self.racers}
        again: dict[str, list[float]] = {racer.name: [] for racer in self.racers}
        for texts, amount in zip(rounds, amounts, strict=True):
            counts: dict[str, int] = {}
            for racer in self.order():
                count = racer.count_short if short else racer.count
                own = [_copy(text) for text in texts]
                counts[racer.name], seconds = _timed(count, own)
                fresh[racer.name].append(amount / seconds)
                _, seconds = _timed(count, own)
                again[racer.name].append(amount / seconds)
            self._compare(case, counts)
        self.keep(f"{case}, fresh", fresh, unit=unit, more=True)
        self.keep(f"{case}, replay", again, unit=unit, more=True)

    def _compare(self, case: str, counts: dict[str, int]) -> None:
        ours = counts["retold"]
        for name, theirs in counts.items():
            if theirs != ours:
                self.differences.append(Difference(case=case, racer=name, ours=ours, theirs=theirs))


def _copy(text: str) -> str:
    """Return *text* as a new object: Python keeps the UTF-8 of a text that was once asked for it."""
    return text.encode().decode()


def _timed(count: Count, texts: list[str]) -> tuple[int, float]:
    def work() -> int:
        total = 0
        for text in texts:
            total += count(text)
        return total

    with quiet():
        return cpu_s(work)
