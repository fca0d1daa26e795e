"""Appending to many sessions at once: each gets its own, and one that fails is no other's concern."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from tests.laws.logs import HandClock

from retold.client import Appended, Client
from retold.errors import ConflictError, InputError
from retold.events import Message, Text, Window, session_key
from retold.log import MemoryLog

_WINDOW = Window(hard_limit=16_000)
_CALLS: dict[str, Any] = {
    "role": "assistant",
    "content": "Let me look.",
    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "read", "arguments": "{}"}}],
}


def _client() -> Client:
    return Client(MemoryLog(), HandClock())


def _said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _any(value: Any) -> Any:
    """Return *value* untyped, as a program without a type checker passes it."""
    return value


async def _texts(client: Client, name: str) -> list[Any]:
    return [message["content"] for message in (await (await client.existing(name)).history()).as_chat()]


def test_each_session_gets_its_own_messages_in_order() -> None:
    """Messages of any form reach the session that they are for, in my order; new sessions are opened."""

    async def run() -> None:
        client = _client()
        await (await client.session("old")).append(_said("before"))
        result: dict[str, Any] = {"role": "tool", "tool_call_id": "a", "content": "read"}
        said = Message(role="user", content=(Text("c"),))
        batch: dict[str, list[Any]] = {"new": [said, _CALLS, result], "old": [_said("b")]}
        ends = await client.append_many(batch, window=_WINDOW)
        assert ends == {"new": Appended(messages=3, seq=5), "old": Appended(messages=1, seq=3)}
        assert await _texts(client, "old") == ["before", "b"]
        history = await (await client.existing("new")).history()
        assert history.as_chat() == [_said("c"), _CALLS, result]

    asyncio.run(run())


def test_pairs_of_one_session_follow_each_other() -> None:
    """I may give what came of many sessions in the order in which it came."""

    async def run() -> None:
        client = _client()
        pairs = [("a", [_said("1")]), ("b", [_said("2")]), ("a", [_said("3"), _said("4")])]
        ends = await client.append_many(pairs, window=_WINDOW)
        assert ends == {"a": Appended(messages=3, seq=4), "b": Appended(messages=1, seq=2)}
        assert await _texts(client, "a") == ["1", "3", "4"]

    asyncio.run(run())


def test_what_fails_in_one_session_is_told_for_it_alone() -> None:
    """A session that is not there, a wrong message and a conflict are each told, and the others are appended."""

    async def run() -> None:
        client = _client()
        for name in ("good", "moved", "wrong"):
            await client.session(name)
        batch: Mapping[str, Any] = {
            "missing": [_said("a")],
            "moved": [_said("b")],
            "wrong": [_said("c"), {"content": 3}],
            "": [_said("d")],
            "empty": [],
            "good": [_said("e")],
        }
        ends = await client.append_many(batch, expected={"moved": 7, "good": 1})
        assert list(ends) == list(batch)
        assert ends["good"] == Appended(messages=1, seq=2)
        assert {name: type(end.error) for name, end in ends.items() if end.error} == {
            "missing": InputError,
            "moved": ConflictError,
            "wrong": InputError,
            "": InputError,
            "empty": InputError,
        }
        conflict = ends["moved"].error
        assert isinstance(conflict, ConflictError)
        assert (conflict.session, conflict.expected, conflict.actual) == ("moved", 7, 1)
        assert "window=" in str(ends["missing"].error)
        assert await _texts(client, "wrong") == []
        assert [end.key.session for end in await client.sessions()] == ["good", "moved", "wrong"]

    asyncio.run(run())


@pytest.mark.parametrize("none", ["none", 0])
def test_a_session_that_is_to_be_new_is_refused_if_it_is_there(none: Any) -> None:
    """With "none", only sessions that did not exist are written to; asked again, all are there."""

    async def run() -> None:
        client = _client()
        await client.session("old")
        batch = {"old": [_said("a")], "new": [_said("b")]}
        ends = await client.append_many(batch, expected=none, window=_WINDOW)
        assert ends["new"] == Appended(messages=1, seq=2)
        errors = [
            ends["old"].error,
            *(end.error for end in (await client.append_many(batch, expected=none, window=_WINDOW)).values()),
        ]
        assert [error.actual for error in errors if isinstance(error, ConflictError)] == [1, 1, 2]
        assert await _texts(client, "old") == []
        opened = await client.append_many({"later": [_said("c")]}, expected={"later": 4}, window=_WINDOW)
        assert isinstance(opened["later"].error, ConflictError)
        assert (await client.log.head(session_key("later"))).seq == 0

    asyncio.run(run())


def test_somebody_else_may_open_a_session_first() -> None:
    """If two of us bring the first messages of one session, it is opened once and holds both."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        one, another = Client(log, clock), Client(log, clock)
        await asyncio.gather(
            one.append_many({"s": [_said("a")]}, window=_WINDOW),
            another.append_many({"s": [_said("b")]}, window=_WINDOW),
        )
        assert sorted(await _texts(one, "s")) == ["a", "b"]

    asyncio.run(run())


@pytest.mark.parametrize(
    "options",
    [
        {"expected": "last"},
        {"expected": -1},
        {"expected": {"s": 1.0}},
        {"expected": {"another": 1}},
        {"expected": "none", "window": None},
        {"tenant": "a tenant"},
        {"window": Window(hard_limit=0)},
        {"encoding": "klingon"},
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_appended(options: dict[str, Any]) -> None:
    """What is wrong with the whole call is an error of the call."""

    async def run() -> None:
        client = _client()
        with pytest.raises(InputError):
            await client.append_many({"s": [_said("a")]}, **({"window": _WINDOW} | options))
        assert await client.sessions() == []

    asyncio.run(run())


def test_where_a_session_is_to_end_may_be_said_in_words() -> None:
    """The word "any" appends wherever the session ends, "none" only where nothing is; another is an error."""

    async def run() -> None:
        session = await _client().session("s")
        assert await session.append(_said("a"), expected="any") == 2
        assert await session.append_many([_said("b")], expected="any") == 3
        with pytest.raises(ConflictError) as conflict:
            await session.append(_said("c"), expected="none")
        assert (conflict.value.expected, conflict.value.actual) == (0, 3)
        with pytest.raises(InputError, match="'any' or 'none' as where the session ends, got 'last'"):
            await session.append(_said("c"), expected=_any("last"))
        assert len((await session.history()).items) == 2

    asyncio.run(run())
