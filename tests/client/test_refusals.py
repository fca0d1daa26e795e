"""What an agent may not do is refused before it is recorded, and the session is as it was."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import pytest
from tests.laws.logs import HandClock

from retold.client import Client, Session
from retold.errors import InputError
from retold.events import Block, Message, Opaque, Reasoning, Text, Window
from retold.log import MemoryLog


def _client() -> Client:
    return Client(MemoryLog(), HandClock())


def _any(value: Any) -> Any:
    """Return *value* untyped, as a program without a type checker passes it."""
    return value


@pytest.mark.parametrize(
    "act",
    [
        lambda session: session.append(Message(role="user", content=_any("hello"))),
        lambda session: session.append(Message(role=_any("tool"), content=(Text("x"),))),
        lambda session: session.append_many([{"role": "user", "content": "good"}, _any("hello")]),
        lambda session: session.close(reason=_any(None)),
        lambda session: session.report_usage(input_tokens=_any(None)),
        lambda session: session.report_usage(input_tokens=-5),
        lambda session: session.report_usage(input_tokens=5, output_tokens=-1),
        lambda session: session.report_usage(input_tokens=5, cached_tokens=-1),
        lambda session: session.append({"role": "user", "content": "hello"}, expected=-1),
        lambda session: session.append({"role": "user", "content": "hello"}, expected=_any("2")),
        lambda session: session.append_many([{"role": "user", "content": "hello"}], expected=_any(2.0)),
        lambda session: session.extend(_any(None)),
        lambda session: session.extend(_any(b"bytes")),
        lambda session: session.request_compaction(reason=_any(3)),
        lambda session: session.edit([_any(None)], first="i1", last="i1"),
        lambda session: session.append(Opaque(form="chat", kind="x", body="garbage")),
        lambda session: session.append(Opaque(form="chat", kind="x", body="[]")),
        lambda session: session.append(Reasoning(body="NaN")),
        lambda session: session.append(Message(role="user", extra="3")),
        lambda session: session.append(Message(role="user", content=(Block(form="chat", kind="x", body="{"),))),
    ],
    ids=range(20),
)
def test_a_wrong_argument_leaves_no_trace(act: Callable[[Session], Awaitable[int]]) -> None:
    """Whatever I pass by mistake, I am told, nothing is stored, and the session goes on."""

    async def run() -> None:
        session = await _client().session("s")
        await session.append({"role": "assistant", "content": "hi"})
        with pytest.raises(InputError) as error:
            await act(session)
        assert "hello" not in str(error.value)
        assert "garbage" not in str(error.value)
        assert (await session.history()).seq == 2
        await session.append({"role": "user", "content": "go on"})
        assert (await session.history()).seq == 3

    asyncio.run(run())


@pytest.mark.parametrize(
    "arguments",
    [
        {"policy": "agkat"},
        {"window": Window(hard_limit=_any(1000.5))},
        {"window": Window(hard_limit=_any("1000"))},
        {"window": Window(hard_limit=1000, pre_rot=_any(None))},
    ],
    ids=str,
)
def test_a_session_is_never_opened_with_what_cannot_be_read(arguments: dict[str, Any]) -> None:
    """A policy that this release does not have, or a window that is no number, opens nothing."""

    async def run() -> None:
        client = _client()
        with pytest.raises(InputError):
            await client.session("s", **arguments)
        assert await client.sessions() == []

    asyncio.run(run())


@pytest.mark.parametrize("at", ["1", 1.5, True, b"1", date(2026, 1, 1), 0, -1, 9])
def test_a_place_that_is_none_is_refused(at: Any) -> None:
    """A history is asked for at an event's number or a time; anything else is named as what it is."""

    async def run() -> None:
        session = await _client().session("s")
        await session.append({"role": "user", "content": "hi"})
        with pytest.raises(InputError, match="expected a"):
            await session.history(at=at)

    asyncio.run(run())
