"""What cannot be read back is never written: one wrong argument must not damage a session for ever."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law
from tests.laws.stories import KEY, Story, whole_stories

from retold.errors import InputError
from retold.events import (
    FACTS,
    Draft,
    Fact,
    Head,
    HistoryEdited,
    ItemAppended,
    ItemExtended,
    Message,
    Recorded,
    SessionClosed,
    SessionOpened,
    Text,
    ToolCall,
    UsageReported,
    Window,
    decode,
    record,
)

_AT = Story().events[0].event.at
_TOLD = "sesame"


def _recorded(fact: Fact, **envelope: Any) -> Recorded:
    draft = Draft(id=envelope.get("id", "1"), at=envelope.get("at", _AT), actor=envelope.get("actor", "a"), data=fact)
    return record([draft], key=KEY, head=Head())[0]


def _item(item: Any) -> Fact:
    return ItemAppended(item=item)


def _any(value: Any) -> Any:
    """Return *value* untyped, as a program without a type checker passes it."""
    return value


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        (
            _item(Message(role="user", content=_any(_TOLD))),
            "expected array for item.content of ItemAppended, got str",
        ),
        (
            _item(Message(role=_any(_TOLD))),
            "one of system, developer, user, assistant, compressed for item.role of ItemAppended",
        ),
        (
            _item(Message(role="user", content=(_any({"type": "text"}),))),
            r"item.content\[0\] .* to have a field 'text'",
        ),
        (_item(_any(_TOLD)), "expected object for item of ItemAppended, got str"),
        (_item(ToolCall(call_id="a", name="f", arguments=_any({}))), "expected str for item.arguments .* got object"),
        (HistoryEdited(items=(_any(None),)), r"expected object for items\[0\] of HistoryEdited, got null"),
        (SessionClosed(reason=_any(None)), "expected str for reason of SessionClosed, got null"),
        (UsageReported(input_tokens=_any(None)), "expected int for input_tokens of UsageReported, got null"),
        (UsageReported(input_tokens=_any(bool(1))), "expected int for input_tokens of UsageReported, got bool"),
        (UsageReported(input_tokens=_any(object())), "for UsageReported, got another"),
        (ItemExtended(text=_any(None)), "expected str for text of ItemExtended, got null"),
        (ItemExtended(text=_any(b"abc")), "expected str for text of ItemExtended, got bytes"),
        (SessionOpened(window=Window(hard_limit=_any(1000.5))), "expected int for window.hard_limit .* got float"),
        (SessionOpened(window=Window(1), policy=_any(_TOLD)), "one of ladder, agkit, .* for policy of SessionOpened"),
        (_any(_TOLD), "expected a fact, got str"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_value_of_the_wrong_type_is_refused_before_it_is_stored(fact: Fact, message: str) -> None:
    """A wrong argument is refused with the field, what was expected and what came, and nothing of the text."""
    with pytest.raises(InputError, match=message) as error:
        _recorded(fact)
    assert _TOLD not in str(error.value)


@pytest.mark.parametrize("envelope", [{"id": 7}, {"actor": None}, {"at": "now"}, {"at": _AT.replace(tzinfo=None)}])
def test_an_envelope_of_the_wrong_type_is_refused_before_it_is_stored(envelope: dict[str, Any]) -> None:
    """An id or an actor that is no text, or a time without a zone, is refused too."""
    with pytest.raises(InputError, match=r"expected .* for (id|actor|at) of an event"):
        _recorded(SessionClosed(), **envelope)


def test_a_list_where_a_tuple_is_meant_is_stored_as_what_it_means() -> None:
    """Parts given as a list are taken, and the event that comes back is the one that readers get."""
    recorded = _recorded(_item(Message(role="user", content=_any([Text("a")]))))
    assert recorded.event.data == _item(Message(role="user", content=(Text("a"),)))
    assert decode(recorded.body) == recorded


_VALUES = st.sampled_from([None, 3, 1.5, True, "x", b"x", (), ("x",), {"a": 1}, [None], object(), float("nan"), 2**70])


@law(300)
@given(whole_stories(), st.integers(0, 10_000), st.integers(0, 10_000), _VALUES)
def test_whatever_a_field_holds_it_is_refused_or_read_back(story: Story, which: int, field: int, value: Any) -> None:
    """Any event with any value in any of its fields is refused, or stored as what every reader takes."""
    fact = story.events[which % len(story.events)].event.data
    names = msgspec.structs.fields(type(fact))
    changed = msgspec.structs.replace(fact, **{names[field % len(names)].name: value})
    try:
        recorded = _recorded(changed)
    except InputError:
        return
    assert decode(recorded.body) == recorded
    assert type(recorded.event.data) is FACTS[recorded.event.type]
