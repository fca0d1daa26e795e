"""Counts of Claude's reconstructed encodings, with ctok as the judge (`count_with_ctok.py`)."""

import json
from pathlib import Path
from typing import Any

import pytest

from retold import tokens
from retold.errors import InputError

_TABLE: dict[str, Any] = json.loads((Path(__file__).parent / "claude_counts.json").read_text(encoding="utf-8"))
_BLOCK = 0x1000

every_reconstruction = pytest.mark.parametrize("name", tokens.RECONSTRUCTIONS)


@every_reconstruction
def test_hard_texts_count_as_ctok_counts_them(name: str) -> None:
    """Texts of all kinds of characters side by side, and runs of one, cost what ctok says that they cost."""
    encoding, at = tokens.encoding(name), 1 + _TABLE["names"].index(name)
    texts = [row[0] for row in _TABLE["texts"]]
    assert len(texts) > 1_000
    assert encoding.count_batch(texts) == [row[at] for row in _TABLE["texts"]]


@pytest.mark.slow
@every_reconstruction
def test_every_character_counts_as_ctok_counts_it(name: str) -> None:
    """Every Unicode character, after a letter and before a blank, costs what ctok says that it costs."""
    encoding, at = tokens.encoding(name), _TABLE["names"].index(name)
    found = []
    for start in range(0, 0x110000, _BLOCK):
        block = (point for point in range(start, start + _BLOCK) if not 0xD800 <= point < 0xE000)
        found.append(encoding.count("".join(f"a{chr(point)} 1" for point in block)))
    assert found == [counts[at] for counts in _TABLE["blocks"]]


@pytest.mark.slow
@every_reconstruction
def test_counts_of_a_text_and_of_its_session_agree(name: str, shared_texts: list[str]) -> None:
    """A recorded session counts the same at once, piece by piece, and up to a limit."""
    encoding = tokens.encoding(name)
    for text in shared_texts[::10]:
        total = encoding.count(text)
        counter = encoding.counter()
        for start in range(0, len(text), 10_000):
            counter.append(text[start : start + 10_000])
        assert counter.total == total
        assert encoding.count_until(text, total) == total
        assert encoding.count_until(text, total - 1) is None


def test_only_published_vocabularies_are_exact() -> None:
    """Whoever reads a count can tell whether it is the tokenizer's own."""
    kinds = {name: tokens.encoding(name).kind for name in (*tokens.ENCODINGS, *tokens.RECONSTRUCTIONS)}
    assert kinds == dict.fromkeys(tokens.ENCODINGS, "exact") | dict.fromkeys(tokens.RECONSTRUCTIONS, "reconstructed")
    assert set(tokens.RECONSTRUCTIONS) == {"claude-3", "claude-4.7", "claude-4.8"}


@every_reconstruction
def test_a_reconstruction_has_no_ids(name: str) -> None:
    """Where a token ends nobody knows, so asking for tokens is refused, and the message says why."""
    encoding = tokens.encoding(name)
    with pytest.raises(InputError, match=f"published vocabulary, got {name}: a reconstruction gives counts, not ids"):
        encoding.encode("secret")
    with pytest.raises(InputError, match="counts, not ids"):
        encoding.decode([1])


@every_reconstruction
@pytest.mark.parametrize("text", ["", "x"])
def test_an_empty_text_costs_nothing(name: str, text: str) -> None:
    """What is not there adds nothing to a message, and one letter is one token."""
    assert tokens.encoding(name).count(text) == len(text)


@pytest.mark.slow
@every_reconstruction
@pytest.mark.parametrize("run", ["a", "A", "=", " ", "\n", "7", "亚", "\u0301", "'"])
def test_a_run_costs_ten_times_as_much_when_it_is_ten_times_as_long(name: str, run: str) -> None:
    """Two megabytes of one character are counted, and no text crashes a counter."""
    encoding = tokens.encoding(name)
    counter = encoding.counter()
    for part in [run * 1_000] * 200:
        counter.append(part)
    assert counter.total == encoding.count(run * 200_000)
    assert encoding.count(run * 2_000_000) == pytest.approx(10 * counter.total, abs=30)


def test_fingerprints_of_reconstructions_never_change() -> None:
    """Snapshots of today are recognised by every later release."""
    assert {name: tokens.encoding(name).fingerprint for name in tokens.RECONSTRUCTIONS} == {
        "claude-3": "1b4da0d0fb505495e5948acd96fb32c7e008fd19c7843578b35d4853a1179418",
        "claude-4.7": "d2f388a7d4e9400417eeb22e21e201f42ba4dbf72cf255acb2d008274f97dd7b",
        "claude-4.8": "9524f06510f84ba5d0308352550ab15f832caffcdc2782fa1aa7a074fa1e1e81",
    }
