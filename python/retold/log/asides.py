"""Sessions that were set aside because they are damaged: a note each, in the stream of what a worker gave up on.

Rules:
- A note is for people, and for those who list sessions. It locks nothing: what a session is, its events say, and they
  are read again whenever somebody tries.
- There is one note a session: a new one is written only if it says something else, and it goes when the session is
  whole again.
"""

import msgspec
from msgspec import Struct

from retold.events import SessionKey
from retold.log import api, pages
from retold.log.link import Link
from retold.log.names import DEAD, DEAD_ALL, dead_subject, key_of, letter_subjects
from retold.ports import Aside

NOTES_MAX = 10_000
"""How many notes are listed: beyond that, it is the store that is damaged."""


class _Note(Struct):
    seq: int
    reason: str


class Asides:
    """Keep the notes."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def put(self, key: SessionKey, aside: Aside) -> None:
        """Note that *key* is set aside, unless that is noted already."""
        subject, note = dead_subject(key), msgspec.json.encode(_Note(seq=aside.seq, reason=aside.reason))
        last = await api.get(self._link, DEAD, {"last_by_subj": subject})
        if last is None or last.body != note:
            await self._link.retry(lambda: api.publish(self._link, subject, note, {}))

    async def remove(self, key: SessionKey) -> None:
        """Remove the notes on *key*, and the letters on its messages. May be repeated."""
        for subject in (dead_subject(key), letter_subjects(key)):
            await api.purge(self._link, DEAD, subject)

    async def all(self) -> dict[SessionKey, Aside]:
        """Return what is noted, by session; a note that cannot be read says so."""
        return await noted(self._link)


async def noted(link: Link) -> dict[SessionKey, Aside]:
    """Return what is noted, by session."""
    found: dict[SessionKey, Aside] = {}
    position = 0
    while len(found) < NOTES_MAX:
        page = await pages.page(link, DEAD, DEAD_ALL, start=position + 1)
        for stored in page:
            position = stored.position
            try:
                note = msgspec.json.decode(stored.body, type=_Note)
            except msgspec.MsgspecError:
                note = _Note(seq=1, reason="its note cannot be read")
            found[key_of(stored.subject)] = Aside(seq=note.seq, reason=note.reason)
        if not page:
            break
    return found
