"""Secrets in a text: what has the form of a key that is known, or stands behind a word for one and looks like chance.

What agents need stays: hashes, order numbers, UUIDs and identifiers are no secrets, however random they look. So
chance alone is never enough; a word that says "password" or "token" must stand in front.
"""

import math
import re
from collections import Counter
from typing import Final

ENTROPY_BITS_MIN = 3.2
"""Per character, of a value behind a word for a secret; English words have less, keys have more."""

_FORMS: Final = (
    (
        "private key",
        r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:[\s\S]{0,8000}?-----END (?:[A-Z]+ )*PRIVATE KEY-----)?",
    ),
    ("aws key", r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{16}\b"),
    ("github token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{50,255})\b"),
    ("gitlab token", r"\bglpat-[A-Za-z0-9_-]{20,}\b"),
    ("api key", r"\bsk-(?:ant-|proj-|live-|or-v1-)?[A-Za-z0-9_-]{24,}\b"),
    ("stripe key", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}\b"),
    ("slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}\b"),
    ("slack webhook", r"https://hooks\.slack\.com/services/[A-Za-z0-9/]{20,}"),
    ("google key", r"\bAIza[A-Za-z0-9_-]{35}\b"),
    ("registry token", r"\b(?:npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}|hf_[A-Za-z0-9]{30,}|dop_v1_[a-f0-9]{64})\b"),
    ("sendgrid key", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}\b"),
    ("json web token", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    ("telegram token", r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b"),
)
_KNOWN = re.compile("|".join(f"(?P<f{at}>{form})" for at, (_, form) in enumerate(_FORMS)))
_HINTS: Final = (
    *("PRIVATE KEY", "AKIA", "ASIA", "AGPA", "AIDA", "AROA", "gh", "glpat-", "sk-", "sk_", "rk_", "xox", "hooks.slack"),
    *("AIza", "npm_", "pypi-", "hf_", "dop_v1_", "SG.", "eyJ", ":AA"),
)

_IN_ADDRESS = re.compile(r"(?<=://)[^\s:/@]{1,64}:([^\s:/@]{3,128})(?=@[\w.-]+)")
_BEARER = re.compile(r"\b(?:Bearer|Basic)\s+([A-Za-z0-9._~+/-]{20,}=*)", re.IGNORECASE)
_BEHIND = re.compile(
    r"(?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|auth)[\w-]{0,20}[\"'`]?"
    r"\s{0,3}(?:[:=]|=>|:=)\s{0,3}[\"'`]?([^\s\"'`,;(){}\[\]<>|]{12,200})",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[\d.,:T+Z-]+|https?://.*|[./~$%].*|.*(?:\.\w{1,5}|/)|[A-Za-z_.-]+|.*[.(\[]\w*[)\]]?.*"
    r"|.*(?:example|placeholder|your|xxx|\*\*\*|redacted|\.\.\.|…).*|\w+_id\w*",
    re.IGNORECASE,
)
"""Behind a word for a secret: an identifier, a number, a place, a name in a program, or what stands for a secret."""


def redact(text: str) -> tuple[str, tuple[str, ...]]:
    """Return *text* with its secrets replaced by what each was, and the kinds found, each once. O(characters)."""
    kinds: dict[str, None] = {}

    def known(found: re.Match[str]) -> str:
        kind = _FORMS[int((found.lastgroup or "f0")[1:])][0]
        kinds[kind] = None
        return f"[redacted: {kind}]"

    def valued(found: re.Match[str], kind: str, *, is_sure: bool) -> str:
        value = found[1]
        if not is_sure and not _looks_secret(value):
            return found[0]
        kinds[kind] = None
        start, end = found.start(1) - found.start(), found.end(1) - found.start()
        return f"{found[0][:start]}[redacted: {kind}]{found[0][end:]}"

    if any(hint in text for hint in _HINTS):
        text = _KNOWN.sub(known, text)
    if "://" in text and "@" in text:
        text = _IN_ADDRESS.sub(lambda found: valued(found, "password", is_sure=True), text)
    text = _BEARER.sub(lambda found: valued(found, "bearer token", is_sure=False), text)
    text = _BEHIND.sub(lambda found: valued(found, "secret", is_sure=False), text)
    return text, tuple(kinds)


def _looks_secret(value: str) -> bool:
    kinds = sum(any(map(test, value)) for test in (str.islower, str.isupper, str.isdigit))
    return (
        kinds >= 2
        and any(map(str.isdigit, value))
        and not _NO_SECRET.fullmatch(value)
        and _entropy(value) >= ENTROPY_BITS_MIN
    )


def _entropy(value: str) -> float:
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares)
