"""Disguises of a text, as attackers use them, written anew here: the guard's own reading is what is tested."""

import base64
import codecs
import html
import json
import urllib.parse
from collections.abc import Callable

_LEET = str.maketrans("aeiostAEIOST", "431057431057")
_HOMOGLYPHS = str.maketrans("aceopxyiACEOPXY", "асеорхуіАСЕОРХУ")  # noqa: RUF001
_MORSE = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz0123456789",
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
        "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----.".split(),
        strict=True,
    )
)
Disguise = Callable[[str], str]


def _fullwidth(text: str) -> str:
    return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)


def _tags(text: str) -> str:
    return "".join(chr(ord(one) + 0xE0000) if " " <= one <= "~" else one for one in text)


def _atbash(text: str) -> str:
    return "".join(
        chr(219 - ord(one)) if "a" <= one <= "z" else chr(155 - ord(one)) if "A" <= one <= "Z" else one for one in text
    )


def _morse(text: str) -> str:
    return " / ".join(" ".join(_MORSE[one] for one in word if one in _MORSE) for word in text.lower().split())


DISGUISES: dict[str, Disguise] = {
    "plain": lambda text: text,
    "upper": str.upper,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64url, wrapped": lambda text: "\n".join(_chunks(base64.urlsafe_b64encode(text.encode()).decode(), 40)),
    "base64 twice": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "hex": lambda text: text.encode().hex(),
    "hex, spaced": lambda text: text.encode().hex(" "),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "rot13 in base64": lambda text: base64.b64encode(codecs.encode(text, "rot13").encode()).decode(),
    "atbash": _atbash,
    "reversed": lambda text: text[::-1],
    "words reversed": lambda text: " ".join(word[::-1] for word in text.split(" ")),
    "leet": lambda text: text.translate(_LEET),
    "homoglyphs": lambda text: text.translate(_HOMOGLYPHS),
    "fullwidth": _fullwidth,
    "zero width": "\u200b".join,
    "tag characters": _tags,
    "spaced": " ".join,
    "hyphenated": "-".join,
    "quoted lines": lambda text: "\n".join(f"> {line}" for line in text.splitlines()),
    "html entities": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "html names": html.escape,
    "url": lambda text: urllib.parse.quote(text, safe=""),
    "json escapes": lambda text: json.dumps(text.replace("a", "\u00e0"))[1:-1].replace("\\u00e0", "\\u0061"),
    "unicode escapes": lambda text: "".join(f"\\u{ord(one):04x}" if ord(one) < 0x10000 else one for one in text),
    "codes": lambda text: " ".join(str(ord(one)) for one in text),
    "morse": _morse,
    "combining": lambda text: "".join(f"{one}\u0336" if one.isalpha() else one for one in text),
    "a word a line": lambda text: "\n".join(text.split()),
    "every other word": lambda text: " so ".join(text.split()),
}


def _chunks(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]
