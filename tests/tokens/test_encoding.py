"""Counts, ids and bytes of the built-in encodings, with tiktoken as the judge."""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import tiktoken
from tests.laws.settings import TIMES

from retold import tokens
from retold.errors import InputError

pytestmark = pytest.mark.timeout(60 * TIMES)

every_encoding = pytest.mark.parametrize("name", tokens.ENCODINGS)


@pytest.mark.slow
@every_encoding
def test_ids_of_recorded_sessions_are_tiktokens(
    name: str, oracle: Mapping[str, tiktoken.Encoding], shared_texts: list[str]
) -> None:
    """Every recorded session of every agent encodes to the ids that tiktoken gives."""
    encoding = tokens.encoding(name)
    for text in shared_texts:
        assert encoding.encode(text) == oracle[name].encode_ordinary(text)


@pytest.mark.slow
@every_encoding
def test_counts_of_recorded_sessions_are_the_number_of_ids(name: str, shared_texts: list[str]) -> None:
    """A count is the number of ids, one by one and in a batch."""
    encoding = tokens.encoding(name)
    expected = [len(encoding.encode(text)) for text in shared_texts]
    assert [encoding.count(text) for text in shared_texts] == expected
    assert encoding.count_batch(shared_texts) == expected


@pytest.mark.slow
@every_encoding
def test_hard_texts_encode_as_tiktoken_does(
    name: str, oracle: Mapping[str, tiktoken.Encoding], hard_texts: Callable[[int], Iterator[str]]
) -> None:
    """Five thousand texts of all kinds of characters side by side encode to tiktoken's ids (`make fuzz`: a million)."""
    encoding = tokens.encoding(name)
    for text in hard_texts(5_000 * TIMES):
        ids = encoding.encode(text)
        assert ids == oracle[name].encode_ordinary(text)
        assert encoding.count(text) == len(ids)
        assert encoding.decode(ids) == text.encode()


@pytest.mark.slow
@every_encoding
def test_every_character_encodes_as_tiktoken_does(name: str, oracle: Mapping[str, tiktoken.Encoding]) -> None:
    """Every Unicode character, after a letter and before a blank, encodes to tiktoken's ids."""
    encoding = tokens.encoding(name)
    for first in range(0, 0x110000, 0x1000):
        block = range(first, first + 0x1000)
        text = "".join(f"a{chr(point)}B{chr(point)} 1" for point in block if not 0xD800 <= point < 0xE000)
        assert encoding.encode(text) == oracle[name].encode_ordinary(text)


@pytest.mark.slow
@every_encoding
@pytest.mark.parametrize("run", ["a", "=", " ", "\n", "亚", "A", "0", "\u0301"])
def test_a_long_run_of_one_character_counts_as_tiktoken_does(
    name: str, run: str, oracle: Mapping[str, tiktoken.Encoding]
) -> None:
    """A hundred kilobytes of one character cost what tiktoken says they cost."""
    text = run * (100_000 // len(run.encode()))
    assert tokens.encoding(name).count(text) == len(oracle[name].encode_ordinary(text))


@pytest.mark.slow
@pytest.mark.parametrize("run", ["a", "=", " ", "\n"])
def test_two_megabytes_of_one_character_are_counted(run: str) -> None:
    """Two megabytes of one character, which crash other counters, are counted in a few seconds."""
    encoding = tokens.encoding("o200k_base")
    total = encoding.count(run * 2_000_000)
    assert total == pytest.approx(10 * encoding.count(run * 200_000), abs=10)


@every_encoding
def test_counting_stops_above_the_limit(name: str, hard_texts: Callable[[int], Iterator[str]]) -> None:
    """A text of n tokens fits a limit of n and not one of n - 1."""
    encoding = tokens.encoding(name)
    for text in hard_texts(200):
        total = encoding.count(text)
        assert encoding.count_until(text, total) == total
        assert encoding.count_until(text, total - 1) is None
        assert encoding.count_until(text, 10**30) == total


@every_encoding
def test_decoding_is_tiktokens_for_every_token(name: str, oracle: Mapping[str, tiktoken.Encoding]) -> None:
    """Every id decodes to the bytes that tiktoken gives, special tokens included."""
    encoding, judge = tokens.encoding(name), oracle[name]
    special = {judge.encode_single_token(token) for token in judge.special_tokens_set}
    for number in special | set(range(0, judge.n_vocab - 2_000, 97)):
        assert encoding.decode([number]) == judge.decode_single_token_bytes(number)


@every_encoding
def test_a_special_token_in_a_text_is_ordinary_text(name: str, oracle: Mapping[str, tiktoken.Encoding]) -> None:
    """A user who writes <|endoftext|> has written thirteen characters, not a control token."""
    text = "before <|endoftext|> after <|start|>"
    assert tokens.encoding(name).encode(text) == oracle[name].encode_ordinary(text)
    assert tokens.encoding(name).count("<|endoftext|>") > 1


def test_bytes_of_utf8_count_as_their_text() -> None:
    """A text read from a file as bytes need not be decoded first."""
    encoding = tokens.encoding("o200k_base")
    assert encoding.count("naïve 亚洲".encode()) == encoding.count("naïve 亚洲")


@pytest.mark.parametrize("call", ["count", "encode"])
def test_a_lone_surrogate_is_refused_with_its_position(call: str) -> None:
    """Half a character is no text, and the message says where it is but not what surrounds it."""
    with pytest.raises(InputError, match="lone surrogate at character 6") as caught:
        getattr(tokens.encoding("o200k_base"), call)("secret\ud800")
    assert "secret" not in str(caught.value)


def test_invalid_utf8_is_refused_with_its_position() -> None:
    """Bytes that are no UTF-8 are refused, and the message says at which byte."""
    with pytest.raises(InputError, match="invalid sequence at byte 6") as caught:
        tokens.encoding("o200k_base").count(b"secret\xff")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("threads", [1, 2, None])
def test_a_batch_names_the_text_that_is_wrong(threads: int | None) -> None:
    """Of many texts, the message names the one that cannot be counted."""
    fine = "fine " * 200_000
    with pytest.raises(InputError, match="text 1: expected Unicode text, got a lone surrogate at character 0"):
        tokens.encoding("o200k_base").count_batch([fine, "\udfff", fine], threads=threads)


@pytest.mark.slow
@every_encoding
def test_a_batch_on_many_threads_is_the_same_batch(
    name: str, hard_texts: Callable[[int], Iterator[str]], chance: random.Random
) -> None:
    """However many threads count, the counts are the same ones in the same order."""
    encoding = tokens.encoding(name)
    texts = ["".join(hard_texts(chance.randrange(300))) for _ in range(300)]
    assert sum(len(text.encode()) for text in texts) > 2_000_000
    expected = [encoding.count(text) for text in texts]
    for threads in (2, 3, 8, 1_000, None):
        assert encoding.count_batch(texts, threads=threads) == expected
    assert encoding.count_batch([], threads=2) == []
    assert encoding.count_batch([b"one", "two"], 2) == [1, 1]


@pytest.mark.slow
def test_batches_of_several_callers_do_not_disturb_each_other() -> None:
    """Threads that each count a batch on threads of its own get their own counts."""
    encoding = tokens.encoding("o200k_base")
    batches = [[f"{caller} {line} and so on, " * 400 for line in range(150)] for caller in range(4)]
    found: dict[int, list[int]] = {}

    def count(caller: int) -> None:
        found[caller] = encoding.count_batch(batches[caller], threads=2)

    callers = [threading.Thread(target=count, args=(caller,)) for caller in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == {caller: encoding.count_batch(batch) for caller, batch in enumerate(batches)}


@pytest.mark.slow
def test_any_bytes_are_counted_or_refused(chance: random.Random) -> None:
    """Bytes by chance are either text, counted as such, or refused: nothing panics and nothing is guessed."""
    encoding = tokens.encoding("o200k_base")
    counter = encoding.counter()
    for _ in range(3_000 * TIMES):
        content = chance.randbytes(chance.randrange(1, 9))
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            with pytest.raises(InputError, match=f"at byte {error.start}$"):
                encoding.count(content)
            with contextlib.suppress(InputError):
                counter.append(content)
        else:
            assert encoding.count(content) == encoding.count(text)
    assert counter.total == counter.span(0, counter.size_bytes)


@pytest.mark.slow
@pytest.mark.skipif(TIMES == 1, reason="seconds and half a gigabyte: `make fuzz` runs it")
@pytest.mark.parametrize("run", ["a", "=", "Every word is kept. ", "模型读到的是对话"])
def test_a_hundred_megabytes_are_counted(run: str) -> None:
    """A text may be as long as memory allows: 100 MB are counted, appended, asked about and cut as a short one."""
    encoding = tokens.encoding("o200k_base")
    text = run * (100_000_000 // len(run.encode()))
    total = encoding.count(text)
    counter = encoding.counter()
    assert counter.append(text) == total
    assert counter.span(0, counter.size_bytes) == total
    assert counter.truncate(len(run.encode())) == encoding.count(run)


@pytest.mark.parametrize(
    "call",
    [
        lambda encoding: encoding.count(7),
        lambda encoding: encoding.count_batch("text"),
        lambda encoding: encoding.count_batch([None]),
        lambda encoding: encoding.count_batch(None),
        lambda encoding: encoding.count_batch(["text"], threads=0),
        lambda encoding: encoding.count_batch(["text"], threads=-1),
        lambda encoding: encoding.count_batch(["text"], threads="2"),
        lambda encoding: encoding.count_batch(["text"], threads=True),
        lambda encoding: encoding.count_batch({"text": 1}),
        lambda encoding: encoding.count_batch(range(2**62)),
        lambda encoding: encoding.decode("12"),
        lambda encoding: encoding.count_until("text", limit=True),
        lambda encoding: encoding.count(None),
        lambda encoding: encoding.count(bytearray(b"text")),
        lambda encoding: encoding.counter().append(None),
        lambda encoding: encoding.counter().append(bytearray(b"text")),
        lambda encoding: encoding.counter().span(None, 1),
        lambda encoding: encoding.counter().span(0, 2**70),
        lambda encoding: encoding.counter().truncate(1.5),
        lambda encoding: encoding.restore(b""),
        lambda encoding: encoding.count_until("text", -1),
        lambda encoding: encoding.count_until("text", "1"),
        lambda encoding: encoding.decode(range(2**40)),
        lambda encoding: encoding.decode([-1]),
        lambda encoding: encoding.decode([2**32]),
        lambda encoding: encoding.decode([4_000_000]),
        lambda encoding: encoding.restore("text"),
    ],
)
def test_a_wrong_argument_is_an_input_error(call: Callable[[tokens.Encoding], object]) -> None:
    """Whatever is wrong with a call, the error says to fix the call."""
    with pytest.raises(InputError):
        call(tokens.encoding("o200k_base"))


class Endless(Sequence[Any]):
    """Say to be longer than memory, and hold three items."""

    def __init__(self, *items: str | int) -> None:
        self.items = items

    def __len__(self) -> int:
        """Return a number that no list can have."""
        return 2**62

    def __getitem__(self, index: Any) -> Any:
        """Return an item, or end the list."""
        return self.items[index]


def test_a_list_that_lies_about_its_length_is_read_to_its_end() -> None:
    """No list of mine can end the process."""
    encoding = tokens.encoding("o200k_base")
    assert encoding.count_batch(Endless("one", "two", "three")) == [1, 1, 1]
    assert encoding.decode(Endless(*encoding.encode("one two three"))) == b"one two three"


def test_the_first_id_that_is_no_token_is_named_before_the_rest_is_read() -> None:
    """However long my list is, what is wrong with it is said where it is wrong, without holding the rest."""
    encoding = tokens.encoding("o200k_base")
    known = range(encoding.encode("hello")[0], 2**40)
    with pytest.raises(InputError, match="expected a token id of this vocabulary, got") as refused:
        encoding.decode(known)
    assert int(str(refused.value).rsplit(" ", maxsplit=1)[1]) < 201_100


def test_what_is_no_list_of_texts_is_named() -> None:
    """When I give a generator for a list, I am told that it is one."""
    encoding = tokens.encoding("o200k_base")
    with pytest.raises(InputError, match=r"^expected a list of texts, got generator$"):
        encoding.count_batch(text for text in ("one", "two"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^text 1: expected str or UTF-8 bytes, got int$"):
        encoding.count_batch(["one", 2])  # type: ignore[list-item]


def test_an_unknown_encoding_names_those_that_exist() -> None:
    """A misspelt encoding is answered with the names to choose from."""
    with pytest.raises(InputError, match=r'cl100k_base, claude-3, claude-4\.7, claude-4\.8, got "o200k"'):
        tokens.encoding("o200k")


@pytest.mark.parametrize("name", [5, None, [], b"o200k_base", "\ud800"])
def test_what_is_no_name_of_an_encoding_is_an_input_error(name: Any) -> None:
    """A name that is none is my mistake, and is answered as one."""
    with pytest.raises(InputError, match="expected the name of an encoding"):
        tokens.encoding(name)


def test_an_encoding_is_the_same_object_every_time() -> None:
    """Asking for an encoding again costs nothing."""
    assert tokens.encoding("o200k_base") is tokens.encoding("o200k_base")


def test_a_fingerprint_identifies_the_vocabulary_for_ever() -> None:
    """Snapshots of today are recognised by every later release."""
    fingerprints = {name: tokens.encoding(name).fingerprint for name in tokens.ENCODINGS}
    assert fingerprints == {
        "o200k_base": "c9a181eb3a060df572e7275197cc1049be9ee507ea2b50438d9541ae970e2c21",
        "o200k_harmony": "1809eb980d928c0da884e883c0f480914098bf274355ae60edb8cd8743c163ca",
        "cl100k_base": "1666c88f259907a48f0454d7b18af71a46201aaac411ba780ecf4a6b0e02ed13",
    }


def test_every_embedded_vocabulary_is_the_published_one() -> None:
    """The embedded data gives, byte for byte, the files whose hashes OpenAI publishes, or that were built in."""
    found = tokens.vocabularies()
    assert [vocabulary.name for vocabulary in found] == [*tokens.ENCODINGS, *tokens.RECONSTRUCTIONS]
    assert all(vocabulary.ok for vocabulary in found)
    assert [vocabulary.tokens for vocabulary in found] == [199_998, 199_998, 100_256, 48_332, 14_819, 14_819]


def test_threads_count_the_same(hard_texts: Callable[[int], Iterator[str]]) -> None:
    """Threads that share an encoding get the counts that one thread gets."""
    encoding = tokens.encoding("cl100k_base")
    texts = hard_texts(100)
    text = "".join(texts)
    expected = encoding.count(text)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(encoding.count(text))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
