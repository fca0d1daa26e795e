"""The core finds the identifiers that the regular expressions find, in every text, and tells the same of them."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.settings import law
from tests.laws.texts import TEXTS
from tests.policy.slow_identifiers import slow_identifiers, slowly_told

from retold.errors import InputError
from retold.identifiers import count_identifiers, identifiers_in, tell_shortly
from retold.policy.values import told_of

_EDGES = " \t\n\x0b\x1c\x1f\x85\xa0\u1680\u2003\u2028\u3000\u200b\ufeff._-/:!?*#…,;=|\\\"'`<>()[]{}@"
_DIGITS = "0\uff19\uff18²①٣४\U0001d7d7一"
_LETTERS = "abAB\u00e9ßЖ中ゝ\uff21\U0001f600\U00020000\u2e7f\u2e80\uffff"
_PIECES = (
    *(_EDGES + _DIGITS + _LETTERS),
    *("src/app.py", "load_file", "aB", "v1.2", "e.g", "12345", "x" * 199, "\uff19\uff19", "…", "--", "\r\n", "用_2"),
)
_SIZES = (0, 1, 5, 40, 240)


def _made(size: int) -> st.SearchStrategy[str]:
    known = st.characters(exclude_categories=("Cs", "Cn"))  # digits that this Python does not know yet, the core does
    return st.lists(st.sampled_from(_PIECES) | known, max_size=size).map("".join)


def test_every_character_is_taken_as_python_takes_it() -> None:
    """Whatever blanks and digits a script has, they part and tell words as Python's do."""
    for plain in ("ab{}cd", "{}ab", "a1{}b2", "{0}{0}{0}", "ab_{}"):
        characters = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cs", "Cn")]
        for start in range(0, len(characters), 2_000):
            text = " ".join(plain.format(character) for character in characters[start : start + 2_000])
            assert set(identifiers_in(text)) == slow_identifiers(text)


@law(400)
@given(_made(60))
def test_any_text_has_the_identifiers_that_the_expressions_find(text: str) -> None:
    """A name in my text is an identifier by its form alone, wherever it stands and whatever is around it."""
    assert identifiers_in(text) == sorted(slow_identifiers(text))
    assert tell_shortly([(told_of(text), size) for size in _SIZES]) == [slowly_told(text, size) for size in _SIZES]


@law(100)
@given(st.lists(_made(20), max_size=4), st.lists(_made(20), max_size=4))
def test_survivors_are_counted_once(texts: list[str], others: list[str]) -> None:
    """A receipt counts an identifier once, however often it stood there, and as kept if it stands anywhere."""
    left = set[str]().union(*map(slow_identifiers, texts))
    kept = left & set[str]().union(*map(slow_identifiers, others))
    assert count_identifiers(texts, others) == (len(left), len(kept))


def test_the_shared_texts_are_told_the_same() -> None:
    """Prose, logs, traces, Chinese, emoji, blobs and JSON, short and beyond what is searched."""
    texts = [text * times for text in (*TEXTS, *_PIECES) for times in (1, 30, 400)]
    for text in texts:
        assert identifiers_in(text) == sorted(slow_identifiers(text))
    sources = [(text, size) for text in texts[:90] for size in _SIZES]
    told = tell_shortly([(told_of(text), size) for text, size in sources])
    assert told == [slowly_told(text, size) for text, size in sources]
    assert sum(map(bool, told)) > 30


_SPLIT = "\ud800"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: identifiers_in(f"a {_SPLIT}"), "character 2"),
        (lambda: identifiers_in(7), "got int"),  # type: ignore[arg-type]
        (lambda: count_identifiers([], ["a", _SPLIT]), "text 1"),
        (lambda: tell_shortly([("a", 1), ("a", -1)]), "text 1: expected a size"),
        (lambda: tell_shortly([["a", 1]]), "expected a pair"),  # type: ignore[list-item]
        (lambda: tell_shortly([(["a", 3], 1)]), "text 0: text 1: expected str"),  # type: ignore[list-item]
        (lambda: tell_shortly([(["a", _SPLIT], 1)]), "text 0: text 1"),
    ],
)
def test_what_is_no_text_is_refused(call: Callable[[], object], expected: str) -> None:
    """I am told which text is none, and never what is in it."""
    with pytest.raises(InputError, match=expected):
        call()
