"""``retold bench worker --part published``: how long after a message its replacement history is there.

Two fleets. *Steady*: agents with tools in the window that is the default, each session at another place between two
compactions, so that these come as evenly as messages do. *In step*: sessions that grow alike, of what the user says
alone, so that all of them need a summary in the same second: what a burst costs.
"""

import statistics
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from msgspec import structs

from retold.cli.bench_agents import Order
from retold.cli.bench_figures import Figure, verdict
from retold.cli.bench_fleet import WINDOW
from retold.cli.bench_race import Timing, timing
from retold.cli.bench_side import Made, processor_s, side
from retold.events import Window
from retold.settings import Profile

PUBLISHED: Final = "append to history published"
IN_STEP: Final = "all sessions in step"
MEAN_TOKENS: Final = 400
"""Of a message: Codex's and Claude Code's sessions that were recorded have 300 to 1,000 in the mean."""
FILL: Final = (400, 600)
"""How many messages the first session has before, and how many more the last: 280 bring the first compaction."""
_BATCH: Final = 20
SMALL: Final = Window(hard_limit=8_000, pre_rot=5_000, reserve=800)
"""Of sessions that are compacted every hundred short messages or so."""
_BURST_EVENTS: Final = 250
"""Of each session: the first summary is due after 170, all within a second."""


async def published(profile: Profile, *, rate: int, seconds: int) -> tuple[list[Timing], list[Figure]]:
    """Append at a steady rate, and look how long after the message that called for it each history is there."""
    sessions = max(1, rate // 10)
    made, beside = await _steady(profile, sessions=sessions, rate=rate, seconds=seconds)
    waits = [one.wait_ms for one in made] or [0.0]
    middle, last = quantile(waits, 50), quantile(waits, 99)
    name = f"{PUBLISHED}, {rate:,} events/s"
    shown = [timing(PUBLISHED, "retold", waits, unit="ms")]
    for tier in sorted({one.tier for one in made}):
        work = [one.work_ms for one in made if one.tier == tier]
        shown.append(timing(f"decided to published, {tier}", "retold", work, unit="ms"))
    burst = await _in_step(profile, sessions=sessions, rate=rate)
    shown.append(timing(f"{PUBLISHED}, {IN_STEP}", "retold", burst, unit="ms"))
    return shown, [
        _figure(f"{name}, p50", 15, middle, beside=beside),
        _figure(f"{name}, p99", 100, last, beside=f"{IN_STEP}: {quantile(burst, 50):,.0f}, {quantile(burst, 99):,.0f}"),
    ]


async def _steady(profile: Profile, *, sessions: int, rate: int, seconds: int) -> tuple[Sequence[Made], str]:
    events, spread = FILL
    async with side(profile) as one:
        talk = Order(tenant="steady", sessions=sessions, batch=_BATCH, mean_tokens=MEAN_TOKENS)
        keys = await one.opened(structs.replace(talk, window=WINDOW, events=events, spread=spread))
        one.watch.made.clear()
        start, processor = time.perf_counter(), processor_s()
        more = structs.replace(talk, events=rate * seconds // sessions, rate=rate, before=FILL)
        done = await one.agents.append(more)
        wall_s, used_s = time.perf_counter() - start, processor_s() - processor
        await one.settled(keys)
        made = one.watch.made
    tiers = ", ".join(f"{count} by {tier}" for tier, count in Counter(one.tier for one in made).most_common())
    load, late_ms = used_s / wall_s, done.late_s * 1e3
    return made, f"{len(made) / wall_s:.1f} a second ({tiers}), {load:.0%} of a core, agents {late_ms:.0f} ms late"


async def _in_step(profile: Profile, *, sessions: int, rate: int) -> list[float]:
    async with side(profile) as one:
        order = Order(tenant="step", sessions=sessions, window=SMALL)
        keys = await one.opened(order)
        await one.agents.append(structs.replace(order, window=None, events=_BURST_EVENTS, rate=rate))
        await one.settled(keys)
        return [made.wait_ms for made in one.watch.made] or [0.0]


def quantile(values: Sequence[float], percent: int) -> float:
    """Return the value that *percent* of *values* do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


def _figure(name: str, most_ms: int, measured: float, *, beside: str) -> Figure:
    found = verdict((measured <= most_ms, measured <= most_ms))
    required = f"≤ {most_ms} ms"
    return Figure(
        name=name, required=required, aim=required, measured=measured, unit="ms", verdict=found, beside=beside
    )
