"""``retold bench gateway``: what a gateway costs on the way, beside calling the server directly.

Server, gateway and client are three processes. The server writes each event by itself, as servers of models do; the
client reads with little more than a socket, so that what is compared is the way and not the reader; the official client
is timed as well, where it is installed. A bare proxy stands beside the gateway: what it costs, a proxy in Python costs.
All ways are taken in turns.
"""

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Final

import msgspec
from msgspec import Struct

from retold.cli.bench_figures import Figure, limit, ratio_to
from retold.cli.bench_peers import PeerState
from retold.cli.bench_proxies import EVENT, pass_on, relay, running, serve
from retold.cli.bench_race import Difference, Timing, timing
from retold.cli.bench_report import Setting, Together, load_note, report, show, together
from retold.cli.options import run

FIRST: Final = "first byte"
FAST: Final = "one stream, as fast as it is written"
PACED: Final = "one stream, an event each millisecond"
MANY: Final = "many streams at once, 100 events a second each"
CLIENT: Final = "one stream, read by the openai client"
DIRECT, OURS, BARE = "direct", "retold", "bare"
MANY_PACE_S: Final = 0.01
FIRST_ASKED: Final = 20
"""Requests for the first byte in one round."""

_Measure = Callable[[int], Awaitable[tuple[float, str]]]


class Way(Struct, frozen=True):
    """Say on which port a way to the server begins, and which process answers there."""

    port: int
    process: int


class Amounts(Struct, frozen=True, kw_only=True):
    """Say how much is asked: events of one stream, streams at once, and events of each of those."""

    chunks: int
    streams: int
    stream_chunks: int


class _Answer(Struct, frozen=True):
    """Hold when an answer's first byte came and when it was whole, in seconds, and its hash."""

    first_s: float
    whole_s: float
    digest: str


def run_gateway_bench(amounts: Amounts, *, rounds: int, as_json: bool) -> bool:
    """Run and show ``bench gateway``; return whether every answer came as it was written."""
    with (
        running(serve) as (upstream, server),
        running(relay, upstream) as (gateway, ours),
        running(pass_on, upstream) as (bare, theirs),
    ):
        ways = {DIRECT: Way(upstream, server), OURS: Way(gateway, ours), BARE: Way(bare, theirs)}
        shown = run(_race(ways, amounts, rounds=rounds))
    found = report(
        Setting(command="gateway", encoding="none", rounds=rounds, seed=0),
        shown,
        [
            PeerState(name=DIRECT, call="the same requests without a gateway"),
            PeerState(name=BARE, call="one route of Starlette that passes everything on by aiohttp"),
        ],
        texts=[],
        figures=_figures(shown.timings),
        notes=[
            f"Streams of {amounts.chunks:,} events of {len(EVENT)} bytes, each written by itself.",
            f"At once: {amounts.streams} streams of {amounts.stream_chunks:,} events.",
            load_note(),
        ],
    )
    show(found, bars=[], chart=None, as_json=as_json)
    return found.ok


def _figures(timings: list[Timing]) -> list[Figure]:
    medians = {one.racer: one.median for one in timings if one.case == FIRST}
    added = medians[OURS] - medians[DIRECT]
    rest = [case for case in (FAST, PACED, CLIENT, MANY) if any(one.case == case for one in timings)]
    return [
        limit("first byte, later than directly", added, "ms", required=3.0, aim=3.0),
        *(ratio_to(case, timings, case, DIRECT, required=0.9) for case in rest),
    ]


async def _race(ways: dict[str, Way], amounts: Amounts, *, rounds: int) -> Together:
    measures: dict[str, tuple[str, _Measure]] = {
        FIRST: ("ms", _first),
        FAST: ("events/s", lambda port: _stream(port, amounts.chunks, 0.0)),
        PACED: ("events/s", lambda port: _stream(port, amounts.chunks, 0.001)),
        MANY: ("events/s", lambda port: _many(port, amounts)),
    }
    if find_spec("openai") is not None:
        measures[CLIENT] = ("events/s", lambda port: _official(port, amounts.chunks))
    parts = [await _case(case, *measure, ways, amounts, rounds=rounds) for case, measure in measures.items()]
    return together(parts)


async def _case(
    case: str, unit: str, measure: _Measure, ways: dict[str, Way], amounts: Amounts, rounds: int
) -> Together:
    """Measure *case* by each of the *ways* in turns, one after the other, *rounds* times."""
    values: dict[str, list[float]] = {name: [] for name in ways}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    digests: dict[str, str] = {}
    for turn in range(rounds + 1):  # the first is for connections and imports
        for name in sorted(ways, reverse=turn % 2 == 1):
            before = _cpu_s(ways[name].process)
            value, digests[name] = await measure(ways[name].port)
            if turn:
                values[name].append(value)
                spent[name].append(_cpu_s(ways[name].process) - before)
    timings = [timing(case, name, held, unit=unit, more=unit != "ms") for name, held in values.items()]
    number = {FIRST: FIRST_ASKED, FAST: amounts.chunks}.get(case)
    if number is not None:
        timings += [
            timing(f"{case}: processor time", name, [one / number * 1e6 for one in spent[name]], unit="µs")
            for name in ways
            if name != DIRECT
        ]
    wrong = [name for name, digest in digests.items() if digest != digests[DIRECT]]
    told = [Difference(case=case, racer=name, ours=digests[name], theirs=digests[DIRECT]) for name in wrong]
    return Together(timings=timings, differences=told)


async def _first(port: int) -> tuple[float, str]:
    answers = [await _ask(port, chunks=1, pace_s=0.0) for _ in range(FIRST_ASKED)]
    return statistics.median(answer.first_s for answer in answers) * 1e3, answers[0].digest


async def _stream(port: int, chunks: int, pace_s: float) -> tuple[float, str]:
    answer = await _ask(port, chunks=chunks, pace_s=pace_s)
    return chunks / answer.whole_s, answer.digest


async def _many(port: int, amounts: Amounts) -> tuple[float, str]:
    started = perf_counter()
    asked = (_ask(port, chunks=amounts.stream_chunks, pace_s=MANY_PACE_S) for _ in range(amounts.streams))
    answers = await asyncio.gather(*asked)
    total = amounts.streams * amounts.stream_chunks
    return total / (perf_counter() - started), "|".join(sorted({answer.digest for answer in answers}))


async def _official(port: int, chunks: int) -> tuple[float, str]:
    from openai import AsyncOpenAI  # noqa: PLC0415 - where it is installed

    async with AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0) as client:
        body = {"chunks": chunks, "pace_s": 0.0}
        started = perf_counter()
        stream = await client.responses.create(model="m", input="Why?", stream=True, extra_body=body)
        number = len([event async for event in stream])
        return number / (perf_counter() - started), str(number)


async def _ask(port: int, *, chunks: int, pace_s: float) -> _Answer:
    """Return the answer to one request on a connection of its own; the time counts from when it is connected."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = msgspec.json.encode({"model": "m", "input": "Why?", "stream": True, "chunks": chunks, "pace_s": pace_s})
    head = (
        f"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    )
    started = perf_counter()
    writer.write(head.encode() + b"\r\n" + body)
    held = bytearray(await reader.readuntil(b"\r\n\r\n"))
    held.clear()
    first_s = 0.0
    while not held.endswith(b"\r\n0\r\n\r\n"):
        data = await reader.read(65_536)
        if not data:
            break
        first_s = first_s or perf_counter() - started
        held += data
    whole_s = perf_counter() - started
    writer.close()
    return _Answer(first_s=first_s, whole_s=whole_s, digest=sha256(b"".join(_unchunked(bytes(held)))).hexdigest()[:16])


def _unchunked(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = data.index(b"\r\n", at)
        size = int(data[at:end], 16)
        yield data[end + 2 : end + 2 + size]
        at = end + 2 + size + 2


def _cpu_s(process: int) -> float:
    """Return the processor time of the main thread of *process* so far, 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text(encoding="utf-8").split()[0]) / 1e9
    except OSError:
        return 0.0
