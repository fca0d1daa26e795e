"""Anthropic's own compaction, on request or as an edit of the context. Needs ``retold[anthropic]``."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import anthropic
from anthropic import AsyncAnthropic
from msgspec import Raw, Struct

from retold.errors import RejectedError
from retold.events import Form
from retold.formats import split_system
from retold.summarizers.answers import read_json
from retold.summarizers.anthropic_models import Usage, overflow_or
from retold.summarizers.compacting import Answered, ProviderCompactor

Way = Literal["request", "edit"]
"""``compaction: {type: summarize}``, which answers with a signed block alone, or the edit ``compact_20260112``, which
compacts from 50,000 tokens on and then pauses."""

BLOCK_TOKENS_MAX = 16_000
"""How long a block's text may be; from about 21,000 on the client wants a stream."""

EDIT_TRIGGER_TOKENS = 50_000
"""The least that the edit can be triggered at."""

_BETAS = {"request": "compact-2026-09-04", "edit": "compact-2026-01-12"}
_OWN_HOST = "api.anthropic.com"


class _Compacted(Struct, frozen=True):
    content: list[Raw]
    stop_reason: str | None = None
    usage: Usage | None = None


class AnthropicCompactor(ProviderCompactor):
    """Let Anthropic compact into its own block."""

    form: Form = "anthropic"

    def __init__(self, model: str, client: AsyncAnthropic, *, way: Way = "request") -> None:
        """Compact for *model*; if empty, for the model that the session's newest usage report names."""
        provider = "anthropic" if client.base_url.host == _OWN_HOST else client.base_url.netloc.decode()
        super().__init__(model, way=f"anthropic-{'remote' if way == 'request' else 'edit'}", provider=provider)
        self._client = client
        self._way: Way = way

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.close()

    async def _ask(self, model: str, shown: list[dict[str, Any]]) -> Answered:
        try:
            body = await self._sent(model, shown)
        except anthropic.APIStatusError as error:
            raise overflow_or(error) from None
        compacted = read_json(body, _Compacted)
        if compacted.stop_reason in ("max_tokens", "model_context_window_exceeded"):
            raise RejectedError("truncated")
        if compacted.stop_reason == "refusal":
            raise RejectedError("refused")
        usage = compacted.usage or Usage()
        return Answered(compacted.content, usage.prompt_tokens, usage.output_tokens)

    async def _sent(self, model: str, shown: list[dict[str, Any]]) -> bytes:
        system, messages = split_system(shown)
        body: dict[str, Any] = {"messages": messages}
        if system:
            body["system"] = system
        if tools := _tools(messages):
            body["tools"] = tools
        if self._way == "request":
            body["compaction"] = {"type": "summarize"}
        else:
            trigger = {"type": "input_tokens", "value": EDIT_TRIGGER_TOKENS}
            edit = {"type": "compact_20260112", "trigger": trigger, "pause_after_compaction": True}
            body["context_management"] = {"edits": [edit]}
        raw = await self._client.beta.messages.with_raw_response.create(
            model=model, max_tokens=BLOCK_TOKENS_MAX, messages=[], betas=[_BETAS[self._way]], extra_body=body
        )
        return await raw.read()


def _tools(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a definition of each tool that *messages* call: Anthropic refuses calls and results of no tool.

    A worker knows a tool's name and not its schema, so any object is one.
    """
    blocks = (block for message in messages for block in message["content"] if isinstance(block, Mapping))
    names = sorted({block["name"] for block in blocks if block.get("type") == "tool_use"})
    return [{"name": name, "input_schema": {"type": "object"}} for name in names]
