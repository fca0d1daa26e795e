"""The codec's promises: bytes come back as they were, every version is read for ever, and damage is refused by name."""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law
from tests.laws.stories import KEY, Story, whole_stories

from retold.errors import CorruptLogError, InputError, SchemaError
from retold.events import (
    FACTS,
    GENESIS,
    VERSION,
    Draft,
    Head,
    ItemAppended,
    Message,
    Recorded,
    SessionKey,
    SessionOpened,
    Text,
    Window,
    check_follows,
    decode,
    encode,
    record,
    session_key,
)
from retold.fold import Context, fold, history_of, inherited

HISTORIES = Path(__file__).parent / "histories"


def _history(version: int) -> list[bytes]:
    return (HISTORIES / f"v{version}.jsonl").read_bytes().splitlines()


def _check_chain(bodies: list[bytes], *, key: SessionKey) -> list[Recorded]:
    head, recorded = Head(), []
    for body in bodies:
        recorded.append(decode(body))
        check_follows(recorded[-1], head=head, key=key)
        head = recorded[-1].head
    return recorded


def _changed(body: bytes, **fields: Any) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(body), **fields})


@law(100)
@given(whole_stories())
def test_an_event_decoded_and_encoded_again_is_the_same_bytes(story: Story) -> None:
    """Whatever happened in my session, reading its events and writing them again changes no byte."""
    for recorded in story.events:
        again = decode(recorded.body)
        assert again == recorded
        assert encode(again.event) == recorded.body


def test_the_stored_histories_hold_every_fact() -> None:
    """The histories that are kept of version 1 have each kind of event at least once."""
    bodies = [body for file in HISTORIES.glob("v1*.jsonl") for body in file.read_bytes().splitlines()]
    assert {decode(body).event.type for body in bodies} == set(FACTS)


@pytest.mark.parametrize("names", [("v1-windows",), ("v1-branches", "v1-fork")], ids="-".join)
def test_a_session_and_its_fork_are_read_as_they_were_written(names: tuple[str, ...]) -> None:
    """Windows, tags, an undo, a rewind and a fork of an old release say what they said, and prove themselves."""
    expected = json.loads((HISTORIES / "v1-branches.json").read_text(encoding="utf-8"))
    start: Context | None = None
    for name in names:
        bodies = (HISTORIES / f"{name}.jsonl").read_bytes().splitlines()
        key = SessionKey(tenant="laws", session=decode(bodies[0]).event.session)
        start = None if start is None else inherited(start, key)
        events = _check_chain(bodies, key=key)
        assert [encode(recorded.event) for recorded in events] == bodies
        assert (len(events), events[-1].hash) == (expected[name]["events"], expected[name]["last_hash"])
        digest = hashlib.sha256(b"".join(msgspec.json.encode(one.event.data) + b"\n" for one in events))
        assert digest.hexdigest() == expected[name]["facts_sha256"]
        history = history_of(fold(events, base=start))
        found = {"version": history.version, "tokens": history.tokens, "hash": history.hash}
        assert found == expected[name]["history"]
        start = fold(events[: expected["fork_seq"]], base=start)


def test_a_session_that_compressed_itself_is_read_as_it_was_written() -> None:
    """Compressed blocks of an old release, nested and opened again, say what they said, and prove themselves."""
    expected = json.loads((HISTORIES / "v1-compressed.json").read_text(encoding="utf-8"))
    bodies = (HISTORIES / "v1-compressed.jsonl").read_bytes().splitlines()
    events = _check_chain(bodies, key=SessionKey(tenant="laws", session="story"))
    assert [encode(recorded.event) for recorded in events] == bodies
    assert (len(events), events[-1].hash) == (expected["events"], expected["last_hash"])
    digest = hashlib.sha256(b"".join(msgspec.json.encode(one.event.data) + b"\n" for one in events))
    assert digest.hexdigest() == expected["facts_sha256"]
    history = history_of(fold(events))
    found = {"version": history.version, "tokens": history.tokens, "hash": history.hash}
    assert found == expected["history"]


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_every_version_ever_shipped_is_read(version: int) -> None:
    """A session that an old release wrote is read by this one, says what it said, and proves itself."""
    expected = json.loads((HISTORIES / f"v{version}.json").read_text(encoding="utf-8"))
    first = decode(_history(version)[0]).event
    events = _check_chain(_history(version), key=SessionKey(tenant=first.tenant, session=first.session))
    digest = hashlib.sha256()
    for recorded in events:
        digest.update(msgspec.json.encode(recorded.event.data) + b"\n")
    assert len(events) == expected["events"]
    assert digest.hexdigest() == expected["facts_sha256"]
    assert events[-1].hash == expected["last_hash"]
    past = expected["history_before_erasure"]
    history = history_of(fold(events[: past["seq"]]))
    assert (history.version, history.tokens, history.hash) == (past["version"], past["tokens"], past["hash"])
    assert fold(events).entries == ()


def test_a_newer_version_is_refused_by_its_number() -> None:
    """An event of a release that I do not have yet is refused, naming its version and mine."""
    body = _changed(_history(1)[1], v=VERSION + 1)
    with pytest.raises(
        SchemaError, match=f"expected schema version 1 to {VERSION}, got version {VERSION + 1}"
    ) as error:
        decode(body)
    assert error.value.seq == 2


@pytest.mark.parametrize("version", [0, -1])
def test_a_version_that_never_was_is_refused(version: int) -> None:
    """There is no version before the first."""
    with pytest.raises(SchemaError, match=f"got version {version}"):
        decode(_changed(_history(1)[1], v=version))


def test_an_unknown_type_is_refused_by_name() -> None:
    """An event whose type no release knows is refused, naming the type and where it stands."""
    with pytest.raises(SchemaError, match="got 'ItemImagined'") as error:
        decode(_changed(_history(1)[4], type="ItemImagined"))
    assert error.value.seq == 5


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}", b'{"data":' + b"[" * 2000], ids=lambda body: repr(body[:9])
)
def test_what_is_no_event_is_refused(body: bytes) -> None:
    """Bytes that are no event raise an error of Retold's, whatever they are."""
    with pytest.raises(CorruptLogError, match="expected an event"):
        decode(body)


@law(100)
@given(st.integers(0, 40), st.integers(1, 200))
def test_a_truncated_event_is_refused(which: int, cut: int) -> None:
    """An event of which the end is missing is never taken for a shorter one."""
    body = _history(1)[which % len(_history(1))]
    with pytest.raises(CorruptLogError):
        decode(body[: -min(cut, len(body))])


def test_text_that_is_not_utf8_is_refused() -> None:
    """Bytes that are no text in the middle of an event are refused."""
    body = encode_one("hello").replace(b"hello", b"he\xffllo")
    with pytest.raises(CorruptLogError):
        decode(body)


def encode_one(text: str) -> bytes:
    """Return the bytes of an event that says *text*."""
    return record([_draft(text)], key=KEY, head=Head())[0].body


def _draft(text: str, *, number: int = 1) -> Draft:
    at = Story().events[0].event.at
    return Draft(id=str(number), at=at, actor="a", data=ItemAppended(item=Message(role="user", content=(Text(text),))))


def test_text_that_utf8_cannot_carry_is_refused_before_it_is_stored() -> None:
    """Half a surrogate pair raises an error that says where it stands, without the text."""
    with pytest.raises(InputError, match="lone surrogate in a ItemAppended at character 7") as error:
        encode_one("secret \ud800")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "data", [b"[]", b"3", b'"x"', b"{}", b'{"item":{"type":"message"}}'], ids=lambda body: repr(body[:9])
)
def test_a_fact_of_the_wrong_shape_is_refused_in_every_version(data: bytes) -> None:
    """An event whose content does not fit its type is refused where it stands, also when it is of an older version."""
    body = _changed(_history(1)[1], type="ItemAppended", data=msgspec.Raw(data))
    with pytest.raises(CorruptLogError, match="expected a ItemAppended") as error:
        decode(body)
    assert error.value.seq == 2
    with pytest.raises(CorruptLogError, match="expected a ItemAppended") as error:
        decode(body, version=2, upcasters={1: lambda name, fields: (name, fields)})
    assert error.value.seq == 2


def test_old_events_are_brought_up_version_by_version() -> None:
    """An event of version 1 goes through each step up to version 3, one of version 2 through the last alone."""
    steps: list[int] = []

    def to_2(_: str, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        steps.append(1)
        return "ItemAdded", {"said": data["text"]}

    def to_3(name: str, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        steps.append(2)
        assert name == "ItemAdded"
        return "ItemAppended", {
            "item": {"type": "message", "role": "user", "content": [{"type": "text", "text": data["said"]}]}
        }

    upcasters = {1: to_2, 2: to_3}
    first = _changed(encode_one("x"), type="Said", data={"text": "from 1"})
    second = _changed(encode_one("x"), v=2, type="ItemAdded", data={"said": "from 2"})
    third = _changed(encode_one("from 3"), v=3)
    texts = []
    for body in (first, second, third):
        fact = decode(body, upcasters=upcasters, version=3).event.data
        assert isinstance(fact, ItemAppended)
        assert isinstance(fact.item, Message)
        texts.append(fact.item.content[0])
    assert texts == [Text("from 1"), Text("from 2"), Text("from 3")]
    assert steps == [1, 2, 2]
    assert decode(first, upcasters=upcasters, version=3).body == first


@law(60)
@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_is_found_there_or_at_the_next_event(at: int, bit: int) -> None:
    """One bit changed in the middle of a session is found, at that event or at the next, which is bound to it."""
    bodies = _history(1)
    which = at % (len(bodies) - 1)
    body = bytearray(bodies[which])
    body[at % len(body)] ^= 1 << bit
    with pytest.raises(CorruptLogError):
        _check_chain([*bodies[:which], bytes(body), bodies[which + 1]], key=KEY)


def test_a_dropped_event_is_found_at_its_place() -> None:
    """A missing event is named by its own sequence."""
    bodies = _history(1)
    for which in range(len(bodies) - 1):
        with pytest.raises(CorruptLogError, match=f"the log has {which + 2}") as error:
            _check_chain([*bodies[:which], *bodies[which + 1 :]], key=KEY)
        assert error.value.seq == which + 1


def test_swapped_events_are_found_at_the_first() -> None:
    """Two events in the wrong order are named by the place where the first should be."""
    bodies = _history(1)
    for which in range(len(bodies) - 1):
        swapped = [*bodies[:which], bodies[which + 1], bodies[which], *bodies[which + 2 :]]
        with pytest.raises(CorruptLogError) as error:
            _check_chain(swapped, key=KEY)
        assert error.value.seq == which + 1


def test_a_replaced_event_breaks_the_link_of_the_next() -> None:
    """An event that was exchanged for another of the same sequence is found by its successor's link."""
    bodies = _history(1)
    other = _changed(bodies[2], actor="somebody")
    with pytest.raises(CorruptLogError, match="link to the event before is broken") as error:
        _check_chain([*bodies[:2], other, *bodies[3:]], key=KEY)
    assert error.value.seq == 4


def test_an_event_of_another_session_is_refused() -> None:
    """An event that was filed under the wrong session is not taken for one of mine."""
    with pytest.raises(CorruptLogError, match="it names another session"):
        _check_chain(_history(1)[:1], key=session_key("other", tenant=KEY.tenant))


def test_the_first_event_has_no_event_before_it() -> None:
    """A session starts at sequence 1 with the link that says: nothing came before."""
    first = record([_draft("a"), _draft("b", number=2)], key=KEY, head=Head())
    assert [one.event.seq for one in first] == [1, 2]
    assert first[0].event.prev == GENESIS
    assert first[1].event.prev == hashlib.sha256(first[0].body).hexdigest()


@pytest.mark.parametrize("name", ["a", "agent-42", "A_b=", "x" * 128])
def test_names_that_a_subject_can_carry_are_taken(name: str) -> None:
    """Letters, digits, dashes, underscores and equals signs name sessions and tenants."""
    assert session_key(name, tenant=name) == SessionKey(tenant=name, session=name)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a*", ">", "a/b", "é", "x" * 129, "a\n", "名"], ids=ascii)
def test_names_that_a_subject_cannot_carry_are_refused(name: str) -> None:
    """A name with a dot, a space or a wildcard is refused, and the message says what is allowed."""
    with pytest.raises(InputError, match="expected a session name of 1 to 128 letters"):
        session_key(name)
    with pytest.raises(InputError, match="expected a tenant name of 1 to 128 letters"):
        session_key("ok", tenant=name)


def test_defaults_are_written_the_same_before_and_after_a_round_trip() -> None:
    """A window with its defaults written out is the window without them."""
    opened = SessionOpened(window=Window(hard_limit=10))
    again = msgspec.json.decode(msgspec.json.encode(opened), type=SessionOpened)
    assert msgspec.json.encode(again) == msgspec.json.encode(opened)
