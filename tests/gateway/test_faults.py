"""What goes wrong is told in the provider's own shape, and what a client leaves is left upstream."""

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from anthropic import APIStatusError as AnthropicStatusError
from anthropic import AsyncAnthropic
from openai import APIError, APIStatusError, AsyncOpenAI
from tests.gateway.running import KEYS, gateway
from tests.gateway.upstream import scripted

from retold.client.client import DEFAULT_WINDOW
from retold.errors import InputError, UnavailableError
from retold.events import Form
from retold.fold import Context
from retold.gateway import Limits, place_of
from retold.gateway.faults import error_body, fault_of
from retold.gateway.recording import Recorder
from retold.gateway.serving import run_gateway
from retold.log.memory import MemoryLog
from retold.policy import SummarizeSpan, Summary
from retold.summarizers import ExtractiveSummarizer
from retold.wiring import client_of

_FORMS: tuple[Form, ...] = ("responses", "chat", "anthropic")
_ASKED = {"model": "m", "input": "Why?"}


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("step", ["500", "429", "overflow"])
def test_an_upstream_s_error_is_the_client_s(form: Form, step: str) -> None:
    """Status, message and request id come through; the body is of the client's form, whatever the upstream speaks."""

    async def run() -> None:
        async with gateway(step, form=form) as (url, _):
            async with AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-secret", max_retries=0) as client:
                with pytest.raises(APIStatusError) as raised:
                    await client.responses.create(model="m", input="Why?")
            told = "exceeds the context window" if step == "overflow" else "as the script says"
            assert raised.value.status_code == (400 if step == "overflow" else int(step))
            assert told in raised.value.message
            assert raised.value.request_id == "up-1"
            async with AsyncAnthropic(base_url=url, api_key="sk-secret", max_retries=0) as other:
                with pytest.raises(AnthropicStatusError) as refused:
                    await other.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "Why?"}])
            assert told in refused.value.message
            assert refused.value.body["type"] == "error"  # type: ignore[index]

    asyncio.run(run())


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("step", ["reset", "garbage"])
def test_an_upstream_that_cannot_be_used_is_a_bad_gateway(form: Form, step: str) -> None:
    """A connection that breaks, or an answer that is none, gives 502 where the gateway has to read it."""

    async def run() -> None:
        async with gateway(step, form=form) as (url, _), httpx2.AsyncClient() as client:
            told = await client.post(f"{url}/v1/responses", json=_ASKED)
            if step == "garbage" and form == "responses":
                assert told.text == "<html>502 Bad Gateway</html>"
            else:
                assert told.status_code == 502
                assert told.json()["error"]["type"] == "server_error"
                assert told.headers["x-request-id"].startswith("req_")

    asyncio.run(run())


def test_an_upstream_that_is_not_there_is_a_bad_gateway() -> None:
    """Nobody listens: 502, in the client's shape."""

    async def run() -> None:
        async with scripted() as gone:
            place = place_of(gone.url, "responses")
        async with (
            run_gateway(place, keys=KEYS, summarizer=ExtractiveSummarizer()) as port,
            httpx2.AsyncClient() as client,
        ):
            url = f"http://127.0.0.1:{port}/v1/messages"
            told = await client.post(url, json={"model": "m", "max_tokens": 9, "messages": []})
            assert told.status_code == 502
            assert told.json()["error"]["type"] == "api_error"

    asyncio.run(run())


@pytest.mark.parametrize("form", _FORMS)
def test_a_stream_that_breaks_off_is_no_whole_answer(form: Form) -> None:
    """A client that streams learns that the answer is not whole."""

    async def run() -> None:
        async with (
            gateway("half", form=form) as (url, _),
            AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-secret", max_retries=0) as client,
        ):
            stream = await client.responses.create(model="m", input="Why?", stream=True)
            with pytest.raises((APIError, httpx2.HTTPError)):
                [event async for event in stream]

    asyncio.run(run())


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("step", ["hang", "drip"])
def test_a_client_that_leaves_is_left_upstream(form: Form, step: str) -> None:
    """The upstream's connection ends when the client's does, before the first byte and in the middle of a stream."""

    async def run() -> None:
        async with gateway(step, form=form) as (url, upstream):
            async with httpx2.AsyncClient() as client:
                task = asyncio.create_task(
                    client.post(f"{url}/v1/responses", json={**_ASKED, "stream": True}, timeout=30)
                )
                await asyncio.wait_for(upstream.asked.wait(), 10)
                task.cancel()
                await asyncio.wait({task})
            await asyncio.wait_for(upstream.lost.wait(), 10)

    asyncio.run(run())


def test_what_is_too_large_or_no_request_is_refused() -> None:
    """413 for a body above the limit, stated or not; 400 for what is no JSON object or no conversation; 404 else."""

    async def write() -> Any:
        for _ in range(20):
            yield b"x" * 1_000

    async def run() -> None:
        limits = Limits(body_bytes_max=10_000)
        async with gateway(form="chat", limits=limits) as (url, upstream), httpx2.AsyncClient() as client:
            large = json.dumps({**_ASKED, "input": "x" * 20_000})
            for content, status in (
                (large, 413),
                (write(), 413),
                ("", 400),
                ("[]", 400),
                ('{"model":"m","input":', 400),
                ("[" * 5_000, 400),
                ('{"model":"m","input":[1]}', 400),
                ('{"model":"m","input":"hi","tools":[1]}', 400),
                ('{"model":7,"input":"hi"}', 400),
                ('{"model":"m","input":[{"type":"message","role":"wizard","content":"x"}]}', 400),
                ('{"model":"m","input":"hi","previous_response_id":"r"}', 400),
            ):
                told = await client.post(f"{url}/v1/responses", content=content)
                assert told.status_code == status, content
                assert set(told.json()["error"]) == {"message", "type", "param", "code"}
            assert (await client.get(f"{url}/v1/responses/compact")).status_code in (404, 405)
            assert (await client.post(f"{url}/else")).status_code == 404
            upgrade = {"connection": "upgrade", "upgrade": "websocket"}
            assert (
                await client.get(f"{url}/v1/responses", headers=upgrade)
            ).status_code == 426  # Codex goes on by HTTP
            assert upstream.requests == []

    asyncio.run(run())


def test_too_many_at_once_are_told_to_come_back() -> None:
    """Above the limit: 429 with Retry-After, in the client's shape; those before are not touched."""

    async def run() -> None:
        async with gateway("hang", limits=Limits(requests_max=1)) as (url, upstream), httpx2.AsyncClient() as client:
            first = asyncio.create_task(client.post(f"{url}/v1/responses", json=_ASKED, timeout=30))
            await asyncio.wait_for(upstream.asked.wait(), 10)
            for path in ("messages", "responses", "chat/completions"):
                told = await client.post(f"{url}/v1/{path}", json={})
                assert told.status_code == 429
                assert told.headers["retry-after"] == "1"
                assert told.json()["error"]["type"] == "rate_limit_error"
                assert ("request_id" in told.json()) == (path == "messages")
            assert not first.done()
            first.cancel()
            await asyncio.wait({first})

    asyncio.run(run())


def test_a_client_that_is_silent_is_not_waited_for() -> None:
    """A request that does not come in time is answered with 408."""

    async def run() -> None:
        async with gateway(limits=Limits(body_s=0.05)) as (url, _):
            host, _, port = url.removeprefix("http://").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            assert b"408" in await asyncio.wait_for(reader.readline(), 10)
            writer.close()
            await writer.wait_closed()

    asyncio.run(run())


@pytest.mark.parametrize("form", _FORMS)
def test_an_upstream_that_is_silent_is_not_waited_for(form: Form) -> None:
    """Without a first byte: 504, in the client's shape. In the middle of a stream, that breaks off for the client."""

    async def run() -> None:
        async with (
            gateway("hang", "hang", "drip", form=form, limits=Limits(answer_s=0.05)) as (url, upstream),
            httpx2.AsyncClient(timeout=30) as client,
        ):
            told = await client.post(f"{url}/v1/responses", json=_ASKED)
            assert (told.status_code, told.json()["error"]["code"]) == (504, "upstream_timeout")
            told = await client.post(f"{url}/v1/messages", json={"model": "m", "max_tokens": 9, "messages": []})
            assert (told.status_code, told.json()["error"]["type"]) == (504, "timeout_error")
            with suppress(httpx2.HTTPError):
                told = await client.post(f"{url}/v1/responses", json={**_ASKED, "stream": True})
                assert b"response.completed" not in told.content
            await asyncio.wait_for(upstream.lost.wait(), 10)

    asyncio.run(run())


class _Endless:
    """A summarizer that never ends, and says when it is told to."""

    name = "endless:model"

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.ended = asyncio.Event()

    async def summarize(self, context: Context, decision: SummarizeSpan) -> Summary:  # noqa: ARG002 - it never reads
        """Wait until cancelled."""
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        raise AssertionError


@pytest.mark.parametrize(
    ("path", "ending"),
    [("responses/compact", []), ("responses", [{"type": "compaction_trigger"}])],
)
def test_a_client_that_leaves_a_compaction_ends_it(path: str, ending: list[Any]) -> None:
    """The model that writes the summary is not asked for nothing."""

    async def run() -> None:
        endless = _Endless()
        async with gateway(summarizer=endless) as (url, _), httpx2.AsyncClient(timeout=30) as client:
            said = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]
            body = {"model": "m", "stream": True, "input": [*said, *ending]}
            asking = asyncio.create_task(client.post(f"{url}/v1/{path}", json=body))
            await asyncio.wait_for(endless.asked.wait(), 10)
            asking.cancel()
            await asyncio.wait({asking})
            await asyncio.wait_for(endless.ended.wait(), 10)

    asyncio.run(run())


@pytest.mark.parametrize("form", _FORMS)
def test_what_is_away_for_now_is_told_so_in_the_client_s_shape(form: Form) -> None:
    """503, and when to try again; not which log, nor where."""
    fault = fault_of(UnavailableError("nats://user:secret@host"))
    body = error_body(form, fault, request_id="req_1")
    assert (fault.status, fault.headers) == (503, {"retry-after": "1"})
    assert body["error"]["type"] == ("overloaded_error" if form == "anthropic" else "server_error")
    assert "secret" not in str(body)


def test_every_answer_names_its_request() -> None:
    """With the upstream's id where it has one, else with ours: good answers, refusals, and what is not there."""

    async def run() -> None:
        async with gateway(limits=Limits(body_bytes_max=100)) as (url, _), httpx2.AsyncClient() as client:
            for method, path, content, begins in (
                ("POST", "/v1/responses", json.dumps(_ASKED), "up-1"),
                ("GET", "/v1/models", None, "up-1"),
                ("POST", "/v1/responses/compact", json.dumps(_ASKED), "req_"),
                ("POST", "/v1/responses", "x" * 200, "req_"),
                ("POST", "/nowhere", "{}", "req_"),
                ("PUT", "/v1/messages", "{}", "req_"),
            ):
                told = await client.request(method, f"{url}{path}", content=content)
                assert told.headers.get_list("x-request-id")[0].startswith(begins), path
                assert len(told.headers.get_list("x-request-id")) == 1

    asyncio.run(run())


def test_what_passes_through_is_asked_for_as_it_was_written() -> None:
    """Marks in the names of the upstream's resources stay marks: nothing is decoded, cut off or resolved on the way."""

    async def run() -> None:
        async with gateway() as (url, upstream):
            host, _, port = url.removeprefix("http://").partition(":")
            for target in ("/files/a%2Fb%3Fc%23d?limit=2&after=%20x", "/../admin", "/a//b"):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(f"GET /v1{target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
                assert b" 200 " in await asyncio.wait_for(reader.readline(), 10)
                writer.close()
                await writer.wait_closed()
                request = upstream.requests[-1]
                asked = f"{request.path}?{request.query}" if request.query else request.path
                assert asked == f"/v1{target}"

    asyncio.run(run())


@pytest.mark.parametrize("form", _FORMS)
def test_no_key_and_no_word_is_logged(form: Form, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever fails, the log holds neither the key nor what was said, at no level and of no library."""

    async def run() -> None:
        log = MemoryLog()
        recorder = Recorder(client_of(log), tenant="default", window=DEFAULT_WINDOW)
        for step in ("ok", "500", "reset", "garbage", "half", "hang"):
            limits = Limits(answer_s=0.2)
            async with (
                gateway(step, form=form, recorder=recorder, limits=limits) as (url, _),
                httpx2.AsyncClient() as client,
            ):
                headers = {"authorization": "Bearer sk-secret", "x-api-key": "sk-secret", "session-id": "agent-1"}
                body = {"model": "m", "input": "my secret plan", "stream": step == "half"}
                for path, content in (("responses", json.dumps(body)), ("responses?key=sk-secret", "my secret plan")):
                    with suppress(httpx2.HTTPError):
                        await client.post(f"{url}/v1/{path}", content=content, headers=headers)

    with caplog.at_level(logging.DEBUG):
        asyncio.run(run())
    assert caplog.records, "the gateway said something, so that this means something"
    ours = [record for record in caplog.records if not record.name.startswith("httpx")]  # the test's own client
    said = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in ours)
    assert "sk-secret" not in said
    assert "secret plan" not in said


@pytest.mark.parametrize(
    ("url", "form", "base"),
    [
        ("https://api.openai.com", "responses", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1/", "responses", "https://api.openai.com/v1"),
        ("http://localhost:11434/v1", "chat", "http://localhost:11434/v1"),
        (
            "https://generativelanguage.googleapis.com/v1beta/openai",
            "chat",
            "https://generativelanguage.googleapis.com/v1beta/openai",
        ),
        ("https://api.anthropic.com", "anthropic", "https://api.anthropic.com/v1"),
        ("https://example.com/claude", "anthropic", "https://example.com/claude/v1"),
    ],
)
def test_an_address_is_taken_as_clients_write_it(url: str, form: Form, base: str) -> None:
    """With or without the version at its end."""
    assert place_of(url, form).url == base


@pytest.mark.parametrize(
    "url", ["localhost:11434", "ftp://x", "http://", "http://x:0", "http://a b", "http://[", "http://x?y"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """It is told what was expected, and not what was given."""
    with pytest.raises(InputError, match=r"expected the upstream's address"):
        place_of(url, "responses")
