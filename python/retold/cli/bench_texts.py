"""The texts of the benchmarks, from what is on the machine; where it has none of a kind, made from a seed."""

import base64
import gzip
import json
import os
import random
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from retold.errors import InputError

SHARED_DATA = Path("../shared/data")
_FILE_BYTES_MAX = 1_000_000
_SLICE_BYTES_MIN = 100
_PROSE_BYTES_MIN = 1_500
_PROSE_SHARE = 0.72
"""In English prose blanks and the twelve commonest letters are 80% of a text; below this it is tables or code."""

_LOG_WORDS = ("the", "build", "failed", "because", "a", "test", "in", "module", "did", "not", "return")
_STOPS_ZH = "\uff0c\uff0c\uff0c\u3002\u3002\uff1b\uff01\uff1f\uff1a\u3001"
_WORDS_ZH = Path(__file__).parent / "bench_words_zh.txt"


class Corpus(Struct, frozen=True):
    """Hold the slices of one kind of text, all of one size, no two the same.

    Attributes:
        source: where they come from, in words.
    """

    name: str
    source: str
    slices: tuple[str, ...]

    @property
    def slice_bytes(self) -> int:
        """Return the size of a slice."""
        return max((len(text.encode()) for text in self.slices), default=0)


def corpora(*, size: int, slices: int, seed: int, own: Mapping[str, Path]) -> list[Corpus]:
    """Return English, code, JSON and Chinese in *slices* of *size* bytes, smaller where the machine has too little.

    Texts of *own*, by name, take the place of those found.

    Raises:
        InputError: a text of *own* cannot be read, or a kind has next to nothing.
    """
    found: list[Corpus] = []
    for name, gather in _KINDS.items():
        chance = random.Random(f"{name} {seed}")  # noqa: S311 - test data, the same for the same seed
        if name in own:
            source, texts = str(own[name]), iter([_read(own[name])])
        else:
            source, texts = gather(chance)
        text = _joined(texts, size * slices)
        if name not in own and name in _MADE and len(text) < size * slices // 2:
            source, texts = _MADE[name](chance)
            text = _joined(texts, size * slices)
        if len(text) < slices * min(size, _SLICE_BYTES_MIN):
            need = slices * _SLICE_BYTES_MIN
            raise InputError(f"expected {need} bytes of {name} or more, got {len(text)}: give --text {name}=FILE")
        found.append(Corpus(name, source, cut(text, size=size, slices=slices)))
    return found


def kinds() -> tuple[str, ...]:
    """Return the names of the corpora."""
    return tuple(_KINDS)


def cut(text: bytes, *, size: int, slices: int) -> tuple[str, ...]:
    """Return *slices* neighbouring pieces of about *size* bytes, no character parted; smaller if *text* is short."""
    size = min(size, len(text) // slices)
    ends = [text_end(text, (number + 1) * size) for number in range(slices)]
    return tuple(text[start:end].decode() for start, end in zip([0, *ends[:-1]], ends, strict=True))


def text_end(text: bytes, at: int) -> int:
    """Return the first place from *at* on where a character ends."""
    while at < len(text) and text[at] & 0xC0 == 0x80:
        at += 1
    return min(at, len(text))


def _joined(texts: Iterable[str], need: int) -> bytes:
    parts: list[bytes] = []
    seen: set[int] = set()
    have = 0
    for text in texts:
        if hash(text) in seen:
            continue
        seen.add(hash(text))
        parts.append(text.encode())
        have += len(parts[-1]) + 1
        if have >= need:
            break
    return b"\n".join(parts)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"expected a readable file of UTF-8 at {path}: {type(error).__name__}") from None


def _files(folders: Iterable[Path], endings: tuple[str, ...], chance: random.Random) -> Iterator[Path]:
    """Give the files under *folders* in an order drawn by *chance*; looks for them when the first is asked for."""
    found = {
        Path(place, name)
        for folder in folders
        for place, _, names in os.walk(folder)
        for name in names
        if name.endswith(endings)
    }
    yield from chance.sample(sorted(found), len(found))


def _texts(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        try:
            packed = path.read_bytes()[:_FILE_BYTES_MAX]
            yield (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode()
        except (OSError, UnicodeDecodeError, EOFError):
            continue


def _english(chance: random.Random) -> tuple[str, Iterator[str]]:
    library = Path(sysconfig.get_paths()["stdlib"])
    folders = (Path("/usr/share/perl"), Path("/usr/share/doc"), library, Path(sys.prefix))

    def texts() -> Iterator[str]:
        for chat in _texts(_files([SHARED_DATA / "beam"], ("chat.json",), chance)):
            yield "\n".join(_contents(json.loads(chat)))
        yield from filter(_is_prose, _texts(_files(folders, (".pod", ".md", ".rst", ".txt", "METADATA"), chance)))
        for source in _texts(_files([library], (".py",), chance)):
            yield from filter(_is_prose, re.findall(r'"""(.+?)"""', source, re.DOTALL))

    beam = "chats of ../shared/data/beam, " if SHARED_DATA.is_dir() else ""
    return f"{beam}documentation (pod, md, rst, txt, docstrings) on this machine", texts()


def _contents(node: object) -> Iterator[str]:
    """Give every ``content`` within *node*, in order."""
    if isinstance(node, list):
        for child in node:
            yield from _contents(child)
    elif isinstance(node, dict):
        for key, child in node.items():
            if key == "content" and isinstance(child, str):
                yield child
            else:
                yield from _contents(child)


def _is_prose(text: str) -> bool:
    plain = sum(text.count(sign) for sign in "etaoinshrdlu ,.")
    return len(text) >= _PROSE_BYTES_MIN and plain >= _PROSE_SHARE * len(text)


def _code(chance: random.Random) -> tuple[str, Iterator[str]]:
    return "Python's standard library", _texts(_files([Path(sysconfig.get_paths()["stdlib"])], (".py",), chance))


def _json(chance: random.Random) -> tuple[str, Iterator[str]]:
    return "recorded sessions of ../shared/data", _texts(_files([SHARED_DATA], (".json", ".jsonl"), chance))


def _logs(chance: random.Random) -> tuple[str, Iterator[str]]:
    return "generated logs", _events(chance)


def _events(chance: random.Random) -> Iterator[str]:
    while True:
        event = {
            "ts": f"2026-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}T{chance.randrange(24):02}:00:00Z",
            "level": chance.choice(("info", "warning", "error")),
            "request_id": chance.randbytes(8).hex(),
            "latency_ms": round(chance.expovariate(0.02), 2),
            "tool": {
                "name": chance.choice(("run_tests", "read_file", "search")),
                "arguments": {"limit": chance.random()},
            },
            "message": " ".join(chance.choices(_LOG_WORDS, k=12)),
        }
        yield json.dumps(event)


def _chinese(chance: random.Random) -> tuple[str, Iterator[str]]:
    pages = _files(Path("/usr/share/man").glob("zh*"), (".gz",), chance)
    return "manual pages in Chinese", _texts(pages)


def _common_words(chance: random.Random) -> tuple[str, Iterator[str]]:
    return "generated from common words", _sentences(chance)


def _sentences(chance: random.Random) -> Iterator[str]:
    """Give sentences of common words, the first of the list most often, as words are in any language."""
    words = _WORDS_ZH.read_text(encoding="utf-8").split()
    weights = list(accumulate(1 / (rank + 5) for rank in range(len(words))))
    while True:
        clauses = ["".join(chance.choices(words, cum_weights=weights, k=chance.randrange(3, 11))) for _ in range(40)]
        yield "".join(clause + chance.choice(_STOPS_ZH) for clause in clauses)


_Gather: TypeAlias = Callable[[random.Random], tuple[str, Iterator[str]]]

_KINDS: dict[str, _Gather] = {
    "english": _english,
    "code": _code,
    "json": _json,
    "chinese": _chinese,
}
_MADE: dict[str, _Gather] = {"json": _logs, "chinese": _common_words}
"""What takes the place of a kind of which the machine has less than half of what is needed."""


def messages(texts: Iterable[str], chance: random.Random) -> list[list[str]]:
    """Return chat messages of 40 to 135 characters, one list for each text."""
    found: list[list[str]] = []
    for text in texts:
        ends = [0]
        while ends[-1] < len(text):
            ends.append(ends[-1] + chance.randrange(40, 136))
        found.append([text[start:end] for start, end in pairwise(ends)])
    return found


def _letters(size: int, chance: random.Random) -> str:
    return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=size))


HardText: TypeAlias = Callable[[int, random.Random], str]

HARD: dict[str, HardText] = {
    "a": lambda size, _: "a" * size,
    "=": lambda size, _: "=" * size,
    "spaces": lambda size, _: " " * size,
    "newlines": lambda size, _: "\n" * size,
    "base64": lambda size, chance: base64.b64encode(chance.randbytes(size * 3 // 4)).decode(),
    "emoji": lambda size, chance: "".join(chr(chance.randrange(0x1F300, 0x1F650)) for _ in range(size // 4)),
    "CJK": lambda size, chance: "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(size // 3)),
    "random letters": _letters,
}
"""Makers of texts of a size in bytes on which tokenizers are slow: one unbroken run, or no word that was ever seen."""
