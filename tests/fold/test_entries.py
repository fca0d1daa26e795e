"""Entries that are packed are the same entries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.lives import long_life
from tests.laws.settings import law
from tests.laws.stories import CHANGED, SAID, Move, Story, moves

from retold.fold import Builder, Entry, fold, in_decision_order
from retold.fold.entries import Entries


@law(60)
@given(moves(*SAID, *CHANGED, at_least=10, at_most=40), st.sets(st.integers(1, 120)))
def test_a_session_folds_the_same_however_often_it_is_packed(told: list[Move], packed_at: set[int]) -> None:
    """Whatever is said, edited, extended, pinned or compacted, packing in between changes nothing of the state."""
    story = Story()
    events = story.tell(told).events
    plain, packed = Builder(), Builder()
    for recorded in events:
        if _returns(recorded.event.type):
            return
        plain.apply(recorded)
        packed.apply(recorded)
        if recorded.event.seq in packed_at:
            packed.entries.pack()
        assert packed.outline == plain.outline
    assert packed.freeze() == plain.freeze()


def _returns(kind: str) -> bool:
    return kind in ("SessionRewound", "CompactionUndone")


@law(100)
@given(st.lists(st.tuples(st.sampled_from(["append", "pack", "put", "put_all"]), st.integers(0, 30)), max_size=40))
def test_packed_entries_behave_as_a_list(steps: list[tuple[str, int]]) -> None:
    """Appended to, packed, looked at and changed in any order, entries are what a plain list would be."""
    some = _some_entries()
    ours, plain = Entries(), list[Entry]()
    for verb, number in steps:
        one = some[number % len(some)]
        if verb == "append":
            ours.append(one)
            plain.append(one)
        elif verb == "pack":
            ours.pack()
            assert ours.open_entries == 0
        elif plain and verb == "put":
            ours.put(number % len(plain), one)
            plain[number % len(plain)] = one
        elif verb == "put_all":
            first = number % (len(plain) + 1)
            ours.put_all(first, len(plain), [one, one])
            plain[first : len(plain)] = [one, one]
        assert (len(ours), list(ours), ours[-1:], ours[1:3]) == (len(plain), plain, plain[-1:], plain[1:3])
        assert not plain or ours[-1] == plain[-1]


def test_packing_makes_them_small() -> None:
    """A packed session takes a fraction of its text; appending to it leaves it packed."""
    entries = Entries(_some_entries() * 20)
    entries.pack()
    assert 0 < entries.packed_bytes < entries.packed_text_bytes / 2
    entries.append(_some_entries()[0])
    entries.put(len(entries) - 1, _some_entries()[1])
    assert entries.open_entries == 1
    with pytest.raises(IndexError):
        entries[len(entries)]


def _some_entries() -> list[Entry]:
    story = Story()
    story.write(*long_life(length=20)[1:])
    return list(fold(in_decision_order(story.events)).entries)
