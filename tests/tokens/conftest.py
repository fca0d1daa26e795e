"""The oracles and the texts that the token tests compare with and on."""

import base64
import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest
import tiktoken
from tests.laws.settings import TIMES

from retold import tokens

HardTexts: TypeAlias = Callable[[int], Iterator[str]]

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
PUBLISHED_AT = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"

# Every class meets every other: cases, caseless letters, marks, digits, blanks, breaks, contractions, emoji, planes.
HARD_WORDS = (
    "a b Z AB the The THE camelCase don't I'LL we're 's 'S 'l 'r 'V '\u017f ' '' = == != !! - -- # / // \\ _ "
    '{"a":1} 1 23 4567 0x1F 3.14 \u00e9 \u00c9 \u00df \u01c5 \u02b0 亚洲 语言 \u3002 日本 語 한국 ไทย '
    "हिन्दी עברית العربية ١٢ \u2167 \u00bd \u00b2 \U0001d7d8 👨\u200d👩\u200d👧 🇫🇷 ❤️ 𐍈 <|endoftext|> <|start|> http://x.y"
)
HARD_PARTS = HARD_WORDS.split()
HARD_SPACING = (
    " |  |    |\t|\n|\n\n|\r\n|\r| \n|\n |\v|\f|\x85|\xa0|\u3000|\u2028|\u180e|\u200b|\u200d|"
    "\u0301|\u0903|\u20dd|\ufe0f|\ufeff|\x00|\x1c|\ue000|\U0010ffff"
)
HARD_BLANKS = HARD_SPACING.split("|")


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, tiktoken.Encoding]]:
    """Give tiktoken's encodings, loaded offline from our own embedded vocabularies.

    tiktoken checks the published SHA-256 of each file itself, so a wrong byte would stop every test here.
    """
    folder = tmp_path_factory.mktemp("published")
    for vocabulary in tokens.vocabularies():
        if vocabulary.name not in tokens.ENCODINGS:
            continue
        encoding = tokens.encoding(vocabulary.name)
        lines = (base64.b64encode(encoding.decode([rank])) + b" %d\n" % rank for rank in range(vocabulary.tokens))
        url = PUBLISHED_AT.format(vocabulary.name)
        file = folder / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
        file.write_bytes(b"".join(lines))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        yield {name: tiktoken.get_encoding(name) for name in tokens.ENCODINGS}


@pytest.fixture(scope="session")
def shared_texts() -> list[str]:
    """Give every text file of the shared data, recorded sessions of many agents."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared data is not beside the repository (../shared/data)")
    texts: list[str] = []
    for file in sorted(path for path in SHARED_DATA.rglob("*") if path.is_file()):
        try:
            texts.append(file.read_bytes().decode())
        except UnicodeDecodeError:
            continue
    assert texts
    return texts


@pytest.fixture(scope="session")
def chance() -> random.Random:
    """Give a source of chance that is the same in every run of the suite."""
    return random.Random(20261 if TIMES == 1 else None)


@pytest.fixture
def hard_texts() -> HardTexts:
    """Give a maker of *count* texts in which every class of character meets every other, the same in the suite."""
    chance = random.Random(7 if TIMES == 1 else None)

    def part() -> str:
        kind = chance.random()
        if kind < 0.5:
            return chance.choice(HARD_PARTS)
        if kind < 0.9:
            return chance.choice(HARD_BLANKS)
        code_point = chance.randrange(0x110000)
        return "?" if 0xD800 <= code_point < 0xE000 else chr(code_point)

    return lambda count: ("".join(part() for _ in range(chance.randrange(1, 30))) for _ in range(count))
