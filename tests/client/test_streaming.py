"""Streamed text: it stands where it was added, beside what was there, or is refused."""

import asyncio
from typing import Any

import pytest
from tests.laws.logs import HandClock

from retold.client import Client, Session
from retold.errors import InputError
from retold.events import ItemAppended, Message, Reasoning
from retold.fold import count_item
from retold.log import MemoryLog
from retold.replay import load
from retold.tokens import RECONSTRUCTIONS, encoding

_IMAGE: dict[str, Any] = {"type": "image_url", "image_url": {"url": "http://x"}}
_MARKED: dict[str, Any] = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
_SOURCE: dict[str, Any] = {"type": "image", "source": {"type": "url", "url": "http://x"}}


async def _session() -> tuple[MemoryLog, Session]:
    log = MemoryLog()
    return log, await Client(log, HandClock()).session("s")


def test_text_streamed_after_an_image_leaves_the_other_parts_as_they_came() -> None:
    """A cache mark on the first part is still sent when text is added after an image."""

    async def run() -> None:
        log, session = await _session()
        await session.append({"role": "user", "content": [_MARKED, _IMAGE]})
        await session.extend("more")
        await session.extend(" and more")
        more = {"type": "text", "text": "more and more"}
        assert (await session.history()).as_chat() == [{"role": "user", "content": [_MARKED, _IMAGE, more]}]
        entry = (await load(log, session.key)).entries[0]
        assert entry.tokens == count_item(entry.item, encoding("o200k_base"))

    asyncio.run(run())


@pytest.mark.parametrize("name", RECONSTRUCTIONS)
def test_text_streamed_to_a_session_of_a_reconstruction_is_counted_by_it(name: str) -> None:
    """A session that names a reconstruction is counted by it, streamed text too, and says that nothing is exact."""

    async def run() -> None:
        log = MemoryLog()
        session = await Client(log, HandClock()).session("s", encoding=name)
        await session.append({"role": "user", "content": "The Quick"})
        for more in (" brown F", "OX isn", "'t ", "quick.\n"):
            await session.extend(more)
        entry = (await load(log, session.key)).entries[0]
        assert entry.tokens == count_item(entry.item, encoding(name))
        assert entry.tokens.exact == 0

    asyncio.run(run())


def test_text_streamed_after_an_image_in_a_tool_result_leaves_the_result_as_it_came() -> None:
    """The same holds for a tool's result, in a form that marks its parts."""

    async def run() -> None:
        _, session = await _session()
        use = {"type": "tool_use", "id": "a", "name": "look", "input": {}}
        result = {"type": "tool_result", "tool_use_id": "a", "content": [_MARKED, _SOURCE]}
        await session.append({"role": "assistant", "content": [use]})
        await session.append({"role": "user", "content": [result]})
        await session.extend("more")
        content = (await session.history()).as_anthropic()[-1]["content"][0]["content"]
        assert content == [_MARKED, _SOURCE, {"type": "text", "text": "more"}]

    asyncio.run(run())


@pytest.mark.parametrize("extra", [None, "{}", '{"chat":3}', '{"chat":{"content":"parts"}}'], ids=str)
def test_text_streamed_to_a_message_of_any_shape_is_its_last_part(extra: str | None) -> None:
    """Whatever is kept beside a message, added text is there when it is sent."""

    async def run() -> None:
        _, session = await _session()
        await session.append(Message(role="user", extra=extra))
        await session.extend("more")
        content = (await session.history()).as_chat()[0]["content"]
        assert content in ("more", [{"type": "text", "text": "more"}])

    asyncio.run(run())


@pytest.mark.parametrize(
    "sealed",
    [
        {"type": "reasoning", "id": "rs1", "summary": [], "encrypted_content": "AAAA"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "abc", "signature": "sig"}]},
        Reasoning(text="abc", form="chat", body='{"reasoning_details":[]}'),
    ],
    ids=["encrypted", "signed", "details"],
)
def test_text_is_not_streamed_to_reasoning_that_its_provider_sealed(sealed: Any) -> None:
    """Signed or encrypted reasoning is sent as it came: text added to it would be counted and never be sent."""

    async def run() -> None:
        log, session = await _session()
        await session.append(sealed)
        with pytest.raises(InputError, match="sealed"):
            await session.extend(" more")
        assert (await log.head(session.key)).seq == 2
        await session.append(Reasoning(text="so"))
        await session.extend(" far")
        item = (await session.history()).items[-1]
        assert isinstance(item, Reasoning)
        assert item.text == "so far"

    asyncio.run(run())


def test_an_item_that_is_appended_opens_a_closed_session_again() -> None:
    """Closing is a remark and no lock: who goes on has an open session, and nothing is lost."""

    async def run() -> None:
        log, session = await _session()
        await session.append({"role": "user", "content": "a"})
        await session.close(reason="done")
        assert (await load(log, session.key)).closed
        await session.append({"role": "user", "content": "b"})
        assert not [context for context in [await load(log, session.key)] if context.closed]
        facts = [recorded.event.data async for recorded in log.read(session.key)]
        assert sum(isinstance(fact, ItemAppended) for fact in facts) == len((await session.history()).items) == 2

    asyncio.run(run())
