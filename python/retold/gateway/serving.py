"""A gateway that runs: its upstream, its seals, its summarizer, on a port."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import uvloop

from retold.gateway.app import Gateway, application
from retold.gateway.compacting import Compactor
from retold.gateway.compactions import Seals
from retold.gateway.limits import Limits
from retold.gateway.recording import Recorder
from retold.gateway.upstream import Place, open_upstream
from retold.model_ports import Summarizer
from retold.monitoring.endpoints import serving
from retold.security import MasterKeys
from retold.wiring import SystemClock

new_event_loop: Final = uvloop.new_event_loop
"""The event loop that a gateway runs in where nothing else shares it: a quarter less processor time than asyncio's."""
DEFAULT_LIMITS: Final = Limits()


@asynccontextmanager
async def run_gateway(  # noqa: PLR0913 - what a gateway consists of
    place: Place,
    *,
    keys: MasterKeys,
    summarizer: Summarizer,
    tenant: str = "default",
    host: str = "127.0.0.1",
    port: int = 0,
    limits: Limits = DEFAULT_LIMITS,
    recorder: Recorder | None = None,
) -> AsyncIterator[int]:
    """Run a gateway to *place* until the block ends, and give its port: any free one for 0.

    Its turns are recorded by *recorder*, if there is one.

    Raises:
        UnavailableError: if the address is in use, or not this machine's.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # its tracebacks may hold what was said
    seals = Seals(keys, tenant=tenant)
    async with open_upstream(place, idle_s=limits.answer_s) as upstream:
        gateway = Gateway(
            upstream=upstream,
            seals=seals,
            compactor=Compactor(summarizer, seals),
            clock=SystemClock(),
            limits=limits,
            recorder=recorder,
        )
        try:
            async with serving(
                application(gateway), host=host, port=port, requests_max=None, what="the gateway"
            ) as bound:
                yield bound
        finally:
            if recorder is not None:
                await recorder.drain()
