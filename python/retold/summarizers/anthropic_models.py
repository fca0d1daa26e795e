"""Anthropic's models, through the official client, which retries, waits as `Retry-After` says, and adds jitter.

The answer is the input of one tool that the model must call: so it is JSON of our schema. Needs ``retold[anthropic]``.
"""

import anthropic
from anthropic import AsyncAnthropic
from msgspec import Raw, Struct

from retold.errors import InputError, RejectedError
from retold.summarizers.answers import Answer, read_json
from retold.summarizers.asking import CALL_TIMEOUT_S, RETRIES_MAX, OverflowedError
from retold.summarizers.credentials import check_key
from retold.summarizers.prompt import SCHEMA, SCHEMA_NAME, Prompt

FRAME_TOKENS = 1_000
"""What the call of the tool takes beside the record, at most."""

_OVERFLOW_TEXTS = ("prompt is too long", "context window", "context limit")


def open_client(base_url: str | None, *, key: str | None = None, timeout_s: float = CALL_TIMEOUT_S) -> AsyncAnthropic:
    """Return a client for *base_url*, Anthropic's own (or ``ANTHROPIC_BASE_URL``) if None.

    Without a *key* it is the environment's.

    Raises:
        InputError: if there is no key in ``ANTHROPIC_API_KEY``, nor other credentials that the client finds, or one
            that cannot be sent.
    """
    try:
        client = AsyncAnthropic(api_key=key, base_url=base_url, timeout=timeout_s, max_retries=RETRIES_MAX)
    except anthropic.AnthropicError:
        client = None
    if client is None or (client.api_key is None and client.auth_token is None and client.credentials is None):
        raise InputError("expected a key of Anthropic's in ANTHROPIC_API_KEY, got none")
    check_key(client.api_key, variable="ANTHROPIC_API_KEY" if key is None else "the settings")
    check_key(client.auth_token, variable="ANTHROPIC_AUTH_TOKEN")
    return client


class Usage(Struct, frozen=True):
    """Hold what a request cost, in tokens. What was read from a cache, or written to one, is not in `input_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None

    @property
    def prompt_tokens(self) -> int:
        """Return the size of the whole prompt."""
        return self.input_tokens + (self.cache_creation_input_tokens or 0) + (self.cache_read_input_tokens or 0)


class _Block(Struct, frozen=True):
    type: str
    name: str = ""
    input: Raw = Raw(b"")


class _Message(Struct, frozen=True):
    content: list[_Block]
    stop_reason: str | None = None
    usage: Usage | None = None


class MessagesModel:
    """Ask a model through the Messages API."""

    def __init__(self, model: str, client: AsyncAnthropic, *, name: str) -> None:
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
            raw = await self._client.messages.with_raw_response.create(
                model=self._model,
                max_tokens=2 * prompt.budget_tokens + FRAME_TOKENS,
                system=prompt.instructions,
                messages=[{"role": "user", "content": prompt.data}],
                tools=[{"name": SCHEMA_NAME, "description": "Keep the record.", "input_schema": SCHEMA}],
                tool_choice={"type": "tool", "name": SCHEMA_NAME, "disable_parallel_tool_use": True},
            )
        except anthropic.APIStatusError as error:
            raise overflow_or(error) from None
        return _read(read_json(await raw.read(), _Message))


def overflow_or(error: anthropic.APIStatusError) -> Exception:
    """Return that the prompt was too long, if that is what *error* says; else *error*."""
    is_long = error.status_code == 400 and any(text in str(error.body).lower() for text in _OVERFLOW_TEXTS)
    return OverflowedError() if is_long or error.status_code == 413 else error


def _read(message: _Message) -> Answer:
    if message.stop_reason == "refusal":
        raise RejectedError("refused")
    if message.stop_reason in ("max_tokens", "model_context_window_exceeded"):
        raise RejectedError("truncated")
    records = [block.input for block in message.content if block.type == "tool_use" and block.name == SCHEMA_NAME]
    if not records:
        raise RejectedError(_instead({block.type for block in message.content}))
    usage = message.usage or Usage()
    return Answer(text=bytes(records[0]).decode(), input_tokens=usage.prompt_tokens, output_tokens=usage.output_tokens)


def _instead(kinds: set[str]) -> str:
    """Return what came instead of the record."""
    if "tool_use" in kinds:
        return "tool-only"
    if "text" in kinds:
        return "garbage"
    return "reasoning-only" if "thinking" in kinds else "empty"
