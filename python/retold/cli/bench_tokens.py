"""``retold bench tokens``: how fast exact counts are, beside the peers that are installed."""

import random
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from retold.cli.bench import Asked
from retold.cli.bench_figures import Figure, beside, limit, ratio
from retold.cli.bench_race import Race, Timing, timing
from retold.cli.bench_texts import HARD, Corpus, HardText, messages

WARM_UPS: Final = 3
"""So many slices of each kind are counted untimed by all: lazily built tables and first checks of exactness."""

_QUICK_PEERS: Final = ("gigatoken", "fastokens", "toktok")
_LINEAR_MAX: Final = 1.5
"""A text a hundred times as long may take this many times a hundred times as long: it leaves the caches."""

_COLD = "import retold.tokens; retold.tokens.encoding({encoding!r}).count('Retold keeps every word.')"


def run(race: Race, texts: Sequence[Corpus], *, asked: Asked, worst_bytes: int) -> None:
    """Fill *race* with every case of the table."""
    rounds, chance = asked.rounds, random.Random(f"bench {asked.seed}")  # noqa: S311 - test data, the same for the same seed
    for corpus in texts:
        race.check(corpus.name, corpus.slices[:WARM_UPS])
    race.check("runs", [make(size, chance) for make in HARD.values() for size in (1, 2, 3, 17, 300)])
    for corpus in texts:
        race.bulk(corpus.name, corpus.slices[WARM_UPS : WARM_UPS + rounds])
    # The English corpus holds twice as many slices: messages are cut from those that were not counted yet.
    unread = next(corpus for corpus in texts if corpus.name == "english").slices[WARM_UPS + rounds :]
    race.chat("chat messages", messages(unread, chance))
    for name, make in HARD.items():
        race.once(f"{_kilobytes(worst_bytes)} of {name}", _runs(make, worst_bytes, rounds, chance))
    _longer(race, chance, worst_bytes=worst_bytes, rounds=rounds)
    _cold(race, encoding=asked.encoding, rounds=rounds)


def _longer(race: Race, chance: random.Random, *, worst_bytes: int, rounds: int) -> None:
    """Time Retold alone on runs ten and a hundred times as long."""
    alone = Race(race.racers[:1], seed=0)
    for times, tries in ((10, min(rounds, 5)), (100, min(rounds, 3))):
        for name, make in HARD.items():
            texts = _runs(make, worst_bytes * times, tries, chance)
            alone.once(f"{_kilobytes(worst_bytes * times)} of {name}", texts)
    race.timings.extend(alone.timings)


def _runs(make: HardText, size: int, rounds: int, chance: random.Random) -> Iterator[str]:
    """Give one text a round, each a little longer: peers keep whole runs, and would look the second one up."""
    for number in range(rounds):
        yield make(size + 8 * number, chance)


def _cold(race: Race, *, encoding: str, rounds: int) -> None:
    """Time a process that imports Retold and counts once, beyond one that does nothing."""
    programs = {"retold": _COLD.format(encoding=encoding), "python": "pass"}
    spent: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds + 1):
        for name, program in programs.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - this very interpreter
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent[name].append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3)
    own, bare = (values[1:] for values in spent.values())  # the first of each fills the disk's cache
    beyond = [max(0.0, both - alone) for both, alone in zip(own, bare, strict=True)]
    race.timings.append(timing("import and first count", "retold", beyond, unit="ms"))


def figures(timings: Sequence[Timing], *, worst_bytes: int, wheel: Path | None) -> list[Figure]:
    """Return the figures that are asked for beside what was measured."""
    found = [
        ratio(f"{kind}, fresh, to the best peer", timings, f"{kind}, fresh", _QUICK_PEERS, required=1.5, aim=aim)
        for kind, aim in (("english", 2.5), ("code", 2.5), ("json", 2.5), ("chinese", 3.0))
    ]
    chat = "chat messages, fresh"
    found.append(ratio("chat messages one call each, to fastokens", timings, chat, ("fastokens",), required=2, aim=3))
    by_case = {shown.case: shown.median for shown in timings if shown.racer == "retold"}
    worst = {name: by_case[f"{_kilobytes(worst_bytes)} of {name}"] for name in HARD}
    slowest = max(worst, key=lambda name: worst[name])
    found.append(limit(f"worst {_kilobytes(worst_bytes)} input ({slowest})", worst[slowest], "ms", required=10, aim=4))
    growth = {name: by_case[f"{_kilobytes(worst_bytes * 100)} of {name}"] / worst[name] / 100 for name in HARD}
    steepest = max(growth, key=lambda name: growth[name])
    name = f"{_kilobytes(worst_bytes * 100)} beside 100 times that, worst ({steepest})"
    found.append(limit(name, growth[steepest], "times", required=_LINEAR_MAX, aim=_LINEAR_MAX))
    cold = by_case["import and first count"]
    found.append(limit("import and first count, cold, CPU", cold, "ms", required=20, aim=5))
    size = None if wheel is None else wheel.stat().st_size / 1e6
    found.append(limit("wheel", size, "MB", required=8, aim=5))
    return found


def notes(timings: Sequence[Timing]) -> list[str]:
    """Return what has to be known to read the table."""
    said = ["CPU time; medians (quartiles). fresh: counted for the first time by each; replay: the same text again."]
    english = beside(timings, "english, fresh", ("tiktoken",))
    if english is not None:
        said.append(f"tiktoken counts fresh English at {english.median:.1f} MB/s here.")
    return said


def _kilobytes(size: int) -> str:
    return f"{size / 1e6:g} MB" if size >= 1_000_000 else f"{size / 1e3:g} KB"
