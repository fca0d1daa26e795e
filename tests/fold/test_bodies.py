"""Bodies are the very bytes of states and histories, and their rows say what the fold says."""

import pytest
from msgspec import structs
from tests.laws.stories import Story, long_story

from retold.errors import CorruptLogError, InputError
from retold.events import HistoryReplaced, Message, Recorded, Text
from retold.fold import (
    Body,
    Builder,
    Rows,
    context_body,
    encode_context,
    encode_history,
    fold,
    history_body,
    history_hash,
    history_of,
    text_bytes,
)
from retold.layouts import items_hash

_VERBS = ("user", "say", "think", "call", "result", "system", "pin", "edit", "rewind", "restore", "compact", "extend")


def _told(seed: int, *, length: int = 60) -> list[Recorded]:
    return Story().tell(long_story(seed, length=length, verbs=_VERBS)).events


@pytest.mark.parametrize("seed", range(8))
def test_a_body_is_what_is_encoded_at_once(seed: int) -> None:
    """At every third event of a story, with rows of its own or shared ones: state, history, hash and lengths."""
    events, bodies = _told(seed), 0
    for end in range(1, len(events) + 1, 3):
        state = fold(events[:end])
        rows, history = Rows(state.entries), history_of(state)
        assert rows.hash == history_hash(state.entries) == history.hash
        assert context_body(state) == context_body(state, rows=rows) == encode_context(state)
        body = history_body(history, rows=rows)
        assert body == encode_history(history)
        if isinstance(body, Body):
            assert rows.text_bytes == text_bytes(state.entries) == len(body) - len(body.frame)
            bodies += 1
    assert bodies


def test_rows_of_other_entries_are_not_used() -> None:
    """Rows of an earlier state, or of none, change no body."""
    events = _told(3, length=40)
    older, state = fold(events[:20]), fold(events)
    assert older.entries != state.entries
    assert context_body(state, rows=Rows(older.entries)) == encode_context(state)
    assert context_body(state, rows=Rows(())) == encode_context(state)


@pytest.mark.parametrize("text", ['"entries":[]', '\\","tokens":', "a\nb\r\n", '{"item":', "。\u2028"])
def test_texts_that_look_like_a_body_are_no_part_of_one(text: str) -> None:
    """What a text says about rows, items and line feeds is escaped where it stands."""
    state = fold(_told(1, length=9))
    said = structs.replace(state.entries[0], item=Message(role="user", content=(Text(text),), id=text))
    state = structs.replace(state, entries=(said, *state.entries))
    rows = Rows(state.entries)
    assert context_body(state, rows=rows) == encode_context(state)
    assert rows.hash == history_hash(state.entries)


def test_what_was_made_of_a_replacement_is_believed_only_where_the_fold_comes_to_it() -> None:
    """With its own rows, those of another history, or none, a replacement folds alike; a wrong hash is never taken."""
    events = _told(5, length=120)
    at = next(at for at, one in enumerate(events) if isinstance(one.event.data, HistoryReplaced))
    replaced = fold(events[: at + 1])
    wrong = structs.replace(events[at].event.data, hash="0" * 64)
    forged = structs.replace(events[at], event=structs.replace(events[at].event, data=wrong))
    for made in (Rows(replaced.entries), Rows(replaced.entries[1:]), None):
        builder = Builder.resume(fold(events[:at]))
        builder.apply(events[at], made=made)
        assert builder.freeze() == replaced
        with pytest.raises(CorruptLogError, match="hash does not match"):
            Builder.resume(fold(events[:at])).apply(forged, made=made)


def test_lines_that_are_no_entries_have_no_hash() -> None:
    """Anything else than rows of entries is refused, without its text."""
    with pytest.raises(InputError, match="expected rows of entries") as caught:
        items_hash(b'{"secret":1}\n')
    assert "secret" not in str(caught.value)
