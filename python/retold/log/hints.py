"""Hints: where a snapshot says that an event lies, or where it must lie. What is there is looked at.

Positions may have changed since a snapshot told them, and other sessions' events may lie between.
"""

from contextlib import suppress

from retold.errors import CorruptLogError
from retold.events import SessionKey, standing
from retold.log import pages
from retold.log.api import Stored
from retold.log.headers import seq_of
from retold.log.link import Link
from retold.log.names import CLAIM, EVENTS, event_subject
from retold.log.trails import Mark, Trail

NEAR_EVENTS_MAX = 16
"""So many events are looked for right before the last of them: what one append wrote is there."""


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


async def page_behind(link: Link, key: SessionKey, trail: Trail, mark: Mark, *, goal: int) -> list[Stored]:
    """Return a page of the session's events behind *mark*; no further than *goal*, if so many are near."""
    page = await _page_before(link, key, trail, mark, goal=goal)
    if page:
        return page
    near = min(pages.PAGE_EVENTS_MAX, goal - mark.head.seq)
    return await pages.page(link, EVENTS, event_subject(key), start=mark.position + 1, events_max=near)


async def _page_before(link: Link, key: SessionKey, trail: Trail, mark: Mark, *, goal: int) -> list[Stored]:
    """Return the events behind *mark* up to *goal* if they lie right before where *goal* is said to lie.

    So the server need not look for them among all others': behind 10,000 messages of 1,600 bytes that takes it 14 ms,
    in which appends wait; this takes 0.6.
    """
    end, count = trail.position_of(goal), goal - mark.head.seq
    if end is None or not 0 < count <= min(NEAR_EVENTS_MAX, end):
        return []
    page = await pages.stretch(link, EVENTS, start=end - count + 1, events_max=count)
    subject, first = event_subject(key), mark.head.seq + 1  # a page of large events ends before the goal
    is_ours = (stored.subject == subject and seq_of(stored) == seq for seq, stored in enumerate(page, first))
    return page if all(is_ours) else []
