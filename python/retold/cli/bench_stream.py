"""``retold bench pipeline``, second part: every session of a full stream, folded to its context and its token count.

The stream is filled by a bare socket with the events that Retold would write, in sessions that go on side by side. What
is folded is compared with folding the prepared events. The yardstick is a bare socket that reads the same stream off a
push consumer and drops it.
"""

import time
from collections.abc import Iterator
from typing import Final, TypeAlias

from msgspec import Struct

from retold.cli.bench_figures import TIMES, Figure, beside, times, verdict
from retold.cli.bench_fleet import frames, names, plain_headers, prepared, texts
from retold.cli.bench_race import Difference, Timing, quiet, timing
from retold.cli.bench_wire import Wire
from retold.events import Recorded, SessionKey, decode
from retold.fold import Context, fold
from retold.log.names import EVENTS, EVENTS_ALL
from retold.wiring import connect

FOLD: Final = "fold of the whole stream"
FOLD_CPU: Final = "fold of the whole stream, CPU"
MEMORY: Final = "decode and fold of events in memory, CPU"
READ: Final = "raw socket"
SESSION_EVENTS: Final = 100
"""Events of one session, its opening included."""

_SIDE_BY_SIDE: Final = 1_000
"""So many sessions are under way at once; the next ones follow."""

_WINDOW: Final = 1_024
_TEXT_BYTES: Final = 100
_Samples: TypeAlias = list[tuple[SessionKey, list[Recorded]]]
_CHECKED: Final = 20
_REQUIRED_PER_S: Final = 200_000
_REQUIRED_SHARE: Final = 0.6


class Folded(Struct, kw_only=True):
    """Hold what was found.

    Attributes:
        tokens: of all contexts together.
        stream_bytes: what a reader receives of the stream.
    """

    timings: list[Timing]
    differences: list[Difference]
    events: int
    sessions: int
    tokens: int = 0
    stream_bytes: int = 0


async def fold_race(url: str, *, events: int, rounds: int, seed: int) -> Folded:
    """Fill a stream with *events* events and fold it, beside reading it."""
    sessions = max(1, events // SESSION_EVENTS)
    found = Folded(timings=[], differences=[], events=sessions * SESSION_EVENTS, sessions=sessions)
    read: list[float] = []
    folded: list[float] = []
    used: list[float] = []
    async with connect(url) as client:
        with Wire(url) as wire:
            samples = _fill(wire, sessions=sessions, seed=seed)
        for _ in range(rounds):
            with Wire(url) as wire, quiet():
                start = time.perf_counter()
                found.stream_bytes = wire.read(EVENTS, subject=EVENTS_ALL, count=found.events)
                read.append(found.events / (time.perf_counter() - start) / 1e3)
            with quiet():
                start, processor = time.perf_counter(), time.process_time()
                found_states = await client.states()
                folded.append(found.events / (time.perf_counter() - start) / 1e3)
                used.append((time.process_time() - processor) / found.events * 1e6)
            assert not found_states.damage, "it was written a moment ago"
            _check(found, found_states.contexts, samples)
    found.timings += [
        timing(FOLD, "retold", folded, unit="k events/s", more=True),
        timing(FOLD, READ, read, unit="k events/s", more=True),
        timing(FOLD_CPU, "retold", used, unit="µs/event"),
        timing(MEMORY, "retold", [_memory(samples) for _ in range(rounds)], unit="µs/event"),
    ]
    return found


def _fill(wire: Wire, *, sessions: int, seed: int) -> _Samples:
    """Publish the sessions and return some of them."""
    samples: _Samples = []
    for keys in _groups(sessions):
        whole = prepared(keys, texts(len(keys) * (SESSION_EVENTS - 1), size=_TEXT_BYTES, seed=seed + len(samples)))
        made = plain_headers(frames(keys, whole, base=0))
        stored = wire.publish(wire.prepare(made), window=_WINDOW)
        assert stored == len(made), "the server keeps what it takes"
        step = max(1, sessions // _CHECKED)
        samples += [(key, events) for key, events in zip(keys[::step], whole[::step], strict=True)]
    return samples


def _groups(sessions: int) -> Iterator[list[SessionKey]]:
    left = sessions
    while left:
        yield names(min(left, _SIDE_BY_SIDE))
        left -= min(left, _SIDE_BY_SIDE)


def _check(found: Folded, contexts: dict[SessionKey, Context], samples: _Samples) -> None:
    found.tokens = sum(context.tokens.upper for context in contexts.values())
    total = sum(context.seq for context in contexts.values())
    if total != found.events:
        found.differences.append(Difference(case="events folded", racer="filled", ours=total, theirs=found.events))
    for key, events in samples:
        expected, came = fold(events), contexts.get(key)
        if came != expected:
            tokens = 0 if came is None else came.tokens.upper
            case = "a session's context"
            theirs = expected.tokens.upper
            found.differences.append(Difference(case=case, racer="folding it alone", ours=tokens, theirs=theirs))


def _memory(samples: _Samples) -> float:
    """Return the CPU time of decoding and folding events that are in memory, in µs an event: the core alone."""
    bodies = [[recorded.body for recorded in events] for _, events in samples]
    with quiet():
        start = time.process_time()
        for session in bodies:
            fold([decode(body) for body in session])
        return (time.process_time() - start) / sum(len(session) for session in bodies) * 1e6


def figures(found: Folded) -> list[Figure]:
    """Return the figure that is asked for beside what was measured: one of two ways to meet it is enough."""
    own, raw = beside(found.timings, FOLD, ("retold",)), beside(found.timings, FOLD, (READ,))
    used = beside(found.timings, FOLD_CPU, ("retold",))
    assert own is not None, "it was timed"
    assert raw is not None, "it was timed"
    assert used is not None, "it was timed"
    a_core = 1e6 / used.median
    share = times(own, raw)
    met = a_core >= _REQUIRED_PER_S or share >= _REQUIRED_SHARE
    return [
        Figure(
            name=f"{FOLD}, {found.events:,} events, for a core",
            required=f"≥ {_REQUIRED_PER_S / 1e3:g} k events/s or ≥ {_REQUIRED_SHARE:g}{TIMES} raw reading",
            aim=f"≥ {_REQUIRED_PER_S / 1e3:g} k events/s",
            measured=a_core / 1e3,
            unit="k events/s",
            verdict=verdict((met, a_core >= _REQUIRED_PER_S)),
            beside=f"{share:.3g}{TIMES} raw reading, {own.median:.3g} and {raw.median:.3g} k events/s",
        )
    ]
