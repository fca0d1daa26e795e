"""``retold bench gateway``: what a gateway costs on the way, beside calling the server directly.

Server, gateway and client are three processes. The server writes each event by itself, as servers of models do; the
client reads with little more than a socket, so that what is compared is the way and not the reader; the official client
is timed as well, where it is installed. Both ways are taken in turns.
"""

import asyncio
import multiprocessing
import os
import statistics
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import msgspec
from msgspec import Struct

from retold.cli.bench_figures import Figure, limit, ratio_to
from retold.cli.bench_peers import PeerState
from retold.cli.bench_race import Difference, Timing, timing
from retold.cli.bench_report import Setting, Together, load_note, report, show
from retold.cli.options import run

FIRST: Final = "first byte"
FAST: Final = "one stream, as fast as it is written"
PACED: Final = "one stream, an event each millisecond"
MANY: Final = "many streams at once, 100 events a second each"
CLIENT: Final = "one stream, read by the openai client"
DIRECT: Final = "direct"
MANY_PACE_S: Final = 0.01
FIRST_ASKED: Final = 20
"""Requests for the first byte in one round."""

_DELTA: Final = (
    b'{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"content_index":0,"delta":" word"}'
)
_EVENT: Final = b"event: response.output_text.delta\ndata: " + _DELTA + b"\n\n"
_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_CHUNK: Final = b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)


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
    context = multiprocessing.get_context("spawn")
    with _process(context, _serve) as (upstream, _), _process(context, _relay, upstream) as (gateway, number):
        shown = run(_race({DIRECT: upstream, "retold": gateway}, amounts, rounds=rounds, gateway=number))
    found = report(
        Setting(command="gateway", encoding="none", rounds=rounds, seed=0),
        shown,
        [PeerState(name=DIRECT, call="the same requests without a gateway")],
        texts=[],
        figures=_figures(shown.timings),
        notes=[
            f"Streams of {amounts.chunks:,} events of {len(_EVENT)} bytes, each written by itself.",
            f"At once: {amounts.streams} streams of {amounts.stream_chunks:,} events.",
            load_note(),
        ],
    )
    show(found, bars=[], chart=None, as_json=as_json)
    return found.ok


def _figures(timings: list[Timing]) -> list[Figure]:
    medians = {one.racer: one.median for one in timings if one.case == FIRST}
    added = medians["retold"] - medians[DIRECT]
    rest = [case for case in (FAST, PACED, CLIENT, MANY) if any(one.case == case for one in timings)]
    return [
        limit("first byte, later than directly", added, "ms", required=3.0, aim=3.0),
        *(ratio_to(case, timings, case, DIRECT, required=0.9) for case in rest),
    ]


async def _race(ports: dict[str, int], amounts: Amounts, *, rounds: int, gateway: int) -> Together:
    measures: dict[str, tuple[str, Callable[[int], Awaitable[tuple[float, str]]]]] = {
        FIRST: ("ms", _first),
        FAST: ("events/s", lambda port: _stream(port, amounts.chunks, 0.0)),
        PACED: ("events/s", lambda port: _stream(port, amounts.chunks, 0.001)),
        MANY: ("events/s", lambda port: _many(port, amounts)),
    }
    if find_spec("openai") is not None:
        measures[CLIENT] = ("events/s", lambda port: _official(port, amounts.chunks))
    per = {FIRST: ("processor time of a request", FIRST_ASKED), FAST: ("of an event", amounts.chunks)}
    timings: list[Timing] = []
    differences: list[Difference] = []
    for case, (unit, measure) in measures.items():
        before = _cpu_s(gateway)
        values: dict[str, list[float]] = {racer: [] for racer in ports}
        digests: dict[str, str] = {}
        for turn in range(rounds + 1):  # the first is for connections and imports
            for racer, port in sorted(ports.items(), reverse=turn % 2 == 1):
                value, digests[racer] = await measure(port)
                if turn:
                    values[racer].append(value)
        if case in per:
            spent = _cpu_s(gateway) - before
            name, number = per[case]
            timings.append(timing(name, "retold", [spent / number / (rounds + 1) * 1e6], unit="µs of the gateway"))
        timings += [timing(case, racer, held, unit=unit, more=unit != "ms") for racer, held in values.items()]
        if digests[DIRECT] != digests["retold"]:
            differences.append(Difference(case=case, racer=DIRECT, ours=digests["retold"], theirs=digests[DIRECT]))
    return Together(timings=timings, differences=differences)


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


@contextmanager
def _process(context: Any, work: Callable[..., None], *args: Any) -> Iterator[tuple[int, int]]:
    """Run *work* in a process of its own until the block ends; give the port that it serves on, and its number."""
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, *args), daemon=True)
    process.start()
    try:
        yield ours.recv(), process.pid
    finally:
        process.terminate()
        process.join()


def _cpu_s(process: int) -> float:
    """Return the processor time of *process* so far, 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _serve(pipe: Connection) -> None:
    """Serve answers of as many events as each request asks for."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                body = msgspec.json.decode(await reader.readexactly(length))
                await _write(writer, body["chunks"], body["pace_s"])
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def _write(writer: asyncio.StreamWriter, chunks: int, pace_s: float) -> None:
    writer.write(_HEAD)
    started = perf_counter()
    for number in range(chunks):
        late_s = started + number * pace_s - perf_counter()
        if pace_s and late_s > 0:
            await asyncio.sleep(late_s)
        writer.write(_CHUNK)
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _relay(pipe: Connection, upstream: int) -> None:
    """Serve a gateway to the server on port *upstream*."""
    from retold.gateway import place_of  # noqa: PLC0415 - in this process alone
    from retold.gateway.serving import run_gateway  # noqa: PLC0415 - in this process alone
    from retold.security import KEY_BYTES, MasterKey, MasterKeys  # noqa: PLC0415 - in this process alone
    from retold.summarizers import ExtractiveSummarizer  # noqa: PLC0415 - in this process alone

    keys = MasterKeys(keys=(MasterKey(id="k1", secret=bytes(KEY_BYTES)),))

    async def serve() -> None:
        place = place_of(f"http://127.0.0.1:{upstream}", "responses")
        async with run_gateway(place, keys=keys, summarizer=ExtractiveSummarizer()) as port:
            pipe.send(port)
            await asyncio.Event().wait()

    asyncio.run(serve())
