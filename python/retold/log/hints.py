"""Hints: where a snapshot says that an event lies. Positions may have changed since, so what is there is looked at."""

from contextlib import suppress

from retold.errors import CorruptLogError
from retold.events import SessionKey, standing
from retold.log import pages
from retold.log.api import Stored
from retold.log.headers import seq_of
from retold.log.link import Link
from retold.log.names import CLAIM, EVENTS, event_subject
from retold.log.trails import Trail


async def at_hint(link: Link, key: SessionKey, trail: Trail, seq: int) -> Stored | None:
    """Return event *seq* if it is where the hint of *trail* says."""
    hint = trail.hinted
    if hint is None or hint.head.seq != seq:
        return None
    stored = await pages.single(link, EVENTS, {"seq": hint.position})
    is_there = stored is not None and stored.subject == event_subject(key) and seq_of(stored) == seq
    return stored if is_there else None


async def page_at_hint(link: Link, key: SessionKey, trail: Trail, *, after: int, until: int) -> list[Stored]:
    """Return a page of ``after < seq <= until`` if it is where the hint of *trail* says, which then counts as known.

    The first event names the hash of the one before, so that one need not be read. Nothing if that does not fit, or
    cannot be told without fetching a large body.
    """
    hint = trail.hinted
    if hint is None or hint.head.seq != after:
        return []
    events_max = min(pages.PAGE_EVENTS_MAX, until - after)
    page = await pages.page(link, EVENTS, event_subject(key), start=hint.position + 1, events_max=events_max)
    if page and seq_of(page[0]) == after + 1 and CLAIM not in page[0].headers:
        with suppress(CorruptLogError):
            if standing(page[0].body).prev == hint.head.hash:
                trail.note(hint)
                return page
    return []
