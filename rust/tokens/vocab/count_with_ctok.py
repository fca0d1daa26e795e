"""Write tests/tokens/claude_counts.json: what ctok counts in texts that are hard to count.

    uv run --python 3.13 --with ctok==1.3.0 rust/tokens/vocab/count_with_ctok.py

Retold's tests run where ctok cannot (it asks for Python 3.12), so they compare with this table:

    names: the encodings, in the order of the counts
    texts: a text and its counts, without the frame of the message
    blocks: for every 4,096 code points, the counts of each of them after a letter and before a blank
"""

import json
import random
from pathlib import Path

from ctok import token_count, tokenize
from ctok.main import _model

VERSIONS = {"claude-3": "3.0", "claude-4.7": "4.7", "claude-4.8": "4.8"}
TARGET = Path(__file__).resolve().parents[3] / "tests" / "tokens" / "claude_counts.json"
TEXTS = 1_800
BLOCK = 0x1000
SURROGATES = range(0xD800, 0xE000)

WORDS = (
    "a b Z AB ABCD the The THE camelCase don't I'LL we're 's 'S 'l x's 'twas '' = == != !! - -- # / \\ _ {\"a\":1} 1 "
    "23 4567 0x1F 3.14 é É ß ẞ aẞ İ İA AİB Aİb ǅ Aǅ ʰ ϴ Θϴ Σ ΟΔΟΣ ς 亚洲 语言 。 日本 語 한국 각 ไทย ํา हिन्दी עברית "
    "العربية ١٢ ٣3 3٣ Ⅷ ⅧAB ½ ² ²³ ½२ २३ ①. २. ²， 𝟘 👨\u200d👩\u200d👧 🇫🇷 ❤️ ⚖️ 𐍈 ⟨ ⟩ “ ” ‘ ’s ⓐ's 〓 〆 々 ー ヲ "
    "ヲBUTTヲ （ ） ： ， .， ）, ् ܑܲ ᛮABCD Ⓐⓑ × — – … ─── █ £ « » ！ ＡＢ \ufdd0 \ufdd3a"
)
HARD_WORDS = WORDS.split()
BLANKS = (
    " |  |   |\t|\n|\n\n|\r\n|\r| \n|\n |\v|\x85|\xa0|\u3000|\u2028|\u180e|\u200b|\u200d|\u0301|\u0338|\u0345|\u0903|"
    "\u093c|\u20dd|\ufe0f|\ufeff|\x00|\x1c|\ue000|\U0010ffff|\u0f39|\u3099|\u0e4d|\u0e32|\u0730|'|\"|.|,|!|5|A"
)
HARD_BLANKS = BLANKS.split("|")


def part(chance: random.Random, pieces: list[str]) -> str:
    """Return a few characters: words and blanks that are hard, pieces, runs, and now and then any character."""
    kind = chance.random()
    if kind < 0.7:
        return chance.choice(HARD_WORDS if kind < 0.4 else HARD_BLANKS)
    if kind < 0.9:
        piece = chance.choice(pieces)
        return chance.choice((piece, piece, piece.upper(), piece.title()))
    if kind < 0.93:
        return chance.choice("=-*#\n\t ─_.ab'1A") * chance.randrange(1, 150)
    point = chance.randrange(chance.choice((0x250, 0x3000, 0x10000, 0x110000)))
    return "?" if point in SURROGATES else chr(point)


def counts(text: str) -> list[int]:
    """Return what each version counts in *text*, without the tokens of the frame, which are the first."""
    return [token_count(text, version) - tokenize("a", version).count("⟨pad⟩") for version in VERSIONS.values()]


def main() -> None:
    """Write the table, the same every time."""
    chance = random.Random(20_261)
    pieces = sorted({piece.strip("\ufdd0\ufdd1\ufdd3\ufdd4") for piece in _model("v3").vocab} - {""})
    texts = ["".join(part(chance, pieces) for _ in range(chance.randrange(1, 16))) for _ in range(TEXTS)]
    rows = [[text, *counts(text)] for text in texts]
    blocks = [
        counts("".join(f"a{chr(point)} 1" for point in range(start, start + BLOCK) if point not in SURROGATES))
        for start in range(0, 0x110000, BLOCK)
    ]
    lines = ",\n".join(json.dumps(row) for row in rows)
    TARGET.write_text(
        f'{{"names": {json.dumps(list(VERSIONS))},\n"blocks": {json.dumps(blocks)},\n"texts": [\n{lines}\n]}}\n'
    )
    print(f"{TARGET.name}: {len(rows)} texts, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
