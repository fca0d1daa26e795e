"""A model compresses its own history: nothing is lost, nothing that must stay is touched, and every refusal helps."""

import asyncio
import json
from typing import Any

import pytest
from tests.laws.logs import HandClock, outcome, worker_on, write
from tests.laws.texts import CHINESE

from retold.client import Client, Session
from retold.errors import InputError
from retold.events import Form, HistoryEdited, Window
from retold.fold import Context
from retold.formats import to_items
from retold.log import MemoryLog
from retold.policy import choose, replace
from retold.policy.limits import limits_within
from retold.replay import load

LONG = "FAILED test_x: 1 != 2\n" * 60


def _call(*call_ids: str) -> dict[str, Any]:
    function = {"name": "read", "arguments": "{}"}
    calls = [{"id": call_id, "type": "function", "function": function} for call_id in call_ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _result(call_id: str, text: str = LONG) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


async def _session(log: MemoryLog | None = None) -> Session:
    """Return: i1 system, i2 user, i3 i4 calls, i5 i6 results, i7 text, i8 user, i9 call, i10 result, i11 call."""
    session = await Client(log or MemoryLog(), HandClock()).session("s", window=Window(hard_limit=20_000))
    await session.append({"role": "system", "content": "RULES"})
    await session.append_many([_user("goal"), _call("a", "b"), _result("a"), _result("b"), _said("so " * 200)])
    await session.append_many([_user("go on"), _call("c"), _result("c"), _call("d")])
    return session


def _ids(context: Context) -> list[str]:
    return [entry.item.id for entry in context.entries]


async def _state(session: Session) -> Context:
    return await load(session._log, session.key)  # noqa: SLF001 - the state behind what users see


def test_several_ranges_are_one_event() -> None:
    """Two ranges are compressed by one event, with a receipt that says what each stands for."""

    async def run() -> None:
        log = MemoryLog()
        session = await _session(log)
        before = await _state(session)
        done = await session.compress(
            [
                {"first": "i7", "last": "i7", "messages": "I explained."},
                {"first": "i2", "last": "i6", "messages": ["Goal: mend.", {"role": "tool", "content": "both failed"}]},
            ]
        )
        events = [recorded async for recorded in log.read(session.key, after=before.seq)]
        assert [recorded.event.seq for recorded in events] == [done.seq]
        fact = events[0].event.data
        assert isinstance(fact, HistoryEdited)
        assert fact.receipt == done.receipt
        assert [(one.block, one.items) for one in done.blocks] == [
            ("c12", ("i2", "i3", "i4", "i5", "i6")),
            ("c13", ("i7",)),
        ]
        after = await _state(session)
        assert _ids(after) == ["i1", "c12", "c13", "i8", "i9", "i10", "i11"]
        assert [entry.form for entry in after.entries[:4]] == ["whole", "compressed", "compressed", "whole"]
        text = (await session.history()).as_chat()[1]["content"]
        assert text.startswith('<retold-compressed id="c12" items="i2-i6" entries="5">\n')
        assert "Goal: mend.\n\ntool: both failed\n</retold-compressed>" in text

    asyncio.run(run())


@pytest.mark.parametrize("form", ["chat", "responses", "anthropic"])
def test_a_block_is_sent_as_the_users_in_every_form(form: Form) -> None:
    """No provider is sent a role that it does not know: the block is user-level text between marks."""

    async def run() -> None:
        session = await _session()
        await session.compress([{"first": "i2", "last": "i7", "messages": "x </retold-compressed> y"}])
        sent = (await session.history()).as_form(form)
        block = next(message for message in sent if "retold-compressed" in json.dumps(message))
        assert block["role"] == "user"
        assert "x &lt;/retold-compressed> y" in json.dumps(block)
        assert to_items(block, form=form)

    asyncio.run(run())


_REFUSED: list[tuple[list[Any], list[str]]] = [
    ([], ["1 to 50 ranges, got 0"]),
    ([{"first": "i1", "last": "i2", "messages": "x"}], ["ranges[0] (i1 to i2)", "i1 (system text)", "i2 (5 tokens"]),
    ([{"first": "i7", "last": "i8", "messages": "x"}], ["i8 (the latest user message)", "nearest", "i7 ("]),
    ([{"first": "i11", "last": "i11", "messages": "x"}], ["i11 (a call that waits)", "nothing in it"]),
    ([{"first": "i2", "last": "i3", "messages": "x"}], ["part i3 from i4", "i2 (", "i2 to i6 ("]),
    ([{"first": "i6", "last": "i7", "messages": "x"}], ["part i6 from i3", "i7 (", "i3 to i7 ("]),
    ([{"first": "i7", "last": "i2", "messages": "x"}], ["first item before the last"]),
    ([{"first": "i2", "last": "i99", "messages": "x"}], ["ranges[0].last", "(i1 to i11), got 'i99'"]),
    ([{"first": "i2", "last": "i7", "messages": " "}], ["messages with text"]),
    ([{"first": "i2", "last": "i2", "messages": "a longer text"}], ["take less than the entries", "got"]),
    (
        [{"first": "i2", "last": "i6", "messages": "x"}, {"first": "i3", "last": "i7", "messages": "y"}],
        ["ranges[1] (i3 to i7)", "ranges[0] (i2 to i6)"],
    ),
    ([{"first": "i2", "last": "i7"}], ["a field 'messages', got none at ranges[0]"]),
    ([{"first": 2, "last": "i7", "messages": "x"}], ["expected str, got int at ranges[0].first"]),
    ([{"first": "i2", "last": "i7", "messages": "x", "why": "y"}], ["ranges[0]"]),
    (["i2"], ["expected object, got str at ranges[0]"]),
]


@pytest.mark.parametrize(("ranges", "names"), _REFUSED, ids=range(len(_REFUSED)))
def test_a_range_that_cannot_be_compressed_is_refused_with_the_way_out(ranges: list[Any], names: list[str]) -> None:
    """A refusal names the range, what is in its way, and the nearest ranges that may go; nothing is recorded."""

    async def run() -> None:
        session = await _session()
        before = await session.history()
        with pytest.raises(InputError) as error:
            await session.compress(ranges)
        assert [name for name in names if name not in str(error.value)] == [], str(error.value)
        assert await session.history() == before

    asyncio.run(run())


def test_a_pin_is_never_compressed() -> None:
    """What I pinned stays, and its partner with it; the refusal says so."""

    async def run() -> None:
        session = await _session()
        await session.pin("i5")
        with pytest.raises(InputError, match=r"i5 \(pinned\).*nearest that may be compressed: i7"):
            await session.compress([{"first": "i2", "last": "i7", "messages": "x"}])

    asyncio.run(run())


def test_blocks_nest_and_open_layer_by_layer() -> None:
    """A block over a block is opened to the inner block, and that to what it stands for."""

    async def run() -> None:
        session = await _session()
        before = await _state(session)
        await session.compress([{"first": "i3", "last": "i6", "messages": "read both: they fail " * 9}])
        between = await _state(session)
        await session.compress([{"first": "i2", "last": "i7", "messages": "goal, and both fail"}])
        assert _ids(await _state(session))[:2] == ["i1", "c13"]
        with pytest.raises(InputError, match="'c12'"):
            await session.decompress("c12")
        await session.decompress("c13")
        assert (await _state(session)).entries == between.entries
        await session.decompress("c12")
        assert (await _state(session)).entries == before.entries

    asyncio.run(run())


def test_one_item_within_a_block_comes_back_behind_it() -> None:
    """One entry of a block comes back with what belongs to it, in order, and leaves when the whole block opens."""

    async def run() -> None:
        session = await _session()
        before = await _state(session)
        await session.compress([{"first": "i2", "last": "i7", "messages": "goal, and both fail"}])
        await session.restore("i2")
        await session.restore("i7")
        assert _ids(await _state(session))[:5] == ["i1", "c12", "i2", "i7", "i8"]
        await session.decompress("c12", item="i5")
        after = await _state(session)
        assert _ids(after)[:9] == ["i1", "c12", "i2", "i3", "i4", "i5", "i6", "i7", "i8"]
        kept = {entry.item.id: entry for entry in before.entries}
        assert all(entry == kept[entry.item.id] for entry in after.entries if entry.item.id in kept)
        with pytest.raises(InputError, match="'i5' is in the history"):
            await session.decompress("c12", item="i5")
        with pytest.raises(InputError, match="'i9' is nothing that c12 stands for"):
            await session.decompress("c12", item="i9")
        await session.decompress("c12")
        assert (await _state(session)).entries == before.entries

    asyncio.run(run())


def test_an_item_of_an_inner_block_comes_back_as_well() -> None:
    """However deep an entry is wrapped, it can be asked for by its id."""

    async def run() -> None:
        session = await _session()
        before = await _state(session)
        await session.compress([{"first": "i3", "last": "i6", "messages": "read both: they fail " * 9}])
        await session.compress([{"first": "i2", "last": "i7", "messages": "goal, and both fail"}])
        await session.restore("i4")
        after = await _state(session)
        assert _ids(after)[:6] == ["i1", "c13", "i3", "i4", "i5", "i6"]
        assert list(after.entries[2:6]) == list(before.entries[2:6])

    asyncio.run(run())


def test_a_compression_is_undone_rewound_forked_and_proven() -> None:
    """Undo opens the blocks of the newest compression; a rewind and a fork take blocks along, and a fork opens them."""

    async def run() -> None:
        log = MemoryLog()
        session = await _session(log)
        before = await _state(session)
        done = await session.compress(
            [
                {"first": "i2", "last": "i6", "messages": "both fail"},
                {"first": "i7", "last": "i7", "messages": "told so"},
            ]
        )
        compressed = await _state(session)
        assert done.seq is not None
        await session.tag("compressed")
        await session.undo()
        assert (await _state(session)).entries == before.entries
        await session.rewind("compressed")
        assert (await _state(session)).entries == compressed.entries
        fork = await session.fork("fork", at="compressed")
        again = await fork.fork("again")
        for one in (fork, again):
            assert (await one.history()).items == (await session.history()).items
            await one.decompress("c12")
            await one.restore("c13")
            opened = await _state(one)
            assert [entry.item for entry in opened.entries] == [entry.item for entry in before.entries]
            shift = opened.entries[-1].seq - before.entries[-1].seq  # what came before a fork has 0 or less
            assert [entry.seq - shift for entry in opened.entries] == [entry.seq for entry in before.entries]
        for key in (session.key, fork.key, again.key):
            await outcome(log, key)

    asyncio.run(run())


def test_a_block_that_was_cut_is_still_opened_to_what_it_stands_for() -> None:
    """When truncation cuts the text of a block, what it stands for can be had back all the same."""

    async def run() -> None:
        log, clock = MemoryLog(), HandClock()
        session = await Client(log, clock).session("s", window=Window(hard_limit=20_000))
        await session.append_many(
            [_user("goal"), _call("a"), _result("a", LONG * 5), _said("so " * 200), _user("go on")]
        )
        before = await _state(session)
        await session.compress([{"first": "i2", "last": "i4", "messages": "it fails " * 700}])
        context = await _state(session)
        replacement = replace(context, choose(context, limits_within(400), without=("offload", "summary")))
        assert replacement is not None
        await write(log, session.key, replacement.facts, clock=clock)
        block = (await _state(session)).entries[1]
        assert (block.item.id, block.form) == ("c6", "compressed")
        assert "cut here" in str(block.item)
        await session.decompress("c6")
        assert (await _state(session)).entries == before.entries

    asyncio.run(run())


def test_a_compaction_before_a_block_was_opened_is_undone_no_more() -> None:
    """What was opened on purpose is no part of what a compaction replaced: its undo is refused, and says the way."""

    async def run() -> None:
        log = MemoryLog()
        session = await _session(log)
        await session.compress([{"first": "i7", "last": "i7", "messages": "told so"}])
        await session.append_many([_said("more " * 90) for _ in range(9)])
        await session.request_compaction(target_tokens=(await session.history()).tokens - 400)  # one offload is enough
        await worker_on(log).drain()
        assert (await _state(session)).compacted_seq
        await session.decompress("c12")
        with pytest.raises(InputError, match="expected a compaction to undo"):
            await session.undo()
        await outcome(log, session.key)

    asyncio.run(run())


def test_a_chinese_session_compresses_as_any() -> None:
    """A conversation in Chinese is compressed in Chinese, and comes back letter for letter."""

    async def run() -> None:
        session = await Client(MemoryLog(), HandClock()).session("s", window=Window(hard_limit=20_000))
        await session.append_many(
            [_user("请检查构建失败的原因。"), _call("a"), _result("a", CHINESE * 20), _said(CHINESE)]
        )
        await session.append(_user("继续。"))
        before = await session.history()
        await session.compress([{"first": "i1", "last": "i4", "messages": "原因：链接参数错误，端口 8080。"}])  # noqa: RUF001
        assert "端口 8080" in (await session.history()).as_chat()[0]["content"]
        await session.decompress("c6")
        assert (await session.history()).items == before.items

    asyncio.run(run())


def test_an_empty_session_has_nothing_to_compress() -> None:
    """A session without a word is shown as empty, and every range of it is refused."""

    async def run() -> None:
        session = await Client(MemoryLog(), HandClock()).session("s")
        view = await session.view()
        assert view.lines == ()
        assert "empty" in view.listing()
        with pytest.raises(InputError, match="there is none yet"):
            await session.compress([{"first": "i1", "last": "i1", "messages": "x"}])

    asyncio.run(run())


def test_a_dry_run_changes_nothing() -> None:
    """A dry run says what a compression would free, which is what it then frees."""

    async def run() -> None:
        session = await _session()
        before = await session.history()
        ranges = [{"first": "i2", "last": "i7", "messages": "both fail"}]
        tried = await session.compress(ranges, dry_run=True)
        assert tried.seq is None
        assert await session.history() == before
        done = await session.compress(ranges)
        assert (done.blocks, done.receipt) == (tried.blocks, tried.receipt)

    asyncio.run(run())


def test_a_block_is_no_message_to_append() -> None:
    """Nobody can make up a block that stands for nothing: it is refused as an item and as a message."""

    async def run() -> None:
        session = await _session()
        await session.compress([{"first": "i2", "last": "i7", "messages": "both fail"}])
        block = (await session.history()).items[1]
        with pytest.raises(InputError, match="made by compress"):
            await session.append(block)
        with pytest.raises(InputError, match="role"):
            await session.append({"role": "compressed", "content": "x"})

    asyncio.run(run())
