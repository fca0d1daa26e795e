"""Clients that are slow, send much or leave cost the gateway nothing that stays: no task, no connection, no memory."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import httpx2
import pytest
from tests.gateway.running import gateway
from tests.gateway.upstream import FLOOD_BYTES, Upstream

from retold.events import Form

_ASKED = {"model": "m", "input": "Why?", "stream": True}
_LARGE = b'{"model":"m","stream":true,"input":"' + b"x" * 50_000_000 + b'"}'
_STAYS_BYTES = 2_000_000
"""Caches, compiled patterns and imports of a first request: far less than one body."""
_HELD_BYTES = 8_000_000
"""What may be on its way through the gateway: a few buffers of the server, the client and ours."""


async def _until_tasks_are(number: int) -> None:
    """Wait until no more than *number* tasks run."""
    async with asyncio.timeout(10):
        while len(asyncio.all_tasks()) > number:  # noqa: ASYNC110 - they are the gateway's, and tell nobody
            await asyncio.sleep(0.02)


@contextmanager
def _traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def _traced_bytes() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@asynccontextmanager
async def _connected(url: str) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter], None]:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def _head(length: int) -> bytes:
    return b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % length


@pytest.mark.slow
def test_nothing_is_left_behind() -> None:
    """After faults, clients that leave while they are answered and while they ask, no task is left."""

    async def run() -> None:
        async with gateway("ok", "500", "half", "garbage", "reset", "drip") as (url, _):
            before = len(asyncio.all_tasks())
            async with httpx2.AsyncClient(timeout=30) as client:
                for _ in range(5):
                    with suppress(httpx2.HTTPError):
                        await client.post(f"{url}/v1/responses", json=_ASKED)
                leaving = [asyncio.create_task(client.post(f"{url}/v1/responses", json=_ASKED)) for _ in range(20)]
                await asyncio.wait(leaving, timeout=0.5)
                for task in leaving:
                    task.cancel()
                await asyncio.wait(leaving)
            for _ in range(20):
                async with _connected(url) as (_, writer):
                    writer.write(_head(1_000_000) + b"x" * 400_000)
                    await writer.drain()
            await _until_tasks_are(before + 1)  # one is the upstream's own

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.parametrize("form", ["responses", "chat"])
def test_large_bodies_leave_no_memory(form: Form) -> None:
    """Bodies of 50 MB arrive whole, read or unread, and when they are answered nothing of them is held."""

    async def run() -> None:
        async with gateway(form=form) as (url, upstream), httpx2.AsyncClient(timeout=60) as client:
            await client.post(f"{url}/v1/responses", json=_ASKED)
            with _traced():
                before = _traced_bytes()
                for _ in range(3):
                    assert (await client.post(f"{url}/v1/responses", content=_LARGE)).status_code == 200
                    assert len(upstream.requests[-1].raw) >= 50_000_000
                    upstream.requests.clear()
                assert _traced_bytes() - before < _STAYS_BYTES

    asyncio.run(run())


async def _until_still(upstream: Upstream) -> None:
    """Wait until *upstream* is not taken anything from any more."""
    sent = -1
    while upstream.flooded_bytes != sent:
        sent = upstream.flooded_bytes
        await asyncio.sleep(0.2)


@pytest.mark.slow
def test_a_client_that_reads_slowly_slows_the_upstream() -> None:
    """An answer that is not read is not fetched: the gateway holds a few buffers of it, and the rest comes later."""

    async def run() -> None:
        async with gateway("flood") as (url, upstream), _connected(url) as (reader, writer):
            with _traced():
                before = _traced_bytes()
                body = b'{"model":"m","input":"Why?","stream":true}'
                writer.write(_head(len(body)) + body)
                await upstream.asked.wait()
                await _until_still(upstream)
                assert 0 < upstream.flooded_bytes < FLOOD_BYTES
                assert tracemalloc.get_traced_memory()[1] - before < _HELD_BYTES
                read = 0
                while data := await reader.read(1 << 20):
                    read += len(data)
                    if data.endswith(b"0\r\n\r\n"):
                        break
                assert read > FLOOD_BYTES

    asyncio.run(run())
