"""OpenAI's models, and every server that speaks as theirs do (Ollama, vLLM): Responses and Chat Completions.

Requests go through the official client, which retries, waits as `Retry-After` says, and adds jitter. Answers are read
from the bytes that came, for the client takes any JSON for an answer. Needs ``retold[openai]``.
"""

from collections.abc import Iterable
from typing import Any

import openai
from msgspec import Struct
from openai import AsyncOpenAI

from retold.errors import InputError, RejectedError
from retold.summarizers.answers import Answer, read_json
from retold.summarizers.asking import CALL_TIMEOUT_S, RETRIES_MAX, OverflowedError
from retold.summarizers.credentials import check_key
from retold.summarizers.prompt import SCHEMA, SCHEMA_NAME, Prompt

THINKING_TOKENS = 16_000
"""What a model may think beside its answer, which counts as output there."""

_OVERFLOWS = ("context_length_exceeded", "string_above_max_length")
_OVERFLOW_TEXTS = ("context length", "context window", "context size", "prompt is too long", "too many tokens")


def open_client(base_url: str | None, *, key: str | None = None, timeout_s: float = CALL_TIMEOUT_S) -> AsyncOpenAI:
    """Return a client for *base_url*, OpenAI's own (or ``OPENAI_BASE_URL``) if None, with *key* or the environment's.

    Raises:
        InputError: if there is no key in ``OPENAI_API_KEY``, or one that cannot be sent; a server of one's own mostly
            wants none.
    """
    try:
        client = AsyncOpenAI(api_key=key, base_url=base_url, timeout=timeout_s, max_retries=RETRIES_MAX)
    except openai.OpenAIError:
        if base_url is None:
            raise InputError("expected a key of OpenAI's in OPENAI_API_KEY, got none") from None
        return AsyncOpenAI(api_key="none", base_url=base_url, timeout=timeout_s, max_retries=RETRIES_MAX)
    check_key(client.api_key, variable="OPENAI_API_KEY" if key is None else "the settings")
    return client


class _Details(Struct, frozen=True):
    reason: str | None = None


class _Usage(Struct, frozen=True):
    input_tokens: int = 0
    output_tokens: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Part(Struct, frozen=True):
    type: str
    text: str | None = None


class _Output(Struct, frozen=True):
    type: str
    content: list[_Part] | None = None


class _Failure(Struct, frozen=True):
    code: str | None = None


class _Response(Struct, frozen=True):
    output: list[_Output]
    status: str = "completed"
    incomplete_details: _Details | None = None
    error: _Failure | None = None
    usage: _Usage | None = None


class _Said(Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(Struct, frozen=True):
    message: _Said
    finish_reason: str | None = None


class _Completion(Struct, frozen=True):
    choices: list[_Choice]
    usage: _Usage | None = None


class ResponsesModel:
    """Ask a model through the Responses API. Nothing is stored at the provider."""

    def __init__(self, model: str, client: AsyncOpenAI, *, name: str) -> None:
        """Ask *model*, and be called *name*."""
        self.name = name
        self._model = model
        self._client = client

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.close()

    async def ask(self, prompt: Prompt) -> Answer:
        """Return the answer; raises as `retold.summarizers.asking.Model` says."""
        try:
            raw = await self._client.responses.with_raw_response.create(
                model=self._model,
                instructions=prompt.instructions,
                input=prompt.data,
                text={"format": {"type": "json_schema", "name": SCHEMA_NAME, "schema": SCHEMA, "strict": True}},
                max_output_tokens=2 * prompt.budget_tokens + THINKING_TOKENS,
                store=False,
            )
        except openai.APIStatusError as error:
            raise overflow_or(error) from None
        return _read_response(read_json(raw.content, _Response))


class ChatModel:
    """Ask a model through Chat Completions, as every compatible server speaks."""

    def __init__(self, model: str, client: AsyncOpenAI, *, name: str) -> None:
        """Ask *model*, and be called *name*."""
        self.name = name
        self._model = model
        self._client = client

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.close()

    async def ask(self, prompt: Prompt) -> Answer:
        """Return the answer; raises as `retold.summarizers.asking.Model` says.

        No limit is set to its length: servers with small windows refuse one that could not fit beside the prompt.
        """
        try:
            raw = await self._client.chat.completions.with_raw_response.create(
                model=self._model,
                messages=[
                    {"role": "system", "content": prompt.instructions},
                    {"role": "user", "content": prompt.data},
                ],
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": SCHEMA_NAME, "schema": SCHEMA, "strict": True},
                },
            )
        except openai.APIStatusError as error:
            raise overflow_or(error) from None
        return _read_completion(read_json(raw.content, _Completion))


def overflow_or(error: openai.APIStatusError) -> Exception:
    """Return that the prompt was too long, if that is what *error* says in one of the servers' ways; else *error*."""
    is_long = error.status_code in (400, 413, 422) and (
        error.code in _OVERFLOWS or any(text in str(error.body).lower() for text in _OVERFLOW_TEXTS)
    )
    return OverflowedError() if is_long or error.status_code == 413 else error


def check_whole(response: "_Response") -> None:
    """Check that *response* was neither cut off nor given up.

    Raises:
        RejectedError: if it was.
        OverflowedError: if it failed because it was shown too much.
    """
    reason = None if response.incomplete_details is None else response.incomplete_details.reason
    if response.status == "incomplete":
        raise RejectedError("refused" if reason == "content_filter" else "truncated")
    if response.status != "completed":
        code = None if response.error is None else response.error.code
        raise OverflowedError if code in _OVERFLOWS else RejectedError("failed")


def _read_response(response: _Response) -> Answer:
    usage = response.usage or _Usage()
    check_whole(response)
    parts = [part for item in response.output if item.type == "message" for part in item.content or []]
    if any(part.type == "refusal" for part in parts):
        raise RejectedError("refused")
    text = "".join(part.text or "" for part in parts if part.type == "output_text")
    if not text.strip():
        raise RejectedError(_instead(item.type for item in response.output))
    return Answer(text=text, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)


def _instead(kinds: Iterable[str]) -> str:
    """Return what came instead of text."""
    found = set(kinds)
    if any(kind.endswith("_call") for kind in found):
        return "tool-only"
    return "reasoning-only" if "reasoning" in found else "empty"


def _read_completion(completion: _Completion) -> Answer:
    if not completion.choices:
        raise RejectedError("empty")
    usage, choice = completion.usage or _Usage(), completion.choices[0]
    said = choice.message
    if said.refusal or choice.finish_reason == "content_filter":
        raise RejectedError("refused")
    if choice.finish_reason == "length":
        raise RejectedError("truncated")
    if not (said.content or "").strip():
        kinds = ["x_call" if said.tool_calls else "", "reasoning" if said.reasoning_content or said.reasoning else ""]
        raise RejectedError(_instead(kinds))
    return Answer(text=said.content or "", input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens)
