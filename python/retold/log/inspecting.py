"""Looking at a server from outside, without a log: nothing is created, nothing is changed."""

from collections import Counter

from retold.events import SessionKey
from retold.lease_ports import Claim
from retold.log import streams
from retold.log.asides import noted
from retold.log.keys import DataKeys
from retold.log.leases import JetStreamLeases
from retold.log.link import Link
from retold.log.names import KEYS_ALL, LEASES
from retold.log.servers import Server
from retold.log.streams import ServerFacts
from retold.ports import Aside


async def inspect_aside(url: str | Server, *, name: str = "retold doctor") -> dict[SessionKey, Aside]:
    """Return the sessions that are set aside at *url*, which has the log's streams.

    Raises:
        UnavailableError: if there is no server, or it has not.
    """
    link = await Link.open(url, name=name)
    try:
        return await noted(link)
    finally:
        await link.close()


async def inspect_server(url: str | Server, *, name: str = "retold doctor") -> ServerFacts:
    """Return how the server at *url* and the streams on it stand, without creating any.

    Raises:
        UnavailableError: if there is no server.
    """
    link = await Link.open(url, name=name)
    try:
        return await streams.inspect(link)
    finally:
        await link.close()


async def inspect_leases(url: str | Server, *, name: str = "retold workers") -> dict[str, Claim]:
    """Return the table by which workers share the sessions at *url*; empty where no worker ever was.

    Raises:
        UnavailableError: if there is no server.
    """
    link = await Link.open(url, name=name)
    try:
        return await JetStreamLeases(link).claims() if await streams.stands(link, LEASES) else {}
    finally:
        await link.close()


async def inspect_keys(url: str | Server, *, name: str = "retold doctor") -> dict[str, int] | None:
    """Return how many data keys each master key wraps, by its id, at the server at *url*; None: the log is not sealed.

    Raises:
        UnavailableError: if there is no server.
    """
    link = await Link.open(url, name=name)
    try:
        keys = DataKeys(link, None, is_on=False)
        return Counter(entry.record.master for entry in await keys.entries(KEYS_ALL)) if await keys.stand() else None
    finally:
        await link.close()
