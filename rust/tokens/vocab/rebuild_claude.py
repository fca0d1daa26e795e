"""Rebuild the embedded tables of the Claude reconstruction from the package ctok.

    uv run --python 3.13 --with ctok==1.3.0 rust/tokens/vocab/rebuild_claude.py

Run it with the Python and the release of ctok that it asks for: the tables hold what ctok says of every character, and
that follows the Unicode tables of its Python. Pieces are taken only from files with the known SHA-256.

claude.classes, one byte a character (`claude/characters.rs` reads it):

    the number of a block for every 256 code points, then the blocks
    then u16 pairs, little endian: a letter and the small letter that it has, ascending

claude3.pieces and claude4.pieces (`claude/pieces.rs` reads them):

    "RTP1", u32 pieces, u32 prefixes (little endian)
    each piece, ascending: how many bytes it shares with the one before, how many follow (LEB128), those bytes.
        A piece is UTF-8; the marks for the start and the end of a word, a capital and all capitals are bytes 0xf8 to
        0xfb, which UTF-8 never has.
    each prefix likewise: the first bytes of characters that are no piece, together one token
"""

import hashlib
import struct
import sys
import unicodedata
from collections.abc import Iterable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from ctok import constants
from ctok.main import _model
from ctok.normalize import (
    _hard_eow,
    _hard_kind,
    _is_lower,
    _is_selector,
    _is_upper,
    _lower,
    _stray_mark,
    classify,
    nfc,
)

CTOK = "1.3.0"
UNICODE = "15.1.0"
FILES = {
    "pieces_v3.json": "4c6db216062ef01e70ba033ff52ad3b97f886e79877235f2c7bbbd40d09ffb9b",
    "pieces_v4_7.json": "a785fc240010c855f3d9a498fbd422ee389752dd151f1d5eef57ca8c85c19993",
}
TARGETS = {"v3": "claude3.pieces", "v4.7": "claude4.pieces"}
MARKS = {
    constants.BOW_G: b"\xf8",
    constants.EOW_G: b"\xf9",
    constants.SHIFT_G: b"\xfa",
    constants.CAPS_G: b"\xfb",
}
CODE_POINTS = 0x110000
SURROGATES = range(0xD800, 0xE000)
BLOCK_SIZE = 256
PIECE_CHARACTERS_MAX = 200
DOTTED_I = "\u0130"

KINDS = {constants.SPACE: 0, constants.WORDY: 1, constants.PUNCT: 2, constants.DIGIT: 3}
LETTER, SIGN, NUMBER, SELECTOR = 4, 5, 6, 7
UNSETTLED, STRAY, BORDERED, OTHER_NUMBER = 1 << 3, 1 << 6, 1 << 7, 1 << 4
UPPER, LOWER, UNCASED = 1 << 4, 2 << 4, 3 << 4


def class_of(character: str, joining: set[str]) -> int:
    """Return the flags of *character*; UNSETTLED if normalising may change it or what is beside it."""
    changed = nfc(character) != character or unicodedata.combining(character) or character in joining
    unsettled = UNSETTLED if changed else 0
    name = classify(character)
    if name == constants.WORDY:
        return KINDS[name] | unsettled | case_of(character)
    if name != constants.HARD:
        return KINDS[name] | unsettled
    if _is_selector(character):
        return SELECTOR | unsettled
    kind = {"letter": LETTER, "punct": SIGN, "number": NUMBER}[_hard_kind(character)]
    other = OTHER_NUMBER if kind == NUMBER and unicodedata.category(character) == "No" else 0
    return kind | unsettled | other


def case_of(character: str) -> int:
    """Return how a character of a word bears on the marks of the word and of what follows."""
    stray = STRAY if _stray_mark(character) else 0
    bordered = BORDERED if _hard_eow(character) else 0
    if _is_upper(character):
        return UPPER | stray | bordered
    if _is_lower(character):
        return LOWER | stray | bordered
    letter = unicodedata.category(character)[0] in "LM"
    return (UNCASED if letter else 0) | stray | bordered


def second_halves() -> set[str]:
    """Return the characters that NFC may join to the one before them."""
    found = {chr(point) for first, last in ((0x1161, 0x1176), (0x11A8, 0x11C3)) for point in range(first, last)}
    for point in range(CODE_POINTS):
        parts = unicodedata.decomposition(chr(point)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            found.add(chr(int(parts[1], 16)))
    return found | {"\u0e4d"}  # ctok joins this one itself


def classes() -> bytes:
    """Return the classes of all code points, and the small letters of the capitals."""
    joining = second_halves()
    flags = bytes(0 if point in SURROGATES else class_of(chr(point), joining) for point in range(CODE_POINTS))
    cut = [flags[start : start + BLOCK_SIZE] for start in range(0, CODE_POINTS, BLOCK_SIZE)]
    blocks = list(dict.fromkeys(cut))
    letters = [chr(point) for point, flag in enumerate(flags) if flag & 7 == KINDS[constants.WORDY]]
    # The dotted capital I has two characters for its small letter; ctok leaves it as it is.
    pairs = [(ord(one), ord(_lower(one))) for one in letters if _lower(one) != one and one != DOTTED_I]
    index = bytes(blocks.index(block) for block in cut)
    return index + b"".join(blocks) + b"".join(struct.pack("<HH", *pair) for pair in pairs)


def pieces(family: str) -> bytes:
    """Return the pieces of *family* and the prefixes of the characters that are none."""
    model = _model(family)
    if max(map(len, model.vocab)) > PIECE_CHARACTERS_MAX:
        sys.exit(f"expected pieces of at most {PIECE_CHARACTERS_MAX} characters")
    for piece in model.vocab:
        kinds = [classify(character) for character in piece if character not in MARKS]
        if len(piece) > 1 and any(
            kind == constants.HARD and _hard_kind(character) == "letter"
            for kind, character in zip(kinds, piece.strip("".join(MARKS)), strict=True)
        ):
            sys.exit("expected no piece in which an ideograph stands beside something else")
    spelled = sorted(b"".join(MARKS.get(character, character.encode()) for character in piece) for piece in model.vocab)
    whole = {character.encode().hex() for character in model.unit_pieces}
    prefixes = sorted(bytes.fromhex(token) for token in model.bytes.tokens - whole)
    if not all(2 <= len(prefix) <= 3 and prefix[0] >= 0xE0 for prefix in prefixes):
        sys.exit("expected prefixes of two or three bytes, each with the first byte of a character")
    return b"RTP1" + struct.pack("<II", len(spelled), len(prefixes)) + front_coded(spelled) + front_coded(prefixes)


def front_coded(words: Iterable[bytes]) -> bytes:
    """Return ascending *words*, each as what it does not share with the one before."""
    coded, before = bytearray(), b""
    for word in words:
        pairs = enumerate(zip(before, word, strict=False))
        shared = next((at for at, (one, other) in pairs if one != other), min(len(before), len(word)))
        coded += leb128(shared) + leb128(len(word) - shared) + word[shared:]
        before = word
    return bytes(coded)


def leb128(number: int) -> bytes:
    """Return *number* in groups of seven bits, the lowest first; the highest bit says that more follow."""
    return bytes((number,)) if number < 128 else bytes((number & 127 | 128,)) + leb128(number >> 7)


def write(name: str, content: bytes) -> None:
    """Write one table beside this script, and say what `claude/family.rs` has to know of it."""
    Path(__file__).with_name(name).write_bytes(content)
    print(f"{name}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    if (version("ctok"), unicodedata.unidata_version) != (CTOK, UNICODE):
        sys.exit(f"expected ctok {CTOK} and a Python with Unicode {UNICODE}, such as 3.13")
    for name, published in FILES.items():
        if hashlib.sha256(files("ctok").joinpath("data", name).read_bytes()).hexdigest() != published:
            sys.exit(f"expected {name} as ctok {CTOK} published it")
    write("claude.classes", classes())
    for family, name in TARGETS.items():
        write(name, pieces(family))
