"""A gateway in this process, before a scripted upstream, on a free port."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests.gateway.upstream import Upstream, scripted

from retold.events import Form
from retold.gateway import Limits, place_of
from retold.gateway.recording import Recorder
from retold.gateway.serving import DEFAULT_LIMITS, run_gateway
from retold.model_ports import Summarizer
from retold.security import KEY_BYTES, MasterKey, MasterKeys
from retold.summarizers import ExtractiveSummarizer

KEYS = MasterKeys(keys=(MasterKey(id="k1", secret=bytes(range(KEY_BYTES))),))


@asynccontextmanager
async def gateway(
    *script: str,
    form: Form = "responses",
    summarizer: Summarizer | None = None,
    limits: Limits = DEFAULT_LIMITS,
    tenant: str = "default",
    recorder: Recorder | None = None,
) -> AsyncGenerator[tuple[str, Upstream], None]:
    """Give the address of a gateway, as its clients write it, and the upstream behind it."""
    async with (
        scripted(*script) as upstream,
        run_gateway(
            place_of(upstream.url, form),
            keys=KEYS,
            summarizer=summarizer or ExtractiveSummarizer(),
            tenant=tenant,
            limits=limits,
            recorder=recorder,
        ) as port,
    ):
        yield f"http://127.0.0.1:{port}", upstream
