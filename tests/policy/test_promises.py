"""What compactions promise, in whole sessions under every preset; `make soak` tries 10,000 and all shared data."""

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.laws.logs import HandClock, read
from tests.laws.promises import Made, breaches
from tests.laws.settings import TIMES, law
from tests.laws.small import LATEST, call, message, result, told, work
from tests.laws.stories import BRANCHED, CHANGED, MANAGED, SAID, WINDOWS, WORKED, Move, moves
from tests.laws.watching import WatchedStory

from retold.client import Client, import_transcript, read_lines
from retold.events import Fact, Window
from retold.log import MemoryLog
from retold.policy import PRESETS, carry_out
from retold.policy.limits import limits_within

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7_200)]

SESSIONS = 16
"""How many sessions are made up; each is told under every preset."""

_VERBS = (*SAID, *CHANGED, *BRANCHED, *MANAGED, *WORKED)
_DATA = Path(__file__).parents[2].parent / "shared" / "data"
_SMALL_BYTES = 2_000
_LARGEST = 1
"""So many of the largest recorded sessions are told in the suite, under one window; all of them in the soak."""

_REAL_WINDOWS = (8_000, 32_000, 128_000)


def test_every_compaction_of_a_made_up_session_keeps_its_promises() -> None:
    """Whatever happens in my session, under any preset: each history fits, keeps what it must, and can be restored."""
    counts: Counter[str] = Counter()

    @law(SESSIONS)
    @given(moves(*_VERBS, at_least=25, at_most=60), st.sampled_from(WINDOWS))
    def check(moved: list[Move], window: Window) -> None:
        """Tell one session under each preset."""
        counts["sessions"] += 1
        for policy in PRESETS:
            story = WatchedStory(window, policy=policy)
            story.tell([*moved, *moved, Move("compact", 1)])
            story.restore_all()
            assert story.broken == [], policy
            counts.update({f"{policy} {seen}": times for seen, times in story.counts.items()})

    check()
    _show(counts)
    assert all(counts[f"{policy} summary"] for policy in PRESETS)
    assert all(sum(counts[f"{policy} {seen}"] for policy in PRESETS) for seen in ("offload", "truncate", "restored"))


def _show(counts: Counter[str]) -> None:
    seen = ", ".join(f"{times:,} {name}" for name, times in sorted(counts.items()))
    print(f"\n0 violations: {seen}")  # noqa: T201 - `make soak`


async def _sessions(path: Path) -> list[list[Fact]]:
    """Return what agents said in each session of a transcript, after its opening."""
    log = MemoryLog()
    reports = await import_transcript(Client(log, HandClock()), read_lines(path), name=path.name)
    keys = [report.session for report in reports if report.session is not None]
    return [[one.event.data for one in await read(log, key)][1:] for key in keys]


def _recorded() -> list[list[Fact]]:
    """Return the recorded sessions to try, the longest first: a few in the suite, all of them in the soak."""
    files = [path for path in sorted(_DATA.rglob("*")) if path.is_file() and path.stat().st_size > _SMALL_BYTES]
    if TIMES == 1:
        files = sorted(files, key=lambda path: path.stat().st_size)[-_LARGEST:]
    return [facts for path in files for facts in asyncio.run(_sessions(path)) if facts]


@pytest.mark.skipif(not _DATA.is_dir(), reason="the shared data is not beside this checkout")
def test_every_compaction_of_a_recorded_session_keeps_its_promises() -> None:
    """Real agents' sessions, under every preset and windows of 8,000 to 128,000 tokens, fit, or I am told the floor."""
    counts: Counter[str] = Counter()
    for facts in _recorded():
        counts["sessions"] += 1
        for policy, size in product(PRESETS, _REAL_WINDOWS if TIMES > 1 else _REAL_WINDOWS[1:2]):
            story = WatchedStory(Window(hard_limit=size), policy=policy).follow(facts).restore_all()
            assert story.broken == [], (policy, size)
            counts.update({f"{policy} at {size:,}: {seen}": times for seen, times in story.counts.items()})
    _show(counts)
    assert counts["ladder at 32,000: summary"] + counts["ladder at 32,000: offload"] > 0


def _made() -> Made:
    """Return a compaction that keeps a pin, a pair of parallel calls and the latest message."""
    items = [message("system", "Be brief."), *work(12), call("a"), call("b"), result("a"), result("b")]
    context = told([*items, message("user", LATEST)]).context
    limits = limits_within(context.tokens.upper // 2)
    made = carry_out(context, limits)
    return Made(before=context, limits=limits, replaced=made.replaced, entries=made.entries)


def _with_receipt(made: Made, **changes: object) -> Made:
    receipt = structs.replace(made.replaced.receipt, **changes)
    return structs.replace(made, replaced=structs.replace(made.replaced, receipt=receipt))


_PLANTED: dict[str, Callable[[Made], Made]] = {
    "its size is what a recount gives": lambda made: _with_receipt(made, tokens_after=7),
    "its target is the policy's": lambda made: _with_receipt(made, target_tokens=made.limits.target + 1),
    "it is smaller, within its target and below the ceiling": lambda made: structs.replace(
        made, limits=structs.replace(made.limits, ceiling=100)
    ),
    "calls, results and parallel calls stay or leave together": lambda made: structs.replace(
        made, entries=(*made.entries[:-2], made.entries[-1])
    ),
    "pins and the latest user message stay word for word": lambda made: structs.replace(
        made, entries=made.entries[:-1]
    ),
    "nothing is there twice": lambda made: structs.replace(made, entries=(*made.entries, made.entries[-1])),
    "what stays keeps its order": lambda made: structs.replace(made, entries=made.entries[::-1]),
    "the receipt accounts for every entry": lambda made: _with_receipt(made, kept=1),
}


@pytest.mark.parametrize("promise", _PLANTED)
def test_a_broken_promise_is_found(promise: str) -> None:
    """Each promise is seen to be broken where it is."""
    made = _made()
    assert breaches(made) == []
    assert promise in breaches(_PLANTED[promise](made))
