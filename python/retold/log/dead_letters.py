"""Dead letters: a note on every message in the event stream that is no event, by its position and what is wrong.

Rules:
- A message in a session's subject that is no event damages the session: it is set aside as a whole (`asides`), and each
  such message gets a letter. What lies behind is not passed over.
- A message on a subject that is no session's is a stray: nobody reads it, and it gets a letter.
- A letter holds no text: the message stays where it is. It is written before whoever found it goes on, and once: it
  expects its own subject to be empty.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from retold.errors import CorruptLogError, InputError
from retold.events import SessionKey, standing
from retold.log import api, pages, streams
from retold.log.api import Stored
from retold.log.headers import seq_of
from retold.log.link import Link
from retold.log.names import (
    CLAIM,
    DEAD,
    EVENTS,
    EVENTS_ALL,
    EXPECTED_SUBJECT_SEQ,
    LETTERS_ALL,
    event_subject,
    letter_subject,
    session_of,
)

LETTERS_MAX = 10_000
"""How many letters are written on one subject, or listed: beyond that, somebody uses the stream for something else."""
SUBJECTS_MAX = 100_000
"""Up to so many subjects all are looked at; in larger logs only those whose depth no session's has."""
OTHER_DEPTHS = ("retold.ev.*", "retold.ev.*.*", "retold.ev.*.*.*.*.>")
"""Subjects of the event stream that have fewer or more tokens than a session's."""


class DeadLetter(Struct, frozen=True):
    """Say what is wrong with one message of the event stream.

    Attributes:
        of: whether it lies in a session's subject, or in none.
        position: where it lies in the stream.
        subject: under which subject.
        seq: the sequence that it names; 0 if it names none.
        reason: why it is no event, without its text.
        at: when it was stored, where that is known.
    """

    of: Literal["message", "stray"]
    position: int
    subject: str
    reason: str
    seq: int = 0
    size_bytes: int = 0
    at: datetime | None = None

    @property
    def key(self) -> SessionKey | None:
        """Return the session that it lies in."""
        return session_of(self.subject)


class DeadLetters:
    """Write, list and remove letters."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._looked = -1

    async def write_session(self, key: SessionKey) -> int:
        """Write a letter on each message in the session's subject that is no event; return how many there are.

        O(messages of the session): a session is set aside once.
        """
        return await self._write_all(event_subject(key))

    async def write_strays(self) -> int:
        """Write a letter on each message that is no session's; return how many there are, 0 if nothing came since."""
        info = await api.call(self._link, f"STREAM.INFO.{EVENTS}")
        state = info["state"]
        if state["last_seq"] == self._looked:
            return 0
        filters = (EVENTS_ALL,) if state.get("num_subjects", 0) <= SUBJECTS_MAX else OTHER_DEPTHS
        found = 0
        for one in filters:
            for subject in await streams.counts(self._link, EVENTS, one):
                if session_of(subject) is None:
                    found += await self._write_all(subject)
        self._looked = state["last_seq"]
        return found

    async def all(self) -> list[DeadLetter]:
        """Return the letters in the order of their messages, at most `LETTERS_MAX`."""
        found: list[DeadLetter] = []
        position = 0
        while len(found) < LETTERS_MAX:
            page = await pages.page_or_next(self._link, DEAD, LETTERS_ALL, start=position + 1)
            if not page:
                break
            found += _read(page)
            position = page[-1].position
        return sorted(found, key=lambda letter: letter.position)[:LETTERS_MAX]

    async def body(self, position: int) -> bytes | None:
        """Return the message that a letter is on, as it is stored; None if it is gone."""
        stored = await api.get(self._link, EVENTS, {"seq": position})
        return None if stored is None else stored.body

    async def retry(self, letter: DeadLetter) -> DeadLetter | None:
        """Look at the message again; if it is gone, or an event, the letter goes, and None is returned."""
        stored = await api.get(self._link, EVENTS, {"seq": letter.position})
        wrong = None if stored is None else _wrong(stored)
        if stored is not None and wrong is not None:
            return letter
        await api.purge(self._link, DEAD, letter_subject(letter.key, letter.position))
        return None

    async def remove(self, letter: DeadLetter) -> None:
        """Remove a stray from the event stream, and its letter. May be repeated.

        Raises:
            InputError: if the message lies in a session: nothing of a session is removed.
        """
        if letter.key is not None:
            raise InputError(
                f"expected a stray, the message at {letter.position} lies in a session: see `retold repair`"
            )
        await api.erase(self._link, EVENTS, letter.position)
        await api.purge(self._link, DEAD, letter_subject(None, letter.position))

    async def _write_all(self, subject: str) -> int:
        """Write a letter on each message of *subject* that is no event."""
        found, position = 0, 0
        while found < LETTERS_MAX:
            page = await pages.page(self._link, EVENTS, subject, start=position + 1)
            for stored in page:
                position = stored.position
                wrong = _wrong(stored)
                if wrong is not None:
                    found += 1
                    await self._write(stored, wrong)
            if not page:
                break
        return found

    async def _write(self, stored: Stored, wrong: str) -> None:
        key = session_of(stored.subject)
        letter = DeadLetter(
            of="stray" if key is None else "message",
            position=stored.position,
            subject=stored.subject,
            reason=wrong,
            seq=max(seq_of(stored), 0),
            size_bytes=len(stored.body),
            at=stored.at,
        )
        subject = letter_subject(key, stored.position)
        headers = {EXPECTED_SUBJECT_SEQ: "0"}
        # Refused as a wrong sequence where it is there already: that is what was wanted.
        await self._link.retry(lambda: api.publish(self._link, subject, msgspec.json.encode(letter), headers))


def _wrong(stored: Stored) -> str | None:
    """Return why *stored* is no event of its subject's session; None if it is one, as far as it tells by itself."""
    key = session_of(stored.subject)
    if key is None:
        return "its subject is no session's"
    if CLAIM in stored.headers:
        return None  # a large body lies elsewhere: reading the session tells whether it is whole
    try:
        found = standing(stored.body)
    except CorruptLogError as error:
        return error.reason
    if found.key != key:
        return "it is an event of another session"
    return None


def _read(page: list[Stored]) -> Iterator[DeadLetter]:
    for stored in page:
        try:
            yield msgspec.json.decode(stored.body, type=DeadLetter)
        except msgspec.MsgspecError:
            yield DeadLetter(of="stray", position=0, subject=stored.subject, reason="its letter cannot be read")
