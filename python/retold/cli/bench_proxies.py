"""The processes of ``retold bench gateway``: a server that writes events, the gateway, and a bare proxy beside it.

The bare proxy is the least that Starlette and aiohttp can do: one route that passes everything on. It reads nothing,
limits nothing and does not stop where its client leaves. It has the gateway's server, client and event loop.
"""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any, Final

import msgspec

_DELTA: Final = (
    b'{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"content_index":0,"delta":" word"}'
)
EVENT: Final = b"event: response.output_text.delta\ndata: " + _DELTA + b"\n\n"
_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_CHUNK: Final = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)


@contextmanager
def running(work: Callable[..., None], *args: Any) -> Iterator[tuple[int, int]]:
    """Run *work* in a process of its own until the block ends; give the port that it serves on, and its number."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, *args), daemon=True)
    process.start()
    assert process.pid is not None, "it was started"
    try:
        yield ours.recv(), process.pid
    finally:
        process.terminate()
        process.join()


def serve(pipe: Connection) -> None:
    """Serve answers of as many events as each request asks for, each written by itself."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                body = msgspec.json.decode(await reader.readexactly(length))
                await _write(writer, body["chunks"], body["pace_s"])
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


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


def relay(pipe: Connection, upstream: int) -> None:
    """Serve a gateway to the server on port *upstream*."""
    from retold.gateway import place_of  # noqa: PLC0415 - in this process alone
    from retold.gateway.serving import run_gateway  # noqa: PLC0415 - in this process alone
    from retold.security import KEY_BYTES, MasterKey, MasterKeys  # noqa: PLC0415 - in this process alone
    from retold.summarizers import ExtractiveSummarizer  # noqa: PLC0415 - in this process alone

    keys = MasterKeys(keys=(MasterKey(id="k1", secret=bytes(KEY_BYTES)),))

    async def run() -> None:
        place = place_of(f"http://127.0.0.1:{upstream}", "responses")
        async with run_gateway(place, keys=keys, summarizer=ExtractiveSummarizer()) as port:
            pipe.send(port)
            await asyncio.Event().wait()

    _run(run())


def pass_on(pipe: Connection, upstream: int) -> None:
    """Serve a bare proxy to the server on port *upstream*."""
    import aiohttp  # noqa: PLC0415 - in this process alone
    from starlette.applications import Starlette  # noqa: PLC0415 - in this process alone
    from starlette.requests import Request  # noqa: PLC0415 - in this process alone
    from starlette.responses import StreamingResponse  # noqa: PLC0415 - in this process alone
    from starlette.routing import Route  # noqa: PLC0415 - in this process alone

    from retold.monitoring.endpoints import serving  # noqa: PLC0415 - in this process alone

    async def pieces(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        async with answer:
            async for data in answer.content.iter_any():
                yield data

    async def run() -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

            async def endpoint(request: Request) -> StreamingResponse:
                url = f"http://127.0.0.1:{upstream}{request.url.path}"
                answer = await session.post(
                    url, data=await request.body(), headers={"content-type": "application/json"}
                )
                return StreamingResponse(pieces(answer), answer.status, media_type=answer.content_type)

            app = Starlette(routes=[Route("/{path:path}", endpoint, methods=["POST"])])
            async with serving(app, host="127.0.0.1", port=0, requests_max=None, what="a bare proxy") as port:
                pipe.send(port)
                await asyncio.Event().wait()

    _run(run())


def _run(work: Coroutine[Any, Any, None]) -> None:
    from retold.gateway.serving import new_event_loop  # noqa: PLC0415 - in these processes alone

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(work)
