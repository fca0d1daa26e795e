"""The core writes events as the codec does, byte for byte, and refuses what the codec refuses."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law
from tests.laws.stories import KEY, Story, whole_stories

from retold.errors import InputError
from retold.events import VERSION, Draft, Head, ItemAppended, Message, Text, record
from retold.events.lines import KINDS, draft_lines
from retold.wire import Appends, Packing

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UNPACKED = Packing(b"", 1 << 26, 1 << 26)
_FRAME = re.compile(rb"HPUB \S+ (?:\S+ )?(\d+) (\d+)\r\n")


def core_bodies(drafts: Sequence[Draft]) -> list[bytes]:
    """Return the events that the core makes of *drafts* as the first of session `KEY`."""
    appends = Appends("reply", "batch", VERSION, KINDS, (1 << 26, 1 << 26, 1, 1, 1 << 26), UNPACKED)
    head = Head()
    appends.load(*draft_lines(drafts), [("s", KEY.tenant, KEY.session, 0, head.hash, 0, [len(drafts)])])
    sent, bodies = appends.send(), []
    while sent:
        frame = _FRAME.match(sent)
        assert frame is not None
        start, end = frame.end() + int(frame[1]), frame.end() + int(frame[2])
        bodies.append(sent[start:end])
        sent = sent[end + 2 :]
    return bodies


@law(60)
@given(whole_stories())
def test_the_core_writes_whole_sessions_as_the_codec_does(story: Story) -> None:
    """Whatever happened, an event has the same bytes whichever way it was appended."""
    drafts = [
        Draft(id=one.event.id, at=one.event.at, actor=one.event.actor, data=one.event.data, cause=one.event.cause)
        for one in story.events
    ]
    assert core_bodies(drafts) == [one.body for one in record(drafts, key=KEY, head=Head())]


_ids = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'), min_size=1)
_times = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=30))]))
_texts = st.text() | st.sampled_from(['"', "\\", '","cause":"', ',"cause":null}', '{"id":', "\n", "\u2028", "\x00"])
_drafts = st.builds(
    lambda id_, at, actor, cause, text, name: Draft(
        id=id_,
        at=at,
        actor=actor,
        cause=cause,
        data=ItemAppended(item=Message(role="user", content=(Text(text),), name=name)),
    ),
    _ids,
    _times,
    _texts,
    st.none() | _texts,
    _texts,
    st.none() | _texts,
)


@law(400)
@given(st.lists(_drafts, min_size=1, max_size=4))
def test_the_core_writes_any_text_as_the_codec_does(drafts: list[Draft]) -> None:
    """Quotes, line breaks, other alphabets, even pieces of JSON: they are stored as I gave them."""
    assert core_bodies(drafts) == [one.body for one in record(drafts, key=KEY, head=Head())]


def test_a_list_for_a_tuple_is_written_as_it_will_be_read() -> None:
    """What I gave as a list is a tuple for every reader; it is stored all the same."""
    content: Any = [Text("a")]
    drafts = [Draft(id="a", at=NOW, actor="x", data=ItemAppended(item=Message(role="user", content=content)))]
    assert core_bodies(drafts) == [one.body for one in record(drafts, key=KEY, head=Head())]


@pytest.mark.parametrize(
    "changes",
    [
        *({"id": 7}, {"at": NOW.replace(tzinfo=None)}, {"at": "now"}, {"actor": None}, {"cause": 1}),
        *({"id": b"a"}, {"id": UUID(int=1)}, {"at": "2026-01-01T00:00:00Z"}, {"actor": b"a"}, {"cause": UUID(int=1)}),
        {"data": Text("a")},
    ],
)
def test_a_misfit_is_refused_before_anything_is_written(changes: dict[str, Any]) -> None:
    """A draft that no reader would take is refused with the field's name, also among good ones."""
    good: dict[str, Any] = {"id": "a", "at": NOW, "actor": "x", "data": ItemAppended(item=Message(role="user"))}
    with pytest.raises(InputError, match="expected"):
        draft_lines([Draft(**good), Draft(**(good | changes))])


def test_text_that_is_none_is_refused() -> None:
    """Half a character that UTF-8 cannot carry, or a number where a text belongs: no reader could read it."""
    wrong: Any = 7
    for text in ("\ud800", wrong):
        item = Message(role="user", content=(Text(text),))
        with pytest.raises(InputError):
            draft_lines([Draft(id="a", at=NOW, actor="x", data=ItemAppended(item=item))])
