"""OpenAI's own compaction, by its endpoint or by an item that triggers it. Needs ``retold[openai]``.

The history is shown as it is sent to the model, up to where the block will stand.
"""

from typing import Literal

import openai
from msgspec import Raw, Struct
from openai import AsyncOpenAI

from retold.errors import RejectedError
from retold.events import Form
from retold.fold import Context
from retold.policy import SummarizeSpan
from retold.policy.remote import Compaction, shown_to_provider
from retold.summarizers.answers import read_json
from retold.summarizers.blocks import model_of, one_block
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


class OpenAICompactor:
    """Let OpenAI, or a server that compacts as it does, compact into its own block."""

    form: Form = "responses"

    def __init__(self, model: str, client: AsyncOpenAI, *, way: Way = "endpoint") -> None:
        """Compact for *model*; if empty, for the model that the session's newest usage report names."""
        self._model = model
        self._client = client
        self._way = way
        self.name = f"openai-{'remote' if way == 'endpoint' else 'trigger'}:{model}".rstrip(":")
        host = client.base_url.host
        self._provider = "openai" if host == _OWN_HOST else client.base_url.netloc.decode()

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.close()

    async def compact(self, context: Context, decision: SummarizeSpan) -> Compaction:
        """Return the provider's block.

        Raises:
            OverflowedError: if the history is too long for the model.
            RejectedError: if the provider answered with no block that can be used.
            UnavailableError: if nobody knows for which model it would have to be.
            Exception: what the client raises when it cannot be reached.
        """
        model = self._model or model_of(context)
        shown = shown_to_provider(context, decision, self.form, model=f"{self._provider}:{model}")
        try:
            body = await self._ask(model, shown)
        except openai.APIStatusError as error:
            raise overflow_or(error) from None
        compacted = read_json(body, _Compacted)
        if compacted.status != "completed":
            raise RejectedError("truncated")
        usage = compacted.usage or _Usage()
        block = one_block(compacted.output, self.form, provider=self._provider, model=model)
        return Compaction(block=block, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)

    async def _ask(self, model: str, shown: list[dict[str, object]]) -> bytes:
        responses = self._client.responses.with_raw_response
        if self._way == "endpoint":
            return (await responses.compact(model=model, extra_body={"input": shown})).content
        body = {"input": [*shown, {"type": "compaction_trigger"}]}
        return (await responses.create(model=model, store=False, extra_body=body)).content
