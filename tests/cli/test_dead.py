"""Dead letters on the command line: listed, shown, looked at again, and strays removed."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import nats
import pytest
from tests.laws.lives import long_life
from tests.laws.logs import HandClock, worker_on, write
from tests.log.servers import started
from typer.testing import CliRunner, Result

from retold.cli.app import app
from retold.errors import InputError
from retold.events import SessionKey
from retold.log import connect_log
from retold.log.names import event_subject

pytestmark = pytest.mark.slow
KEY = SessionKey("default", "hurt")


def _retold(url: str, *words: str) -> Result:
    return CliRunner().invoke(app, ["--url", url, *words])


def _listed(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_retold(url, "dead", "list", "--json").stdout)
    return found


async def _publish(url: str, subject: str, body: bytes) -> int:
    client = await nats.connect(url)
    ack = await client.jetstream().publish(subject, body)
    await client.close()
    return ack.seq


async def _plant(url: str) -> tuple[int, int]:
    """Store a session with a bad message in it, a good one, and a stray; return where the bad messages lie."""
    async with connect_log(url) as log:
        for key in (KEY, SessionKey("default", "whole")):
            await write(log, key, long_life(length=12), clock=HandClock(key.session))
        bad = await _publish(url, event_subject(KEY), b"the secret garbage")
        stray = await _publish(url, "retold.ev.nowhere", b"more of it")
        await worker_on(log).drain()
    return bad, stray


def test_dead_letters_are_listed_shown_and_looked_at_again(tmp_path: Path) -> None:
    """Who operates a worker sees what it could not take, by position, and gets it out of the way when it is mended."""
    # The commands have event loops of their own, in the main thread, as their signals want.
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        server = runner.run(stack.enter_async_context(started(tmp_path, {})))
        try:
            url = f"nats://127.0.0.1:{server.port}"
            bad, stray = runner.run(_plant(url))
            _look(url, bad, stray)
            runner.run(_delete(url, bad))
            _mend(url, stray)
        finally:
            runner.run(stack.aclose())


async def _delete(url: str, position: int) -> None:
    client = await nats.connect(url)
    await client.jetstream().delete_msg("RETOLD_EVENTS", position)
    await client.close()


def _look(url: str, bad: int, stray: int) -> None:
    found = {(one["of"], one["session"], one["position"]) for one in _listed(url)}
    assert found == {("session", "hurt", None), ("message", "hurt", bad), ("stray", None, stray)}
    told = _retold(url, "dead", "list").stdout
    assert "secret" not in told
    assert "default/hurt" in told
    assert f"position    {bad}" in _retold(url, "dead", "show", str(bad)).stdout
    assert len(json.loads(_retold(url, "dead", "show", "hurt", "--json").stdout)) == 2
    assert _retold(url, "dead", "show", str(bad), "--body").stdout == "the secret garbage"
    assert isinstance(_retold(url, "dead", "show", "whole").exception, InputError)
    retried = _retold(url, "dead", "retry", "--json")
    assert retried.exit_code == 1
    assert (len(json.loads(retried.stdout)["dead"]), json.loads(retried.stdout)["well"]) == (2, [])


def _mend(url: str, stray: int) -> None:
    retried = _retold(url, "dead", "retry", "hurt")
    assert (retried.exit_code, retried.stdout) == (0, "well: default/hurt\n")
    assert [one["position"] for one in _listed(url)] == [stray]
    assert _retold(url, "dead", "retry", str(stray), "--remove").exit_code == 0
    assert _listed(url) == []
    assert _retold(url, "dead", "list").stdout == "no dead letters\n"
