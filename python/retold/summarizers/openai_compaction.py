"""OpenAI's own compaction, by its endpoint or by an item that triggers it. Needs ``retold[openai]``."""

from typing import Any, Literal

import openai
from msgspec import Raw, Struct
from openai import AsyncOpenAI

from retold.errors import RejectedError
from retold.events import Form
from retold.summarizers.answers import read_json
from retold.summarizers.compacting import Answered, ProviderCompactor
from retold.summarizers.openai_models import overflow_or

Way = Literal["endpoint", "trigger"]
"""``/responses/compact``, or ``/responses`` with a `compaction_trigger` as the last item."""

_OWN_HOST = "api.openai.com"


class _Usage(Struct, frozen=True):
    input_tokens: int = 0
    output_tokens: int = 0


class _Compacted(Struct, frozen=True):
    output: list[Raw]
    status: str = "completed"
    usage: _Usage | None = None


class OpenAICompactor(ProviderCompactor):
    """Let OpenAI, or a server that compacts as it does, compact into its own block."""

    form: Form = "responses"

    def __init__(self, model: str, client: AsyncOpenAI, *, way: Way = "endpoint") -> None:
        """Compact for *model*; if empty, for the model that the session's newest usage report names."""
        provider = "openai" if client.base_url.host == _OWN_HOST else client.base_url.netloc.decode()
        super().__init__(model, way=f"openai-{'remote' if way == 'endpoint' else 'trigger'}", provider=provider)
        self._client = client
        self._way = way

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.close()

    async def _ask(self, model: str, shown: list[dict[str, Any]]) -> Answered:
        try:
            body = await self._sent(model, shown)
        except openai.APIStatusError as error:
            raise overflow_or(error) from None
        compacted = read_json(body, _Compacted)
        if compacted.status != "completed":
            raise RejectedError("truncated")
        usage = compacted.usage or _Usage()
        return Answered(compacted.output, usage.input_tokens, usage.output_tokens)

    async def _sent(self, model: str, shown: list[dict[str, Any]]) -> bytes:
        responses = self._client.responses.with_raw_response
        if self._way == "endpoint":
            return (await responses.compact(model=model, extra_body={"input": shown})).content
        body = {"input": [*shown, {"type": "compaction_trigger"}]}
        return (await responses.create(model=model, store=False, extra_body=body)).content
