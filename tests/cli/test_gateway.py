"""``retold gateway`` and ``retold up --upstream``, as processes of their own."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import httpx2
import pytest
from tests.gateway.upstream import scripted

Retold: TypeAlias = Callable[..., CompletedProcess[str]]


async def _started(store: Path, *words: str) -> tuple[asyncio.subprocess.Process, str]:
    """Start ``retold`` with *words*; return it with the gateway's address."""
    told = {"RETOLD_DATA_DIR": str(store), "RETOLD_PROFILE": "fast", "RETOLD_KEY_FILE": str(store / "keys")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "retold.cli", *words),
        env={**os.environ, **told},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    async with asyncio.timeout(40):
        async for line in process.stdout:
            if b"The gateway is up: " in line:
                return process, line.decode().split("The gateway is up: ")[1].split(",")[0]
    raise AssertionError("the gateway did not start")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["gateway", "up"])
def test_a_gateway_passes_on_and_ends_in_order(command: str, tmp_path: Path, retold: Retold) -> None:
    """It answers as the upstream does, records where it is to, and ends with 0 when it is told to stop."""

    async def run() -> None:
        await asyncio.to_thread(retold, "keys", "new", tmp_path / "store" / "keys", "--id", "k1")
        port = "--port" if command == "gateway" else "--gateway-port"
        async with scripted() as upstream, httpx2.AsyncClient(timeout=20) as client:
            words = (command, "--upstream", f"{upstream.url}/v1", "--upstream-form", "chat", port, "0")
            process, url = await _started(tmp_path / "store", *words)
            body = {"model": "m", "input": "Why?", "prompt_cache_key": "agent-1"}
            answer = await client.post(f"{url}/responses", json=body)
            assert answer.status_code == 200
            if command == "up":
                named = await asyncio.to_thread(
                    retold, "sessions", "--json", RETOLD_KEY_FILE=str(tmp_path / "store" / "keys")
                )
                assert "agent-1" in named.stdout, named.stderr
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 30) == 0

    asyncio.run(run())


@pytest.mark.slow
def test_a_gateway_without_an_upstream_is_wrong_usage(retold: Retold) -> None:
    """It is told in one line what is missing, or what is no address."""
    for words in (("gateway",), ("gateway", "--upstream", "localhost")):
        done = retold(*words, RETOLD_KEY_FILE="/nonexistent")
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "upstream" in done.stderr


@pytest.mark.slow
def test_bench_gateway_gives_one_document_with_every_case(retold: Retold) -> None:
    """I get one JSON document with both ways, equal answers, and verdicts."""
    done = retold(
        "bench", "gateway", "--chunks", "20", "--streams", "3", "--stream-chunks", "5", "--rounds", "1", "--json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] is True
    assert {shown["racer"] for shown in found["timings"]} == {"direct", "retold", "bare"}
    assert len(found["figures"]) == 5
