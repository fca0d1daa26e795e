"""The agents' side: what is appended is whole, what cannot be is refused before it is recorded."""

import asyncio
from typing import Any

import pytest
from tests.laws.logs import HandClock, InterruptedLog, outcome, read, worker_on
from tests.laws.stories import SAID, Story, long_story
from tests.laws.texts import OUTPUT, PROSE

from retold.client import Client
from retold.errors import ConflictError, InputError
from retold.events import Draft, Head, ItemExtended, Message, Opaque, Recorded, SessionKey, Text, Window
from retold.log import MemoryLog

_CALLS: dict[str, Any] = {
    "role": "assistant",
    "content": "Let me look.",
    "tool_calls": [
        {"id": name, "type": "function", "function": {"name": "read", "arguments": "{}"}} for name in ("a", "b")
    ],
}


def _client(log: MemoryLog | InterruptedLog | None = None) -> Client:
    return Client(MemoryLog() if log is None else log, HandClock())


class _Batches(MemoryLog):
    """Remember how many events came with each append."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    async def append(
        self, key: SessionKey, drafts: Any, *, expected: int | None = None, are_new: bool = False
    ) -> list[Recorded]:
        """Append, and remember."""
        self.sizes.append(len(drafts))
        return await super().append(key, drafts, expected=expected, are_new=are_new)


def test_a_message_of_several_items_is_appended_as_one() -> None:
    """Text beside two calls is three items, one append, and comes back as the message that I sent."""

    async def run() -> None:
        log = _Batches()
        session = await Client(log, HandClock()).session("s")
        assert await session.append(_CALLS) == 4
        assert log.sizes == [1, 3]
        history = await session.history()
        assert history.as_chat() == [_CALLS]
        assert [item.id for item in history.items] == ["i1", "i2", "i3"]

    asyncio.run(run())


def test_many_messages_are_appended_all_or_none() -> None:
    """If one of my messages is wrong, none is appended."""

    async def run() -> None:
        session = await _client().session("s")
        with pytest.raises(InputError):
            await session.append_many([{"role": "user", "content": "good"}, {"content": 3}])
        with pytest.raises(InputError, match="at least one item"):
            await session.append_many([])
        assert (await session.history()).items == ()
        await session.append_many([{"role": "user", "content": "a"}, _CALLS])
        assert len((await session.history()).items) == 4

    asyncio.run(run())


def test_an_append_that_expects_another_end_is_refused() -> None:
    """If the session moved on since I looked, I am told both ends and nothing is appended."""

    async def run() -> None:
        session = await _client().session("s")
        seq = await session.append({"role": "user", "content": "a"}, expected=1)
        with pytest.raises(ConflictError) as conflict:
            await session.append({"role": "user", "content": "b"}, expected=1)
        assert (conflict.value.expected, conflict.value.actual) == (1, seq)
        assert len((await session.history()).items) == 1

    asyncio.run(run())


def test_what_cannot_be_pinned_or_edited_is_refused_before_it_is_recorded() -> None:
    """Ids that are not in the history, and ranges the wrong way round, are refused; the session is as it was."""

    async def run() -> None:
        session = await _client().session("s")
        await session.append_many([{"role": "user", "content": text} for text in "abc"])
        for wrong in ("i0", "i4", "", "s1"):
            with pytest.raises(InputError, match="id of an item"):
                await session.pin(wrong)
            with pytest.raises(InputError, match="id of an item"):
                await session.edit([], first=wrong)
            with pytest.raises(InputError, match="id of an item"):
                await session.edit([], last=wrong)
        with pytest.raises(InputError, match="in the history's order"):
            await session.edit([], first="i3", last="i1")
        history = await session.history()
        assert history.seq == 4
        await session.edit([{"role": "user", "content": "z"}], first="i1", last="i2")
        assert [message["content"] for message in (await session.history()).as_chat()] == ["z", "c"]

    asyncio.run(run())


def test_streamed_text_is_refused_where_there_is_nothing_to_add_it_to() -> None:
    """Streaming to an empty history, or to a block of the provider's, is an error and leaves the session readable."""

    async def run() -> None:
        session = await _client().session("s")
        with pytest.raises(InputError, match="newest item with text"):
            await session.extend("x")
        await session.append(Opaque(form="responses", kind="compaction", body="{}"))
        with pytest.raises(InputError, match="newest item with text"):
            await session.extend("x")
        await session.append({"role": "assistant", "content": "so"})
        await session.extend(" far")
        assert (await session.history()).as_chat()[-1]["content"] == "so far"

    asyncio.run(run())


def test_streaming_goes_on_while_the_worker_writes() -> None:
    """An extension that the worker's event came before is tried again, and nothing of it is lost or doubled."""

    async def run() -> None:
        log = MemoryLog()
        await (await _client(log).session("s")).append({"role": "assistant", "content": "so"})
        key = SessionKey(tenant="default", session="s")
        interrupted = InterruptedLog(log, key, at=1, facts=[ItemExtended(text=" far")])
        session = await Client(interrupted, HandClock("mine")).existing("s")
        await session.extend(", so good")
        assert (await session.history()).as_chat()[-1]["content"] == "so far, so good"

    asyncio.run(run())


def test_an_agent_streams_beside_a_worker_that_compacts() -> None:
    """Long answers, streamed while a worker compacts after each piece, never damage the session."""

    async def run() -> None:
        log = MemoryLog()
        client, worker = _client(log), worker_on(log)
        session = await client.session("s", window=Window(hard_limit=3_000, pre_rot=2_000, reserve=200))
        for number in range(12):
            await session.append({"role": "user", "content": f"step {number}"})
            await worker.drain()
            await session.append({"role": "assistant", "content": PROSE})
            for _ in range(6):
                await worker.drain()
                await session.extend(OUTPUT[:800])
        await worker.drain()
        assert not worker.damaged
        assert (await outcome(log, session.key)).version > 1
        assert (await session.history()).tokens <= 2_800

    asyncio.run(run())


def test_a_session_is_opened_once_and_found_again() -> None:
    """Two clients that open one session get the same, with the window of the first."""

    async def run() -> None:
        log = MemoryLog()
        first = await _client(log).session("s", window=Window(hard_limit=5_000))
        await first.append({"role": "user", "content": "a"})
        second = await Client(log, HandClock("second")).session("s", window=Window(hard_limit=9_000))
        assert (await second.history()) == (await first.history())
        assert len(await read(log, first.key)) == 2
        assert [end.key for end in await _client(log).sessions()] == [first.key]
        with pytest.raises(InputError, match="none named 'other'"):
            await _client(log).existing("other")

    asyncio.run(run())


@pytest.mark.parametrize(
    "window", [Window(hard_limit=0), Window(hard_limit=-5), Window(100, pre_rot=-1), Window(100, reserve=100)], ids=str
)
def test_a_window_that_leaves_no_room_is_refused(window: Window) -> None:
    """A window without room for a request is a mistake of the caller's, said before anything is recorded."""

    async def run() -> None:
        client = _client()
        with pytest.raises(InputError):
            await client.session("s", window=window)
        with pytest.raises(InputError):
            await client.session("s", encoding="of_tomorrow")
        assert await client.sessions() == []

    asyncio.run(run())


def test_a_reader_that_follows_sees_what_reading_everything_gives() -> None:
    """A session object that read now and then has the history that a new one has."""

    async def run() -> None:
        log = MemoryLog()
        window = Window(hard_limit=4_000, pre_rot=3_000, reserve=400)
        session = await _client(log).session("s", window=window)
        worker = worker_on(log)
        for at, recorded in enumerate(Story().tell(long_story(4, length=80, verbs=SAID)).events[1:]):
            draft = Draft(id=f"d{at}", at=HandClock().now(), actor="agent", data=recorded.event.data)
            await log.append(session.key, [draft])
            if at % 3 == 0:
                await worker.drain()
            if at % 5 == 0:
                fresh = await Client(log, HandClock("fresh")).existing("s")
                assert await session.history() == await fresh.history()
        assert await log.head(session.key) != Head()

    asyncio.run(run())


def test_text_that_utf8_cannot_carry_is_refused_and_nothing_is_recorded() -> None:
    """Half a surrogate pair is refused in a message, an item and streamed text alike."""

    async def run() -> None:
        session = await _client().session("s")
        await session.append({"role": "user", "content": "a"})
        with pytest.raises(InputError):
            await session.append({"role": "user", "content": "\ud800"})
        with pytest.raises(InputError):
            await session.append(Message(role="user", content=(Text("\ud800"),)))
        with pytest.raises(InputError):
            await session.extend("\ud800")
        assert (await session.history()).seq == 2

    asyncio.run(run())
