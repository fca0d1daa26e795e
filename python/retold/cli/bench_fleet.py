"""Sessions whose events are prepared before anything is timed: for publishers that know nothing of Retold.

Their events are those that Retold would write, chain and all, so that it can read them afterwards: what was published
is checked by its own reader.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Final

from retold.cli.bench_wire import Frame
from retold.events import (
    Fact,
    Head,
    ItemAppended,
    Message,
    Recorded,
    SessionKey,
    SessionOpened,
    Text,
    Window,
    record,
    session_key,
)
from retold.log.drafting import drafts_of
from retold.log.names import EVENTS, EXPECTED_SUBJECT_SEQ, MSG_ID, SEQ, event_subject
from retold.log.streams import STREAMS
from retold.wiring import SystemClock

WINDOW: Final = Window(hard_limit=200_000)
_WORDS: Final = "the worker reads a session in order and decides after each event what has to leave".split()  # noqa: SIM905
BESIDE: Final = "BENCH_BESIDE"
BESIDE_PREFIX: Final = "beside."
_NUMBER: Final = count(1)


def texts(number: int, *, size: int, seed: int) -> list[str]:
    """Return *number* texts of *size* bytes, of words."""
    chance = random.Random(f"texts {seed}")  # noqa: S311 - test data
    return [" ".join(chance.choices(_WORDS, k=size // 3 + 1))[:size].ljust(size, ".") for _ in range(number)]


def names(number: int) -> list[SessionKey]:
    """Return keys of sessions that nobody has had before."""
    tenant = f"fleet{next(_NUMBER)}"
    return [session_key(f"s{nth}", tenant=tenant) for nth in range(number)]


def prepared(keys: Sequence[SessionKey], said: Sequence[str]) -> list[list[Recorded]]:
    """Return the events of each session: opened, then its share of *said*, in order."""
    clock = SystemClock()
    share = len(said) // len(keys)
    whole: list[list[Recorded]] = []
    for nth, key in enumerate(keys):
        facts: list[Fact] = [SessionOpened(window=WINDOW)]
        facts += [ItemAppended(item=message(text)) for text in said[nth * share : (nth + 1) * share]]
        whole.append(record(drafts_of(facts, clock, actor="bench"), key=key, head=Head()))
    return whole


def message(text: str) -> Message:
    """Return a user's message."""
    return Message(role="user", content=(Text(text),))


def in_turn(sessions: Sequence[Sequence[Recorded]]) -> Iterator[tuple[int, Recorded]]:
    """Yield each session's first event, then each one's second, and so on, with the session's number."""
    for nth in range(len(sessions[0])):
        for number, events in enumerate(sessions):
            yield number, events[nth]


def frames(keys: Sequence[SessionKey], sessions: Sequence[Sequence[Recorded]], *, base: int) -> list[Frame]:
    """Return all events in turn as Retold publishes them, for a stream that ends at *base* and has one writer."""
    subjects = [event_subject(key) for key in keys]
    made: list[Frame] = []
    for at, (number, recorded) in enumerate(in_turn(sessions)):
        before = base + at - len(keys) + 1 if at >= len(keys) else 0
        headers = {
            MSG_ID: recorded.event.id,
            SEQ: str(recorded.event.seq),
            EXPECTED_SUBJECT_SEQ: str(before),
        }
        made.append(Frame(subjects[number], recorded.body, headers))
    return made


def plain_headers(made: Sequence[Frame]) -> list[Frame]:
    """Return the same messages without their expectations."""
    kept = (MSG_ID, SEQ)
    return [Frame(one.subject, one.body, {name: one.headers[name] for name in kept}) for one in made]


def bare(made: Sequence[Frame]) -> list[Frame]:
    """Return the same messages without headers, for the stream beside the log's: Retold could not read them."""
    return [Frame(f"{BESIDE_PREFIX}{frame.subject}", frame.body) for frame in made]


def beside_config() -> dict[str, Any]:
    """Return the configuration of a stream that has all of the log's settings, and other subjects."""
    return STREAMS[EVENTS] | {"name": BESIDE, "subjects": [f"{BESIDE_PREFIX}>"], "num_replicas": 1}
