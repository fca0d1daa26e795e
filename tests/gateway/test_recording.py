"""Turns that pass the gateway are events of their session, once each, and an over-long request is made to fit."""

import asyncio
from typing import Any

import httpx2
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from tests.gateway.running import gateway
from tests.gateway.upstream import WORDS

from retold.errors import UnavailableError
from retold.events import Form, Message, ToolCall, ToolResult, Window, plain_text
from retold.formats import to_items
from retold.gateway.recording import Recorder, digest, new_items
from retold.log.memory import MemoryLog
from retold.wiring import client_of

_WINDOW = Window(hard_limit=4_000)
_TEXT = "".join(WORDS)


def _user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def _recorder(log: MemoryLog) -> Recorder:
    return Recorder(client_of(log), tenant="default", window=_WINDOW)


@pytest.mark.parametrize("form", ["responses", "chat", "anthropic"])
def test_a_conversation_is_recorded_once(form: Form) -> None:
    """What was said, called and returned is in the session in order, whatever is sent again; so is what it cost."""

    async def run() -> None:
        log = MemoryLog()
        async with (
            gateway("calls", "ok", form=form, recorder=_recorder(log)) as (url, _),
            AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-secret", max_retries=0) as client,
        ):
            history: Any = [_user("Why does it fail?")]
            for stream in (True, False):
                asked: dict[str, Any] = {"model": "gpt-5", "input": history, "prompt_cache_key": "agent-1"}
                if stream:
                    events = [event async for event in await client.responses.create(**asked, stream=True)]
                    output: Any = events[-1].response.output
                else:
                    output = (await client.responses.create(**asked)).output
                history += [item.to_dict(warnings=False) for item in output]
                calls = [item.call_id for item in output if item.type == "function_call"]
                history += [{"type": "function_call_output", "call_id": one, "output": "FAILED"} for one in calls]
        session = await client_of(log).existing("agent-1")
        context = await session.history()
        kinds = [type(item).__name__ for item in context.items if isinstance(item, Message | ToolCall | ToolResult)]
        assert kinds == ["Message", "ToolCall", "ToolCall", "ToolResult", "ToolResult", "Message"]
        last = context.items[-1]
        assert isinstance(last, Message)
        assert plain_text(last.content) == _TEXT

    asyncio.run(run())


def test_a_request_that_is_too_long_is_sent_as_the_session_s_history() -> None:
    """What the model is sent fits the window; the user's request is in it; the log has every word."""

    async def run() -> None:
        log = MemoryLog()
        async with (
            gateway(recorder=_recorder(log)) as (url, upstream),
            AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-secret", max_retries=0) as client,
        ):
            history: Any = [_user("Mend build 4711.")]
            for number in range(30):
                call = {"type": "function_call", "call_id": f"c{number}", "name": "read", "arguments": "{}"}
                output = f"line {number} of a long log\n" * 60
                history += [call, {"type": "function_call_output", "call_id": f"c{number}", "output": output}]
            named = client.with_options(default_headers={"session-id": "agent-2"})
            await named.responses.create(model="gpt-5", input=history)
        sent = upstream.requests[-1].raw
        assert len(sent) < 20_000
        assert b"Mend build 4711." in sent
        assert b"line 29" in sent
        calls = [item["call_id"] for item in upstream.requests[-1].body["input"] if item["type"] == "function_call"]
        results = [item["call_id"] for item in upstream.requests[-1].body["input"] if "output" in item]
        assert calls == results
        whole = await (await client_of(log).existing("agent-2")).history()
        assert len(whole.items) == 62

    asyncio.run(run())


_RULES = "You mend builds. Never touch main."


@pytest.mark.parametrize("speaks", ["responses", "chat", "anthropic"])
@pytest.mark.parametrize("client", ["responses", "anthropic"])
def test_instructions_beside_the_messages_are_recorded_once(client: Form, speaks: Form) -> None:
    """They are the session's first item, however often they are sent, and whatever they become later."""

    async def run() -> None:
        log = MemoryLog()
        for start in (0, 2):  # the second gateway reads from the log what the first one recorded
            async with gateway(form=speaks, recorder=_recorder(log)) as (url, upstream):
                for number in range(start, start + 2):
                    rules = _RULES if number < 3 else f"{_RULES} It is request {number}."
                    await _ask(url, client, rules, number)
                assert _RULES in upstream.requests[-1].raw.decode()
        history = await (await client_of(log).existing("agent-1")).history()
        said = [(item.role, plain_text(item.content)) for item in history.items if isinstance(item, Message)]
        assert said == [("system", _RULES), *_conversation(4)]
        assert history.as_chat()[0] == {"role": "system", "content": _RULES}

    asyncio.run(run())


def _conversation(turns: int) -> list[tuple[str, str]]:
    return [turn for number in range(turns) for turn in (("user", f"Question {number}."), ("assistant", _TEXT))]


async def _ask(url: str, client: Form, rules: str, number: int) -> None:
    said: Any = [{"role": role, "content": text} for role, text in _conversation(number + 1)[:-1]]
    if client == "responses":
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-secret", max_retries=0) as openai:
            await openai.responses.create(model="m", instructions=rules, input=said, prompt_cache_key="agent-1")
    else:
        named = {"x-claude-code-session-id": "agent-1"}
        async with AsyncAnthropic(base_url=url, api_key="sk-secret", max_retries=0) as anthropic:
            await anthropic.messages.create(model="m", max_tokens=9, system=rules, messages=said, extra_headers=named)


@pytest.mark.parametrize("client", ["responses", "anthropic"])
def test_instructions_are_kept_where_a_request_is_too_long(client: Form) -> None:
    """What is sent has them once, in their own place; the history that stands for the session has them first."""

    async def run() -> None:
        log = MemoryLog()
        long = [{"role": "user", "content": f"Question {number}. " + "word " * 900} for number in range(9)]
        async with gateway(form=client, recorder=_recorder(log)) as (url, upstream), httpx2.AsyncClient() as asking:
            path, name, place = (
                ("responses", "instructions", "input") if client == "responses" else ("messages", "system", "messages")
            )
            body = {"model": "gpt-5", "max_tokens": 9, name: _RULES, place: long, "prompt_cache_key": "agent-2"}
            assert (await asking.post(f"{url}/v1/{path}", json=body)).status_code == 200
        sent = upstream.requests[-1]
        history = await (await client_of(log).existing("agent-2")).history(at_least=1, timeout=0)
        assert len(sent.raw) < 20_000
        assert sent.raw.count(_RULES.encode()) == 1
        assert sent.body[name] == _RULES
        told, *rest, _answer = history.as_form(client, model="gpt-5")
        assert told["role"] == "system"
        assert sent.body[place] == rest

    asyncio.run(run())


def test_an_answer_is_recorded_though_its_client_has_left() -> None:
    """Agents close the connection as soon as they have read the last event: what they were told is in the log."""

    async def run() -> None:
        log = MemoryLog()
        async with gateway("last", recorder=_recorder(log)) as (url, upstream):
            host, _, port = url.removeprefix("http://").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            body = b'{"model":"m","input":"Why?","stream":true,"prompt_cache_key":"agent-4"}'
            writer.write(b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            await asyncio.wait_for(reader.readuntil(b"event: response.completed"), 10)
            writer.transport.abort()
            await asyncio.wait_for(upstream.lost.wait(), 10)
        items = (await (await client_of(log).existing("agent-4")).history()).items
        assert [plain_text(item.content) for item in items if isinstance(item, Message)] == ["Why?", _TEXT]

    asyncio.run(run())


class _Lost(MemoryLog):
    """A log that cannot be reached."""

    async def head(self, key: Any) -> Any:
        """Fail."""
        raise UnavailableError(f"no log for {key.session}")


def test_an_agent_does_not_fail_for_the_log() -> None:
    """Where nothing can be recorded, the answer comes all the same."""

    async def run() -> None:
        async with (
            gateway(recorder=_recorder(_Lost())) as (url, _),
            AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-secret", max_retries=0) as client,
        ):
            answer = await client.responses.create(model="gpt-5", input="Why?", prompt_cache_key="agent-3")
            assert answer.output_text == _TEXT

    asyncio.run(run())


def test_what_is_new_follows_what_was_recorded_last() -> None:
    """After a compaction of the client's own, what it sends anew is not recorded again; a repeated word is."""
    first, second, again = (
        to_items(_user(text), form="responses")[0] for text in ("continue", "and then?", "continue")
    )
    answer = Message(role="assistant", content=())
    seen = [digest(item) for item in (first, answer)]
    assert new_items([first, answer, again], seen) == [again]
    assert new_items([second, answer, again], seen) == [again]
    assert new_items([first, second], seen) == [second]
    assert new_items([first, answer], []) == [first, answer]
