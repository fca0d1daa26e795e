"""The peers that a benchmark of counts runs beside: those that are installed, on the vocabulary that Retold ships.

Each is called in the way that its own measurements found quickest for a long text and for a short one: a peer that is
slowed by how it is called makes every ratio worthless. gigatoken's tiktoken-like door costs it more than half of its
speed, fastokens' list of ids a third; both have a quicker one.
"""

import base64
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from msgspec import Struct

from retold import tokens

Count: TypeAlias = Callable[[str], int]

_PUBLISHED_AT = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_ID_BYTES = 4
_PUBLISHED = {"o200k_harmony": "o200k_base"}
"""Harmony is o200k_base with other special tokens, which are ordinary text here; not every peer knows it by name."""

_RECONSTRUCTOR = "ctok"
"""The one peer that counts as Claude does, and counts nothing else. It asks for Python 3.12."""

_DIALECTS = (("?+", "?"), ("++", "+"), ("*+", "*"), ("{1,3}+", "{1,3}"), ("$", r"\z"))
"""cl100k_base's pattern as Hugging Face's engine has to be told it: `$` is the end of a line there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Racer:
    """Hold what counts: Retold itself, or a peer.

    Attributes:
        count: the quickest way to count a long text.
        count_short: the quickest way to count a message of a line.
    """

    name: str
    count: Count
    count_short: Count


class PeerState(Struct, frozen=True, kw_only=True):
    """Hold whether a peer takes part: its version, the call that is timed, or why it does not."""

    name: str
    version: str = ""
    call: str = ""
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class _Source:
    """Hold the name of a vocabulary and, if it is a published one, its file, written from the one that Retold ships."""

    encoding: str
    file: Path


@dataclass(frozen=True, slots=True)
class _Peer:
    distribution: str
    call: str
    load: Callable[[_Source], tuple[Count, Count]]


@contextmanager
def peers(encoding: str, *, wanted: Sequence[str]) -> Iterator[tuple[list[Racer], list[PeerState]]]:
    """Give Retold and the *wanted* peers (all, if none is named) that are installed, and the state of each peer."""
    ours = tokens.encoding(encoding)
    racers = [Racer(name="retold", count=ours.count, count_short=ours.count)]
    states: list[PeerState] = []
    with TemporaryDirectory(prefix="retold-bench-") as folder:
        published = _PUBLISHED.get(encoding, encoding)
        source = _Source(published, _write_vocabulary(published, Path(folder)))
        for name, peer in _PEERS.items():
            if (name == _RECONSTRUCTOR) != (encoding in tokens.RECONSTRUCTIONS):
                states.append(PeerState(name=name, skipped=f"does not know {encoding}"))
                continue
            if wanted and name not in wanted:
                states.append(PeerState(name=name, skipped="not asked for"))
                continue
            racer, state = _loaded(name, peer, source)
            states.append(state)
            racers.extend(racer)
        yield racers, states


def names() -> tuple[str, ...]:
    """Return the names of all peers that are known."""
    return tuple(_PEERS)


def _loaded(name: str, peer: _Peer, source: _Source) -> tuple[list[Racer], PeerState]:
    try:
        version = metadata.version(peer.distribution)
    except metadata.PackageNotFoundError:
        return [], PeerState(name=name, skipped=f"not installed: pip install {peer.distribution}")
    try:
        count, count_short = peer.load(source)
        count("Retold keeps every word.")
    except Exception as error:  # noqa: BLE001 - whatever a peer raises, it is told, and the others are measured
        return [], PeerState(name=name, version=version, skipped=f"does not load: {type(error).__name__}")
    racer = Racer(name=name, count=count, count_short=count_short)
    return [racer], PeerState(name=name, version=version, call=peer.call)


def _write_vocabulary(encoding: str, folder: Path) -> Path:
    file = folder / f"{encoding}.tiktoken"
    if encoding in tokens.RECONSTRUCTIONS:
        return file
    ours = tokens.encoding(encoding)
    size = next(vocabulary.tokens for vocabulary in tokens.vocabularies() if vocabulary.name == encoding)
    lines = (base64.b64encode(ours.decode([rank])) + b" %d\n" % rank for rank in range(size))
    file.write_bytes(b"".join(lines))
    return file


def _tiktoken_encoding(source: _Source) -> Any:
    """Load tiktoken's encoding offline: it looks for the published file in its cache, and checks its SHA-256."""
    url = _PUBLISHED_AT.format(source.encoding)
    cached = source.file.parent / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
    cached.write_bytes(source.file.read_bytes())
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(cached.parent)
    try:
        return import_module("tiktoken").get_encoding(source.encoding)
    finally:
        del os.environ["TIKTOKEN_CACHE_DIR"]
        if before is not None:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


def _length_of(encode: Callable[[str], Any]) -> tuple[Count, Count]:
    def count(text: str) -> int:
        return len(encode(text))

    return count, count


def _tiktoken(source: _Source) -> tuple[Count, Count]:
    return _length_of(_tiktoken_encoding(source).encode_ordinary)


def _gigatoken(source: _Source) -> tuple[Count, Count]:
    return _length_of(import_module("gigatoken").Tokenizer.from_tiktoken(str(source.file)).encode)


def _fastokens(source: _Source) -> tuple[Count, Count]:
    made = import_module("fastokens").Tokenizer.from_tiktoken(str(source.file), encoding=source.encoding)
    flat = made.encode_batch_flat

    def count(text: str) -> int:
        return len(flat([text])[0]) // _ID_BYTES

    return count, _length_of(made.encode_ordinary)[1]


def _toktok(source: _Source) -> tuple[Count, Count]:
    # The package's own door to its built-in encodings; the vocabulary is within it.
    count: Count = vars(import_module("toktok"))["_encoding"](source.encoding).count
    return count, count


def _bpe_openai(source: _Source) -> tuple[Count, Count]:
    return _length_of(import_module("bpe_openai").get_encoding(source.encoding).encode_ordinary)


def _tokenizers(source: _Source) -> tuple[Count, Count]:
    """Make Hugging Face's tokenizer of the vocabulary: every way to halve a token is a merge of that token's rank."""
    found = import_module("tokenizers")
    pattern: str = vars(_tiktoken_encoding(source))["_pat_str"]
    for tiktokens, oniguruma in _DIALECTS:
        pattern = pattern.replace(tiktokens, oniguruma)
    ranks = dict(_ranks(source.file))
    letters = _letters_of_bytes()
    spelled = {token: "".join(letters[byte] for byte in token) for token in ranks}
    merges = [
        (spelled[token[:at]], spelled[token[at:]])
        for token in ranks
        for at in range(1, len(token))
        if token[:at] in ranks and token[at:] in ranks
    ]
    vocabulary = {spelled[token]: rank for token, rank in ranks.items()}
    made = found.Tokenizer(found.models.BPE(vocabulary, merges))
    splits = found.pre_tokenizers.Split(found.Regex(pattern), "isolated")
    as_bytes = found.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = found.pre_tokenizers.Sequence([splits, as_bytes])

    def count(text: str) -> int:
        return len(made.encode(text, add_special_tokens=False))

    return count, count


def _ctok(source: _Source) -> tuple[Count, Count]:
    """Count as ctok does, less the frame of the message: its first tokens, which are the same for every text."""
    version = {"claude-3": "3.0"}.get(source.encoding, source.encoding.removeprefix("claude-"))
    found = import_module("ctok")
    frame: int = found.tokenize("a", version).count("⟨pad⟩")

    def count(text: str) -> int:
        total: int = found.token_count(text, version)
        return total - frame

    return count, count


def _ranks(file: Path) -> Iterator[tuple[bytes, int]]:
    for line in file.read_bytes().splitlines():
        token, rank = line.split()
        yield base64.b64decode(token), int(rank)


def _letters_of_bytes() -> list[str]:
    """Return the letter that stands for each byte in GPT-2's spelling: itself if printable, else one from 256 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


_PEERS = {
    "tiktoken": _Peer("tiktoken", "encode_ordinary", _tiktoken),
    "gigatoken": _Peer("gigatoken", "Tokenizer.encode", _gigatoken),
    "fastokens": _Peer("fastokens", "encode_batch_flat of one; short: encode_ordinary", _fastokens),
    "toktok": _Peer("toktok-rs", "count", _toktok),
    "bpe-openai": _Peer("bpe-openai", "encode_ordinary", _bpe_openai),
    "tokenizers": _Peer("tokenizers", "encode", _tokenizers),
    _RECONSTRUCTOR: _Peer("ctok", "token_count", _ctok),
}
