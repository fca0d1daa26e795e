"""An agent's edit is a compaction: it keeps what every compaction keeps, or is refused before it is recorded."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.logs import HandClock, write
from tests.laws.settings import law
from tests.laws.stories import SAID, Move, Story, moves

from retold.client import Client, Session
from retold.errors import InputError
from retold.events import HistoryEdited, Message, Text, Window
from retold.log import MemoryLog
from retold.policy.bonds import atoms
from retold.policy.pins import fixed_positions
from retold.replay import load

_NOTE: dict[str, Any] = {"role": "assistant", "content": "note"}
_USER: dict[str, Any] = {"role": "user", "content": "goal"}


def _call(call_id: str) -> dict[str, Any]:
    function = {"name": "read", "arguments": "{}"}
    calls = [{"id": call_id, "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _result(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "result"}


async def _session() -> Session:
    """Return a session of: i1 system, i2 user, i3 call, i4 result, i5 text, i6 user, i7 text, i8 call that waits."""
    session = await Client(MemoryLog(), HandClock()).session("s")
    said = [{"role": "system", "content": "RULES"}, _USER, _call("a"), _result("a"), _NOTE, {**_USER, "content": "go"}]
    await session.append_many([*said, {**_NOTE, "content": "so"}, _call("b")])
    return session


@pytest.mark.parametrize(
    ("span", "items", "names"),
    [
        (("i1", "i2"), [], ["i1"]),
        (("i5", "i6"), [_NOTE], ["i6"]),
        (("i8", "i8"), [], ["i8"]),
        (("i2", "i3"), [], ["i3", "i4"]),
        (("i4", "i5"), [_NOTE], ["i3", "i4"]),
        ((None, None), [{"role": "user", "content": "start over"}], ["i1", "i6", "i8"]),
        (("i5", "i5"), [_result("c")], ["number 1"]),
        (("i5", "i5"), [_NOTE, _call("c")], ["number 2"]),
    ],
    ids=str,
)
def test_an_edit_that_would_lose_what_must_stay_is_refused_by_name(
    span: tuple[str | None, str | None], items: list[dict[str, Any]], names: list[str]
) -> None:
    """An edit over system text, the latest user message, a waiting call or half a pair is refused, naming the items."""

    async def run() -> None:
        session = await _session()
        before = await session.history()
        with pytest.raises(InputError) as error:
            await session.edit(items, first=span[0], last=span[1])
        assert all(name in str(error.value) for name in names)
        assert await session.history() == before

    asyncio.run(run())


def test_a_pinned_item_is_never_edited_away() -> None:
    """What I pinned stays where it is, with its partner; not even the same text may stand in its place."""

    async def run() -> None:
        session = await _session()
        await session.pin("i4")
        await session.pin("i5")
        for items in ([], [_NOTE]):
            with pytest.raises(InputError, match="pinned 'i5'"):
                await session.edit(items, first="i5", last="i5")
        with pytest.raises(InputError, match="'i4'"):
            await session.edit([_NOTE], first="i3", last="i4")

    asyncio.run(run())


def test_an_edit_that_keeps_what_must_stay_is_made() -> None:
    """Whole pairs may leave, and the whole history may be written anew where what must stay is given again."""

    async def run() -> None:
        session = await _session()
        await session.edit([_NOTE], first="i2", last="i5")
        assert [item.id for item in (await session.history()).items] == ["i1", "i9", "i6", "i7", "i8"]
        rules, go = {"role": "system", "content": "RULES"}, {"role": "user", "content": "go"}
        await session.edit([rules, _call("x"), _result("x"), go, _call("b")])
        assert [item.id for item in (await session.history()).items] == [f"i{number}" for number in range(10, 15)]

    asyncio.run(run())


_NEW = [
    Message(role="assistant", content=(Text("note"),)),
    Message(role="user", content=(Text("goal"),)),
]


@law(120)
@given(
    moves(*SAID, "compact", "extend", at_least=3, at_most=30),
    st.integers(0, 99),
    st.integers(0, 99),
    st.lists(st.sampled_from(_NEW), max_size=2),
)
def test_an_edit_is_refused_or_keeps_every_invariant(
    told: list[Move], one: int, two: int, items: list[Message]
) -> None:
    """Whatever range I edit, it is refused, or every pin, the latest user message and every pair is still there."""
    story = Story().tell([*told, Move("pin", one)])
    entries = story.context.entries
    if not entries:
        return
    first, last = sorted((one % len(entries), two % len(entries)))
    ids = [entry.item.id for entry in entries]
    fixed = {ids[at] for at in fixed_positions(story.context)}
    bound = [{ids[at] for at in atom} for atom in atoms(entries)]

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        client = Client(log, clock)
        session = await client.session("s", window=Window(hard_limit=4_000, pre_rot=3_000, reserve=400))
        for recorded in story.events[1:]:
            await write(log, session.key, [recorded.event.data], clock=clock)
        try:
            await session.edit(items, first=ids[first], last=ids[last])
        except InputError:
            return
        left = {entry.item.id for entry in (await load(log, session.key)).entries}
        assert fixed <= left
        assert all(atom <= left or atom.isdisjoint(left) for atom in bound)

    asyncio.run(run())


def test_a_pin_that_an_imported_edit_took_out_is_still_on_record() -> None:
    """An edit that an import wrote may take a pinned item out of the history; that it was pinned is not forgotten."""
    story = Story().tell([Move("user", 0), Move("say", 0), Move("pin", 0)])
    story.write(HistoryEdited(items=(_NEW[0],), first="i1", last="i1"))
    assert story.context.pinned == ("i1",)
    assert [entry.item.id for entry in story.context.entries] == ["i3", "i2"]
