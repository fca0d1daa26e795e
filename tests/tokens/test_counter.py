"""A counter always equals a recount, however its text came, was cut, was asked about or was saved."""

import random
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from tests.laws.settings import TIMES

from retold import tokens
from retold.errors import InputError

pytestmark = pytest.mark.timeout(60 * TIMES)

HardTexts: TypeAlias = Callable[[int], Iterator[str]]

every_encoding = pytest.mark.parametrize("name", [*tokens.ENCODINGS, *tokens.RECONSTRUCTIONS])
every_exact_encoding = pytest.mark.parametrize("name", tokens.ENCODINGS)


def _split(text: str, chance: random.Random, longest: int) -> list[str]:
    """Return *text* in parts of 1 to *longest* characters."""
    parts: list[str] = []
    while text:
        size = chance.randrange(1, longest + 1)
        parts.append(text[:size])
        text = text[size:]
    return parts


def _offset(text: str, chance: random.Random) -> int:
    """Return the byte offset of a random place between two characters."""
    return len(text[: chance.randrange(len(text) + 1)].encode())


@pytest.mark.slow
@every_encoding
def test_every_append_totals_a_recount(name: str, hard_texts: HardTexts, chance: random.Random) -> None:
    """However a text is cut into deltas, the total after each delta is the count of the text so far."""
    encoding = tokens.encoding(name)
    for text in hard_texts(400 * TIMES):
        counter = encoding.counter()
        so_far = ""
        for part in _split(text, chance, 4):
            so_far += part
            assert counter.append(part) == encoding.count(so_far)


@pytest.mark.slow
@every_encoding
def test_bytes_cut_anywhere_total_a_recount_of_the_characters_that_are_complete(
    name: str, hard_texts: HardTexts, chance: random.Random
) -> None:
    """Bytes as a stream cuts them, inside characters too, total after each part what the complete characters count.

    `make fuzz`: 20,000 texts an encoding, half a million parts.
    """
    encoding = tokens.encoding(name)
    for text in hard_texts(100 * TIMES):
        counter = encoding.counter()
        content, end = text.encode(), 0
        while end < len(content):
            start, end = end, end + chance.randrange(1, 6)
            complete = content[:end].decode(errors="ignore")
            assert counter.append(content[start:end]) == encoding.count(complete)
            assert counter.size_bytes + counter.unfinished_bytes == min(end, len(content))
        assert (counter.total, counter.unfinished_bytes) == (encoding.count(text), 0)


def test_bytes_that_do_not_go_on_with_a_character_are_refused() -> None:
    """What was held of a character is still held when something else comes, and a cut forgets it."""
    counter = tokens.encoding("o200k_base").counter()
    whole = "ab亚".encode()
    total = counter.append(whole[:-1])
    for wrong, message in ((b"x", "of which 2 were appended"), ("x", "got text"), (b"\x9a\xff", "sequence at byte 1")):
        with pytest.raises(InputError, match=message):
            counter.append(wrong)
        assert (counter.total, counter.size_bytes, counter.unfinished_bytes) == (total, 2, 2)
    restored = tokens.encoding("o200k_base").restore(counter.snapshot())
    assert restored.append(whole[-1:]) == tokens.encoding("o200k_base").count("ab亚")
    assert counter.truncate(2) == total
    assert counter.unfinished_bytes == 0


GIANTS = ["a", "=", " ", "\n", "亚", "A", "7", "ab", "hello", "\u0301", "👨\u200d", "\n" + " " * 300, "亚A", "=-"]


@pytest.mark.slow
@every_encoding
@pytest.mark.parametrize("run", GIANTS)
def test_inside_a_giant_run_spans_and_cuts_total_a_recount(name: str, run: str, chance: random.Random) -> None:
    """Wherever I ask or cut within an unbroken run of 100 KB, the answer is that of counting those bytes."""
    encoding = tokens.encoding(name)
    text = f"Look: x{run * (100_000 // len(run.encode()))}. That was it."
    content = text.encode()
    counter = encoding.counter()
    counter.append(text)
    for _ in range(20):
        start, end = sorted((_offset(text, chance), _offset(text, chance)))
        assert counter.span(start, end) == encoding.count(content[start:end])
    for _ in range(5):
        content = content[: _offset(content.decode(), chance)]
        assert counter.truncate(len(content)) == encoding.count(content)
        restored = encoding.restore(counter.snapshot())
        content += run.encode()
        assert counter.append(run) == restored.append(run) == encoding.count(content)


@pytest.mark.slow
@every_encoding
@pytest.mark.parametrize("longest", [3, 40, 4_000])
def test_a_streamed_session_totals_a_recount(
    name: str, longest: int, shared_texts: list[str], chance: random.Random
) -> None:
    """A recorded session streamed in random deltas totals what the whole session counts."""
    encoding = tokens.encoding(name)
    for text in shared_texts[::20]:
        counter = encoding.counter()
        head = text[:100_000]
        for part in _split(head, chance, longest):
            counter.append(part)
        assert counter.total == encoding.count(head)
        assert counter.size_bytes == len(head.encode())


@pytest.mark.slow
@every_encoding
def test_a_span_is_a_recount_of_its_bytes(name: str, shared_texts: list[str], chance: random.Random) -> None:
    """The tokens between two offsets are those of the text between them, counted on its own."""
    encoding = tokens.encoding(name)
    for text in shared_texts[::15]:
        head = text[:50_000]
        counter = encoding.counter()
        counter.append(head)
        for _ in range(15):
            start, end = sorted((_offset(head, chance), _offset(head, chance)))
            assert counter.span(start, end) == encoding.count(head.encode()[start:end])


@pytest.mark.slow
@every_encoding
def test_a_truncated_counter_totals_a_recount_and_grows_again(
    name: str, hard_texts: HardTexts, chance: random.Random
) -> None:
    """After a cut the total is that of what is left, and appending goes on from there."""
    encoding = tokens.encoding(name)
    for text in hard_texts(300):
        counter = encoding.counter()
        counter.append(text * 20)
        left = (text * 20).encode()[: _offset(text * 20, chance)]
        assert counter.truncate(len(left)) == encoding.count(left)
        assert counter.append(text) == encoding.count(left + text.encode())


@every_encoding
def test_a_restored_counter_goes_on_where_the_other_was(
    name: str, hard_texts: HardTexts, chance: random.Random
) -> None:
    """A worker that stops and starts again loses no token and gains none."""
    encoding = tokens.encoding(name)
    for text in hard_texts(200):
        cut = chance.randrange(len(text) + 1)
        counter = encoding.counter()
        counter.append(text[:cut])
        restored = encoding.restore(counter.snapshot())
        assert restored.total == counter.total
        assert restored.append(text[cut:]) == encoding.count(text)


def test_a_damaged_snapshot_is_refused_at_every_byte() -> None:
    """One flipped bit anywhere in a snapshot is found, and never counted with."""
    encoding = tokens.encoding("o200k_base")
    counter = encoding.counter()
    counter.append("The quick brown fox")
    snapshot = counter.snapshot()
    for position in range(len(snapshot)):
        damaged = bytearray(snapshot)
        damaged[position] ^= 1
        with pytest.raises(InputError):
            encoding.restore(bytes(damaged))
        with pytest.raises(InputError):
            encoding.restore(snapshot[:position])


def test_a_snapshot_of_another_vocabulary_is_refused() -> None:
    """A count of one vocabulary is never carried on in another."""
    snapshot = tokens.encoding("cl100k_base").counter().snapshot()
    with pytest.raises(InputError, match="another"):
        tokens.encoding("o200k_base").restore(snapshot)


@every_encoding
def test_a_snapshot_of_a_long_text_is_small(name: str) -> None:
    """Saving the count of a megabyte costs about a hundred bytes: less than a byte for ten kilobytes."""
    counter = tokens.encoding(name).counter()
    counter.append("All work and no play. " * 50_000)
    assert len(counter.snapshot()) < 100


@pytest.mark.slow
@every_exact_encoding
@pytest.mark.parametrize("run", GIANTS)
def test_a_snapshot_inside_a_giant_run_is_small(name: str, run: str) -> None:
    """Saving a count in the middle of an unbroken run of a megabyte costs some hundreds of bytes."""
    counter = tokens.encoding(name).counter()
    counter.append(run * (1_000_000 // len(run.encode())))
    assert len(counter.snapshot()) < 700


def test_a_restored_counter_says_what_it_does_not_hold() -> None:
    """Asked about text from before its snapshot, a counter says from where on it can answer."""
    encoding = tokens.encoding("o200k_base")
    counter = encoding.counter()
    counter.append("one two three four")
    restored = encoding.restore(counter.snapshot())
    with pytest.raises(InputError, match="at least 13, got 0"):
        restored.span(0, 5)
    with pytest.raises(InputError, match="snapshot"):
        restored.truncate(0)
    assert restored.span(13, 18) == encoding.count(" four")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda counter: counter.span(2, 4), "between two characters, got 2; the character starts at 1"),
        (lambda counter: counter.span(0, 9), "at most 5 bytes, the length of the text, got 9"),
        (lambda counter: counter.span(4, 1), "ends at 4 or later, got 1"),
        (lambda counter: counter.span(-1, 1), "whole number of at least 0"),
        (lambda counter: counter.truncate(3), "between two characters, got 3"),
        (lambda counter: counter.truncate(6), "at most 5 bytes"),
        (lambda counter: counter.append("\udc00"), "lone surrogate at character 0"),
    ],
)
def test_a_refused_call_says_why_and_changes_nothing(call: Callable[[tokens.Counter], object], message: str) -> None:
    """A wrong offset or text is named, and the counter is as it was before."""
    counter = tokens.encoding("o200k_base").counter()
    total = counter.append("a亚b")
    with pytest.raises(InputError, match=message):
        call(counter)
    assert (counter.total, counter.size_bytes) == (total, 5)


def test_an_empty_counter_totals_nothing() -> None:
    """Nothing appended costs nothing."""
    counter = tokens.encoding("o200k_base").counter()
    assert (counter.total, counter.size_bytes, counter.span(0, 0), counter.append("")) == (0, 0, 0, 0)


def test_threads_take_turns_on_a_counter() -> None:
    """No append is lost when threads share a counter."""
    encoding = tokens.encoding("o200k_base")
    counter = encoding.counter()
    line = "A line of text that ends in a line break.\n" * 100
    threads = [threading.Thread(target=lambda: [counter.append(line) for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.total == encoding.count(line * 100)
