"""The official clients work with the gateway as they work with their provider, whatever the upstream speaks."""

import asyncio
from typing import Any

import pytest
from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, OpenAI
from tests.gateway.running import gateway
from tests.gateway.upstream import ARGUMENTS, THOUGHT, WORDS

from retold.events import Form

_FORMS: tuple[Form, ...] = ("responses", "chat", "anthropic")
_TEXT = "".join(WORDS)
_TOOL = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


def _openai(url: str) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-secret", max_retries=0)


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("step", ["ok", "calls", "length"])
def test_responses_of_the_openai_client(form: Form, step: str) -> None:
    """`responses.create` gives the same text, calls, usage and end, streamed or whole."""

    async def run() -> None:
        async with gateway(step, form=form) as (url, upstream), _openai(url) as client:
            tool: Any = {"type": "function", "name": "read_file", "parameters": _TOOL, "strict": False}
            asked: dict[str, Any] = {"model": "m-1", "instructions": "Be brief.", "input": "Why?", "tools": [tool]}
            whole = await client.responses.create(**asked)
            events = [event async for event in await client.responses.create(**asked, stream=True)]
            closing = events[-1]
            assert closing.type in ("response.completed", "response.incomplete")
            for response in (whole, closing.response):
                assert response.usage is not None
                assert (response.usage.input_tokens, response.usage.output_tokens) == (11, 7)
                assert response.usage.input_tokens_details.cached_tokens == 4
                assert response.status == ("incomplete" if step == "length" else "completed")
                calls = [item for item in response.output if item.type == "function_call"]
                assert [(call.call_id, call.name) for call in calls] == (
                    [("call_0", "read_file"), ("call_1", "read_file")] if step == "calls" else []
                )
                assert {call.arguments.replace(" ", "") for call in calls} <= {"".join(ARGUMENTS).replace(" ", "")}
                thoughts = [item for item in response.output if item.type == "reasoning"]
                assert [part.text for item in thoughts for part in item.summary] == ([THOUGHT] if calls else [])
                assert response.output_text == ("" if step == "calls" else _TEXT)
            said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
            assert said == closing.response.output_text
            key = "x-api-key" if form == "anthropic" else "authorization"
            assert all("sk-secret" in request.headers[key] for request in upstream.requests)

    asyncio.run(run())


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("step", ["ok", "calls", "length"])
def test_chat_completions_of_the_openai_client(form: Form, step: str) -> None:
    """`chat.completions.create` gives the same text, calls, usage and end, streamed or whole."""

    async def run() -> None:
        async with gateway(step, form=form) as (url, _), _openai(url) as client:
            tool: Any = {"type": "function", "function": {"name": "read_file", "parameters": _TOOL}}
            messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
            asked: dict[str, Any] = {"model": "m-1", "messages": messages, "tools": [tool]}
            whole = (await client.chat.completions.create(**asked)).choices[0]
            assert whole.finish_reason == {"ok": "stop", "calls": "tool_calls", "length": "length"}[step]
            assert (whole.message.content or "") == ("" if step == "calls" else _TEXT)
            assert len(whole.message.tool_calls or []) == (2 if step == "calls" else 0)
            async with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
                async for _event in stream:
                    pass
                final = await stream.get_final_completion() if step != "length" else None
            if final is not None:
                streamed = final.choices[0]
                assert (streamed.message.content or "") == (whole.message.content or "")
                assert streamed.finish_reason == whole.finish_reason
                assert final.usage is not None
                assert (final.usage.prompt_tokens, final.usage.completion_tokens) == (11, 7)

    if step == "length":
        return  # the client raises on such streams by itself
    asyncio.run(run())


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("step", ["ok", "calls", "length"])
def test_messages_of_the_anthropic_client(form: Form, step: str) -> None:
    """`messages.create` and `messages.stream` give the same text, calls, usage and end."""

    async def run() -> None:
        async with (
            gateway(step, form=form) as (url, _),
            AsyncAnthropic(base_url=url, api_key="sk-secret", max_retries=0) as client,
        ):
            tool: Any = {"name": "read_file", "input_schema": _TOOL}
            asked: dict[str, Any] = {
                "model": "m-1",
                "max_tokens": 99,
                "system": "Be brief.",
                "messages": [{"role": "user", "content": "Why?"}],
                "tools": [tool],
            }
            whole = await client.messages.create(**asked)
            async with client.messages.stream(**asked) as stream:
                streamed = await stream.get_final_message()
            for message in (whole, streamed):
                assert message.stop_reason == {"ok": "end_turn", "calls": "tool_use", "length": "max_tokens"}[step]
                content: Any = message.content
                texts = [block.text for block in content if block.type == "text"]
                assert texts == ([] if step == "calls" else [_TEXT])
                calls = [(block.id, block.input) for block in content if block.type == "tool_use"]
                assert calls == ([(f"call_{n}", {"path": "a.py"}) for n in (0, 1)] if step == "calls" else [])
                assert message.usage.output_tokens == 7
                assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (7, 4)

    asyncio.run(run())


@pytest.mark.parametrize("form", _FORMS)
def test_the_synchronous_clients_work_as_well(form: Form) -> None:
    """Plain streams, as most programs read them, end by themselves; every answer has its request's id."""

    def ask(url: str) -> None:
        asked: Any = [{"role": "user", "content": "Why?"}]
        with OpenAI(base_url=f"{url}/v1", api_key="sk-secret", max_retries=0) as client:
            events = list(client.responses.create(model="m-1", input="Why?", stream=True))
            assert events[-1].type == "response.completed"
            chunks = list(client.chat.completions.create(model="m-1", messages=asked, stream=True))
            said = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
            assert "".join(said) == _TEXT
            told = client.responses.with_raw_response.create(model="m-1", input="Why?")
            assert (told.request_id, told.parse().output_text) == ("up-1", _TEXT)
        with Anthropic(base_url=url, api_key="sk-secret", max_retries=0) as other:
            parts = list(other.messages.create(model="m-1", max_tokens=9, messages=asked, stream=True))
            assert parts[-1].type == "message_stop"
            texts = [
                part.delta.text
                for part in parts
                if part.type == "content_block_delta" and part.delta.type == "text_delta"
            ]
            assert "".join(texts) == _TEXT

    async def run() -> None:
        async with gateway(form=form) as (url, _):
            await asyncio.to_thread(ask, url)

    asyncio.run(run())


def test_models_pass_through() -> None:
    """`models.list` is the upstream's."""

    async def run() -> None:
        async with gateway() as (url, _), _openai(url) as client:
            assert [model.id async for model in await client.models.list()] == ["m"]

    asyncio.run(run())
