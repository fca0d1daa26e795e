"""``retold bench worker``: what one worker does for a fleet: events folded, histories published, memory, growth.

The agents are another process; what is measured is the process of the worker alone, and its processor time where rates
are asked for: what else the machine does changes that least.
"""

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Final

from msgspec import Struct, structs
from nats.aio.client import Client as NatsClient

from retold.cli.bench import AskedOfLog
from retold.cli.bench_agents import Order
from retold.cli.bench_figures import Figure, verdict
from retold.cli.bench_fleet import WINDOW, prepared, texts
from retold.cli.bench_peers import PeerState
from retold.cli.bench_published import FILL, MEAN_TOKENS, SMALL, published
from retold.cli.bench_race import Timing, quiet, timing
from retold.cli.bench_recorders import installed
from retold.cli.bench_report import Setting, Together, load_note, report, show
from retold.cli.bench_side import SETTLED_S_MAX, Side, processor_s, side
from retold.cli.bench_wire import Wire
from retold.cli.options import run
from retold.client import Client
from retold.errors import InputError
from retold.events import Window, session_key
from retold.fold import decode_context, encode_context, fold
from retold.log.names import EVENTS, EVENTS_ALL
from retold.settings import Profile
from retold.worker import Limits
from retold.worker.holding import Holding
from retold.worker.live import LiveSession

FOLDED: Final = "append to folded, CPU"
RAW: Final = "the same events read raw, CPU"
READ: Final = "the same events read by Retold's own reader, CPU"
NATS_PY: Final = "nats-py, ordered"
GROWN: Final = "one session, CPU an event"
PARTS: Final = ("folded", "published", "live", "grown")
SOAK: Final = "soak"
_STEP_S: Final = 20
_PAGE_BYTES: Final = 4096
_GROWN_STEP: Final = 1_000


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
    nats = installed(NATS_PY, "nats-py", call="subscribe(ordered_consumer=True), counted in a callback")
    notes = [f"Embedded server, profile {asked.profile}, agents in another process, on the same cores.", load_note()]
    found_all = report(setting, shown, [nats, raw], texts=[], figures=figures, notes=notes)
    show(found_all, bars=[], chart=None, as_json=asked.as_json)
    return found_all.ok


async def _measured(part: str, asked: AskedOfLog, amounts: Amounts) -> tuple[list[Timing], list[Figure]]:
    match part:
        case "folded":
            return await folded(asked.profile, amounts, rounds=asked.rounds)
        case "published":
            return await published(asked.profile, rate=amounts.rate, seconds=amounts.seconds)
        case "grown":
            return await grown(asked.profile, amounts)
        case _:
            return await soak(asked.profile, amounts)


async def folded(profile: Profile, amounts: Amounts, *, rounds: int) -> tuple[list[Timing], list[Figure]]:
    """Append to many sessions as fast as it goes, and fold; read the same raw, in turns."""
    own: list[float] = []
    raw: list[float] = []
    read: list[float] = []
    by_nats: list[float] = []
    async with side(profile) as one:
        order = Order(tenant="folded", sessions=amounts.sessions, window=WINDOW, batch=4)
        keys = await one.opened(order)
        more = structs.replace(order, window=None, events=amounts.events)
        number = amounts.sessions * amounts.events
        for nth in range(1, rounds + 1):
            with quiet():
                processor = time.process_time()
                await one.agents.append(more)
                await one.reached(keys, 1 + nth * amounts.events)
                own.append((time.process_time() - processor) / number * 1e6)
            with Wire(one.url) as wire, quiet():
                processor = time.process_time()
                wire.read(EVENTS, subject=EVENTS_ALL, count=number)
                raw.append((time.process_time() - processor) / number * 1e6)
            with quiet():
                processor = time.process_time()
                await _read_by_nats(one.url, count=number)
                by_nats.append((time.process_time() - processor) / number * 1e6)
            with quiet():
                processor = time.process_time()
                count = await _scanned(one.client, at_least=number)
                read.append((time.process_time() - processor) / count * 1e6)
    used = statistics.median(own)
    to_nats, to_read, to_raw = (statistics.median(costs) / used for costs in (by_nats, read, raw))
    name = f"{FOLDED}, {amounts.sessions:,} sessions, one worker"
    shown = [timing(FOLDED, "retold", own, unit="µs/event"), timing(RAW, "raw socket", raw, unit="µs/event")]
    shown += [timing(RAW, NATS_PY, by_nats, unit="µs/event"), timing(READ, "retold", read, unit="µs/event")]
    return shown, [
        _figure(name, "≥ 20 k events/s for a core", 1e3 / used, "k events/s", met=used <= 50),
        _figure(f"{name}, to nats-py reading", "≥ 0.6", to_nats, "", met=to_nats >= 0.6),
        _figure(f"{name}, to the same client reading", "≥ 0.6", to_read, "", met=to_read >= 0.6),
        _figure(f"{name}, to a bare socket", "≥ 0.6", to_raw, "", met=to_raw >= 0.6),
    ]


async def _read_by_nats(url: str, *, count: int) -> None:
    """Read *count* messages of the stream by nats-py's ordered consumer, its quickest, and drop them."""
    left, done = count, asyncio.Event()

    async def take(message: object) -> None:
        nonlocal left
        del message
        left -= 1
        if not left:
            done.set()

    connection = NatsClient()
    await connection.connect(url)
    try:
        await connection.jetstream().subscribe(EVENTS_ALL, cb=take, ordered_consumer=True)
        async with asyncio.timeout(SETTLED_S_MAX):
            await done.wait()
    finally:
        await connection.close()


async def _scanned(client: Client, *, at_least: int) -> int:
    """Read events of the stream from its beginning, checked and decoded, and drop them; return how many there were."""
    count = 0
    async with aclosing(client.log.scan()) as parts:
        async for part in parts:
            count += len(part.events)
            if count >= at_least:
                break
    return count


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
    shown, figures = list[Timing](), list[Figure]()
    for words, window in (("small window", SMALL), ("usual window", WINDOW)):
        async with side(profile) as one:
            costs = await _growing(one, window, events=amounts.grown)
        bounds = [at for at in (1, 2, 5, 10, 20, 50) if at < len(costs)] + [len(costs)]
        for first, end in pairwise(bounds):
            case = f"{GROWN}, {words}, from {first * _GROWN_STEP:,} events on"
            shown.append(timing(case, "retold", costs[first:end], unit="µs/event"))
        figures += _growth(words, costs, events=amounts.grown)
    return shown, figures


def _growth(words: str, costs: Sequence[float], *, events: int) -> Iterator[Figure]:
    """Yield how what an event costs has grown: what most cost, and all in the mean, with compactions.

    The mean begins where each thousand has its share of them: the first fifth has the one that comes late, for a
    history grows from nothing only once.
    """
    half = len(costs) // 2
    first, steady = costs[1 : max(2, len(costs) // 10)], costs[min(half - 1, len(costs) // 5) : half]
    for what, take, early in (
        ("median of the thousands, second half to the first tenth", statistics.median, first),
        ("mean, second half to the part from a fifth on", statistics.mean, steady),
    ):
        before, after = take(early), take(costs[half:])
        name, beside = f"{GROWN}, {words}, {what} of {events:,}", f"{before:.0f} and {after:.0f} µs"
        yield _figure(name, "≤ 1.2", after / before, "", met=after / before <= 1.2, beside=beside)


async def _growing(one: Side, window: Window, *, events: int) -> list[float]:
    """Return what an event took of the worker's processor time, in µs, of each thousand."""
    costs: list[float] = []
    order = Order(tenant="grown", sessions=1, window=window, batch=50)
    keys = await one.opened(order)
    more = structs.replace(order, window=None, events=_GROWN_STEP)
    for _ in range(events // _GROWN_STEP):
        processor = processor_s()
        await one.agents.append(more)
        await one.settled(keys)
        costs.append((processor_s() - processor) / _GROWN_STEP * 1e6)
    return costs


async def soak(profile: Profile, amounts: Amounts) -> tuple[list[Timing], list[Figure]]:
    """Append at a steady rate for long, and look at memory, and at how far the worker is behind, all along."""
    resident: list[float] = []
    behind: list[float] = []
    used: list[float] = []
    async with side(profile) as one:
        talk = Order(tenant="soak", sessions=max(1, amounts.rate // 10), batch=20, mean_tokens=MEAN_TOKENS)
        keys = await one.opened(structs.replace(talk, window=WINDOW, events=FILL[0], spread=FILL[1]))
        events, before = amounts.rate * _STEP_S // talk.sessions, FILL
        for _ in range(max(1, amounts.seconds // _STEP_S)):
            start, processor = time.perf_counter(), processor_s()
            await one.agents.append(structs.replace(talk, events=events, rate=amounts.rate, before=before))
            used.append((processor_s() - processor) / (time.perf_counter() - start) * 100)
            before = before[0] + events, before[1]
            start = time.perf_counter()
            await one.settled(keys)
            behind.append((time.perf_counter() - start) * 1e3)
            resident.append(_resident_bytes() / 1e6)
            one.watch.made.clear()
    half = len(resident) // 2
    growth = statistics.median(resident[half:]) / statistics.median(resident[: half or 1])
    beside = f"{min(resident):.0f} to {max(resident):.0f} MB in {amounts.seconds} s at {amounts.rate:,} events/s"
    shown = [timing("soak, resident", "retold", resident, unit="MB"), timing("soak, lag", "retold", behind, unit="ms")]
    shown.append(timing("soak, load of a core", "retold", used, unit="%"))
    return shown, [
        _figure("soak, memory of the second half to the first", "≤ 1.1", growth, "", met=growth <= 1.1, beside=beside),
        _figure("soak, longest lag at a step's end", "≤ 2,000 ms", max(behind), "ms", met=max(behind) <= 2_000),
    ]


def _figure(name: str, required: str, measured: float, unit: str, *, met: bool, beside: str = "") -> Figure:
    found = verdict((met, met))
    return Figure(
        name=name, required=required, aim=required, measured=measured, unit=unit, verdict=found, beside=beside
    )


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
