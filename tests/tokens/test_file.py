"""Counts with a tokenizer.json, with the Hugging Face package as the judge."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from retold import tokens
from retold.errors import InputError

pytestmark = pytest.mark.timeout(60)

CORPUS = [
    "The quick brown fox jumps over the lazy dog, again and again, and the dog does not mind at all.",
    'def count(text: str) -> int:\n    """Return the number of tokens."""\n    return len(encode(text))\n',
    '{"role": "assistant", "content": "Let me look at the error message first.", "tokens": 1234}',
    "亚洲语言和日本語、한국어도 있습니다. Naïve café, straße; привет мир.",
]


def _byte_level() -> Tokenizer:
    """Train a byte-level BPE in the manner of GPT-2."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=alphabet, special_tokens=["<|end|>"], show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def _word_piece() -> Tokenizer:
    """Train a WordPiece in the manner of BERT, with special tokens around every text."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 - a token of text, not a password
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return tokenizer


Judged: TypeAlias = tuple[tokens.Encoding, Tokenizer]


@pytest.fixture(scope="module", params=[_byte_level, _word_piece], ids=["byte-level", "word-piece"])
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Give an encoding read from a file, and the tokenizer that the file was written by."""
    judge: Tokenizer = request.param()
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    judge.save(str(path))
    return tokens.from_file(path), judge


def _count(judge: Tokenizer, text: str) -> int:
    """Return the number of tokens that Hugging Face gives."""
    return len(judge.encode(text, add_special_tokens=False).ids)


@pytest.mark.slow
def test_counts_of_recorded_sessions_are_hugging_faces(judged: Judged, shared_texts: list[str]) -> None:
    """A piece of every recorded session counts what Hugging Face tokenizers gives."""
    encoding, judge = judged
    heads = [text[:3_000] for text in shared_texts]
    assert encoding.count_batch(heads) == [_count(judge, head) for head in heads]


@pytest.mark.slow
def test_ids_of_hard_texts_are_hugging_faces(judged: Judged, hard_texts: Callable[[int], Iterator[str]]) -> None:
    """Texts of every kind of character encode to Hugging Face's ids."""
    encoding, judge = judged
    for text in hard_texts(500):
        assert encoding.encode(text) == judge.encode(text, add_special_tokens=False).ids


def test_every_append_totals_a_recount(judged: Judged, hard_texts: Callable[[int], Iterator[str]]) -> None:
    """A counter of a tokenizer.json is exact too, after every append, cut and restore."""
    encoding, judge = judged
    counter = encoding.counter()
    so_far = ""
    for text in hard_texts(40):
        so_far += text
        assert counter.append(text) == _count(judge, so_far)
    half = so_far[: len(so_far) // 2]
    assert counter.span(0, len(half.encode())) == _count(judge, half)
    assert counter.truncate(len(half.encode())) == _count(judge, half)
    assert encoding.restore(counter.snapshot()).append("more") == _count(judge, half + "more")


def test_ids_decode_to_the_text(judged: Judged) -> None:
    """What a tokenizer.json decodes is what its own decoder says."""
    encoding, judge = judged
    ids = encoding.encode("the quick brown fox")
    assert encoding.decode(ids).decode() == judge.decode(ids, skip_special_tokens=False)
    with pytest.raises(InputError, match="got 70000"):
        encoding.decode([70_000])


def test_truncation_in_the_file_does_not_hide_how_long_a_text_is(tmp_path: Path) -> None:
    """A file that tells its model to stop at two tokens still counts all of them."""
    judge = _byte_level()
    expected = _count(judge, CORPUS[0])
    judge.enable_truncation(2)
    judge.enable_padding(length=500)
    judge.save(str(tmp_path / "tokenizer.json"))
    assert tokens.from_file(tmp_path / "tokenizer.json").count(CORPUS[0]) == expected


def test_dropout_in_the_file_does_not_make_counts_a_matter_of_chance(tmp_path: Path) -> None:
    """A file from training, which leaves merges out by chance, counts the same text the same each time."""
    judge = _byte_level()
    expected = _count(judge, CORPUS[0])
    assert isinstance(judge.model, models.BPE)
    judge.model.dropout = 0.5
    judge.save(str(tmp_path / "tokenizer.json"))
    encoding = tokens.from_file(tmp_path / "tokenizer.json")
    assert [encoding.count(CORPUS[0]) for _ in range(10)] == [expected] * 10


def test_where_the_library_fails_on_a_text_nothing_of_it_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file that contradicts itself is an error of the call, and my terminal stays clean."""
    path = tmp_path / "tokenizer.json"
    _byte_level().save(str(path))
    content = json.loads(path.read_text())
    content["pre_tokenizer"] = {"type": "FixedLength", "length": 0}
    path.write_text(json.dumps(content))
    encoding = tokens.from_file(path)
    with pytest.raises(InputError, match="the tokenizers library failed on it"):
        encoding.count("one two")
    assert capfd.readouterr() == ("", "")


def test_the_content_of_a_file_is_its_fingerprint(tmp_path: Path) -> None:
    """A snapshot goes with what a file says, wherever the file lies."""
    _byte_level().save(str(tmp_path / "one.json"))
    content = (tmp_path / "one.json").read_bytes()
    (tmp_path / "two.json").write_bytes(content)
    (tmp_path / "three.json").write_bytes(content + b"\n")
    one, two, three = (tokens.from_file(tmp_path / f"{name}.json") for name in ("one", "two", "three"))
    assert one.fingerprint == two.fingerprint != three.fingerprint
    assert one.name == str(tmp_path / "one.json")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"version": "1.0", "model": {"type": "None"}}'])
def test_a_file_that_is_no_tokenizer_is_refused(content: bytes, tmp_path: Path) -> None:
    """A damaged or foreign file is refused when it is read, not when it is used."""
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        tokens.from_file(tmp_path / "tokenizer.json")


@pytest.mark.parametrize("path", [5, None, "a\0b", "\ud800"])
def test_what_is_no_path_is_an_input_error(path: Any) -> None:
    """A path that is none is my mistake, and is answered as one."""
    with pytest.raises(InputError, match=r"expected the path of a tokenizer\.json"):
        tokens.from_file(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The message for a missing file names the path."""
    with pytest.raises(InputError, match=r"missing\.json"):
        tokens.from_file(tmp_path / "missing.json")
