"""``retold bench worker``: what one worker does for a fleet: events folded, histories published, memory, growth.

The agents are another process; what is measured is the process of the worker alone, and its processor time where rates
are asked for: what else the machine does changes that least.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from retold.cli.bench import AskedOfLog
from retold.cli.bench_agents import Agents, Order, agents, keys_of
from retold.cli.bench_figures import Figure, limit, verdict
from retold.cli.bench_fleet import WINDOW, prepared, texts
from retold.cli.bench_peers import PeerState
from retold.cli.bench_race import Timing, quiet, timing
from retold.cli.bench_report import Setting, Together, load_note, report, show
from retold.cli.bench_store import folder, served
from retold.cli.bench_wire import Wire
from retold.cli.options import run
from retold.errors import InputError
from retold.events import SessionKey, Window, session_key
from retold.fold import decode_context, encode_context, fold
from retold.log.names import EVENTS, EVENTS_ALL
from retold.ports import Published
from retold.settings import Profile
from retold.wiring import connect, worker_for
from retold.worker import Limits, Worker
from retold.worker.holding import Holding
from retold.worker.live import LiveSession

FOLDED: Final = "append to folded, CPU"
RAW: Final = "the same events read raw, CPU"
PUBLISHED: Final = "append to history published"
GROWN: Final = "one session, CPU an event"
PARTS: Final = ("folded", "published", "live", "grown")
SOAK: Final = "soak"
_SMALL: Final = Window(hard_limit=8_000, pre_rot=5_000, reserve=800)
"""Of the sessions whose histories are published: each is compacted every hundred messages or so."""
SOAK_STEP_S: Final = 20
_PAGE_BYTES: Final = 4096
_SETTLED_S_MAX: Final = 300.0
_POLL_S: Final = 0.02


class Amounts(Struct, frozen=True, kw_only=True):
    """Say how much is done."""

    sessions: int
    events: int
    rate: int
    seconds: int
    live: int
    grown: int


def run_worker_bench(asked: AskedOfLog, amounts: Amounts, *, parts: Sequence[str]) -> bool:
    """Run and show ``bench worker``; return whether nothing that was read was wrong, which is always so.

    Raises:
        InputError: if a part is none.
    """
    unknown = set(parts) - {*PARTS, SOAK}
    if unknown:
        raise InputError(f"expected parts of {', '.join((*PARTS, SOAK))}, got {', '.join(sorted(unknown))}")
    shown, figures = Together(timings=[], differences=[]), list[Figure]()
    for part in parts or PARTS:
        if part == "live":
            figures += live(amounts)
            continue
        timings, found = run(_measured(part, asked, amounts))
        shown.timings += timings
        figures += found
    setting = Setting(command="worker", encoding="o200k_base", rounds=asked.rounds, seed=asked.seed)
    raw = PeerState(name="raw socket", call="a push consumer, dropped")
    notes = [f"Embedded server, profile {asked.profile}, agents in another process, on the same cores.", load_note()]
    found_all = report(setting, shown, [raw], texts=[], figures=figures, notes=notes)
    show(found_all, bars=[], chart=None, as_json=asked.as_json)
    return found_all.ok


async def _measured(part: str, asked: AskedOfLog, amounts: Amounts) -> tuple[list[Timing], list[Figure]]:
    match part:
        case "folded":
            return await folded(asked.profile, amounts, rounds=asked.rounds)
        case "published":
            return await published(asked.profile, amounts)
        case "grown":
            return await grown(asked.profile, amounts)
        case _:
            return await soak(asked.profile, amounts)


class Side(Struct):
    """Hold one worker with its agents, and the server that both use."""

    url: str
    worker: Worker
    agents: Agents
    published: list[tuple[SessionKey, Published, datetime]]

    async def settled(self, keys: Sequence[SessionKey], seq: int) -> None:
        """Wait until each of *keys* is folded up to *seq* at least."""
        waiting = list(keys)
        async with asyncio.timeout(_SETTLED_S_MAX):
            while waiting := [key for key in waiting if self.worker.live.reached(key) < seq]:  # noqa: ASYNC110 -- asked
                await asyncio.sleep(_POLL_S)


@asynccontextmanager
async def side(profile: Profile) -> AsyncIterator[Side]:
    """Run a server, a worker in this process, and agents in another."""
    with folder() as directory:
        async with (
            served(directory, profile) as url,
            connect(url, actor="worker") as client,
            agents(url) as others,
            asyncio.TaskGroup() as tasks,
        ):
            found: list[tuple[SessionKey, Published, datetime]] = []
            publish = client.log.publish_history

            async def timed(key: SessionKey, published: Published) -> bool:
                written = await publish(key, published)
                found.append((key, published, datetime.now().astimezone()))
                return written

            setattr(client.log, "publish_history", timed)  # noqa: B010 -- a log has no listeners
            worker = worker_for(client.log)
            running = tasks.create_task(worker.run())
            yield Side(url=url, worker=worker, agents=others, published=found)
            running.cancel()


async def folded(profile: Profile, amounts: Amounts, *, rounds: int) -> tuple[list[Timing], list[Figure]]:
    """Append to many sessions as fast as it goes, and fold; read the same raw, in turns."""
    own: list[float] = []
    raw: list[float] = []
    async with side(profile) as one:
        order = Order(tenant="folded", sessions=amounts.sessions, window=WINDOW)
        await one.agents.append(order)
        await one.settled(keys_of(order), 1)
        more = Order(tenant="folded", sessions=amounts.sessions, events=amounts.events, batch=4)
        number = amounts.sessions * amounts.events
        for nth in range(1, rounds + 1):
            with quiet():
                processor = time.process_time()
                await one.agents.append(more)
                await one.settled(keys_of(order), 1 + nth * amounts.events)
                own.append((time.process_time() - processor) / number * 1e6)
            with Wire(one.url) as wire, quiet():
                processor = time.process_time()
                wire.read(EVENTS, subject=EVENTS_ALL, count=number)
                raw.append((time.process_time() - processor) / number * 1e6)
    share = statistics.median(raw) / statistics.median(own)
    a_core = 1e6 / statistics.median(own)
    name = f"{FOLDED}, {amounts.sessions:,} sessions, one worker"
    met = a_core >= 20_000
    return [timing(FOLDED, "retold", own, unit="µs/event"), timing(RAW, "raw socket", raw, unit="µs/event")], [
        _figure(name, "≥ 20 k events/s for a core", a_core / 1e3, "k events/s", met=met),
        _figure(f"{name}, to raw reading", "≥ 0.6", share, "", met=share >= 0.6),
    ]


async def published(profile: Profile, amounts: Amounts) -> tuple[list[Timing], list[Figure]]:
    """Append at a steady rate, and look how long after the message that called for it each history is there."""
    async with side(profile) as one:
        sessions = max(1, amounts.rate // 10)
        order = Order(tenant="published", sessions=sessions, window=_SMALL)
        await one.agents.append(order)
        await one.settled(keys_of(order), 1)
        one.published.clear()
        events = amounts.rate * amounts.seconds // sessions
        done = await one.agents.append(Order(tenant="published", sessions=sessions, events=events, rate=amounts.rate))
        await one.settled(keys_of(order), 1 + events)
        async with connect(one.url) as client:
            waits = [await _wait_ms(client.log, *told) for told in one.published]
    middle, last = _quantile(waits, 50), _quantile(waits, 99)
    beside = f"{len(waits)} histories in {done.seconds:.0f} s, agents {done.late_s * 1e3:.0f} ms late at the end"
    name = f"{PUBLISHED}, {amounts.rate:,} events/s"
    return [timing(PUBLISHED, "retold", waits or [0.0], unit="ms")], [
        _figure(f"{name}, p50", "≤ 15 ms", middle, "ms", met=middle <= 15, beside=beside),
        _figure(f"{name}, p99", "≤ 100 ms", last, "ms", met=last <= 100),
    ]


async def _wait_ms(log: object, key: SessionKey, told: Published, at: datetime) -> float:
    """Return how long *told* came after the event that called for it."""
    async for recorded in log.read(key, after=told.base_seq - 1, until=told.base_seq):  # type: ignore[attr-defined]
        return float((at - recorded.event.at).total_seconds() * 1e3)
    raise AssertionError("the event is there")


def live(amounts: Amounts) -> list[Figure]:
    """Hold sessions of 100,000 tokens as a worker does, and weigh the process."""
    name = session_key("s0000000", tenant="live")
    base = fold(prepared([name], texts(1_000, size=500, seed=5))[0])
    body, tokens = encode_context(base), base.tokens.upper
    before, holding = _resident_bytes(), Holding(bytes_max=Limits().live_bytes)
    for nth in range(amounts.live):
        key = session_key(f"s{nth:07d}", tenant="live")
        state = decode_context(body.replace(name.session.encode(), key.session.encode()), key=key)
        one = LiveSession(key, [], base=state)
        one.release()
        holding.put(one)
    after = _resident_bytes()
    each = (after - before) / max(1, len(holding)) / 1e3
    estimated = holding.size_bytes / max(1, len(holding)) / 1e3
    beside = f"{len(holding):,} held, {holding.packed:,} packed; {each:.0f} KB each, estimated {estimated:.0f}"
    title = f"{amounts.live:,} sessions of {tokens:,} tokens live, resident"
    met = after <= 1e9 and len(holding) == amounts.live
    return [_figure(title, "≤ 1,000 MB", after / 1e6, "MB", met=met, beside=beside)]


async def grown(profile: Profile, amounts: Amounts) -> tuple[list[Timing], list[Figure]]:
    """Append to one session, and look what an event costs the worker when it is short, and when it is long."""
    costs: list[float] = []
    step, size = 1_000, 0
    async with side(profile) as one:
        order = Order(tenant="grown", sessions=1, window=WINDOW)
        await one.agents.append(order)
        key = keys_of(order)[0]
        while size < amounts.grown:
            with quiet():
                processor = time.process_time()
                await one.agents.append(Order(tenant="grown", sessions=1, events=step, batch=50))
                size += step
                await one.settled([key], size)
                costs.append((time.process_time() - processor) / step * 1e6)
    tenth = max(1, len(costs) // 10)
    early, late = statistics.mean(costs[1 : tenth + 1]), statistics.mean(costs[-tenth:])
    name = f"{GROWN}, last tenth of {amounts.grown:,} events to the first"
    beside = f"{early:.0f} and {late:.0f} µs, compactions and snapshots included"
    figure = limit(name, late / early, "", required=1.2, aim=1.2)
    shown = [timing(f"{GROWN}, first tenth", "retold", costs[1 : tenth + 1], unit="µs/event")]
    shown += [timing(f"{GROWN}, last tenth", "retold", costs[-tenth:], unit="µs/event")]
    return shown, [_figure(figure.name, "≤ 1.2", late / early, "", met=late / early <= 1.2, beside=beside)]


async def soak(profile: Profile, amounts: Amounts) -> tuple[list[Timing], list[Figure]]:
    """Append at a steady rate for long, and look at memory, and at how far the worker is behind, all along."""
    resident: list[float] = []
    behind: list[float] = []
    async with side(profile) as one:
        sessions = max(1, amounts.rate // 10)
        order = Order(tenant="soak", sessions=sessions, window=_SMALL)
        await one.agents.append(order)
        await one.settled(keys_of(order), 1)
        events, left, appended = amounts.rate * SOAK_STEP_S // sessions, amounts.seconds, 0
        while left > 0:
            one.published.clear()
            await one.agents.append(Order(tenant="soak", sessions=sessions, events=events, rate=amounts.rate))
            appended += events
            start = time.perf_counter()
            await one.settled(keys_of(order), 1 + appended)
            behind.append((time.perf_counter() - start) * 1e3)
            resident.append(_resident_bytes() / 1e6)
            left -= SOAK_STEP_S
    half = len(resident) // 2
    growth = statistics.median(resident[half:]) / statistics.median(resident[: half or 1])
    beside = f"{min(resident):.0f} to {max(resident):.0f} MB in {amounts.seconds} s at {amounts.rate:,} events/s"
    shown = [timing("soak, resident", "retold", resident, unit="MB"), timing("soak, lag", "retold", behind, unit="ms")]
    return shown, [
        _figure("soak, memory of the second half to the first", "≤ 1.1", growth, "", met=growth <= 1.1, beside=beside),
        _figure("soak, longest lag at a step's end", "≤ 2,000 ms", max(behind), "ms", met=max(behind) <= 2_000),
    ]


def _figure(name: str, required: str, measured: float, unit: str, *, met: bool, beside: str = "") -> Figure:
    found = verdict((met, met))
    return Figure(
        name=name, required=required, aim=required, measured=measured, unit=unit, verdict=found, beside=beside
    )


def _quantile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else float("inf")


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
