"""Pull consumers of our own: each is made for one reading, and deleted when that ends, whatever it was worth."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Struct

from retold.log import api
from retold.log.link import Link

EXPIRES_S = 30
HEARTBEAT_S = 2
SILENCE_S = 2.5 * HEARTBEAT_S
"""After two missing heartbeats the consumer counts as gone."""
INACTIVE_S = 60
"""When the server drops a consumer that nobody pulls from, should we not get to delete it."""

_NS = 1_000_000_000
_OURS = {"ack_policy": "none", "mem_storage": True, "num_replicas": 1, "inactive_threshold": INACTIVE_S * _NS}


class Consumer(Struct, frozen=True):
    """Name a consumer.

    Attributes:
        next_subject: where a pull is sent.
        pending: how many messages it found waiting when it was made.
    """

    next_subject: str
    pending: int


@asynccontextmanager
async def consumer(link: Link, stream: str, config: Mapping[str, Any]) -> AsyncIterator[Consumer]:
    """Make a consumer of *stream* that starts and filters as *config* says, and delete it at the end.

    Raises:
        UnavailableError: if the server does not answer within the link's retries.
    """
    name = f"retold-{uuid4().hex}"
    place = ".".join([stream, name, *([config["filter_subject"]] if "filter_subject" in config else [])])
    try:
        request = {"stream_name": stream, "config": {**config, **_OURS, "name": name}}
        info = await api.call(link, f"CONSUMER.CREATE.{place}", request)
        next_subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"
        yield Consumer(next_subject=next_subject, pending=int(info.get("num_pending", 0)))
    finally:
        await link.forget(f"$JS.API.CONSUMER.DELETE.{stream}.{name}")


def pull_of(*, events: int, bytes_max: int, heartbeat_s: float = HEARTBEAT_S) -> bytes:
    """Return the request for the next *events* messages, of *bytes_max* together."""
    times = {"expires": EXPIRES_S * _NS, "idle_heartbeat": int(heartbeat_s * _NS)}
    return msgspec.json.encode({"batch": events, "max_bytes": bytes_max} | times)
