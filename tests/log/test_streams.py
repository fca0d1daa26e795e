"""What stands on the server: created where missing, accepted where compatible, else refused; and a full store."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.log.conftest import all_seqs, api, take

from retold.errors import InputError, UnavailableError
from retold.events import Draft, SessionKey
from retold.log import (
    EmbeddedServer,
    JetStreamLog,
    connect_log,
    inspect_server,
)
from retold.log.names import EVENTS


def test_setting_up_twice_and_at_once_is_harmless(tmp_path: Path) -> None:
    """Any number of processes may open the log at once, the first time and later; the doctor finds it whole."""

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server:
            before = await inspect_server(server.url)
            assert [stream.problem is None for stream in before.streams] == [False] * 7
            logs = await asyncio.gather(*(JetStreamLog.open(server.url) for _ in range(5)))
            facts = await logs[0].broker.inspect()
            assert facts.problems == ()
            assert (facts.jetstream, facts.profile, facts.version[:2]) == (True, "fast", "2.")
            assert facts == await inspect_server(server.url)
            for log in logs:
                await log.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"discard": "old"}, "RETOLD_EVENTS: expected discard 'new', found 'old'"),
        ({"max_age": 3_600_000_000_000}, "RETOLD_EVENTS: expected max_age 0, found 3600000000000"),
        ({"allow_atomic": False}, "RETOLD_EVENTS: expected allow_atomic True, found False"),
        ({"metadata": {"retold.format": "2"}}, "RETOLD_EVENTS: expected format 1 or older, found 2.*newer Retold"),
        ({"metadata": {}}, "RETOLD_EVENTS: expected metadata retold.format=1, found none"),
        ({"name": "OTHER"}, "RETOLD_EVENTS, another stream has its subjects"),
    ],
)
def test_a_stream_that_would_lose_events_is_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    """If a stream of our name is set up in a way that could drop or hide events, I am told stream, field and values."""
    config: dict[str, object] = {
        "name": EVENTS,
        "subjects": ["retold.ev.>"],
        "discard": "new",
        "allow_direct": True,
        "allow_atomic": True,
        "metadata": {"retold.format": "1"},
    }

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server:
            changed = config | change
            answer = await api(server.url, f"STREAM.CREATE.{changed['name']}", changed)
            assert "error" not in answer
            with pytest.raises(InputError, match=words):
                await JetStreamLog.open(server.url)
            if "name" not in change:
                assert any(EVENTS in problem for problem in (await inspect_server(server.url)).problems)

    asyncio.run(run())


def test_what_an_operator_may_choose_is_accepted(tmp_path: Path) -> None:
    """A stream made beforehand with compression, a byte limit or a longer duplicate window is used as it is."""
    config: dict[str, object] = {
        "name": EVENTS,
        "subjects": ["retold.ev.>"],
        "discard": "new",
        "allow_direct": True,
        "allow_atomic": True,
        "compression": "s2",
        "max_bytes": 10_000_000,
        "duplicate_window": 600_000_000_000,
        "metadata": {"retold.format": "1"},
    }

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server:
            await api(server.url, f"STREAM.CREATE.{EVENTS}", config)
            async with connect_log(server.url) as log:
                assert (await log.broker.inspect()).problems == ()

    asyncio.run(run())


def test_a_full_store_refuses_and_keeps_what_it_has(tmp_path: Path, key: SessionKey, drafts: Iterator[Draft]) -> None:
    """When the store is full I am told so, and every event that was stored before is still there."""
    config: dict[str, object] = {
        "name": EVENTS,
        "subjects": ["retold.ev.>"],
        "discard": "new",
        "allow_direct": True,
        "allow_atomic": True,
        "max_bytes": 20_000,
        "metadata": {"retold.format": "1"},
    }

    async def run() -> None:
        async with EmbeddedServer(tmp_path, profile="fast") as server:
            await api(server.url, f"STREAM.CREATE.{EVENTS}", config)
            async with connect_log(server.url) as log:
                await log.append(key, take(drafts, 30))
                for number in (20, 20, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1):
                    with suppress(UnavailableError):
                        await log.append(key, take(drafts, number))
                for number in (1, 3):
                    with pytest.raises(UnavailableError, match="maximum bytes"):
                        await log.append(key, take(drafts, number))
                stored = await all_seqs(log, key)
                assert stored == list(range(1, len(stored) + 1))
                assert len(stored) >= 30

    asyncio.run(run())
