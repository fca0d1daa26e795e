"""The table of leases on JetStream: a key-value bucket, changed by compare-and-set on the revision of each entry.

Rules:
- A write whose answer was lost is sent again, and refused then, for it has changed the revision itself. So what is
  refused is held against what stands there: a value is its writer's alone.
- An entry is removed by a mark that is written by compare-and-set: a message that is deleted would not be put in order
  with a write under way in a cluster. The mark itself is purged after, so that workers long gone leave nothing.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime

import msgspec

from retold.lease_ports import Claim
from retold.log import api, pages
from retold.log.api import Stored
from retold.log.feed import Feed
from retold.log.link import Link
from retold.log.names import EXPECTED_SUBJECT_SEQ, LEASES, LEASES_ALL, LEASES_BUCKET, QUIET, lease_subject

_OPERATION = "KV-Operation"
"""How the key-value store marks a key that was removed."""
_STORED_AT = "Nats-Time-Stamp"


class JetStreamLeases:
    """Keep the table; see `retold.lease_ports.Leases` for what each method promises."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def claims(self) -> dict[str, Claim]:
        """Return the whole table, as some replica has it. One round trip, up to some hundred entries."""
        found: dict[str, Claim] = {}
        position = 0
        while True:
            page = await pages.page(self._link, LEASES, LEASES_ALL, start=position + 1)
            for stored in page:
                position = stored.position
                if _OPERATION not in stored.headers:
                    found[_name(stored)] = _claim(stored)
            if len(page) < pages.PAGE_EVENTS_MAX:
                return found

    async def claim(self, name: str) -> Claim | None:
        """Return the entry, from the stream's leader. One round trip."""
        stored = await api.get(self._link, LEASES, {"last_by_subj": lease_subject(name)})
        return None if stored is None or _OPERATION in stored.headers else _claim(stored)

    async def put(self, name: str, value: bytes, *, revision: int, quietly: bool = False) -> int | None:
        """Write *value* at *revision*. One round trip."""
        headers = {EXPECTED_SUBJECT_SEQ: str(revision)} | ({QUIET: "1"} if quietly else {})
        written = await self._write(name, value, headers)
        if written is not None:
            return written
        claim = await self.claim(name)
        return claim.revision if claim is not None and claim.value == value else None

    async def remove(self, name: str, *, revision: int) -> bool:
        """Remove the entry. Two round trips."""
        written = await self._write(name, b"", {EXPECTED_SUBJECT_SEQ: str(revision), _OPERATION: "DEL"})
        if written is None and await self.claim(name) is not None:
            return False
        await api.purge(self._link, LEASES, lease_subject(name))
        return True

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yield at once, and at each change that is not quiet."""
        info = await api.call(self._link, f"STREAM.INFO.{LEASES}")
        position = int(info["state"]["last_seq"])
        yield None
        async with aclosing(Feed(self._link, LEASES, LEASES_ALL).after(position, check=_nothing)) as feed:
            async for stored in feed:
                if QUIET not in stored.headers:
                    yield None

    async def _write(self, name: str, value: bytes, headers: dict[str, str]) -> int | None:
        """Return where it was stored; None if the entry was at another revision."""
        subject = lease_subject(name)
        ack = await self._link.retry(lambda: api.publish(self._link, subject, value, headers))
        return ack.seq if ack.error is None else None


async def _nothing(_: int) -> None:
    """Check nothing: what a break swallowed, the next look at the table shows."""


def _name(stored: Stored) -> str:
    return stored.subject.removeprefix(f"$KV.{LEASES_BUCKET}.")


def _claim(stored: Stored) -> Claim:
    at = stored.headers.get(_STORED_AT)
    when = stored.at if at is None else msgspec.convert(at, datetime)
    return Claim(value=stored.body, revision=stored.position, at=when)
