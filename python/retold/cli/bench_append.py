"""``retold bench append``: what it costs to know the exact count after every append to a growing conversation."""

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

from retold import tokens
from retold.cli.bench_figures import Figure, beside, ratio, verdict
from retold.cli.bench_peers import Count
from retold.cli.bench_race import Difference, Race, Timing, cpu_s, quiet, timing
from retold.cli.bench_texts import Corpus, text_end

APPEND_BYTES: Final = (4, 16, 64)
MESSAGE_BYTES: Final = 20_000
"""The current message, that a peer recounts at each append."""

PIECE_BYTES: Final = 2_000
_MIX: Final = ("english", "code", "english", "json", "english", "code", "english", "json", "code", "chinese")
_SAMPLES: Final = 24
_CHECKS: Final = 60
_STEP: Final = 16
_BARE_CALLS_MAX: Final = 3

WHOLE = "recounting everything"
MESSAGE = "recounting the message"
BARE = "bare call (property of the core)"


def conversation(texts: Sequence[Corpus], size: int) -> str:
    """Return pieces of all kinds in turn, *size* bytes in all, or as many as there are."""
    heaps = {corpus.name: iter(corpus.slices) for corpus in texts}
    parts: list[str] = []
    have = turn = 0
    while have < size:
        piece = next(heaps[_MIX[turn % len(_MIX)]], None)
        if piece is None:
            break
        parts.append(piece)
        have += len(piece.encode())
        turn += 1
    return "".join(parts)


def pieces(text: str, size: int) -> list[str]:
    """Return *text* in pieces of *size* bytes, or up to three more where a character would be parted."""
    data = text.encode()
    ends = [0]
    while ends[-1] < len(data):
        ends.append(text_end(data, min(ends[-1] + size, len(data))))
    return [data[start:end].decode() for start, end in pairwise(ends)]


def run(race: Race, text: str, *, encoding: str, rounds: int) -> None:
    """Fill *race* with every case of the table."""
    ours = tokens.encoding(encoding)
    race.check("conversation", [text])
    _exact(race, ours, pieces(text, _STEP))
    in_pieces = {size: pieces(text, size) for size in APPEND_BYTES}
    spent: dict[int, list[float]] = {size: [] for size in APPEND_BYTES}
    bare: list[float] = []
    whole: dict[str, list[float]] = {racer.name: [] for racer in race.racers}
    message: dict[str, list[float]] = {racer.name: [] for racer in race.racers}
    for number in range(rounds):
        for size, parts in in_pieces.items():
            spent[size].append(_appended_s(ours.counter().append, parts))
        bare.append(_read_s(ours.counter(), in_pieces[APPEND_BYTES[0]]) / len(in_pieces[APPEND_BYTES[0]]) * 1e9)
        for racer in race.order():
            if racer.name == "retold":
                whole["retold"].append(spent[_STEP][-1])
                message["retold"].append(spent[_STEP][-1])
                continue
            whole[racer.name].append(_recounted_s(racer.count, text, appends=len(in_pieces[_STEP])))
            current = _message(text, number)
            message[racer.name].append(_message_s(racer.count, current) * len(in_pieces[_STEP]))
    for size, parts in in_pieces.items():
        race.keep(f"append {size} B", {"retold": [s / len(parts) * 1e9 for s in spent[size]]}, unit="ns")
    race.timings.append(timing(BARE, "retold", bare, unit="ns"))
    race.keep(WHOLE, whole, unit="s")
    race.keep(MESSAGE, message, unit="s")


def _exact(race: Race, ours: tokens.Encoding, parts: Sequence[str]) -> None:
    """Compare the total with a recount, ours and each racer's, at places all along the conversation."""
    counter = ours.counter()
    step = max(1, len(parts) // _CHECKS)
    ends = list(accumulate(len(part) for part in parts))
    text = "".join(parts)
    for at, part in enumerate(parts):
        total = counter.append(part)
        if at % step and at != len(parts) - 1:
            continue
        for racer in race.racers:
            recount = racer.count(text[: ends[at]])
            if recount != total:
                case = f"total after {ends[at]} characters"
                race.differences.append(Difference(case=case, racer=racer.name, ours=total, theirs=recount))


def _appended_s(append: Callable[[str], int], parts: Sequence[str]) -> float:
    def work() -> None:
        for part in parts:
            append(part)

    with quiet():
        return cpu_s(work)[1]


def _read_s(counter: tokens.Counter, parts: Sequence[str]) -> float:
    """Time the least that a call into the core can cost: a property, read in the same loop as the appends."""
    core: Any = getattr(counter, "_counter", counter)

    def work() -> None:
        for _ in parts:
            core.total  # noqa: B018 - that it is read is what is timed

    with quiet():
        return cpu_s(work)[1]


def _recounted_s(count: Count, text: str, *, appends: int) -> float:
    """Return what recounting all that is there after each append would take: sampled, and the area under it."""
    lengths = [len(text) * number // _SAMPLES for number in range(_SAMPLES + 1)]
    spent = [0.0]
    for length in lengths[1:]:
        prefix = text[:length].encode().decode()
        with quiet():
            spent.append(cpu_s(lambda prefix=prefix: count(prefix))[1])  # type: ignore[misc]
    mean = sum((before + after) / 2 for before, after in pairwise(spent)) / _SAMPLES
    return mean * appends


def _message(text: str, number: int) -> str:
    """Return the *number*-th part of the conversation that is a message long."""
    data = text.encode()
    size = min(MESSAGE_BYTES, len(data))
    start = text_end(data, number * size % max(1, len(data) - size + 1))
    return data[start : text_end(data, start + size)].decode()


def _message_s(count: Count, message: str) -> float:
    """Return what recounting the message after an append takes, the mean over a message that grows to its size."""
    ends = list(accumulate(len(part) for part in pieces(message, _STEP)))
    prefixes = [message[:end].encode().decode() for end in ends]

    def work() -> None:
        for prefix in prefixes:
            count(prefix)

    with quiet():
        return cpu_s(work)[1] / len(prefixes)


def figures(timings: Sequence[Timing]) -> list[Figure]:
    """Return the figures that are asked for beside what was measured."""
    everyone = {shown.racer for shown in timings} - {"retold"}
    return [
        _smallest(timings),
        ratio("16-byte appends, to tiktoken recounting all", timings, WHOLE, ("tiktoken",), required=5e4, aim=1e5),
        ratio("the same, to the best peer recounting the message", timings, MESSAGE, everyone, required=90, aim=150),
    ]


def _smallest(timings: Sequence[Timing]) -> Figure:
    own, bare = beside(timings, f"append {APPEND_BYTES[0]} B", ("retold",)), beside(timings, BARE, ("retold",))
    assert own is not None, "it was timed"
    assert bare is not None, "it was timed"
    calls = own.median / bare.median
    return Figure(
        name=f"{APPEND_BYTES[0]}-byte append from Python",
        required=f"≤ 150 ns or ≤ {_BARE_CALLS_MAX} bare calls",
        aim="≤ 100 ns",
        measured=own.median,
        unit="ns",
        verdict=verdict((own.median <= 150 or calls <= _BARE_CALLS_MAX, own.median <= 100)),
        beside=f"{calls:.1f} bare calls of {bare.median:.0f} ns",
    )


def notes(text: str) -> list[str]:
    """Return what has to be known to read the table."""
    size = f"{len(text.encode()) / 1e3:.0f} KB"
    return [
        "CPU time; medians (quartiles). The loop around the calls is counted in.",
        f"A conversation of {size} in English, code, JSON and Chinese, {_STEP} bytes an append.",
        f"{WHOLE}: each peer counts {_SAMPLES} prefixes; the area under those times is what all appends would take.",
        f"{MESSAGE}: each peer counts a growing message of {MESSAGE_BYTES // 1000} KB, scaled to all appends.",
        f"Totals were compared with recounts of all at {_CHECKS} places.",
    ]
